"""A running job's money: what it has cost, what it will cost, how such projections did before."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Advice(StrEnum):
    """What to do about a projection."""

    NOTHING = "nothing"
    WATCH = "watch"
    LET_FINISH = "let_finish"
    CONSIDER_CANCELLING = "consider_cancelling"


class Spend(_Record):
    """Cents spent so far, and the part of them that interruptions took."""

    total_cents: int
    interruption_cents: int

    @property
    def compute_cents(self) -> int:
        """The rest: what went into the run itself."""
        return self.total_cents - self.interruption_cents


class Projection(_Record):
    """Cents at the end: if all goes well, as expected, if it goes badly; and what is spent already."""

    spent_cents: int
    best_cents: int
    expected_cents: int
    worst_cents: int


class TrackRecord(_Record):
    """How projections at `progress` percent did: mean relative error, and how many ended between best and worst."""

    progress: int
    runs: int
    mean_error: float
    in_range: int
