"""Roles: who has which, and changing them. Admins alone may, and never so that nobody could."""

from __future__ import annotations

from collections.abc import Iterable

from functions.access import require
from functions.errors import Conflict, InvalidInput, NotAllowed
from functions.model.people import Permission, Person, Role
from functions.ports import Clock, Database, Transaction

_RANK = {role: rank for rank, role in enumerate(Role)}


def team_roles(tx: Transaction, *, person: Person) -> dict[str, Role]:
    """Everybody who was given a role, the most powerful first.

    Raises:
        NotAllowed: the person is no admin.
    """
    require(person, Permission.MANAGE_ROLES)
    roles = tx.people.roles(person.team_id)
    return dict(sorted(roles.items(), key=lambda item: (-_RANK[item[1]], item[0])))


def change_role(db: Database, *, clock: Clock, person: Person, user_id: str, role: Role, default_role: Role) -> Role:
    """Give somebody a role; returns the one they had. Who asks is looked up again, now that nobody else changes any.

    Raises:
        NotAllowed: the person is no admin, or would raise themselves.
        InvalidInput: nobody is named.
        Conflict: it would leave the team without an admin.
    """
    require(person, Permission.MANAGE_ROLES)
    if not user_id:
        raise InvalidInput("Choose a person.", field="person")
    with db.transaction() as tx:
        roles = tx.people.roles(person.team_id, lock=True)
        own = roles.get(person.user_id, default_role)
        require(person.model_copy(update={"role": own}), Permission.MANAGE_ROLES)
        before = roles.get(user_id, default_role)
        if user_id == person.user_id and _RANK[role] > _RANK[own]:
            raise NotAllowed("Nobody raises their own role.", fix="Ask another admin.")
        admins = [who for who, had in roles.items() if had is Role.ADMIN]
        if admins == [user_id] and role is not Role.ADMIN:
            raise Conflict("This is the last admin.", fix="Make somebody else an admin first.")
        if before is role and user_id in roles:
            return before
        now = clock()
        tx.people.set_role(person.team_id, user_id, role, by=person.user_id)
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="role.changed",
            target=user_id,
            detail={"from": before.value, "to": role.value},
        )
        return before


def seed_managers(tx: Transaction, *, team_id: str, members: Iterable[str]) -> None:
    """Make the members of a user group managers, except where a role was given in Slack or is higher already."""
    roles = tx.people.roles(team_id)
    for user_id in members:
        if roles.get(user_id) is not Role.ADMIN:
            tx.people.seed_role(team_id, user_id, Role.MANAGER)
