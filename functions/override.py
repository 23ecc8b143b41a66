"""A manager's decision to pass the limit: allowed with a justification, written down, told to those who answer."""

from __future__ import annotations

from datetime import datetime

from functions.access import TO_OVERRIDE, require
from functions.budget import budget_status
from functions.budget_notices import tell_team
from functions.errors import InvalidInput
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.ports import Transaction

JUSTIFICATION_MIN, JUSTIFICATION_MAX = 50, 1000
FIELD = "override"


def require_override(person: Person, reason: str) -> None:
    """Let a manager with a justification pass.

    Raises:
        NotAllowed: the person is no manager.
        InvalidInput: the justification is too short or too long; its field is `override`.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_OVERRIDE)
    length = len(" ".join(reason.split()))
    if length < JUSTIFICATION_MIN:
        raise InvalidInput(
            f"At least {JUSTIFICATION_MIN} characters; this has {length}. Say why it cannot wait.", field=FIELD
        )
    if length > JUSTIFICATION_MAX:
        raise InvalidInput(f"At most {JUSTIFICATION_MAX} characters; this has {length}.", field=FIELD)


def record_override(tx: Transaction, *, job: Job, by: str, reason: str, over_cents: int, now: datetime) -> None:
    """Write the override down and tell of it, in the transaction that starts the job."""
    status = budget_status(tx, team_id=job.team_id, now=now)
    tx.audit.append(
        team_id=job.team_id,
        at=now,
        actor=by,
        action="budget.override",
        target=str(job.id),
        detail={
            "job": job.name,
            "reserved_cents": job.estimate.cents_high,
            "over_cents": over_cents,
            "limit_cents": status.limit_cents,
            "why": reason,
        },
    )
    data: dict[str, float | int | str | None] = {
        "by": by,
        "job": job.name,
        "cents": job.estimate.cents_high,
        "over_cents": over_cents,
        "limit_cents": status.limit_cents,
        "used_cents": status.used_cents,
        "why": reason,
    }
    tell_team(tx, team_id=job.team_id, notice=Notice.BUDGET_OVERRIDE, key=str(job.id), data=data, now=now)
