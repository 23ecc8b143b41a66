"""No GPU is free: the job waits, is tried again every five minutes for an hour, and then fails with a way out.

Some providers refuse a launch that they have no GPU for, others accept and queue it. There a try lasts until the next
one is due: its call is taken back and launched anew, so that it is due, counted and given up as anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.gpu_wait import open_wait
from functions.ingest import move
from functions.model.diagnosis import RETRY_EVERY, FailureCode, GpuWait
from functions.model.events import Failed
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.ports import Transaction
from functions.words import counted, span

# FR3.1.3: for at most an hour.
GIVES_UP_AFTER = timedelta(hours=1)


def due(tx: Transaction, jobs: Iterable[Job], now: datetime) -> list[Job]:
    """The queued jobs that may be tried now: those that wait for a GPU only when their next try has come.

    They come after the others: what is not free for them may be free for those.
    """
    found = [(job, open_wait(tx, job)) for job in jobs]
    others = [job for job, wait in found if wait is None]
    again = [(wait.next_try_at, job) for job, wait in found if wait is not None and wait.next_try_at <= now]
    return others + [job for _, job in sorted(again, key=lambda item: item[0])]


def no_gpu(tx: Transaction, *, job: Job, reason: str, now: datetime) -> None:
    """A launch was refused for lack of a GPU: the job, whose row is locked, waits for its next try or is given up."""
    before = tx.failures.wait(job.id)
    since = before.since if before else now
    _found_none(tx, job, before, reason=reason, since=since, next_try_at=_next_try(since, now), now=now)


def taken_back(tx: Transaction, *, job: Job, since: datetime, now: datetime) -> None:
    """A call, taken back by now, has got no GPU since then: the job, whose row is locked, is tried anew or given up."""
    before = tx.failures.wait(job.id)
    since = before.since if before else since
    minutes = round((now - since) / timedelta(minutes=1))
    reason = f"waited {counted(minutes, 'minute')} and none was allocated"
    _found_none(tx, job, before, reason=reason, since=since, next_try_at=now, now=now)


def accepted(tx: Transaction, *, job: Job, now: datetime) -> None:
    """A launch was accepted. If the job waits for a GPU, this try lasts until the next one is due.

    Where there was no place for the last try until the hour was over, it still gets its time.
    """
    wait = open_wait(tx, job)
    if wait is None:
        return
    gives_up_at, next_try_at = wait.gives_up_at, min(_next_try(wait.since, now), wait.gives_up_at)
    if now >= gives_up_at:
        gives_up_at = next_try_at = now + RETRY_EVERY
    tx.failures.keep_wait(job, wait.model_copy(update={"next_try_at": next_try_at, "gives_up_at": gives_up_at}))


def give_back(tx: Transaction, *, job: Job) -> Job:
    """The waiting job, whose row is locked, without the try that may be under way; that one's call is ended later."""
    if job.state is JobState.QUEUED_WAITING_FOR_GPU:
        return job
    _end_unbilled(tx, job)
    return _between_tries(tx, job)


def _end_unbilled(tx: Transaction, job: Job) -> None:
    """The current attempt never had a machine."""
    attempt = tx.jobs.attempt(job.id, job.attempt)
    if attempt is not None:
        tx.jobs.end_attempt(job.id, job.attempt, attempt.launched_at)


def _between_tries(tx: Transaction, job: Job) -> Job:
    tx.jobs.update(job.id, state=JobState.QUEUED_WAITING_FOR_GPU)
    return job.model_copy(update={"state": JobState.QUEUED_WAITING_FOR_GPU})


def _next_try(since: datetime, now: datetime) -> datetime:
    """Tries are due at fixed times after the beginning of the wait, so that lateness does not add up."""
    return since + RETRY_EVERY * (round((now - since) / RETRY_EVERY) + 1)


def _found_none(
    tx: Transaction,
    job: Job,
    before: GpuWait | None,
    *,
    reason: str,
    since: datetime,
    next_try_at: datetime,
    now: datetime,
) -> None:
    """The current attempt found no GPU: it ends unbilled, and the job waits or is given up."""
    _end_unbilled(tx, job)
    if before is not None and now >= before.gives_up_at:
        _give_up(tx, job, before.model_copy(update={"tries": before.tries + 1, "reason": reason}), now)
        return
    gives_up_at = before.gives_up_at if before else since + GIVES_UP_AFTER
    wait = GpuWait(
        tier=job.configuration.tier,
        reason=reason,
        since=since,
        tries=before.tries + 1 if before else 1,
        next_try_at=min(next_try_at, gives_up_at),
        gives_up_at=gives_up_at,
    )
    tx.failures.keep_wait(job, wait)
    waiting = _between_tries(tx, job)
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
