"""What `/budget` shows, and its export."""

from __future__ import annotations

from datetime import datetime

from functions.access import require
from functions.accrued import unsettled_cents
from functions.budget import budget_status
from functions.budget_notices import recipients
from functions.forecast import forecast, forecast_record, month_history
from functions.model.budget import BudgetView, JobCost
from functions.model.people import Permission, Person
from functions.model.states import ACTIVE
from functions.ports import Clock, Database, Pictures, Transaction


def budget_view(tx: Transaction, *, person: Person, now: datetime) -> BudgetView:
    """The team's budget as it stands.

    Raises:
        NotAllowed: the person may not look.
    """
    require(person, Permission.VIEW)
    team_id = person.team_id
    rules = tx.ledger.rules(team_id)
    since = rules.period.start(now)
    made = forecast(tx, team_id=team_id, now=now)
    *ended, this_month = month_history(tx, team_id=team_id, now=now)
    # What still runs is not in the ledger yet, and people compare the two.
    this_month = this_month.model_copy(update={"cents": this_month.cents + made.accrued_cents})
    jobs = [_with_running(tx, job, now) for job in tx.ledger.job_costs(team_id, since)]
    return BudgetView(
        person=person,
        status=budget_status(tx, team_id=team_id, now=now),
        rules=rules,
        forecast=made,
        jobs=tuple(sorted(jobs, key=lambda job: (-job.cents, job.created_at))),
        daily=tuple(tx.ledger.daily(team_id, since, now)),
        months=(*ended, this_month),
        record=forecast_record(tx, team_id=team_id, now=now),
        changes=tuple(tx.ledger.limit_changes(team_id)[-5:]),
        since=since,
        now=now,
        unreachable=not recipients(tx, team_id=team_id),
        channel_lost=bool(rules.channel_id) and tx.outbox.unreached(team_id, rules.channel_id),
    )


def _with_running(tx: Transaction, cost: JobCost, now: datetime) -> JobCost:
    """The job with what it has cost since the ledger last heard of it."""
    accrued = 0
    if cost.state in ACTIVE and (job := tx.jobs.get(cost.job_id)) is not None:
        accrued = unsettled_cents(tx, job=job, booked=tx.ledger.booked_for(job.id), now=now)
    return cost.model_copy(update={"cents": cost.settled_cents + accrued})


def export_budget(db: Database, pictures: Pictures, *, clock: Clock, person: Person) -> tuple[str, bytes]:
    """The period's runs as (file name, CSV); written down.

    Raises:
        NotAllowed: the person may not change the budget.
    """
    require(person, Permission.MANAGE_BUDGET)
    now = clock()
    with db.transaction() as tx:
        view = budget_view(tx, person=person, now=now)
        name = f"bright-run-budget-{view.since:%Y-%m-%d}-to-{now:%Y-%m-%d}.csv"
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="budget.exported",
            target=person.team_id,
            detail={"name": name, "runs": len(view.jobs)},
        )
    return name, pictures.budget_csv(view)
