"""The month's money: what is left, reserving for a start, settling at the end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.accrued import accrued_and_covered
from functions.errors import OverBudget
from functions.model.job import Job
from functions.model.money import BudgetStatus, EntryKind, Period, dollars
from functions.ports import Transaction
from functions.prepaid import prepaid_cents


def budget_status(tx: Transaction, *, team_id: str, now: datetime) -> BudgetStatus:
    """Limit with what was paid in, spent in the period, by jobs that run as well, and set aside beyond that."""
    rules = tx.ledger.rules(team_id)
    # The ledger last: a job that is settled in between is then counted at least once.
    accrued, covered = accrued_and_covered(tx, team_id=team_id, now=now)
    settled, reserved = tx.ledger.sums(team_id, rules.period.start(now))
    prepaid = prepaid_cents(tx, team_id=team_id, period=rules.period, now=now)
    return BudgetStatus(
        limit_cents=rules.limit_cents + prepaid,
        spent_cents=settled + accrued,
        reserved_cents=max(0, reserved - covered),
        prepaid_cents=prepaid,
        grace_percent=rules.grace_percent,
        hard_stop=rules.hard_stop,
        period=rules.period,
    )


def reserve(
    tx: Transaction,
    *,
    team_id: str,
    job_id: UUID,
    cents: int,
    now: datetime,
    allow_grace: bool = False,
    override: bool = False,
) -> int:
    """Set money aside for a job. The budget's row is locked, so that starts at once take turns.

    Args:
        tx: the transaction that starts the job.
        team_id: whose budget.
        job_id: for which job.
        cents: how much.
        now: the moment.
        allow_grace: an approval lets it pass the limit, by at most the grace.
        override: a manager answers for passing the limit, whatever the grace. Neither helps against a hard stop.

    Returns:
        By how many cents the limit is passed now; 0 where it is not.

    Raises:
        OverBudget: it would pass what may be used.
    """
    tx.ledger.lock_limit(team_id)
    status = budget_status(tx, team_id=team_id, now=now)
    over = status.used_cents + cents - status.limit_cents
    allowed = status.grace_cents if allow_grace else 0
    if cents > 0 and over > allowed and (status.hard_stop or not override):
        raise OverBudget(
            _refusal(status, cents, over, allow_grace=allow_grace),
            needed_cents=cents,
            remaining_cents=status.remaining_cents,
            fix=_way_out(status),
        )
    _book(tx, team_id, job_id, EntryKind.RESERVE, cents, now, tx.ledger.booked_for(job_id).entries)
    return max(0, over)


def _refusal(status: BudgetStatus, cents: int, over: int, *, allow_grace: bool) -> str:
    left = f"{dollars(status.remaining_cents)} of {dollars(status.limit_cents)} is left {period_words(status.period)}"
    if allow_grace and status.grace_cents:
        short = dollars(over - status.grace_cents)
        return (
            f"This run may cost {dollars(cents)}; {left}, "
            f"{short} too little even with the grace of {dollars(status.grace_cents)}."
        )
    return f"This run may cost {dollars(cents)}; {left}, {dollars(cents - status.remaining_cents)} too little."


def _way_out(status: BudgetStatus) -> str:
    if status.hard_stop:
        return "Nothing may pass the limit here. Choose a smaller preset, or ask a budget manager to raise the limit."
    return "Choose a smaller preset, or ask a budget manager to raise the limit."


def period_words(period: Period) -> str:
    """`this month`, `in these 30 days`."""
    return "this month" if period is Period.CALENDAR_MONTH else "in these 30 days"


def close_attempt(tx: Transaction, *, job: Job, now: datetime) -> Job:
    """End the job's running attempt and add its seconds and their cost to the job. Safe to repeat."""
    seconds = job.billed_seconds + tx.jobs.end_attempt(job.id, job.attempt, now)
    cost = job.cost_of(seconds)
    tx.jobs.update(job.id, billed_seconds=seconds, actual_cost_cents=cost)
    return job.model_copy(update={"billed_seconds": seconds, "actual_cost_cents": cost})


def settle(tx: Transaction, *, job: Job, now: datetime) -> None:
    """Turn what is reserved for a job that ended or rests into what it cost. A repeat charges nothing twice."""
    booked = tx.ledger.booked_for(job.id)
    due, number = job.actual_cost_cents - booked.settled_cents, booked.entries
    if booked.reserved_cents > 0:
        _book(tx, job.team_id, job.id, EntryKind.RELEASE, -booked.reserved_cents, now, number)
        number += 1
    if due > 0:
        _book(tx, job.team_id, job.id, EntryKind.SETTLE, due, now, number)


def _book(tx: Transaction, team_id: str, job_id: UUID, kind: EntryKind, cents: int, now: datetime, number: int) -> None:
    """Append the job's entry after its first `number`. Two transactions that book the same one append it once."""
    tx.ledger.append(
        team_id=team_id, job_id=job_id, kind=kind, cents=cents, at=now, key=f"{kind.value}:{job_id}#{number}"
    )
