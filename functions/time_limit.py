"""A run that takes much longer than expected, or costs what was approved, is stopped at a checkpoint."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from functions.model.diagnosis import FailureCode
from functions.model.events import Failed
from functions.model.job import Attempt, Job
from functions.model.money import dollars
from functions.model.outbox import Notice
from functions.model.states import RUNNING
from functions.ports import Database
from functions.words import span

# Three times the upper estimate is no estimate any more. The floor spares short runs a slow start.
_TIMES_UPPER_ESTIMATE = 3
_LEAST = timedelta(hours=3)


def time_limit(*, job: Job, configured: timedelta | None) -> float:
    """Seconds of machine time that the job may take."""
    own = max(_LEAST.total_seconds(), _TIMES_UPPER_ESTIMATE * job.estimate.seconds.high)
    return configured.total_seconds() if configured else own


def over_limit(*, job: Job, attempt: Attempt, configured: timedelta | None, now: datetime) -> Failed | None:
    """Why the running attempt has to stop where it has passed its time or its cap, else None."""
    running_since = attempt.billed_from if attempt.ended_at is None else None
    seconds, cap = job.billed_now(now, running_since), job.cap_cents
    if cap is not None and job.cost_of(seconds) >= cap:
        what = f"The run was stopped at {dollars(cap)}, the most that was approved for it."
        why = f"It was expected to cost at most {dollars(job.estimate.cents_high)}."
        return _stopped(job, what, why, limit_seconds=seconds, cap_cents=cap)
    limit = time_limit(job=job, configured=configured)
    if seconds > limit:
        what = f"The run was stopped: it took longer than its limit of {span(limit)}."
        why = f"It was expected to take at most {span(job.estimate.seconds.high)}."
        return _stopped(job, what, why, limit_seconds=limit)
    return None


def _stopped(job: Job, what: str, why: str, *, limit_seconds: float, cap_cents: int | None = None) -> Failed:
    return Failed(
        code=FailureCode.TIMEOUT,
        what=what,
        why=why,
        fixes=("Train for fewer epochs.",),
        step=job.progress.step,
        limit_seconds=limit_seconds,
        cap_cents=cap_cents,
    )


def begin_stop(db: Database, *, job_id: UUID, attempt: int, why: Failed, now: datetime) -> None:
    """Note why the attempt is being stopped, before it is: its end then fails the job instead of recovering it."""
    with db.transaction() as tx:
        job = tx.jobs.get(job_id, lock=True)
        if job is None or job.attempt != attempt or job.state not in RUNNING or job.progress.stopping is not None:
            return
        tx.jobs.update(job_id, progress=job.progress.model_copy(update={"stopping": why}))
        tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
