"""Who is here, what they did, and what Slack has delivered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from functions.model.budget import AuditEntry, AuditFilter
from functions.model.people import Role


class People(Protocol):
    """The `people` table."""

    def role(self, team_id: str, user_id: str) -> Role | None:
        """The person's role, None for somebody never seen."""
        ...

    def with_roles(self, team_id: str, roles: Iterable[Role]) -> list[str]:
        """Everybody of the team who has one of the roles, by user id."""
        ...

    def set_role(self, team_id: str, user_id: str, role: Role, *, by: str = "") -> None:
        """Give a person a role; `by` whom, where a person did it."""
        ...

    def seed_role(self, team_id: str, user_id: str, role: Role) -> None:
        """Give a person a role, unless somebody gave them one in Slack."""
        ...

    def roles(self, team_id: str, *, lock: bool = False) -> dict[str, Role]:
        """Everybody's role by user id; `lock` holds the rows until the transaction ends."""
        ...


class Audit(Protocol):
    """The append-only audit log."""

    def append(
        self,
        *,
        team_id: str,
        at: datetime,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, str | int],
    ) -> None:
        """Write down who did what."""
        ...

    def entries(self, team_id: str, since: datetime, chosen: AuditFilter, limit: int) -> list[AuditEntry]:
        """What was written down since then and matches, the newest first."""
        ...

    def count(self, team_id: str, since: datetime, chosen: AuditFilter) -> int:
        """How many entries match."""
        ...

    def areas(self, team_id: str) -> list[str]:
        """The first words of all actions that occur."""
        ...


class Deliveries(Protocol):
    """`slack_deliveries`: what Slack delivered is handled once."""

    def first_time(self, key: str) -> bool:
        """Record the key; False where it was there."""
        ...
