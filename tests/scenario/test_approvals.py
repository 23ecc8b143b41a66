"""Requests that somebody else decides: once, on what was quoted, by a person who may."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

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
from functions import approvals, catalog
from functions.approval_quotes import Asked
from functions.errors import BrightRunError, Conflict, InvalidInput, NotAllowed
from functions.lifecycle import cancel_job
from functions.model.approval import Approval, ApprovalKind, ApprovalState
from functions.model.events import Failed
from functions.model.job import JobChoice
from functions.model.people import Person, Role
from functions.model.states import JobState
from functions.model.training_file import TrainingFile
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM, job_of, say
from tests.scenario.paper import TRAINED
from tests.scenario.stage import CHANNEL, Json, Stage, staged, words
from tests.scenario.test_jobs_live import Stand
from tests.scenario.test_lifecycle import more_files

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)
ADA = Person(team_id=TEAM, user_id="U0ADA", role=Role.ADMIN)
EMERGENCY = "Nobody else is awake and the client's demo begins in an hour."
WHY = "The client sees it on Friday."


class Desk(Stand):
    """A team whose budget is nearly used up: 5 cents short of one more run, well within the grace."""

    def __init__(self, db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
        super().__init__(db, tmp_path, demo_file)
        self.other: TrainingFile = more_files(self, demo_file, tmp_path, 1)[0]
        for person in (MARCUS, ADA):
            with db.transaction() as tx:
                tx.people.set_role(TEAM, person.user_id, person.role)
        self.set_limit(self.job.estimate.cents_high * 2 - 5)

    def set_limit(self, cents: int) -> None:
        with self.db.transaction() as tx:
            tx.ledger.lock_limit(TEAM)
            tx.ledger.set_limit(TEAM, cents)

    def asked(self, **given: object) -> Asked:
        choice = JobChoice(training_file_id=self.other.id, name="Over budget").model_copy(update=given)
        return Asked(kind=ApprovalKind.OVER_BUDGET_START, choice=choice, request_key="form-1", channel_id="C0TRAINING")

    def ask(self, person: Person = ELENA, asked: Asked | None = None) -> Approval:
        self.clock.forward(seconds=1)
        draft = approvals.open_request(
            self.db,
            self.files,
            clock=self.clock,
            provider="local",
            person=person,
            asked=asked or self.asked(),
            channel_id="C0TRAINING",
        )
        return approvals.submit_request(self.db, clock=self.clock, person=person, request_id=draft.id, reason=WHY)

    def decide(self, request_id: UUID, person: Person = MARCUS, **given: object) -> Approval:
        values: dict[str, object] = {"approve": True, **given}
        return approvals.decide(
            self.db,
            self.files,
            clock=self.clock,
            provider="local",
            limits=LIMITS,
            person=person,
            request_id=request_id,
            **values,  # type: ignore[arg-type]
        )

    def request(self, request_id: UUID) -> Approval:
        with self.db.transaction() as tx:
            return approvals.get_request(tx, team_id=TEAM, request_id=request_id)[0]

    def history(self, request_id: UUID) -> list[str]:
        with self.db.transaction() as tx:
            return [event.event for event in tx.approvals.history(request_id)]


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
    assert answers == ["Conflict", "approved"]
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
    with pytest.raises(NotAllowed, match="viewer"):
        desk.ask(Person(team_id=TEAM, user_id="U0VIEWER", role=Role.VIEWER))


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_limit(TEAM, 1)
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        yield stage


def limit(stage: Stage, cents: int) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.set_limit(TEAM, cents)


def copies(stage: Stage) -> list[Json]:
    """The request's message in the channel and with the manager."""
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    return [
        stage.elena.wait_message(CHANNEL, lambda m: "Approval" in words(m) or "pprov" in m.get("text", "")),
        marcus.wait_message(marcus.im(), lambda m: "pprov" in words(m)),
    ]


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
    for copy in copies(stage):
        assert "✓ Approved and launched" in words(copy)
    stage.elena.click(copies(stage)[0], ACTION_APPROVAL_DETAILS)
    assert "launched" in words(stage.elena.wait_view(DETAILS_CALLBACK))


def test_a_reminder_rings_once_below_every_copy(stage: Stage) -> None:
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    assert stage.elena.submit(form, {LIMIT_ACTION: "700", REASON_ACTION: WHY}) == {"ok": True}
    stage.elena.wait_view(ASKED_CALLBACK)
    stage.post()
    approvals.sweep(stage.db, clock=lambda: utc_now() + timedelta(hours=13))
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


def test_a_member_who_presses_move_to_front_asks_a_manager(stage: Stage, demo_file: Path, tmp_path: Path) -> None:
    limit(stage, 900_00)
    stage.start()
    stage.reconciler.step()
    for number in (1, 2):
        path = tmp_path / f"copy-{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        stage.add_demo_file(path)
        stage.start(name=f"Waiting {number}")
        stage.post()
    stage.elena.click(stage.card(), ACTION_PROMOTE)
    stage.elena.wait_message(CHANNEL, lambda m: "takes a manager. They have been asked" in m.get("text", ""))
    stage.post()
    marcus = stage.client.as_user("U0MARCUS")
    marcus.click(marcus.wait_message(marcus.im(), lambda m: "to the front" in words(m)), ACTION_APPROVE)
    marcus.wait_message(marcus.im(), lambda m: "is the next one to start" in m.get("text", ""))
    with stage.db.transaction() as tx:
        waiting = tx.jobs.in_states({JobState.QUEUED})
    assert [job.name for job in waiting] == ["Waiting 2", "Waiting 1"]
