"""The managers are asked first; the admins when time runs short, or at once where no manager may decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.approvals import ACTION_APPROVE
from functions import approvals
from functions.model.people import Role
from infra.postgres.database import PostgresDatabase
from tests.scenario.deciding import ask_limit, only_request, short_of_money
from tests.scenario.house import TEAM
from tests.scenario.stage import CHANNEL, Json, Stage, words

AS_WELL = "The admins have been asked as well"


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with short_of_money(db, tmp_path, demo_file) as stage:
        role(stage, "U0ADA", Role.ADMIN)
        yield stage


def role(stage: Stage, user: str, role: Role) -> None:
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, user, role)


def later(stage: Stage, hours: float) -> None:
    """Time passes, and what is due then is done and sent."""
    stage.ahead.forward(hours=hours)
    approvals.sweep(stage.logins.functions, clock=stage.ahead)
    stage.post()


def found(stage: Stage, place: str) -> list[Json]:
    """The request's copy in a place, with what stands below it."""
    return [m for m in stage.client.all_messages(place) if "$700" in words(m) or "Still waiting" in m["text"]]


def history(stage: Stage) -> list[str]:
    with stage.db.transaction() as tx:
        return [event.event for event in tx.approvals.history(only_request(stage).id)]


def test_admins_get_their_copy_when_time_runs_short(stage: Stage) -> None:
    ask_limit(stage)
    stage.post()
    assert found(stage, "D0ADA") == []
    later(stage, 13)
    assert found(stage, "D0ADA") == []
    assert AS_WELL not in str(found(stage, CHANNEL))
    later(stage, 9)
    (copy,) = found(stage, "D0ADA")
    assert ACTION_APPROVE in str(copy)
    for place in (CHANNEL, "D0MARCUS"):
        copy, first, last = found(stage, place)
        assert AS_WELL in words(copy)
        assert AS_WELL not in first["text"]
        assert AS_WELL in last["text"]
    assert history(stage) == ["drafted", "asked", "reminded", "escalated"]


def test_an_admin_may_decide_before_they_are_asked(stage: Stage) -> None:
    ask_limit(stage)
    stage.post()
    ada = stage.client.as_user("U0ADA")
    ada.click(ada.wait_message(CHANNEL, lambda m: "$700" in words(m)), ACTION_APPROVE)
    ada.wait_message(CHANNEL, lambda m: ": approved." in m["text"])


@pytest.mark.parametrize("asker", [Role.MEMBER, Role.MANAGER])
def test_without_another_manager_the_admins_are_asked_at_once(stage: Stage, asker: Role) -> None:
    role(stage, "U0MARCUS", Role.MEMBER)
    role(stage, "U0ELENA", asker)
    ask_limit(stage)
    stage.post()
    assert len(found(stage, "D0ADA")) == 1
    later(stage, 22)
    assert AS_WELL not in str(found(stage, CHANNEL))
    assert history(stage)[-1] == "reminded"


def test_an_admin_who_asks_gets_no_copy_to_decide(stage: Stage) -> None:
    role(stage, "U0ELENA", Role.ADMIN)
    role(stage, "U0ADA", Role.MEMBER)
    ask_limit(stage)
    later(stage, 22)
    assert found(stage, "D0ELENA") == []
    assert AS_WELL not in str(found(stage, CHANNEL))
