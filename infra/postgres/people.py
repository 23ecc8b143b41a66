"""People, the audit log and Slack's deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from psycopg.types.json import Jsonb

from functions.model.budget import AuditEntry, AuditFilter
from functions.model.people import Role
from infra.postgres.rows import Table

_MATCHES = (
    " from audit_log where team_id = %s and at >= %s and (%s = '' or actor = %s)"
    " and (%s = '' or split_part(action, '.', 1) = %s)"
)


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

    def set_role(self, team_id: str, user_id: str, role: Role, *, by: str = "") -> None:
        """Give a person a role; `by` whom, where a person did it."""
        self._run(
            "insert into people (team_id, user_id, role, set_by) values (%s, %s, %s, %s)"
            " on conflict (team_id, user_id) do update set role = excluded.role, set_by = excluded.set_by",
            team_id,
            user_id,
            role.value,
            by,
        )

    def seed_role(self, team_id: str, user_id: str, role: Role) -> None:
        """Give a person a role, unless somebody gave them one in Slack."""
        self._run(
            "insert into people (team_id, user_id, role) values (%s, %s, %s)"
            " on conflict (team_id, user_id) do update set role = excluded.role where people.set_by = ''",
            team_id,
            user_id,
            role.value,
        )

    def roles(self, team_id: str, *, lock: bool = False) -> dict[str, Role]:
        """Everybody's role by user id; `lock` holds the rows until the transaction ends."""
        if lock:
            self._run("select from people where team_id = %s order by user_id for update", team_id)
        rows = self._all("select user_id, role from people where team_id = %s order by user_id", team_id)
        return {row["user_id"]: Role(row["role"]) for row in rows}


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

    def entries(self, team_id: str, since: datetime, chosen: AuditFilter, limit: int) -> list[AuditEntry]:
        """What was written down since then and matches, the newest first."""
        rows = self._all(
            "select id, at, actor, action, target, detail" + _MATCHES + " order by at desc, id desc limit %s",
            team_id,
            since,
            chosen.actor,
            chosen.actor,
            chosen.area,
            chosen.area,
            limit,
        )
        return [AuditEntry.model_validate(row) for row in rows]

    def count(self, team_id: str, since: datetime, chosen: AuditFilter) -> int:
        """How many entries match."""
        return int(
            self._value(
                "select count(*)" + _MATCHES, team_id, since, chosen.actor, chosen.actor, chosen.area, chosen.area
            )
        )

    def areas(self, team_id: str) -> list[str]:
        """The first words of all actions that occur."""
        rows = self._all(
            "select distinct split_part(action, '.', 1) as area from audit_log where team_id = %s order by 1", team_id
        )
        return [row["area"] for row in rows]


class DeliveriesTable(Table):
    """`slack_deliveries`: what Slack delivered is handled once."""

    def first_time(self, key: str) -> bool:
        """Record the key; False where it was there."""
        done = self._run("insert into slack_deliveries (delivery_key) values (%s) on conflict do nothing", key)
        return done.rowcount == 1
