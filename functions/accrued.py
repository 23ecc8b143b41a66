"""What jobs have cost that the ledger has not heard of yet: it is told at their ends."""

from __future__ import annotations

from datetime import datetime

from functions.model.job import Job
from functions.model.money import JobBooked
from functions.model.states import ACTIVE, RUNNING
from functions.ports import Transaction
from functions.spend import spend_of


def running_since(tx: Transaction, job: Job) -> datetime | None:
    """Since when the attempt that runs is billed; None where none does, or has not said a word yet."""
    attempt = tx.jobs.attempt(job.id, job.attempt) if job.state in RUNNING else None
    return attempt.billed_from if attempt and attempt.ended_at is None else None


def job_cents_now(tx: Transaction, *, job: Job, now: datetime) -> int:
    """What a job has cost up to now, in cents."""
    return spend_of(job, now=now, running_since=running_since(tx, job)).total_cents


def unsettled_cents(tx: Transaction, *, job: Job, booked: JobBooked, now: datetime) -> int:
    """What a job has cost up to now that the ledger has not heard of."""
    return max(0, job_cents_now(tx, job=job, now=now) - booked.settled_cents)


def accrued_and_covered(tx: Transaction, *, team_id: str, now: datetime) -> tuple[int, int]:
    """(cents that the team's active jobs have cost unsettled, how many of them were set aside for).

    A job that costs more than was set aside for it uses the budget all the same.
    """
    covered = accrued = 0
    for job in tx.jobs.in_states(ACTIVE):
        if job.team_id == team_id:
            booked = tx.ledger.booked_for(job.id)
            unsettled = unsettled_cents(tx, job=job, booked=booked, now=now)
            accrued += unsettled
            covered += min(unsettled, booked.reserved_cents)
    return accrued, covered
