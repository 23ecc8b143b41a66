"""What a team's past says, gathered for estimates; and how past estimates did."""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.estimate import History
from functions.learning import Lessons
from functions.model.estimate import EstimateAccuracy
from functions.ports import Transaction

# Older runs hardly count any more, and the form is drawn anew at every keystroke.
_RUNS = 60
ACCURACY_SPAN = timedelta(days=90)


def team_history(tx: Transaction, *, team_id: str, now: datetime) -> History:
    """What the team's finished jobs teach, computed once for as many estimates as are wanted."""
    since = now - ACCURACY_SPAN
    return History(
        lessons=Lessons(tx.history.finished_runs(team_id, _RUNS)),
        interruptions=tx.history.interruptions(team_id, since),
        accuracy=estimate_accuracy(tx, team_id=team_id, now=now),
    )


def estimate_accuracy(tx: Transaction, *, team_id: str, now: datetime) -> dict[str, EstimateAccuracy]:
    """Actual against estimate over the last 90 days, by preset; a preset without finished runs is not in it."""
    return tx.history.accuracy(team_id, now - ACCURACY_SPAN)
