"""What the month comes to, and the ways on where a run does not fit in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.again import ACTION_AGAIN, ACTION_HOW, AGAIN_CALLBACK, AGAIN_STARTED_CALLBACK
from blocks.approvals import ACTION_ASK_LIMIT, ASK_LIMIT_CALLBACK, ASKED_CALLBACK, REASON_ACTION
from blocks.card import ACTION_DETAILS
from blocks.lifecycle import ACTION_PAUSE, ACTION_RESUME, RESUME_CALLBACK
from blocks.over_budget import REFUSAL_CALLBACK
from blocks.review import CHECKLIST_ACTION
from blocks.units import money
from functions.budget import budget_status
from functions.model.approval import ApprovalState
from functions.model.events import Failed, Interrupted
from functions.model.money import dollars
from functions.rest import offers
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.conftest import BUDGET_CENTS
from tests.scenario.deciding import WHY, decide, only_request
from tests.scenario.house import TEAM
from tests.scenario.paper import TRAINED
from tests.scenario.stage import CHANNEL, CHECKS, Json, Stage, staged, words


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        yield stage


def test_the_review_says_what_the_month_comes_to_with_what_is_under_way(
    stage: Stage, demo_file: Path, tmp_path: Path
) -> None:
    review = stage.open_review(name="First")
    first = words(review)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    cents = stage.job().estimate.cents_high
    assert f"With this run, at most {money(cents)} of {money(BUDGET_CENTS)} this month (" in first
    path = tmp_path / "another.json"
    path.write_bytes(demo_file.read_bytes() + b" ")
    stage.add_demo_file(path)
    second = words(stage.open_review(name="Second"))
    assert f"With 1 active run and this one, at most {money(2 * cents)} of {money(BUDGET_CENTS)} this month (" in second


FAILED = Failed(code="nan_loss", what="The loss is not a number any more.", step=10)


def failed_run(stage: Stage) -> None:
    stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.reconciler.step()
    stage.tell(*TRAINED, FAILED)
    stage.post()


def spend_all_but(stage: Stage, cents: int) -> int:
    """Leave so many cents; returns the limit in cents."""
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        used = budget_status(tx, team_id=TEAM, now=utc_now()).used_cents
        tx.ledger.set_limit(TEAM, used + cents)
    return used + cents


def ask_for_more(stage: Stage, refused: Json, limit_cents: int, needed_cents: int) -> Json:
    """From the refusal to the manager's copy, with the amount as it is filled in."""
    stage.elena.click(refused, ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    missing = needed_cents - 1
    assert f"The budget is *{money(limit_cents)}* now. For this run *{money(missing)}* is missing." in words(form)
    assert stage.elena.submit(form, {REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.close(stage.elena.wait_view(ASKED_CALLBACK), whole_stack=True)
    stage.post()
    request = only_request(stage)
    wanted = -(-(limit_cents + missing) // 100) * 100
    assert request.subject["limit_cents"] == wanted
    assert request.channel_id == CHANNEL
    return stage.elena.wait_message(CHANNEL, lambda m: f"to {dollars(wanted)}" in words(m))


def test_trying_again_without_the_money_leads_to_the_request_for_it(stage: Stage) -> None:
    failed_run(stage)
    stage.elena.click(stage.card(), ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    assert ACTION_ASK_LIMIT not in str(form)
    limit = spend_all_but(stage, 1)
    assert stage.elena.submit(form, {ACTION_HOW: "restart"}) == {"ok": True}
    refused = stage.elena.wait_view(REFUSAL_CALLBACK)
    cents = stage.job().estimate.cents_high
    assert f"This run may cost {dollars(cents)}; $0.01 of {dollars(limit)} is left" in words(refused)
    assert f"{dollars(cents - 1)} too little" in words(refused)
    assert stage.jobs() == 1
    ask_for_more(stage, refused, limit, cents)
    decide(stage, only_request(stage))
    stage.post()
    told = stage.elena.wait_message(stage.elena.im(), lambda m: "approved the limit" in m["text"])
    stage.elena.click(told, ACTION_DETAILS)
    details = stage.elena.wait_view("job_details", when=lambda view: ACTION_AGAIN in str(view["blocks"]))
    stage.elena.click(details, ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    assert stage.elena.submit(form, {ACTION_HOW: "restart"}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    assert stage.jobs() == 2


def test_a_form_that_cannot_fit_says_so_before_it_is_sent(stage: Stage) -> None:
    failed_run(stage)
    limit = spend_all_but(stage, 1)
    stage.elena.click(stage.card(), ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    stage.elena.fill(form, {ACTION_HOW: "restart"})
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "*The whole run*" in words(view))
    assert f"{dollars(stage.job().estimate.cents_high - 1)} short" in words(form)
    ask_for_more(stage, form, limit, stage.job().estimate.cents_high)


def test_resuming_without_the_money_leads_to_the_request_for_it(stage: Stage) -> None:
    stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()
    stage.elena.click(stage.card(), ACTION_PAUSE)
    stage.elena.wait_message(CHANNEL, lambda m: "frees its machine" in m["text"])
    stage.tell(Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    stage.post()
    stage.elena.click(stage.card(), ACTION_RESUME)
    form = stage.elena.wait_view(RESUME_CALLBACK)
    limit = spend_all_but(stage, 1)
    assert stage.elena.submit(form, {}) == {"ok": True}
    refused = stage.elena.wait_view(REFUSAL_CALLBACK)
    with stage.db.transaction() as tx:
        job = stage.job()
        rest = next(
            o.rest.cents_high for o in offers(tx, job=job, now=utc_now()) if o.tier.key == job.configuration.tier
        )
    ask_for_more(stage, refused, limit, rest)
    stage.elena.click(stage.card(), ACTION_RESUME)
    form = stage.elena.wait_view(RESUME_CALLBACK)
    assert "⚠ Over budget: up to" in words(form)
    assert ACTION_ASK_LIMIT in str(form)


def test_a_higher_limit_wants_a_justification_and_counts_it(stage: Stage) -> None:
    spend_all_but(stage, 1)
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    refused = stage.elena.submit(form, {REASON_ACTION: "The client  sees it on Friday."})
    assert "at least 50 characters; this has 29" in str(refused["errors"])
    with stage.db.transaction() as tx:
        assert tx.approvals.open_before(list(ApprovalState)) == []
    assert stage.elena.submit(form, {REASON_ACTION: WHY}) == {"ok": True}
