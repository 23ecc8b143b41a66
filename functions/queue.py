"""Who waits for a place, in which order, and when each may expect to start."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from functions import catalog
from functions.errors import Conflict, QueueFull
from functions.find_job import get_job
from functions.gpu_wait import open_wait
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import IN_QUEUE, RUNNING, JobState
from functions.model.views import QueueEntry, QueueLimits
from functions.pace import left_seconds, rest_seconds
from functions.ports import Transaction

# They hold a place: a machine, or the promise of one.
PLACED = RUNNING | {JobState.INTERRUPTED}
_LAUNCHES_SPAN = timedelta(days=90)


class Delays(NamedTuple):
    """What passes before a job starts although a place is free: until its next try for a GPU, by job, and from a
    launch to the machine's first word, in seconds by tier. A tier that was never launched is not in it.
    """

    next_tries: Mapping[UUID, datetime] = {}
    launch_seconds: Mapping[str, float] = {}


_NO_DELAYS = Delays()


def delays(tx: Transaction, waiting: Iterable[Job], *, now: datetime) -> Delays:
    """The delays of the jobs that wait, from their open waits and the launches of the last 90 days."""
    waits = {job.id: open_wait(tx, job) for job in waiting}
    if not waits:
        return _NO_DELAYS
    return Delays(
        next_tries={job_id: wait.next_try_at for job_id, wait in waits.items() if wait is not None},
        launch_seconds=tx.history.launch_seconds(now - _LAUNCHES_SPAN),
    )


def queue(tx: Transaction, *, limits: QueueLimits, now: datetime) -> tuple[QueueEntry, ...]:
    """The jobs that wait, the next one first."""
    placed, waiting = tx.jobs.in_states(PLACED), tx.jobs.in_states(IN_QUEUE)
    return plan_starts(placed, waiting, running=limits.running, now=now, delays=delays(tx, waiting, now=now))


def plan_starts(
    placed: list[Job], waiting: list[Job], *, running: int, now: datetime, delays: Delays = _NO_DELAYS
) -> tuple[QueueEntry, ...]:
    """When the machine of each waiting job is there, if all take what they are expected to take.

    As `reconcile` does it, a free place goes to the first job that may be tried: one whose next try for a GPU is
    still to come holds up nobody behind it.
    """
    free_at = sorted(left_seconds(job, now) for job in placed)
    free_at = [0.0] * max(0, running - len(free_at)) + free_at
    # More may run than there are places, after the limit was lowered: the first ones to end free none.
    free_at = free_at[max(0, len(free_at) - running) :]
    heapq.heapify(free_at)
    tried_at = {job.id: _seconds_until(delays.next_tries.get(job.id, now), now) for job in waiting}
    entries, to_place = [], list(enumerate(waiting, 1))
    while to_place:
        free = heapq.heappop(free_at)
        place = min(to_place, key=lambda item: max(free, tried_at[item[1].id]))  # of equals the first in the queue
        to_place.remove(place)
        position, job = place
        launch = delays.launch_seconds.get(job.configuration.tier, 0.0)
        entry = _entry(job, position, now, max(free, tried_at[job.id]) + launch)
        heapq.heappush(free_at, _seconds_until(entry.starts_at, now) + entry.seconds)
        entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: entry.position))


def _seconds_until(moment: datetime, now: datetime) -> float:
    return max(0.0, (moment - now).total_seconds())


def _entry(job: Job, position: int, now: datetime, start: float) -> QueueEntry:
    return QueueEntry(
        job=job,
        position=position,
        starts_at=now + timedelta(seconds=start),
        seconds=rest_seconds(job),
        preset=catalog.preset_name(job.configuration.preset),
        machine=catalog.tier_name(job.configuration.tier),
    )


def place_of_next(tx: Transaction, *, like: Job, seconds: float, limits: QueueLimits, now: datetime) -> QueueEntry:
    """Where a job that joined now would stand; `like` stands in for it, `seconds` is what it is expected to take."""
    span = like.estimate.seconds.model_copy(update={"expected": seconds})
    joining = like.model_copy(update={"estimate": like.estimate.model_copy(update={"seconds": span})})
    placed, waiting = tx.jobs.in_states(PLACED), [*tx.jobs.in_states(IN_QUEUE), joining]
    return plan_starts(placed, waiting, running=limits.running, now=now, delays=delays(tx, waiting, now=now))[-1]


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
