"""No machine outlives its attempt: what still runs of an attempt that has ended is ended, until it is known to be gone.

An attempt ends by its own word, by a person's or by the loop's decision; its machine may not have heard of that, or
be started again by its owner. Whatever the reason, it would cost money that nobody is told of.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from functions.guarding import guarded
from functions.model.job import Attempt
from functions.model.states import JobState
from functions.ports import Clock, Compute, Database

log = logging.getLogger(__name__)

# A trainer that has said its last word puts its things away and goes by itself; nobody waits for a cancelled one.
ENDING_GRACE = timedelta(seconds=60)
# A call that was cancelled is cancelled again after this time, if it still runs.
_CANCEL_EVERY = timedelta(seconds=30)
# No call runs for longer than a day, and results are kept for seven: nothing is known about an older one.
_FORGOTTEN_AFTER = timedelta(days=8)


class Reaper:
    """Looks after the machines of attempts that have ended. Safe to run twice at once."""

    def __init__(self, db: Database, compute: Compute, *, clock: Clock) -> None:
        self._db = db
        self._compute = compute
        self._clock = clock
        # Forgetting it costs one more cancellation.
        self._cancelled: dict[str, datetime] = {}

    def step(self) -> None:
        """Look at every such attempt once."""
        with self._db.transaction() as tx:
            lingering = tx.jobs.lingering(self._clock() - _FORGOTTEN_AFTER)
        for attempt, state in lingering:
            guarded(f"call {attempt.call_id}", partial(self._look, attempt, state))

    def _look(self, attempt: Attempt, state: JobState) -> None:
        now, call_id = self._clock(), attempt.call_id
        if not self._compute.poll(call_id).running:
            self._cancelled.pop(call_id, None)
            with self._db.transaction() as tx:
                tx.jobs.note_gone(attempt.job_id, attempt.attempt, now)
            return
        grace = timedelta(0) if state is JobState.CANCELLED else ENDING_GRACE
        if attempt.ended_at is None or now - attempt.ended_at < grace:
            return
        last = self._cancelled.get(call_id)
        if last is None or now - last >= _CANCEL_EVERY:
            log.warning("job %s: the machine of attempt %s outlived it; ending it", attempt.job_id, attempt.attempt)
            self._cancelled[call_id] = now
            self._compute.cancel(call_id)
