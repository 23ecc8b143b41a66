"""A training job as it is stored, and what a person chose to make it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.estimate import Estimate
from functions.model.job_spec import EngineOptions, Hyperparameters
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


class Job(_Record):
    """A row of `training_jobs`. Times are UTC; `actual_cost_cents` is what has been billed so far."""

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

    def billed_now(self, now: datetime, attempt_started_at: datetime | None) -> float:
        """Seconds billed so far: ended attempts, and the running one up to now."""
        running = (now - attempt_started_at).total_seconds() if attempt_started_at else 0.0
        return self.billed_seconds + max(0.0, running)


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


class Attempt(_Record):
    """One launch of a job. `call_id` is how its compute knows it; set before anything else happens."""

    job_id: UUID
    attempt: int
    call_id: str
    launched_at: datetime
    last_event_at: datetime | None
    ended_at: datetime | None


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
