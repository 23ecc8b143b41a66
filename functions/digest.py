"""The day's digest and the first of the month's notice; and the day's forecast, kept to be judged later."""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.budget import budget_status
from functions.budget_notices import tell_team
from functions.budget_watch import notice_data, watch_budgets
from functions.forecast import forecast, keep_forecast, month_history, month_name
from functions.model.budget import Forecast
from functions.model.money import Period
from functions.model.outbox import Notice
from functions.model.states import ACTIVE, JobState
from functions.ports import Clock, Database, Transaction

# UTC: before people in Europe and America begin their day.
DIGEST_HOUR = 6
_NAMED = 5
# A new month that nobody could tell on its first day is still news for two more.
_NEW_MONTH_DAYS = 3
_EVERY = timedelta(minutes=1)


class BudgetLoop:
    """The budgets' part of the reconcile loop. Alerts and digests may be looked for twice at once."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._looked: datetime | None = None

    def step(self) -> None:
        """Look at every budget, at most once a minute."""
        now = self._clock()
        if self._looked is not None and now - self._looked < _EVERY:
            return
        self._looked = now
        watch_budgets(self._db, clock=self._clock)
        daily(self._db, clock=self._clock)


def daily(db: Database, *, clock: Clock) -> None:
    """Once a day and team, from six o'clock UTC on. Call it as often as one likes; a day that was told stays told."""
    now = clock()
    if now.hour < DIGEST_HOUR:
        return
    with db.transaction() as tx:
        teams = tx.ledger.teams()
    for team_id in teams:
        with db.transaction() as tx:
            tell_day(tx, team_id=team_id, now=now)


def tell_day(tx: Transaction, *, team_id: str, now: datetime) -> bool:
    """Keep the day's forecast and tell its digest; whether the day was new."""
    first_of_month = not tx.ledger.forecasts(team_id, now.date().replace(day=1), now.date())
    made = forecast(tx, team_id=team_id, now=now)
    if not keep_forecast(tx, team_id=team_id, made=made, now=now):
        return False
    rules = tx.ledger.rules(team_id)
    if first_of_month and now.day <= _NEW_MONTH_DAYS and rules.period is Period.CALENDAR_MONTH:
        _tell_month(tx, team_id, now)
    if rules.daily_digest:
        _tell_digest(tx, team_id, made, now)
    return True


def _tell_month(tx: Transaction, team_id: str, now: datetime) -> None:
    """What the month before cost, and what there is now; nothing where no month came before."""
    before = month_history(tx, team_id=team_id, now=now)[-2]
    if before.cents <= 0:
        return
    data = {
        **notice_data(budget_status(tx, team_id=team_id, now=now), forecast(tx, team_id=team_id, now=now)),
        "last_month": month_name(before.month),
        "last_cents": before.cents,
        "last_limit_cents": before.limit_cents,
    }
    tell_team(tx, team_id=team_id, notice=Notice.BUDGET_MONTH, key=f"{now:%Y-%m}", data=data, now=now)


def _tell_digest(tx: Transaction, team_id: str, made: Forecast, now: datetime) -> None:
    """Yesterday's spending and what is under way; a day without either is not worth a message."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = sum(cents for _, cents in tx.ledger.daily(team_id, today - timedelta(days=1), today))
    if not yesterday and not made.active:
        return
    jobs = [j for j in tx.jobs.in_states(ACTIVE) if j.team_id == team_id and j.state is not JobState.PAUSED]
    data = {
        **notice_data(budget_status(tx, team_id=team_id, now=now), made),
        "yesterday_cents": yesterday,
        "running": made.running,
        "names": "\n".join(job.name for job in jobs[:_NAMED]),
    }
    key = f"{now:%Y-%m-%d}"
    tell_team(tx, team_id=team_id, notice=Notice.BUDGET_DIGEST, key=key, data=data, now=now, channel_id="")
