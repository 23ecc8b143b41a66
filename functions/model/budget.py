"""The month's money as people look at it: its forecast, its history, what each run cost, how rules changed."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.money import BudgetRules, BudgetStatus, Period
from functions.model.people import Person
from functions.model.states import JobState


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Outlook(_Record):
    """Cents at best, as expected, at worst."""

    best: int
    expected: int
    worst: int


class Forecast(_Record):
    """What the period will come to.

    `settled_cents` are in the ledger, `accrued_cents` is what running jobs have cost on top of that. `committed` is
    the total if nothing more is started, `at_pace` the total at the month's end if people go on starting runs as they
    did in the last 30 days; None where the period has no end. `active` jobs are part of it, `running` of them run.
    """

    settled_cents: int
    accrued_cents: int
    active: int
    running: int
    committed: Outlook
    at_pace: Outlook | None = None

    @property
    def spent_cents(self) -> int:
        """Spent up to now, also by what still runs."""
        return self.settled_cents + self.accrued_cents

    @property
    def total(self) -> Outlook:
        """What the period will come to, as far as anybody knows."""
        return self.at_pace or self.committed


class DayForecast(_Record):
    """What was forecast for a month, or for 30 days, on one day."""

    day: date
    period: Period
    spent_cents: int
    best_cents: int
    expected_cents: int
    worst_cents: int


class ForecastRecord(_Record):
    """How forecasts of months that have ended did: mean relative error, and how many held the end in their range."""

    forecasts: int
    months: int
    mean_error: float
    in_range: int


class MonthSpend(_Record):
    """What one calendar month cost, and its limit where it is known."""

    month: date
    cents: int
    limit_cents: int | None = None


class LimitChange(_Record):
    """A change of the limit, and why."""

    at: datetime
    before_cents: int
    limit_cents: int
    changed_by: str
    reason: str


class JobCost(_Record):
    """A job in the period's bill. `settled_cents` is what was settled in the period, `reserved_cents` what is held now.

    `cents` is what counts for the period: settled, and what the job has cost since while it runs.
    """

    job_id: UUID
    name: str
    state: JobState
    created_by: str
    client: str
    project: str
    preset: str
    tier: str
    created_at: datetime
    ended_at: datetime | None
    settled_cents: int
    reserved_cents: int
    cents: int = 0


class BudgetView(_Record):
    """`/budget`. `daily` is what was settled on each day of the period; `jobs` begin with the dearest.

    `unreachable` says that nobody would be told of an alert, `channel_lost` that the channel took the last message not.
    """

    person: Person
    status: BudgetStatus
    rules: BudgetRules
    forecast: Forecast
    jobs: tuple[JobCost, ...]
    daily: tuple[tuple[date, int], ...]
    months: tuple[MonthSpend, ...]
    record: ForecastRecord | None
    changes: tuple[LimitChange, ...]
    since: datetime
    now: datetime
    unreachable: bool = False
    channel_lost: bool = False

    @property
    def mean_cents(self) -> int | None:
        """Mean cost of the period's ended jobs that cost anything; None while there is none."""
        ended = [job.settled_cents for job in self.jobs if job.ended_at is not None and job.settled_cents > 0]
        return round(sum(ended) / len(ended)) if ended else None


AUDIT_DAYS = (7, 30, 90, 365)


class AuditEntry(_Record):
    """A row of the audit log."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: dict[str, str | int | float | bool | None]


class AuditFilter(_Record):
    """What to show of the audit log. `area` is the first word of actions, as in `budget`; empty texts take all."""

    days: int = 30
    actor: str = ""
    area: str = ""


class AuditView(_Record):
    """A page of the audit log, the newest first; `total` counts all that match, `areas` are those that occur."""

    entries: tuple[AuditEntry, ...]
    total: int
    chosen: AuditFilter
    areas: tuple[str, ...]
