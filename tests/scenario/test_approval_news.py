"""Whoever asked hears what became of it: directly, once, with who and why, and the button that leads on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blocks.approval_news import ACTION_REVIEW_AGAIN
from blocks.approvals import ACTION_ASK_START, ASK_CALLBACK, ASKED_CALLBACK, REASON_ACTION
from blocks.card import ACTION_DETAILS
from blocks.review import CHECKLIST_ACTION, REVIEW_CALLBACK
from functions import approvals
from functions.lifecycle import cancel_job
from functions.model.approval import Approval, ApprovalState
from functions.model.people import Person
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.scenario.deciding import MARCUS, WHY, ask_limit, decide, limit, only_request, short_of_money
from tests.scenario.house import ELENA
from tests.scenario.stage import CHECKS, Json, Stage, words

UNDONE = "⚠ <@U0MARCUS> approved your run *For Friday*, but it did not start."


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with short_of_money(db, tmp_path, demo_file) as stage:
        yield stage


def ask_start(stage: Stage) -> Approval:
    """Elena asks for a run that passes the limit within the grace."""
    limit(stage, 53)
    stage.elena.click(stage.open_review(name="For Friday"), ACTION_ASK_START)
    form = stage.elena.wait_view(ASK_CALLBACK)
    assert stage.elena.submit(form, {REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.close(stage.elena.wait_view(ASKED_CALLBACK), whole_stack=True)
    return only_request(stage)


def news(stage: Stage) -> list[Json]:
    """What Elena was told directly."""
    stage.post()
    stage.post()
    return [m for m in stage.client.all_messages(stage.elena.im()) if "✓✗–⚠".find(m["text"][:1]) >= 0]


def test_an_approval_is_told_once_even_if_the_line_breaks_and_leads_to_the_run(stage: Stage) -> None:
    request = ask_start(stage)
    stage.post()
    stage.client.control("faults", [{"method": "chat.postMessage", "kind": "drop_after"}])
    decide(stage, request)
    (told,) = news(stage)
    assert told["text"] == "✓ <@U0MARCUS> approved your run For Friday."
    assert "It is in the queue; its card in <#C0TRAINING> shows when it starts." in words(told)
    stage.elena.click(told, ACTION_DETAILS)
    assert "For Friday" in words(stage.elena.wait_view("job_details", when=lambda view: "For Friday" in words(view)))


def test_a_refusal_is_told_with_its_reason_and_leads_back_to_the_review(stage: Stage) -> None:
    decide(stage, ask_start(stage), approve=False, note="Not this month.")
    (told,) = news(stage)
    assert words(told).startswith("✗ <@U0MARCUS> declined your run *For Friday*.\n“Not this month.”")
    limit(stage, 900_00)
    stage.elena.click(told, ACTION_REVIEW_AGAIN)
    review = stage.elena.wait_view(REVIEW_CALLBACK)
    assert "*For Friday*" in words(review)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    assert stage.job().name == "For Friday"


def test_a_raised_limit_leads_back_to_the_run_that_it_was_needed_for(stage: Stage) -> None:
    ask_limit(stage)
    decide(stage, only_request(stage))
    (told,) = news(stage)
    assert "✓ <@U0MARCUS> approved the limit of *$700* that you asked for." in words(told)
    stage.elena.click(told, ACTION_REVIEW_AGAIN)
    review = stage.elena.wait_view(REVIEW_CALLBACK)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    assert stage.jobs() == 1


def expire(stage: Stage, request: Approval) -> None:
    stage.ahead.forward(hours=25)
    approvals.sweep(stage.logins.functions, clock=stage.ahead)


def too_little(stage: Stage, request: Approval) -> None:
    limit(stage, 1)
    decide(stage, request)


def cancelled_by(person: Person) -> Callable[[Stage, Approval], None]:
    def cancel(stage: Stage, request: Approval) -> None:
        job_id = decide(stage, request).job_id
        assert job_id is not None
        cancel_job(stage.db, clock=utc_now, person=person, job_id=job_id, reason="Testing")

    return cancel


@pytest.mark.parametrize(
    ("become", "state", "said"),
    [
        (expire, ApprovalState.EXPIRED, "– Nobody decided in time on your run *For Friday*.\nNothing was started."),
        (too_little, ApprovalState.LAUNCH_FAILED, f"{UNDONE}\nThis run may cost $0.55; $0.01 of $0.01 is left"),
        (cancelled_by(MARCUS), ApprovalState.LAUNCH_FAILED, f"{UNDONE}\nIt was cancelled before it started."),
    ],
)
def test_what_else_becomes_of_it(
    stage: Stage, become: Callable[[Stage, Approval], None], state: ApprovalState, said: str
) -> None:
    request = ask_start(stage)
    become(stage, request)
    with stage.db.transaction() as tx:
        found = tx.approvals.get(request.id)
    assert found is not None
    assert found.state is state
    assert said in words(news(stage)[-1])


def test_a_change_of_what_was_quoted_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask_start(stage)
    monkeypatch.setattr("functions.approvals.digest_of", lambda kind, facts: "another")
    assert decide(stage, request).state is ApprovalState.SUPERSEDED
    (told,) = news(stage)
    assert "approved your run *For Friday*, but it did not start.\nWhat was quoted has changed since" in words(told)
    assert ACTION_REVIEW_AGAIN in str(told)


def test_nobody_is_told_what_they_did_themselves(stage: Stage) -> None:
    cancelled_by(ELENA)(stage, ask_start(stage))
    assert [m["text"] for m in news(stage)] == ["✓ <@U0MARCUS> approved your run For Friday."]
    ask_limit(stage)
    approvals.cancel_request(stage.db, clock=utc_now, person=ELENA, request_id=only_request(stage).id)
    assert len(news(stage)) == 1
