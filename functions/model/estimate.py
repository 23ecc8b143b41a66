"""What a job is expected to take and cost, and what that expectation rests on."""

from __future__ import annotations

import math
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

ALGORITHM = "regression-1"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Span(_Record):
    """A low, an expected and a high value, in whatever unit its owner says."""

    low: float
    expected: float
    high: float


class Workload(_Record):
    """What there is to do, in the terms that decide how long it takes. Stored with the estimate: history is
    learned from it.

    `tokens` are trained on, all epochs together; `evaluated_tokens` are held out and read, all evaluations
    together; `mean_length` is tokens a sequence, `batch_size` sequences at once.
    """

    tier: str
    base_model: str
    tokens: float = Field(ge=0)
    evaluated_tokens: float = Field(ge=0)
    mean_length: float = Field(gt=0)
    batch_size: int = Field(ge=1)


class FinishedRun(_Record):
    """What one finished job teaches.

    `actual_seconds` are all that were billed, `lost_seconds` those of them that interruptions took;
    `estimated_seconds` is what people were told before it started.
    """

    workload: Workload
    tokens_per_second: float
    estimated_seconds: float
    actual_seconds: float
    lost_seconds: float = 0.0


class InterruptionRecord(_Record):
    """How often a tier's machines were lost: interruptions in so many billed hours, and what the recoveries took.

    `runs` ended on the tier, `completed` of them well; `interrupted_runs` were interrupted at least once.
    """

    runs: int = 0
    completed: int = 0
    interrupted_runs: int = 0
    billed_hours: float = 0.0
    interruptions: int = 0
    recoveries: int = 0
    recovery_seconds: float = 0.0


class EstimateAccuracy(_Record):
    """How estimates of one preset did: mean relative error of the cost, and how many runs ended in their range."""

    runs: int
    mean_error: float
    in_range: int


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
    The parts (`gpu_cents`, `evaluation_cents`, `interruption_cents`, `storage_cents`) add up to the expected cost.
    `history_jobs` says on how many finished jobs of this tier and base model it rests. `past_error` is the mean
    relative error of what people were told of this preset in the last 90 days, in `past_runs` runs, of which
    `past_in_range` ended in the range that was told.
    `algorithm` is the version of what computed it.
    """

    seconds: Span
    cents_low: int
    cents_expected: int
    cents_high: int
    gpu_cents: int
    evaluation_cents: int = 0
    interruption_cents: int
    storage_cents: int
    tokens: int
    steps: int
    tokens_per_second: float
    history_jobs: int
    past_error: float | None
    past_runs: int = 0
    past_in_range: int = 0
    source: str
    workload: Workload | None = None
    algorithm: str = ALGORITHM
    made_at: datetime

    def part(self, share: float) -> Estimate:
        """The estimate of a share of the run, for one that goes on from a checkpoint. Nothing is learned from it."""
        cents = {name: round(getattr(self, name) * share) for name in _CENTS}
        # Set aside is a whole cent at least: a share of one is not nothing.
        cents["cents_high"] = math.ceil(self.cents_high * share)
        seconds = Span(
            low=self.seconds.low * share, expected=self.seconds.expected * share, high=self.seconds.high * share
        )
        return self.model_copy(update={"seconds": seconds, "workload": None, **cents})


_CENTS = (
    "cents_low",
    "cents_expected",
    "cents_high",
    "gpu_cents",
    "evaluation_cents",
    "interruption_cents",
    "storage_cents",
)
