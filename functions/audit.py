"""Reading the audit log, and its export. Nobody changes it."""

from __future__ import annotations

from datetime import datetime, timedelta

from functions.access import require
from functions.model.budget import AuditFilter, AuditView
from functions.model.people import Permission, Person
from functions.ports import Clock, Database, Pictures, Transaction

SHOWN = 15
EXPORTED = 50_000


def audit_view(tx: Transaction, *, person: Person, chosen: AuditFilter, now: datetime) -> AuditView:
    """The newest entries that match.

    Raises:
        NotAllowed: the person is neither manager nor admin.
    """
    require(person, Permission.READ_AUDIT)
    since = now - timedelta(days=chosen.days)
    return AuditView(
        entries=tuple(tx.audit.entries(person.team_id, since, chosen, SHOWN)),
        total=tx.audit.count(person.team_id, since, chosen),
        chosen=chosen,
        areas=tuple(tx.audit.areas(person.team_id)),
    )


def export_audit(
    db: Database, pictures: Pictures, *, clock: Clock, person: Person, chosen: AuditFilter
) -> tuple[str, bytes]:
    """All entries that match, 50,000 at most, as (file name, CSV); the export is an entry itself.

    Raises:
        NotAllowed: the person is neither manager nor admin.
    """
    require(person, Permission.READ_AUDIT)
    now = clock()
    name = f"bright-run-audit-{now:%Y-%m-%d}.csv"
    with db.transaction() as tx:
        entries = tx.audit.entries(person.team_id, now - timedelta(days=chosen.days), chosen, EXPORTED)
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="audit.exported",
            target=person.team_id,
            detail={"name": name, "days": chosen.days, "person": chosen.actor, "area": chosen.area},
        )
    return name, pictures.audit_csv(entries)
