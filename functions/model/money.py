"""Money as integer cents, the ledger's kinds of entry, and what a month's budget looks like."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import ceil

from pydantic import BaseModel, ConfigDict


class EntryKind(StrEnum):
    """Kinds of ledger entry. `release` undoes a reservation, `refund` a top-up; both are negative.

    `dispute` is what a bank took back of a top-up, negative, and `reinstate` what it gave back of that.
    """

    RESERVE = "reserve"
    RELEASE = "release"
    SETTLE = "settle"
    TOP_UP = "top_up"
    REFUND = "refund"
    DISPUTE = "dispute"
    REINSTATE = "reinstate"
    ADJUST = "adjust"


class JobBooked(BaseModel):
    """What the ledger holds for one job: cents set aside now, cents it was charged, and in how many entries."""

    model_config = ConfigDict(frozen=True)

    reserved_cents: int
    settled_cents: int
    entries: int


ROLLING_DAYS = 30


class Period(StrEnum):
    """Over what a budget's spending is counted."""

    CALENDAR_MONTH = "calendar_month"
    ROLLING_30_DAYS = "rolling_30_days"

    def start(self, now: datetime) -> datetime:
        """The first moment that counts at `now`."""
        return month_start(now) if self is Period.CALENDAR_MONTH else now - timedelta(days=ROLLING_DAYS)


def month_start(now: datetime) -> datetime:
    """The first moment of the calendar month in UTC."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    """The first moment of the calendar month after this one in UTC."""
    return month_start(month_start(now) + timedelta(days=32))


class BudgetRules(BaseModel):
    """How a team's budget works. `recipients` are user ids; none means every manager and admin.

    `grace_percent` is how far an approval may pass the limit; with `hard_stop` nothing passes it.
    """

    model_config = ConfigDict(frozen=True)

    limit_cents: int
    period: Period = Period.CALENDAR_MONTH
    grace_percent: int = 10
    hard_stop: bool = False
    recipients: tuple[str, ...] = ()
    channel_id: str = ""
    daily_digest: bool = True


class BudgetStatus(BaseModel):
    """A period's budget in cents: the limit, what was spent, what is reserved for active jobs beyond their cost by now.

    `limit_cents` holds what was paid in beforehand, `prepaid_cents`, on top of the limit that was set.
    """

    model_config = ConfigDict(frozen=True)

    limit_cents: int
    spent_cents: int
    reserved_cents: int
    prepaid_cents: int = 0
    grace_percent: int = 10
    hard_stop: bool = False
    period: Period = Period.CALENDAR_MONTH

    @property
    def used_cents(self) -> int:
        """Spent and reserved together."""
        return self.spent_cents + self.reserved_cents

    @property
    def remaining_cents(self) -> int:
        """What a new reservation may still take; never below zero."""
        return max(0, self.limit_cents - self.used_cents)

    @property
    def grace_cents(self) -> int:
        """How far an approval may pass the limit."""
        return 0 if self.hard_stop else self.limit_cents * self.grace_percent // 100


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
