"""Requests that somebody else decides: once, on what was quoted, by a person who may."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from functions import catalog
from functions.approval_quotes import Asked
from functions.errors import BrightRunError, Conflict, InvalidInput, NotAllowed
from functions.lifecycle import cancel_job
from functions.model.approval import ApprovalKind, ApprovalState
from functions.model.events import Failed
from functions.model.people import Person, Role
from functions.model.states import JobState
from infra.postgres.database import PostgresDatabase
from tests.scenario.deciding import ADA, EMERGENCY, MARCUS, Desk
from tests.scenario.house import ELENA, TEAM, job_of, say
from tests.scenario.paper import TRAINED


@pytest.fixture
def desk(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Desk:
    return Desk(db, tmp_path, demo_file)


def test_an_approved_start_takes_its_money_at_once_and_is_launched_when_it_is(desk: Desk) -> None:
    request = desk.ask()
    assert (request.state, request.quoted.after_cents - request.quoted.limit_cents) == (ApprovalState.PENDING, 5)
    decided = desk.decide(request.id)
    assert decided.state is ApprovalState.APPROVED
    assert decided.job_id is not None
    job = job_of(desk.db, decided.job_id)
    assert (job.created_by, job.state) == ("U0ELENA", JobState.QUEUED)
    assert desk.sums()[1] == desk.job.estimate.cents_high * 2
    desk.reconciler.step()  # the first job takes the only place
    assert desk.request(request.id).state is ApprovalState.APPROVED
    say(desk.db, desk.clock, desk.job, *TRAINED[:1], Failed(code="unknown", what="Broke."))
    desk.reconciler.step()
    assert desk.request(request.id).state is ApprovalState.APPROVED  # asked for a machine is not launched
    say(desk.db, desk.clock, job_of(desk.db, job.id), *TRAINED)
    assert desk.request(request.id).state is ApprovalState.LAUNCHED
    assert desk.history(request.id) == ["drafted", "asked", "approved", "launched"]


def test_two_managers_at_the_same_instant_make_one_launch(desk: Desk) -> None:
    request = desk.ask()

    def press(person: Person) -> str:
        try:
            return desk.decide(request.id, person).state.value
        except BrightRunError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(press, (MARCUS, ADA)))
    assert answers == ["TooLate", "approved"]
    with desk.db.transaction() as tx:
        assert tx.jobs.count(TEAM) == 2


def test_nobody_decides_their_own_request_not_even_an_admin(desk: Desk) -> None:
    request = desk.ask(MARCUS)
    with pytest.raises(NotAllowed, match="Nobody decides their own request"):
        desk.decide(request.id, MARCUS)
    with pytest.raises(NotAllowed, match="Only an admin"):
        desk.decide(request.id, MARCUS, break_glass=True, note="x" * 60)
    with pytest.raises(NotAllowed, match="Your role, member"):
        desk.decide(request.id, ELENA)
    with pytest.raises(NotAllowed, match="somebody else's request"):
        desk.decide(request.id, ADA, break_glass=True, note=EMERGENCY)
    own = desk.ask(ADA, Asked(kind=ApprovalKind.LIMIT_INCREASE, limit_cents=90_000_00))
    with pytest.raises(InvalidInput, match="at least 50"):
        desk.decide(own.id, ADA, break_glass=True, note="short")
    broken = desk.decide(own.id, ADA, break_glass=True, note=EMERGENCY)
    assert broken.note.startswith("Break-glass: ")
    assert desk.history(own.id) == ["drafted", "asked", "break_glass approved"]
    with desk.db.transaction() as tx:
        assert tx.ledger.limit(TEAM) == 90_000_00


def test_the_database_holds_to_it_whatever_the_code_believes(desk: Desk, database_url: str) -> None:
    request = desk.ask()
    with psycopg.connect(database_url, autocommit=True) as connection:
        with pytest.raises(CheckViolation):
            connection.execute("update approval_requests set decided_by = requested_by where id = %s", (request.id,))
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            connection.execute("delete from approval_events")


def test_what_was_quoted_is_what_is_approved(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = desk.ask()
    newer = desk.ask(asked=desk.asked(max_steps=5000))
    assert desk.request(request.id).state is ApprovalState.SUPERSEDED
    with pytest.raises(Conflict, match="superseded already"):
        desk.decide(request.id)
    real = catalog.hyperparameters_for
    monkeypatch.setattr(
        "functions.catalog.hyperparameters_for",
        lambda preset, model: real(preset, model).model_copy(update={"learning_rate": 0.5}),
    )
    desk.set_limit(900_00)
    decided = desk.decide(newer.id)
    assert decided.state is ApprovalState.SUPERSEDED
    assert "has changed since" in decided.outcome
    with desk.db.transaction() as tx:
        assert tx.jobs.count(TEAM) == 1


def test_what_cannot_start_any_more_says_so(desk: Desk) -> None:
    request = desk.ask()
    desk.set_limit(desk.job.estimate.cents_high)
    decided = desk.decide(request.id)
    assert decided.state is ApprovalState.LAUNCH_FAILED
    assert "too little" in decided.outcome
    with desk.db.transaction() as tx:
        assert tx.jobs.count(TEAM) == 1  # the one that fills the budget
    desk.reconciler.step()
    assert len(desk.compute.launched) <= 1


def test_a_run_that_ends_before_its_launch_fails_its_request(desk: Desk) -> None:
    request = desk.ask()
    job_id = desk.decide(request.id).job_id
    assert job_id is not None
    cancel_job(desk.db, clock=desk.clock, person=ELENA, job_id=job_id, reason="Testing")
    assert desk.request(request.id).state is ApprovalState.LAUNCH_FAILED


def test_requests_remind_escalate_and_expire(desk: Desk) -> None:
    request = desk.ask()
    desk.clock.forward(hours=13)
    desk.reconciler.step()
    desk.clock.forward(hours=9)
    desk.reconciler.step()
    desk.reconciler.step()
    assert desk.request(request.id).reminded == 2
    desk.clock.forward(hours=3)
    with pytest.raises(Conflict, match="has expired"):
        desk.decide(request.id)
    desk.reconciler.step()
    assert desk.request(request.id).state is ApprovalState.EXPIRED
    assert desk.history(request.id) == ["drafted", "asked", "reminded", "escalated", "expired"]


def test_one_request_does_not_push_another_aside(desk: Desk) -> None:
    first = desk.ask(asked=Asked(kind=ApprovalKind.LIMIT_INCREASE, limit_cents=900_00))
    second = desk.ask(MARCUS, Asked(kind=ApprovalKind.LIMIT_INCREASE, limit_cents=950_00))
    third = desk.ask()
    for request in (first, second, third):
        assert desk.request(request.id).state is ApprovalState.PENDING


def test_what_cannot_be_asked(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(Conflict, match="asked for this already"):
        desk.ask()
    with pytest.raises(InvalidInput, match="more than the"):
        desk.ask(asked=Asked(kind=ApprovalKind.LIMIT_INCREASE, limit_cents=1))
    with pytest.raises(InvalidInput, match="at least 50 characters; this has 29"):
        desk.ask(
            asked=Asked(kind=ApprovalKind.LIMIT_INCREASE, limit_cents=900_00), reason="The client sees it on Friday."
        )
    with pytest.raises(NotAllowed, match="viewer"):
        desk.ask(Person(team_id=TEAM, user_id="U0VIEWER", role=Role.VIEWER))
