"""Who may decide a request, who of them is asked first, and who only when time runs short."""

from __future__ import annotations

from collections.abc import Iterable

from functions.model.approval import Approval
from functions.model.people import Role
from functions.ports import Transaction


def deciders_of(tx: Transaction, request: Approval) -> list[str]:
    """Who may decide a request: everybody of its roles but the one who asked."""
    return _others(tx, request, request.policy.roles)


def asked_first(tx: Transaction, request: Approval) -> list[str]:
    """Who gets a copy at once: those below the admins, or the admins where nobody else may decide."""
    return _others(tx, request, set(request.policy.roles) - {Role.ADMIN}) or deciders_of(tx, request)


def ask_admins(tx: Transaction, request: Approval) -> bool:
    """Give the admins a copy who have none yet; whether there were any."""
    admins = _others(tx, request, set(request.policy.roles) & {Role.ADMIN})
    return tx.approvals.add_copies(request.id, admins) > 0


def _others(tx: Transaction, request: Approval, roles: Iterable[Role]) -> list[str]:
    return [user_id for user_id in tx.people.with_roles(request.team_id, roles) if user_id != request.requested_by]
