"""People, the audit log and Slack's deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from psycopg.types.json import Jsonb

from functions.model.people import Role
from infra.postgres.rows import Table


class PeopleTable(Table):
    """The `people` table."""

    def role(self, team_id: str, user_id: str) -> Role | None:
        """The person's role, None for somebody never seen."""
        found = self._value("select role from people where team_id = %s and user_id = %s", team_id, user_id)
        return None if found is None else Role(found)

    def with_roles(self, team_id: str, roles: Iterable[Role]) -> list[str]:
        """Everybody of the team who has one of the roles, by user id."""
        names = [role.value for role in roles]
        rows = self._all(
            "select user_id from people where team_id = %s and role = any(%s) order by user_id", team_id, names
        )
        return [row["user_id"] for row in rows]

    def set_role(self, team_id: str, user_id: str, role: Role) -> None:
        """Give a person a role."""
        self._run(
            "insert into people (team_id, user_id, role) values (%s, %s, %s)"
            " on conflict (team_id, user_id) do update set role = excluded.role",
            team_id,
            user_id,
            role.value,
        )


class AuditTable(Table):
    """The append-only `audit_log`."""

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
        self._run(
            "insert into audit_log (team_id, at, actor, action, target, detail) values (%s, %s, %s, %s, %s, %s)",
            team_id,
            at,
            actor,
            action,
            target,
            Jsonb(detail),
        )


class DeliveriesTable(Table):
    """`slack_deliveries`: what Slack delivered is handled once."""

    def first_time(self, key: str) -> bool:
        """Record the key; False where it was there."""
        done = self._run("insert into slack_deliveries (delivery_key) values (%s) on conflict do nothing", key)
        return done.rowcount == 1
