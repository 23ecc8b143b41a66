"""No GPU is free: the job waits, is tried again every five minutes for an hour, and then fails with a way out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.ingest import move
from functions.model.diagnosis import FailureCode, GpuWait
from functions.model.events import Failed
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.ports import Transaction
from functions.words import counted, span

# FR3.1.3: every 5 minutes, for at most an hour.
RETRY_EVERY = timedelta(minutes=5)
GIVES_UP_AFTER = timedelta(hours=1)


def due(tx: Transaction, jobs: Iterable[Job], now: datetime) -> list[Job]:
    """The queued jobs that may be tried now: those that wait for a GPU only when their next try has come."""

    def may_try(job: Job) -> bool:
        wait = tx.failures.wait(job.id) if job.state is JobState.QUEUED_WAITING_FOR_GPU else None
        return wait is None or wait.next_try_at <= now

    return [job for job in jobs if may_try(job)]


def no_gpu(tx: Transaction, *, job: Job, reason: str, now: datetime) -> None:
    """An attempt found no GPU: it ends unbilled, and the job, whose row is locked, waits or is given up."""
    attempt = tx.jobs.attempt(job.id, job.attempt)
    if attempt is not None:
        tx.jobs.end_attempt(job.id, job.attempt, attempt.launched_at)
    before = tx.failures.wait(job.id)
    if before is not None and now >= before.gives_up_at:
        _give_up(tx, job, before.model_copy(update={"tries": before.tries + 1, "reason": reason}), now)
        return
    since = before.since if before else now
    gives_up_at = since + GIVES_UP_AFTER
    wait = GpuWait(
        tier=job.configuration.tier,
        reason=reason,
        since=since,
        tries=before.tries + 1 if before else 1,
        next_try_at=min(now + RETRY_EVERY, gives_up_at),
        gives_up_at=gives_up_at,
    )
    tx.failures.keep_wait(job, wait)
    tx.jobs.update(job.id, state=JobState.QUEUED_WAITING_FOR_GPU)
    waiting = job.model_copy(update={"state": JobState.QUEUED_WAITING_FOR_GPU})
    tx.outbox.put(job=waiting, notice=Notice.CARD, key="", at=now, data={})
    if before is None:
        tx.outbox.put(job=waiting, notice=Notice.WAITING_FOR_GPU, key=str(job.attempt), at=now, data={"reason": reason})


def _give_up(tx: Transaction, job: Job, wait: GpuWait, now: datetime) -> None:
    waited = span((now - wait.since).total_seconds())
    failure = Failed(
        code=FailureCode.NO_CAPACITY,
        what=f"No GPU was free in {waited}.",
        why=f"Tried {counted(wait.tries, 'time')} in {waited}. The last answer: {wait.reason}",
        fixes=("Try again later.",),
        step=job.progress.step,
    )
    progress = job.progress.model_copy(update={"failure": failure})
    tx.jobs.update(job.id, progress=progress)
    move(tx, job=job.model_copy(update={"progress": progress}), state=JobState.FAILED, now=now)
