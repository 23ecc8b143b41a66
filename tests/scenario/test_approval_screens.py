"""Requests as people click them: asked, approved, declined, moved to the front."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from blocks.approvals import (
    ACTION_APPROVAL_DETAILS,
    ACTION_APPROVE,
    ACTION_ASK_LIMIT,
    ACTION_ASK_START,
    ACTION_BREAK_GLASS,
    ACTION_REJECT,
    ASK_CALLBACK,
    ASK_LIMIT_CALLBACK,
    ASKED_CALLBACK,
    BREAK_GLASS_CALLBACK,
    DETAILS_CALLBACK,
    LIMIT_ACTION,
    REASON_ACTION,
    REJECT_CALLBACK,
)
from blocks.lifecycle import ACTION_PROMOTE
from blocks.units import money_range, when
from functions import approvals
from functions.model.people import Role
from functions.model.states import JobState
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.workspace.client import Person
from tests.scenario.deciding import WHY, ask_limit, copies, decide, limit, only_request, short_of_money
from tests.scenario.house import TEAM
from tests.scenario.paper import TRAINED
from tests.scenario.stage import CHANNEL, Stage, words


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with short_of_money(db, tmp_path, demo_file) as stage:
        yield stage


def test_asked_in_the_review_and_approved_by_a_press(stage: Stage) -> None:
    review = stage.open_review()
    assert "Ask for approval" in words(review)
    stage.elena.click(review, ACTION_ASK_START)
    refused = stage.elena.wait_view(None, when=lambda view: "an approval covers" in words(view))
    assert "Ask for a higher limit" in words(refused)
    stage.elena.close(refused)
    limit(stage, 53)  # cents: the run's 55 pass it within the grace
    stage.elena.click(review, ACTION_ASK_START)
    form = stage.elena.wait_view(ASK_CALLBACK)
    assert stage.elena.submit(form, {REASON_ACTION: "no"})["ok"] is False
    assert stage.elena.submit(form, {REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.wait_view(ASKED_CALLBACK)
    channel, direct = copies(stage)
    for copy in (channel, direct):
        assert "Approval needed" in words(copy)
        assert f"“{WHY}”" in words(copy)
        assert "except the one who asked" in words(copy)
    stage.elena.click(channel, ACTION_APPROVE)
    stage.elena.wait_message(CHANNEL, lambda m: "may not decide this" in m.get("text", ""))
    marcus = stage.client.as_user("U0MARCUS")
    marcus.click(direct, ACTION_APPROVE)
    marcus.wait_message(marcus.im(), lambda m: ": approved." in m.get("text", ""))
    for copy in copies(stage):
        assert "✓ Approved* by <@U0MARCUS>" in words(copy)
        assert ACTION_APPROVE not in str(copy)
    stage.reconciler.step()
    stage.tell(*TRAINED)
    link = f"{stage.workspace.base_url}/archives/{CHANNEL}/p{stage.card()['ts'].replace('.', '')}"
    for copy in copies(stage):
        assert "✓ Approved and launched" in words(copy)
        assert f"Launched: <{link}|its card →>" in words(copy)
    stage.elena.click(copies(stage)[0], ACTION_APPROVAL_DETAILS)
    assert "launched" in words(stage.elena.wait_view(DETAILS_CALLBACK))


def test_a_reminder_rings_once_below_every_copy(stage: Stage) -> None:
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    assert stage.elena.submit(form, {LIMIT_ACTION: "700", REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.wait_view(ASKED_CALLBACK)
    stage.post()
    approvals.sweep(stage.logins.functions, clock=lambda: utc_now() + timedelta(hours=13))
    stage.post()
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    for where in (CHANNEL, marcus.im()):
        told = [m for m in stage.client.all_messages(where) if "Still waiting for a decision" in m.get("text", "")]
        assert len(told) == 1
        assert "thread_ts" in told[0]


def test_declined_with_a_reason(stage: Stage) -> None:
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    assert stage.elena.submit(form, {LIMIT_ACTION: "0", REASON_ACTION: WHY})["ok"] is False
    assert stage.elena.submit(form, {LIMIT_ACTION: "700", REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.wait_view(ASKED_CALLBACK)
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    direct = marcus.wait_message(marcus.im(), lambda m: "to $700" in words(m))
    marcus.click(direct, ACTION_REJECT)
    form = marcus.wait_view(REJECT_CALLBACK)
    assert marcus.submit(form, {REASON_ACTION: "Not this month."}) == {"ok": True}
    stage.post()
    told = words(marcus.wait_message(marcus.im(), lambda m: "Declined" in words(m)))
    assert "“Not this month.”" in told


def test_breaking_the_glass_is_offered_to_an_admin_in_the_details_and_everybody_sees_it(stage: Stage) -> None:
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.ADMIN)
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    assert stage.elena.submit(form, {LIMIT_ACTION: "700", REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.close(stage.elena.wait_view(ASKED_CALLBACK), whole_stack=True)
    stage.post()
    own = stage.elena.wait_message(CHANNEL, lambda m: "to $700" in words(m))
    stage.elena.click(own, ACTION_APPROVE)
    stage.elena.wait_message(CHANNEL, lambda m: "Nobody decides their own request" in m.get("text", ""))
    stage.elena.click(own, ACTION_APPROVAL_DETAILS)
    stage.elena.click(stage.elena.wait_view(DETAILS_CALLBACK), ACTION_BREAK_GLASS)
    form = stage.elena.wait_view(BREAK_GLASS_CALLBACK)
    why = "Marcus is on a plane, and the client's demo begins in an hour."
    assert stage.elena.submit(form, {REASON_ACTION: why}) == {"ok": True}
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    told = words(marcus.wait_message(marcus.im(), lambda m: "Approved" in words(m)))
    assert f"“Break-glass: {why}”" in told
    assert "The limit is $700.00 now." in told


def test_a_member_who_presses_move_to_front_says_why_and_a_manager_sees_what_it_means(
    stage: Stage, demo_file: Path, tmp_path: Path
) -> None:
    limit(stage, 900_00)
    stage.start()
    stage.reconciler.step()
    for number in (1, 2):
        path = tmp_path / f"copy-{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        stage.add_demo_file(path)
        stage.start(name=f"Waiting {number}", client="Acme", project="Q1")
        stage.post()
    stage.elena.click(stage.card(), ACTION_PROMOTE)
    form = stage.elena.wait_view(ASK_CALLBACK)
    assert "Why should it go first?" in str(form)
    refused = stage.elena.submit(form, {REASON_ACTION: "Now"})
    assert refused["ok"] is False
    assert stage.elena.submit(form, {REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.close(stage.elena.wait_view(ASKED_CALLBACK), whole_stack=True)
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    copy = marcus.wait_message(marcus.im(), lambda m: "to the front" in words(m))
    said = words(copy)
    job = stage.job()
    for expected in (
        f"“{WHY}”",
        "For Acme · Q1",
        "It would start before Waiting 1.",
        f"Estimate *{money_range(job.estimate.cents_low, job.estimate.cents_high)}*",
        f"Waiting since {when(job.created_at)}",
    ):
        assert expected in said
    first, other = re.findall(r"Start at the front: \*<!date\^(\d+)\^[^>]*>\*; as it is: <!date\^(\d+)\^", said)[0]
    assert int(other) - int(first) == pytest.approx(job.estimate.seconds.expected, abs=2)
    marcus.click(copy, ACTION_APPROVE)
    marcus.wait_message(marcus.im(), lambda m: "is the next one to start" in m.get("text", ""))
    with stage.db.transaction() as tx:
        waiting = tx.jobs.in_states({JobState.QUEUED})
    assert [job.name for job in waiting] == ["Waiting 2", "Waiting 1"]


def window(person: Person, text: str) -> str:
    """What a window without a form says, once it says this."""
    view = person.wait_view("", when=lambda view: text in words(view))
    assert "submit" not in view or view["submit"] is None
    said = words(view)
    person.close(view, whole_stack=True)
    return said


def test_who_may_not_decide_reads_why_instead_of_a_form(stage: Stage) -> None:
    ask_limit(stage)
    stage.post()
    waiting = stage.elena.wait_message(CHANNEL, lambda m: "to $700" in words(m))
    stage.vic.click(waiting, ACTION_REJECT)
    window(stage.vic, "Your role, viewer, may not decide this")
    stage.elena.click(waiting, ACTION_REJECT)
    window(stage.elena, "Your role, member, may not decide this")
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.MANAGER)
    stage.elena.click(waiting, ACTION_REJECT)
    window(stage.elena, "Nobody decides their own request")
    decide(stage, only_request(stage))
    marcus = stage.client.as_user("U0MARCUS")
    marcus.click(waiting, ACTION_REJECT)
    assert "Decided by <@U0MARCUS>" in window(marcus, "This request is approved already")


def test_breaking_the_glass_is_checked_when_it_is_pressed_too(stage: Stage) -> None:
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.ADMIN)
    ask_limit(stage)
    stage.post()
    own = stage.elena.wait_message(CHANNEL, lambda m: "to $700" in words(m))
    stage.elena.click(own, ACTION_APPROVAL_DETAILS)
    details = stage.elena.wait_view(DETAILS_CALLBACK)
    decide(stage, only_request(stage), approve=False, note="Not this month.")
    stage.elena.click(details, ACTION_BREAK_GLASS)
    assert "Decided by <@U0MARCUS>" in window(stage.elena, "This request is declined already")


def test_who_became_a_viewer_while_the_form_was_open_asks_for_nothing(stage: Stage) -> None:
    limit(stage, 53)
    stage.elena.click(stage.open_review(), ACTION_ASK_START)
    form = stage.elena.wait_view(ASK_CALLBACK)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.VIEWER)
    refused = stage.elena.submit(form, {REASON_ACTION: WHY})
    assert "Your role, viewer, may not start training runs" in str(refused["errors"])
    with stage.db.transaction() as tx:
        assert tx.approvals.pending(TEAM) == []
