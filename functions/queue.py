"""Who waits for a place, in which order, and when each may expect to start."""

from __future__ import annotations

import heapq
from datetime import datetime, timedelta
from uuid import UUID

from functions.errors import Conflict, QueueFull
from functions.find_job import get_job
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import IN_QUEUE, RUNNING, JobState
from functions.model.views import QueueEntry, QueueLimits
from functions.pace import remaining_seconds
from functions.ports import Transaction

# They hold a place: a machine, or the promise of one.
PLACED = RUNNING | {JobState.INTERRUPTED}


def queue(tx: Transaction, *, limits: QueueLimits, now: datetime) -> tuple[QueueEntry, ...]:
    """The jobs that wait, the next one first."""
    return plan_starts(tx.jobs.in_states(PLACED), tx.jobs.in_states(IN_QUEUE), running=limits.running, now=now)


def plan_starts(placed: list[Job], waiting: list[Job], *, running: int, now: datetime) -> tuple[QueueEntry, ...]:
    """When each of the waiting jobs finds a place, if all take what they are expected to take."""
    free_at = sorted((remaining_seconds(job, now) or job.estimate.seconds.expected) for job in placed)
    free_at = [0.0] * max(0, running - len(free_at)) + free_at
    # More may run than there are places, after the limit was lowered: the first ones to end free none.
    free_at = free_at[max(0, len(free_at) - running) :]
    heapq.heapify(free_at)
    entries = []
    for position, job in enumerate(waiting, 1):
        start = heapq.heappop(free_at)
        heapq.heappush(free_at, start + job.estimate.seconds.expected)
        entries.append(QueueEntry(job=job, position=position, starts_at=now + timedelta(seconds=start)))
    return tuple(entries)


def place_of_next(tx: Transaction, *, like: Job, seconds: float, limits: QueueLimits, now: datetime) -> QueueEntry:
    """Where a job that joined now would stand; `like` stands in for it, `seconds` is what it is expected to take."""
    span = like.estimate.seconds.model_copy(update={"expected": seconds})
    joining = like.model_copy(update={"estimate": like.estimate.model_copy(update={"seconds": span})})
    waiting = [*tx.jobs.in_states(IN_QUEUE), joining]
    return plan_starts(tx.jobs.in_states(PLACED), waiting, running=limits.running, now=now)[-1]


def require_place_in_queue(tx: Transaction, *, team_id: str, limits: QueueLimits) -> None:
    """Let a new job pass if there is room for it in the queue.

    Raises:
        QueueFull: as many wait as may.
    """
    waiting = [job for job in tx.jobs.in_states(IN_QUEUE) if job.team_id == team_id]
    if len(waiting) < limits.waiting:
        return
    active = len([job for job in tx.jobs.in_states(PLACED) if job.team_id == team_id])
    raise QueueFull(
        f"Queue full: {len(waiting)} of {limits.waiting} runs are waiting and {active} "
        f"{'is' if active == 1 else 'are'} training.",
        fix="Wait until one has ended, or cancel one in /jobs.",
    )


def move_to_front(tx: Transaction, *, team_id: str, job_id: UUID, by: str, now: datetime) -> Job:
    """Put a waiting job before all others that wait.

    Raises:
        NotFound: no such job in the team.
        Conflict: it does not wait any more, or is the first already.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id, lock=True)
    if job.state not in IN_QUEUE:
        raise Conflict(f"{job.name} does not wait any more: it is {job.state.value}.")
    waiting = tx.jobs.in_states(IN_QUEUE)
    if waiting[0].id == job.id:
        raise Conflict(f"{job.name} is the next one already.")
    tx.jobs.promote(job.id, now)
    tx.audit.append(
        team_id=job.team_id,
        at=now,
        actor=by,
        action="job.promoted",
        target=str(job.id),
        detail={"before": ", ".join(other.name for other in waiting if other.id != job.id)[:200]},
    )
    for other in waiting:  # everybody's place and expected start have changed
        tx.outbox.put(job=other, notice=Notice.CARD, key="", at=now, data={})
    return job.model_copy(update={"promoted_at": now})
