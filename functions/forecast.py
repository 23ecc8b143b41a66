"""What the month will come to: what is spent, what runs and waits, and the team's own pace; and how that did before."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from statistics import pstdev

from functions.accrued import job_cents_now
from functions.jobs import projection_record
from functions.model.budget import DayForecast, Forecast, ForecastRecord, MonthSpend, Outlook
from functions.model.job import Job
from functions.model.money import Period, month_start, next_month
from functions.model.states import ACTIVE, RUNNING, JobState
from functions.pace import fraction_done, left_seconds
from functions.ports import Transaction
from functions.spend import project

_PACE_DAYS = 30
# A pace that rests on fewer days is a guess from one run.
_LEAST_DAYS = 7
# Half width of the interval that holds 90 % of a normal distribution, in standard deviations.
_WIDTH = 1.645
MONTHS_SHOWN = 6
_DAY_SECONDS = 24 * 3600


def forecast(tx: Transaction, *, team_id: str, now: datetime) -> Forecast:
    """The period's total at best, as expected and at worst, with the jobs that are active.

    At the pace of the last 30 days, the days that are left are taken as independent of each other: their spread grows
    with the root of their number.
    """
    period = tx.ledger.rules(team_id).period
    settled, _ = tx.ledger.sums(team_id, period.start(now))
    jobs = [job for job in tx.jobs.in_states(ACTIVE) if job.team_id == team_id and job.state is not JobState.PAUSED]
    accrued, best, expected, worst = 0, settled, settled, settled
    for job in jobs:
        already = tx.ledger.booked_for(job.id).settled_cents
        spent, low, middle, high = (max(0, cents - already) for cents in _job_cents(tx, job, now))
        accrued, best, expected, worst = accrued + spent, best + low, expected + middle, worst + high
    committed = Outlook(best=best, expected=expected, worst=worst)
    return Forecast(
        settled_cents=settled,
        accrued_cents=accrued,
        active=len(jobs),
        running=sum(job.state in RUNNING for job in jobs),
        committed=committed,
        at_pace=_at_pace(tx, team_id, committed, now) if period is Period.CALENDAR_MONTH else None,
    )


def _job_cents(tx: Transaction, job: Job, now: datetime) -> tuple[int, int, int, int]:
    """(cost so far, final cost at best, as expected, at worst) of an active job."""
    spent = job_cents_now(tx, job=job, now=now)
    if job.state not in RUNNING and not spent:
        return 0, job.estimate.cents_low, job.estimate.cents_expected, job.estimate.cents_high
    record = projection_record(tx, job=job, fraction=fraction_done(job), now=now)
    made = project(job, spent_cents=spent, remaining_seconds=left_seconds(job, now), record=record)
    return spent, made.best_cents, made.expected_cents, made.worst_cents


def _at_pace(tx: Transaction, team_id: str, committed: Outlook, now: datetime) -> Outlook:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    past = dict(tx.ledger.daily(team_id, today - timedelta(days=_PACE_DAYS), today))
    days = min(_PACE_DAYS, max(_LEAST_DAYS, (today.date() - min(past)).days)) if past else _LEAST_DAYS
    spent = [past.get(today.date() - timedelta(days=back), 0) for back in range(1, days + 1)]
    left = (next_month(now) - now).total_seconds() / _DAY_SECONDS
    more, spread = sum(spent) / days * left, pstdev(spent) * math.sqrt(left)
    return Outlook(
        best=committed.best + round(max(0.0, more - _WIDTH * spread)),
        expected=committed.expected + round(more),
        worst=committed.worst + round(more + _WIDTH * spread),
    )


def keep_forecast(tx: Transaction, *, team_id: str, made: Forecast, now: datetime) -> bool:
    """Store the day's forecast; False where there is one already."""
    total = made.total
    kept = DayForecast(
        day=now.date(),
        period=tx.ledger.rules(team_id).period,
        spent_cents=made.spent_cents,
        best_cents=total.best,
        expected_cents=total.expected,
        worst_cents=total.worst,
    )
    return tx.ledger.keep_forecast(team_id, kept)


def forecast_record(tx: Transaction, *, team_id: str, now: datetime) -> ForecastRecord | None:
    """How the daily forecasts of the last six ended months did; None while there is none to judge."""
    first = _months_back(now, MONTHS_SHOWN)
    actual = dict(tx.ledger.months(team_id, first))
    told = [
        (made, actual[made.day.replace(day=1)])
        for made in tx.ledger.forecasts(team_id, first.date(), month_start(now).date())
        # Thirty days that go along with the calendar have no end that a forecast could be held against.
        if made.period is Period.CALENDAR_MONTH and actual.get(made.day.replace(day=1), 0) > 0
    ]
    if not told:
        return None
    errors = [abs(made.expected_cents / cents - 1) for made, cents in told]
    return ForecastRecord(
        forecasts=len(told),
        months=len({made.day.replace(day=1) for made, _ in told}),
        mean_error=sum(errors) / len(errors),
        in_range=sum(made.best_cents <= cents <= made.worst_cents for made, cents in told),
    )


def month_history(tx: Transaction, *, team_id: str, now: datetime) -> tuple[MonthSpend, ...]:
    """The last six calendar months, this one the last, each with the limit that it ended with."""
    first = _months_back(now, MONTHS_SHOWN - 1)
    spent = dict(tx.ledger.months(team_id, first))
    changes, limit = tx.ledger.limit_changes(team_id), tx.ledger.limit(team_id)
    months = []
    for back in range(MONTHS_SHOWN - 1, -1, -1):
        start = _months_back(now, back)
        end = next_month(start)
        at_end = next((change.before_cents for change in changes if change.at >= end), limit)
        months.append(MonthSpend(month=start.date(), cents=spent.get(start.date(), 0), limit_cents=at_end))
    return tuple(months)


def _months_back(now: datetime, months: int) -> datetime:
    start = month_start(now)
    for _ in range(months):
        start = month_start(start - timedelta(days=1))
    return start


def month_name(day: date) -> str:
    """`November 2026`."""
    return f"{day:%B %Y}"
