"""Tells those who answer for the budget how far it is used: once a period, level and limit, louder the higher."""

from __future__ import annotations

from datetime import datetime

from functions.budget import budget_status
from functions.budget_notices import NoticeData, tell_team
from functions.forecast import forecast
from functions.model.budget import Forecast
from functions.model.money import BudgetStatus, Period
from functions.model.outbox import Notice
from functions.ports import Clock, Database, Transaction

# FR7.2.2: percent of the limit that was spent.
LEVELS = (80, 95, 100)
# From here on the channel is told, too, and not only the recipients.
_LOUD = 95


def watch_budgets(db: Database, *, clock: Clock) -> None:
    """Look at every team's budget. Safe to run as often as one likes, and twice at once."""
    with db.transaction() as tx:
        teams = tx.ledger.teams()
    for team_id in teams:
        with db.transaction() as tx:
            watch_budget(tx, team_id=team_id, now=clock())


def watch_budget(tx: Transaction, *, team_id: str, now: datetime) -> None:
    """Tell the highest level that one team's spending has reached, or that what runs will pass the limit.

    A level is told once a month, in rolling periods once in 30 days. After a change of the limit its levels are news
    again.
    """
    status = budget_status(tx, team_id=team_id, now=now)
    made = forecast(tx, team_id=team_id, now=now)
    rolling = status.period is Period.ROLLING_30_DAYS
    data = notice_data(status, made)
    key = f"{now:%Y-%m-%d}:{data['set_cents']}" if rolling else f"{now:%Y-%m}:{status.limit_cents}"
    level = level_reached(made.spent_cents, status.limit_cents)
    if level is not None and not (rolling and _told(tx, team_id, Notice.BUDGET_ALERT, data["set_cents"], now, level)):
        tell_team(
            tx,
            team_id=team_id,
            notice=Notice.BUDGET_ALERT,
            key=f"{key}:{level}",
            data={**data, "level": level},
            now=now,
            channel_id=None if level >= _LOUD else "",
        )
    at_risk = made.active and made.committed.expected > status.limit_cents >= made.spent_cents
    if at_risk and not (rolling and _told(tx, team_id, Notice.BUDGET_RISK, data["set_cents"], now)):
        tell_team(tx, team_id=team_id, notice=Notice.BUDGET_RISK, key=key, data=data, now=now, channel_id="")


def _told(tx: Transaction, team_id: str, notice: Notice, set_cents: object, now: datetime, level: int = 0) -> bool:
    """Whether this was told of this limit, at this level or a higher one, within the period that counts."""
    told = tx.outbox.told_team(team_id, notice, Period.ROLLING_30_DAYS.start(now))
    return any(data.get("set_cents") == set_cents and data.get("level", 0) >= level for data in told)


def level_reached(spent_cents: int, limit_cents: int) -> int | None:
    """The highest level that the spending has reached; None below the first."""
    if spent_cents <= 0:
        return None
    return max((level for level in LEVELS if spent_cents * 100 >= level * limit_cents), default=None)


def notice_data(status: BudgetStatus, made: Forecast) -> NoticeData:
    """What every message about the budget says."""
    return {
        "period": status.period.value,
        "spent_cents": made.spent_cents,
        "limit_cents": status.limit_cents,
        "set_cents": status.limit_cents - status.prepaid_cents,
        "reserved_cents": status.reserved_cents,
        "remaining_cents": status.remaining_cents,
        "active": made.active,
        "best_cents": made.committed.best,
        "expected_cents": made.committed.expected,
        "worst_cents": made.committed.worst,
        "pace_cents": made.at_pace.expected if made.at_pace else None,
    }
