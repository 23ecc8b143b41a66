"""What scenario tests share: a team with a training file, and a GPU job's voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from functions.again import start_again
from functions.import_file import check_file, store_file
from functions.ingest import ingest
from functions.model.again import AgainChoice
from functions.model.conversation import TrainingSequence
from functions.model.events import Body, Event, EventBatch
from functions.model.job import Job, JobChoice
from functions.model.people import Person, Role
from functions.model.training_file import TrainingFile
from functions.model.views import QueueLimits
from functions.ports import Database, Files
from functions.start import start_job

TEAM = "T0BRIGHT"
CHANNEL = "C0TRAINING"
LIMITS = QueueLimits(running=1, waiting=3)
ELENA = Person(team_id=TEAM, user_id="U0ELENA", role=Role.MEMBER)
VIC = Person(team_id=TEAM, user_id="U0VIEWER", role=Role.VIEWER)


class WordCounter:
    """A tokenizer that splits at spaces."""

    def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
        """(words, words of trainable turns)."""
        return [
            (
                sum(len(m.content.split()) for m in sequence.messages) + len(sequence.system.split()),
                sum(len(m.content.split()) for m in sequence.messages if m.trainable),
            )
            for sequence in sequences
        ]


@dataclass
class SetClock:
    """A clock that moves when it is told to."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)


def add_demo_file(db: Database, files: Files, path: Path, clock: SetClock) -> TrainingFile:
    """The demo's training file, imported by a member."""
    checked = check_file(
        path, file_name=path.name, person=ELENA, counter=WordCounter(), base_model="words", clock=clock
    )
    return store_file(db, files, checked=checked, person=ELENA, clock=clock)


def start(db: Database, files: Files, file: TrainingFile, clock: SetClock, **given: object) -> Job:
    """A job of a member on the file."""
    name = str(given.pop("name", "A run"))
    key = str(given.pop("key", name))
    limits = given.pop("limits", LIMITS)
    assert isinstance(limits, QueueLimits)
    choice = JobChoice(training_file_id=file.id, name=name).model_copy(update=given)
    return start_job(
        db,
        files,
        clock=clock,
        provider="local",
        person=ELENA,
        choice=choice,
        request_key=key,
        channel_id=CHANNEL,
        limits=limits,
    )


def try_again(db: Database, files: Files, clock: SetClock, job_id: UUID, **given: object) -> Job:
    """A job of the member that tries another one again."""
    limits = given.pop("limits", LIMITS)
    assert isinstance(limits, QueueLimits)
    choice = AgainChoice.model_validate({"job_id": job_id, **given})
    return start_again(db, files, clock=clock, person=ELENA, choice=choice, request_key=str(uuid4()), limits=limits)


def job_of(db: Database, job_id: UUID) -> Job:
    """The job as it is stored."""
    with db.transaction() as tx:
        job = tx.jobs.get(job_id)
    assert job is not None
    return job


def say(db: Database, clock: SetClock, job: Job, *bodies: Body, first: int = 1, attempt: int | None = None) -> int:
    """Events of the job's current attempt, a second apart, delivered as one batch."""
    number = attempt or job.attempt
    events = []
    for seq, body in enumerate(bodies, first):
        clock.forward(seconds=1)
        events.append(Event(job_id=job.id, attempt=number, seq=seq, at=clock(), body=body))
    return ingest(db, clock=clock, job_id=job.id, attempt=number, batch=EventBatch(events=tuple(events)))
