"""A higher limit: how much is missing for a run."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from functions.budget import budget_status
from functions.ports import Transaction


class LimitWanted(NamedTuple):
    """The limit now, what is missing for a run, and the limit in whole dollars with which it would fit."""

    limit_cents: int
    missing_cents: int
    wanted_cents: int


def limit_wanted(tx: Transaction, *, team_id: str, cents: int, now: datetime) -> LimitWanted:
    """What a run that may cost so many cents would need; nothing is missing where it fits."""
    status, limit = budget_status(tx, team_id=team_id, now=now), tx.ledger.limit(team_id)
    missing = max(0, status.used_cents + cents - status.limit_cents)
    return LimitWanted(limit_cents=limit, missing_cents=missing, wanted_cents=-(-(limit + missing) // 100) * 100)
