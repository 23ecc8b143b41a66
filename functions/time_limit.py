"""A run that takes much longer than anybody expected is stopped at a checkpoint, before it eats the budget."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from functions.model.diagnosis import FailureCode
from functions.model.events import Failed
from functions.model.job import Attempt, Job
from functions.model.outbox import Notice
from functions.model.states import RUNNING
from functions.ports import Database, Transaction
from functions.words import span

# Three times the upper estimate is no estimate any more. The floor spares short runs a slow start.
_TIMES_UPPER_ESTIMATE = 3
_LEAST = timedelta(hours=3)


def time_limit(tx: Transaction, *, job: Job, configured: timedelta | None) -> float:
    """Seconds of machine time that the job may take. Taking up a run that was stopped grants the same once more."""
    own = max(_LEAST.total_seconds(), _TIMES_UPPER_ESTIMATE * job.estimate.seconds.high)
    granted = configured.total_seconds() if configured else own
    return granted * (1 + tx.failures.times_failed(job.id, FailureCode.TIMEOUT))


def over_limit(
    tx: Transaction, *, job: Job, attempt: Attempt, configured: timedelta | None, now: datetime
) -> float | None:
    """The limit in seconds where the running attempt has passed it, else None."""
    running_since = attempt.launched_at if attempt.ended_at is None else None
    limit = time_limit(tx, job=job, configured=configured)
    return limit if job.billed_now(now, running_since) > limit else None


def begin_stop(db: Database, *, job_id: UUID, attempt: int, limit: float, now: datetime) -> None:
    """Note why the attempt is being stopped, before it is: its end then fails the job instead of recovering it."""
    with db.transaction() as tx:
        job = tx.jobs.get(job_id, lock=True)
        if job is None or job.attempt != attempt or job.state not in RUNNING or job.progress.stopping is not None:
            return
        failure = Failed(
            code=FailureCode.TIMEOUT,
            what=f"The run was stopped: it took longer than its limit of {span(limit)}.",
            why=f"It was expected to take at most {span(job.estimate.seconds.high)}.",
            fixes=("Train for fewer epochs.",),
            step=job.progress.step,
            limit_seconds=limit,
        )
        tx.jobs.update(job_id, progress=job.progress.model_copy(update={"stopping": failure}))
        tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
