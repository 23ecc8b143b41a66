"""What a job is expected to take and cost, and what that expectation rests on."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

ALGORITHM = "tokens-1"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Span(_Record):
    """A low, an expected and a high value, in whatever unit its owner says."""

    low: float
    expected: float
    high: float


class FinishedRun(_Record):
    """What one finished job teaches: its speed and how far its estimate was off."""

    tokens_per_second: float
    estimated_seconds: float
    actual_seconds: float


class MemoryNeed(_Record):
    """Bytes of GPU memory by part; `available` is None where the machine has no fixed card."""

    weights: int
    adapters: int
    optimizer: int
    activations: int
    logits: int
    overhead: int
    available: int | None

    @property
    def total(self) -> int:
        """All parts together."""
        return self.weights + self.adapters + self.optimizer + self.activations + self.logits + self.overhead

    @property
    def fits(self) -> bool:
        """Whether it fits the card, with nothing to spare demanded beyond `overhead`."""
        return self.available is None or self.total <= self.available


class Estimate(_Record):
    """Seconds and cents of a job not yet started.

    `cents_low` to `cents_high` is the range that people see; the reservation takes `cents_high`.
    The parts (`gpu_cents`, `interruption_cents`, `storage_cents`) add up to the expected cost.
    `history_jobs` says how many finished jobs it rests on, `past_error` their mean relative error.
    """

    seconds: Span
    cents_low: int
    cents_expected: int
    cents_high: int
    gpu_cents: int
    interruption_cents: int
    storage_cents: int
    tokens: int
    steps: int
    tokens_per_second: float
    history_jobs: int
    past_error: float | None
    source: str
    algorithm: str = ALGORITHM
    made_at: datetime
