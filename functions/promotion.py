"""What a manager has to know about a run that somebody wants at the front of the queue."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions import catalog
from functions.approval_quotes import for_whom
from functions.find_job import get_job
from functions.model.approval import Quoted
from functions.model.catalog import PRACTICE_PROVIDER
from functions.model.states import IN_QUEUE
from functions.model.views import QueueLimits
from functions.ports import Transaction
from functions.queue import PLACED, delays, plan_starts


def with_queue(
    tx: Transaction, shown: Quoted, *, team_id: str, job_id: UUID, limits: QueueLimits, now: datetime
) -> Quoted:
    """The quote with the run's cost, whom it is for, how long it has waited, and when it starts with and without.

    Raises:
        NotFound: no such job in the team.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id)
    placed, waiting = tx.jobs.in_states(PLACED), tx.jobs.in_states(IN_QUEUE)
    others = [other for other in waiting if other.id != job.id]
    known = delays(tx, waiting, now=now)
    as_it_is = plan_starts(placed, waiting, running=limits.running, now=now, delays=known)
    at_the_front = plan_starts(placed, [job, *others], running=limits.running, now=now, delays=known)
    return shown.model_copy(
        update={
            "facts": (*for_whom(job.client, job.project), *shown.facts),
            "cents_low": job.estimate.cents_low,
            "cents_high": job.estimate.cents_high,
            "seconds": job.estimate.seconds.expected,
            "practice": catalog.tier(job.configuration.tier).provider == PRACTICE_PROVIDER,
            # One that was taken up again has waited since nobody wrote down when.
            "waiting_since": job.created_at if job.started_at is None else None,
            "starts_at": next(entry.starts_at for entry in as_it_is if entry.job.id == job.id),
            "starts_first_at": at_the_front[0].starts_at,
        }
    )
