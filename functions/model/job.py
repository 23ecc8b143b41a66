"""A training job as it is stored, and what a person chose to make it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.estimate import Estimate
from functions.model.job_spec import EngineOptions, Hyperparameters
from functions.model.money import cost_cents
from functions.model.progress import Progress
from functions.model.states import JobState

MAX_RECOVERIES = 3


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class JobChoice(_Record):
    """What the person chose in the form, before anything is computed from it."""

    training_file_id: UUID | None = None
    preset: str = ""
    tier: str = ""
    base_model: str = ""
    name: str = ""
    description: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    client: str = ""
    project: str = ""
    max_steps: int | None = None


class Configuration(_Record):
    """What will run: hyperparameters as they are applied, engine options, base model and tier."""

    base_model: str
    tier: str
    preset: str
    hyperparameters: Hyperparameters
    engine: EngineOptions = EngineOptions()
    held_out_fraction: float = 0.2
    checkpoint_every_steps: int = 100


class StopKind(StrEnum):
    """What a person asks of a running job."""

    CANCEL = "cancel"
    PAUSE = "pause"


class StopRequest(_Record):
    """A person's wish that a job stop, kept until it has. `reason` is one of `CANCEL_REASONS`, or empty."""

    kind: StopKind
    by: str
    at: datetime
    reason: str = ""
    notes: str = ""


# FR2.2.1
CANCEL_REASONS = ("Loss not decreasing", "Too expensive", "Wrong configuration", "Testing", "Other")


class Lineage(_Record):
    """What an earlier job has to do with this one: done anew, or gone on with from its checkpoint."""

    parent_id: UUID
    kind: Literal["retry", "resume"]
    retry_number: int = 0
    resume_step: int | None = None


class Job(_Record):
    """A row of `training_jobs`. Times are UTC; `actual_cost_cents` is what has been billed so far.

    `cents_before` is what `seconds_before` of the billed seconds have cost at the rates of earlier tiers. At
    `cap_cents`, if there is one, the run is stopped at a checkpoint.
    """

    id: UUID
    team_id: str
    training_file_id: UUID
    training_file_name: str
    name: str
    description: str
    notes: str
    tags: tuple[str, ...]
    client: str
    project: str
    configuration: Configuration
    estimate: Estimate
    rate_cents_per_hour: int
    state: JobState
    progress: Progress
    attempt: int
    recoveries: int
    created_by: str
    channel_id: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    billed_seconds: float
    actual_cost_cents: int
    stop: StopRequest | None = None
    paused_at: datetime | None = None
    paused_seconds: float = 0.0
    promoted_at: datetime | None = None
    cents_before: int = 0
    seconds_before: float = 0.0
    lineage: Lineage | None = None
    cap_cents: int | None = None

    def cost_of(self, seconds: float) -> int:
        """Cents for so many billed seconds, those of earlier tiers at their rates."""
        return self.cents_before + cost_cents(max(0.0, seconds - self.seconds_before), self.rate_cents_per_hour)

    def billed_now(self, now: datetime, attempt_started_at: datetime | None) -> float:
        """Seconds billed so far: ended attempts, and the running one up to now."""
        running = (now - attempt_started_at).total_seconds() if attempt_started_at else 0.0
        return self.billed_seconds + max(0.0, running)

    @property
    def kept_step(self) -> int:
        """The step that another attempt goes on from: its newest checkpoint's, or that which it began from."""
        begun = self.lineage.resume_step if self.lineage else None
        return max(self.progress.checkpoint_step or 0, begun or 0)


class NewJob(_Record):
    """What `start` inserts."""

    id: UUID
    team_id: str
    training_file_id: UUID
    request_key: str
    choice: JobChoice
    configuration: Configuration
    estimate: Estimate
    rate_cents_per_hour: int
    created_by: str
    channel_id: str
    created_at: datetime
    lineage: Lineage | None = None
    cap_cents: int | None = None


class Attempt(_Record):
    """One launch of a job. `call_id` is how its compute knows it; set before anything else happens.

    It is billed from `billed_from`, its first word, to `ended_at`. `last_event_at` is when it was heard of last,
    `last_word_at` what its own clock said then. The loop has seen it run until `seen_at`, without a gap since
    `watched_since`. Its machine is known to be gone since `gone_at`. Where launching it fails,
    `launch_failing_since` is the first time in a row, `launch_failed_at` the last one.
    """

    job_id: UUID
    attempt: int
    call_id: str
    launched_at: datetime
    last_event_at: datetime | None
    ended_at: datetime | None
    billed_from: datetime | None = None
    last_word_at: datetime | None = None
    watched_since: datetime | None = None
    seen_at: datetime | None = None
    gone_at: datetime | None = None
    launch_failing_since: datetime | None = None
    launch_failed_at: datetime | None = None


class Artifact(_Record):
    """A stored result of a job."""

    id: UUID
    job_id: UUID
    team_id: str
    name: str
    path: str
    size_bytes: int
    sha256: str
    created_at: datetime
    downloads: int = 0


class PresetRecord(_Record):
    """How a preset has done: finished and failed jobs of this team."""

    completed: int = 0
    failed: int = 0

    @property
    def success_rate(self) -> float | None:
        """Share of ended jobs that completed; None while there is none."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


class RetryRecord(_Record):
    """How jobs that were tried again have ended."""

    completed: int = 0
    ended: int = 0

    @property
    def success_rate(self) -> float | None:
        """Share that completed; None while none has ended."""
        return self.completed / self.ended if self.ended else None
