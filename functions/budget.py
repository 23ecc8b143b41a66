"""The month's money: what is left, reserving for a start, settling at the end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.errors import OverBudget
from functions.model.job import Job
from functions.model.money import BudgetStatus, EntryKind, dollars
from functions.ports import Transaction


def month_start(now: datetime) -> datetime:
    """The first moment of the calendar month in UTC."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def budget_status(tx: Transaction, *, team_id: str, now: datetime) -> BudgetStatus:
    """Limit, spent this month and reserved now."""
    spent, reserved = tx.ledger.sums(team_id, month_start(now))
    return BudgetStatus(limit_cents=tx.ledger.limit(team_id), spent_cents=spent, reserved_cents=reserved)


def reserve(
    tx: Transaction, *, team_id: str, job_id: UUID, cents: int, now: datetime, key: str, allow_grace: bool = False
) -> None:
    """Set money aside for a job. The budget's row is locked, so that starts at once take turns.

    With `allow_grace`, which takes an approval, it may pass the limit by the grace.

    Raises:
        OverBudget: it would pass the month's limit.
    """
    limit = tx.ledger.lock_limit(team_id)
    status = budget_status(tx, team_id=team_id, now=now)
    remaining = status.remaining_cents
    if status.used_cents + cents > limit + (status.grace_cents if allow_grace else 0):
        raise OverBudget(
            f"This run may cost {dollars(cents)}; {dollars(remaining)} of {dollars(limit)} is left this month, "
            f"{dollars(cents - remaining)} too little.",
            needed_cents=cents,
            remaining_cents=remaining,
            fix="Choose a smaller preset, or ask a budget manager to raise the limit.",
        )
    tx.ledger.append(team_id=team_id, job_id=job_id, kind=EntryKind.RESERVE, cents=cents, at=now, key=f"reserve:{key}")


def close_attempt(tx: Transaction, *, job: Job, now: datetime) -> Job:
    """End the job's running attempt and add its seconds and their cost to the job. Safe to repeat."""
    seconds = job.billed_seconds + tx.jobs.end_attempt(job.id, job.attempt, now)
    cost = job.cost_of(seconds)
    tx.jobs.update(job.id, billed_seconds=seconds, actual_cost_cents=cost)
    return job.model_copy(update={"billed_seconds": seconds, "actual_cost_cents": cost})


def settle(tx: Transaction, *, job: Job, now: datetime) -> None:
    """Turn what is reserved for a job that ended or rests into what it cost. A repeat charges nothing twice."""
    reserved = tx.ledger.reserved_for(job.id)
    due = job.actual_cost_cents - tx.ledger.settled_for(job.id)
    key = f"{job.id}:{job.attempt}"
    if reserved > 0:
        tx.ledger.append(
            team_id=job.team_id,
            job_id=job.id,
            kind=EntryKind.RELEASE,
            cents=-reserved,
            at=now,
            key=f"release:{key}",
        )
    if due > 0:
        tx.ledger.append(
            team_id=job.team_id, job_id=job.id, kind=EntryKind.SETTLE, cents=due, at=now, key=f"settle:{key}"
        )
