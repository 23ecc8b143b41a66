"""What tests of requests share: a team that is short of money, people who decide, and a stage for both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from blocks.approvals import ACTION_ASK_LIMIT, ASK_LIMIT_CALLBACK, ASKED_CALLBACK, LIMIT_ACTION, REASON_ACTION
from functions import approvals
from functions.approval_quotes import Asked
from functions.model.approval import Approval, ApprovalKind
from functions.model.job import JobChoice
from functions.model.people import Person, Role
from functions.model.training_file import TrainingFile
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM
from tests.scenario.stage import CHANNEL, Json, Stage, staged, words
from tests.scenario.test_jobs_live import Stand
from tests.scenario.test_lifecycle import more_files

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)
ADA = Person(team_id=TEAM, user_id="U0ADA", role=Role.ADMIN)
EMERGENCY = "Nobody else is awake and the client's demo begins in an hour."
WHY = "The client sees it on Friday, and the smaller run fell short on tax questions."


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

    def ask(self, person: Person = ELENA, asked: Asked | None = None, reason: str = WHY) -> Approval:
        self.clock.forward(seconds=1)
        draft = approvals.open_request(
            self.db,
            self.files,
            clock=self.clock,
            provider="local",
            person=person,
            asked=asked or self.asked(),
            channel_id="C0TRAINING",
            limits=LIMITS,
        )
        return approvals.submit_request(self.db, clock=self.clock, person=person, request_id=draft.id, reason=reason)

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


@contextlib.contextmanager
def short_of_money(db: PostgresDatabase, folder: Path, demo_file: Path) -> Iterator[Stage]:
    """A stage with a training file and a cent to spend."""
    with db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_limit(TEAM, 1)
    with staged(db, folder) as stage:
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


def ask_limit(stage: Stage, why: str = WHY, dollars: str = "700") -> None:
    """A member asks for a higher limit, from the review; what is sent then is sent."""
    stage.elena.click(stage.open_review(), ACTION_ASK_LIMIT)
    form = stage.elena.wait_view(ASK_LIMIT_CALLBACK)
    assert stage.elena.submit(form, {LIMIT_ACTION: dollars, REASON_ACTION: why}) == {"ok": True}
    stage.elena.close(stage.elena.wait_view(ASKED_CALLBACK), whole_stack=True)


def only_request(stage: Stage) -> Approval:
    """The request that waits."""
    with stage.db.transaction() as tx:
        (request,) = tx.approvals.pending(TEAM)
    return request


def decide(stage: Stage, request: Approval, *, approve: bool = True, note: str = "") -> Approval:
    """Marcus decides, without a press."""
    return approvals.decide(
        stage.db,
        stage.files,
        clock=utc_now,
        provider="local",
        limits=LIMITS,
        person=MARCUS,
        request_id=request.id,
        approve=approve,
        note=note,
    )
