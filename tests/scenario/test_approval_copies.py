"""Every copy of a request gets to its place and shows what became of it, whatever Slack does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from blocks.approvals import ACTION_APPROVE, ACTION_ASK_START, ASK_CALLBACK, REASON_ACTION
from functions import approvals
from functions.model.people import Role
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.scenario.deciding import WHY, ask_limit, decide, limit, only_request, short_of_money
from tests.scenario.house import TEAM
from tests.scenario.paper import TRAINED
from tests.scenario.stage import CHANNEL, Json, Stage, words

DIRECT = "D0MARCUS"


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with short_of_money(db, tmp_path, demo_file) as stage:
        yield stage


def outage(stage: Stage, kind: str = "status", **how: object) -> None:
    """From now on Slack takes nothing."""
    stage.client.control("faults", [{"method": "*", "kind": kind, "times": 100_000, **how}])


def send(stage: Stage, *, minutes: float = 0) -> None:
    """Time passes, ten seconds at a time, and what is due is sent."""
    for _ in range(int(minutes * 6) + 1):
        while stage.copies.step():
            pass
        stage.ahead.forward(seconds=10)


def over(stage: Stage) -> None:
    """Slack is there again; every wait is over after five minutes."""
    stage.client.control("calm")
    send(stage, minutes=6)


def requests(stage: Stage, place: str) -> list[Json]:
    """The copies in a place."""
    return [message for message in stage.client.all_messages(place) if "Raise the budget" in words(message)]


def reminders(stage: Stage, place: str) -> list[Json]:
    return [m for m in stage.client.all_messages(place) if "Still waiting" in m.get("text", "")]


@pytest.mark.parametrize("how", [{"kind": "status"}, {"kind": "ratelimit", "retry_after": 30}, {"kind": "drop_after"}])
def test_after_a_quarter_of_an_hour_without_slack_every_copy_is_posted_once(stage: Stage, how: Json) -> None:
    ask_limit(stage)
    outage(stage, **how)
    send(stage, minutes=15)
    over(stage)
    for place in (CHANNEL, DIRECT):
        (copy,) = requests(stage, place)
        assert ACTION_APPROVE in str(copy)


def test_a_reminder_that_falls_into_an_outage_rings_afterwards(stage: Stage) -> None:
    ask_limit(stage)
    send(stage)
    outage(stage)
    approvals.sweep(stage.logins.functions, clock=lambda: utc_now() + timedelta(hours=13))
    send(stage, minutes=15)
    assert reminders(stage, DIRECT) == []
    over(stage)
    for place in (CHANNEL, DIRECT):
        (told,) = reminders(stage, place)
        assert told["thread_ts"] == requests(stage, place)[0]["ts"]


def test_a_decision_that_falls_into_an_outage_takes_the_buttons_away_afterwards(stage: Stage) -> None:
    ask_limit(stage)
    send(stage)
    outage(stage)
    decide(stage, only_request(stage))
    send(stage, minutes=15)
    assert ACTION_APPROVE in str(requests(stage, DIRECT))
    over(stage)
    for place in (CHANNEL, DIRECT):
        (copy,) = requests(stage, place)
        assert ACTION_APPROVE not in str(copy)
        assert "✓ Approved" in words(copy)


def test_a_copy_waits_as_long_as_slack_says(stage: Stage) -> None:
    ask_limit(stage)
    stage.client.control("faults", [{"method": "chat.postMessage", "kind": "ratelimit", "times": 2, "retry_after": 40}])
    send(stage)
    assert requests(stage, CHANNEL) == []
    stage.ahead.forward(seconds=25)
    send(stage)
    assert requests(stage, CHANNEL) == []
    stage.ahead.forward(seconds=10)
    send(stage)
    assert len(requests(stage, CHANNEL)) == 1


def test_a_reminder_that_slack_puts_off_does_not_post_its_copy_twice(stage: Stage) -> None:
    ask_limit(stage)
    send(stage)
    approvals.sweep(stage.logins.functions, clock=lambda: utc_now() + timedelta(hours=13))
    stage.client.control("faults", [{"method": "chat.postMessage", "kind": "ratelimit", "times": 3}])
    send(stage, minutes=1)
    for place in (CHANNEL, DIRECT):
        assert len(requests(stage, place)) == 1
        assert len(reminders(stage, place)) == 1


def test_what_slack_refuses_for_good_is_tried_again_when_the_request_moves_on(stage: Stage) -> None:
    stage.client.control("membership", {"channel": CHANNEL, "member": False})
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0GONE", Role.MANAGER)
    ask_limit(stage)
    send(stage, minutes=1)
    asked = len(stage.client.calls("chat.postMessage"))
    send(stage, minutes=30)
    assert len(stage.client.calls("chat.postMessage")) == asked
    assert len(requests(stage, DIRECT)) == 1
    stage.client.control("membership", {"channel": CHANNEL, "member": True})
    decide(stage, only_request(stage))
    send(stage)
    assert "✓ Approved" in words(requests(stage, CHANNEL)[0])


def test_a_card_that_is_gone_is_not_linked(stage: Stage) -> None:
    limit(stage, 53)
    stage.elena.click(stage.open_review(), ACTION_ASK_START)
    assert stage.elena.submit(stage.elena.wait_view(ASK_CALLBACK), {REASON_ACTION: WHY}) == {"ok": True}
    decide(stage, only_request(stage))
    stage.post()
    stage.client.control(
        "faults", [{"method": "chat.getPermalink", "kind": "error", "error": "message_not_found", "times": 9}]
    )
    stage.reconciler.step()
    stage.tell(*TRAINED)
    send(stage)
    launched = [m for m in stage.client.all_messages(DIRECT) if "✓ Approved and launched" in words(m)]
    assert len(launched) == 1
    assert "its card" not in words(launched[0])
