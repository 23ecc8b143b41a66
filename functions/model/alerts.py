"""What may be wrong with a run while it trains, and the figures that this is told from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class AlertKind(StrEnum):
    """Each is told once a job."""

    NOT_A_NUMBER = "not_a_number"
    MEMORY_HIGH = "memory_high"
    LOSS_RISING = "loss_rising"
    LOSS_FLAT = "loss_flat"
    OVERFITTING = "overfitting"
    THROUGHPUT_DROP = "throughput_drop"
    GPU_IDLE = "gpu_idle"
    STAGE_SLOW = "stage_slow"


class Alert(_Record):
    """A number, what it means, and what to do."""

    kind: AlertKind
    what: str
    meaning: str
    todo: str


class TrainingPoint(_Record):
    """One optimizer step's figures as they are kept; what was not measured is None."""

    step: int
    attempt: int
    at: datetime
    training_loss: float
    tokens_per_second: float | None = None
    gpu_utilization: float | None = None


class HeldOutPoint(_Record):
    """One held-out measurement, and the mean training loss of the steps just before it."""

    step: int
    loss: float
    training_loss: float | None


class Curve(_Record):
    """As much of a run's curve as the rules look at, each part in order of steps."""

    first: tuple[TrainingPoint, ...] = ()
    recent: tuple[TrainingPoint, ...] = ()
    held_out: tuple[HeldOutPoint, ...] = ()
