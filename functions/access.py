"""Who may do what. Called on the click and again on the submit."""

from __future__ import annotations

from functions.errors import NotAllowed
from functions.model.people import Permission, Person, Role
from functions.ports import Transaction

_NEEDS = {
    Permission.VIEW: "look at jobs",
    Permission.IMPORT_FILES: "add training files",
    Permission.START_JOBS: "start training runs",
    Permission.STOP_JOBS: "stop training runs",
    Permission.PROMOTE_JOBS: "move runs to the front of the queue",
    Permission.DOWNLOAD: "download results",
    Permission.MANAGE_BUDGET: "change the budget",
    Permission.READ_AUDIT: "read the audit log",
    Permission.MANAGE_ROLES: "change roles",
}
# What managers do besides; the permission is the budget's.
TO_INVOICE = "invoice clients"
TO_OVERRIDE = "pass the budget's limit"


def identify(tx: Transaction, *, team_id: str, user_id: str, default_role: Role) -> Person:
    """The person with their role; somebody never seen has the default role."""
    role = tx.people.role(team_id, user_id) or default_role
    return Person(team_id=team_id, user_id=user_id, role=role)


def require(person: Person, permission: Permission, *, to: str = "") -> None:
    """Let the person pass, or say why not. `to` says what they wanted, where the permission covers several things.

    Raises:
        NotAllowed: the role does not include the permission.
    """
    if not person.may(permission):
        raise NotAllowed(
            f"Your role, {person.role.value}, may not {to or _NEEDS[permission]}.",
            fix="An admin of Bright Run can change your role.",
        )
