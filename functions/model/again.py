"""Trying again: what was chosen for it, and what a window shows of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.catalog import Tier
from functions.model.diagnosis import Change, Fix
from functions.model.estimate import Estimate
from functions.model.job import Configuration, Job, RetryRecord
from functions.model.money import BudgetStatus

SCHEDULES = ("cosine", "linear", "constant_with_warmup")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class AgainChoice(_Record):
    """How to try a job again. What is None stays as it was; `fix_key` names a suggestion to begin with.

    `batch_size` is sequences a micro-batch: accumulation follows, so that a step stays the same.
    """

    job_id: UUID
    how: Literal["resume", "restart"] | None = None
    fix_key: str = ""
    tier: str | None = None
    epochs: int | None = None
    lr_scheduler: str | None = None
    batch_size: int | None = None


class AgainView(_Record):
    """A job that ended, and the one that would be made of it.

    `resume_step` is the checkpoint that can be gone on from, None where `no_resume` says why not.
    `estimate` is of what is still to do; `position` and `starts_at` are its place in the queue if it joined now.
    """

    parent: Job
    choice: AgainChoice
    name: str
    configuration: Configuration
    changes: tuple[Change, ...]
    fix: Fix | None
    resume_step: int | None
    no_resume: str
    total_steps: int
    estimate: Estimate
    tiers: tuple[Tier, ...]
    batch_sizes: tuple[int, ...]
    retry_number: int
    record: RetryRecord
    budget: BudgetStatus
    warnings: tuple[str, ...]
    elapsed_seconds: float
    spent_cents: int
    position: int
    starts_at: datetime

    @property
    def resumes(self) -> bool:
        """Whether it goes on from a checkpoint."""
        return self.choice.how == "resume"
