"""What was paid in beforehand: used where the limit ends, and kept until it is used up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from functions.model.budget import LimitChange
from functions.model.money import ROLLING_DAYS, Period, month_start
from functions.ports import Transaction


def prepaid_cents(tx: Transaction, *, team_id: str, period: Period, now: datetime) -> int:
    """How far what was paid in raises the limit of the period that counts now, in cents."""
    paid = dict(tx.ledger.top_ups(team_id))
    if not paid:
        return 0
    limits, limit = tx.ledger.limit_changes(team_id), tx.ledger.limit(team_id)
    first = now.replace(year=min(paid).year, month=min(paid).month, day=1, hour=0, minute=0, second=0, microsecond=0)
    if period is Period.CALENDAR_MONTH:
        return _by_month(paid, dict(tx.ledger.months(team_id, first)), limits, limit, month_start(now).date())
    spent = dict(tx.ledger.daily(team_id, first - timedelta(days=ROLLING_DAYS), now))
    return _by_day(paid, spent, limits, limit, now.date())


def _by_month(
    paid: dict[date, int], spent: dict[date, int], limits: Sequence[LimitChange], limit: int, this_month: date
) -> int:
    """What is left at the month's beginning, and what came in since: a month that ended has used what it took."""
    balance = 0
    for month in sorted({*(day.replace(day=1) for day in paid), *spent, this_month}):
        balance += sum(cents for day, cents in paid.items() if day.replace(day=1) == month)
        if month < this_month:
            over = spent.get(month, 0) - _limit_on(_last_day(month), limits, limit)
            balance = max(0, balance - max(0, over))
    return balance


def _by_day(
    paid: dict[date, int], spent: dict[date, int], limits: Sequence[LimitChange], limit: int, today: date
) -> int:
    """What is left, and what the days that still count have used of it: both raise what they may come to together."""
    balance, used = 0, dict[date, int]()
    for day in sorted({*paid, *spent, today}):
        since = day - timedelta(days=ROLLING_DAYS)
        balance += paid.get(day, 0)
        of_limit = sum(cents for other, cents in spent.items() if since < other <= day)
        of_limit -= sum(cents for other, cents in used.items() if since < other)
        used[day] = min(max(0, balance), max(0, of_limit - _limit_on(day, limits, limit)))
        balance -= used[day]
    return max(0, balance) + sum(cents for day, cents in used.items() if today - timedelta(days=ROLLING_DAYS) < day)


def _limit_on(day: date, changes: Sequence[LimitChange], limit: int) -> int:
    """The limit at the end of a day."""
    return next((change.before_cents for change in changes if change.at.date() > day), limit)


def _last_day(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
