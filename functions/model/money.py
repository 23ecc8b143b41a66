"""Money as integer cents, the ledger's kinds of entry, and what a month's budget looks like."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from math import ceil

from pydantic import BaseModel, ConfigDict


class EntryKind(StrEnum):
    """Kinds of ledger entry. `release` undoes a reservation and is negative; the others are as they read."""

    RESERVE = "reserve"
    RELEASE = "release"
    SETTLE = "settle"
    TOP_UP = "top_up"
    ADJUST = "adjust"


class BudgetStatus(BaseModel):
    """A month's budget in cents: the limit, what was spent, what is reserved for running jobs."""

    model_config = ConfigDict(frozen=True)

    limit_cents: int
    spent_cents: int
    reserved_cents: int
    grace_percent: int = 10

    @property
    def used_cents(self) -> int:
        """Spent and reserved together."""
        return self.spent_cents + self.reserved_cents

    @property
    def grace_cents(self) -> int:
        """How far an approved start may pass the limit."""
        return self.limit_cents * self.grace_percent // 100

    @property
    def remaining_cents(self) -> int:
        """What a new reservation may still take; never below zero."""
        return max(0, self.limit_cents - self.used_cents)


def cost_cents(seconds: float, rate_cents_per_hour: int) -> int:
    """Cents for so many seconds at an hourly rate, rounded up to the next cent.

    Raises:
        ValueError: seconds or rate is negative.
    """
    if seconds < 0 or rate_cents_per_hour < 0:
        raise ValueError(f"cost of {seconds} s at {rate_cents_per_hour} cents/h")
    return ceil(Fraction(seconds).limit_denominator(1_000_000) * rate_cents_per_hour / 3600)


def dollars(cents: int) -> str:
    """`$1,234.50`; whole dollars keep their cents, so that columns align."""
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
