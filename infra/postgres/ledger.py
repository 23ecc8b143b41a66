"""`budgets` and the append-only `ledger`. A balance is always a sum over entries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.model.money import EntryKind
from infra.postgres.rows import Table


class LedgerTable(Table):
    """Statements over `budgets` and `ledger`. `default_limit_cents` is the limit of a team never seen."""

    default_limit_cents = 0

    def lock_limit(self, team_id: str) -> int:
        """The monthly limit in cents, its row locked until the transaction ends."""
        self._run(
            "insert into budgets (team_id, monthly_limit_cents) values (%s, %s) on conflict do nothing",
            team_id,
            self.default_limit_cents,
        )
        limit = self._value("select monthly_limit_cents from budgets where team_id = %s for update", team_id)
        return int(limit)

    def set_limit(self, team_id: str, cents: int) -> None:
        """Set the monthly limit; the row is locked by the caller."""
        self._run("update budgets set monthly_limit_cents = %s where team_id = %s", cents, team_id)

    def limit(self, team_id: str) -> int:
        """The monthly limit in cents."""
        found = self._value("select monthly_limit_cents from budgets where team_id = %s", team_id)
        return self.default_limit_cents if found is None else int(found)

    def sums(self, team_id: str, since: datetime) -> tuple[int, int]:
        """(spent since then, reserved now) in cents."""
        row = self._one(
            "select coalesce(sum(cents) filter (where kind in ('settle', 'adjust') and at >= %s), 0)::bigint as spent,"
            " coalesce(sum(cents) filter (where kind in ('reserve', 'release')), 0)::bigint as reserved"
            " from ledger where team_id = %s",
            since,
            team_id,
        )
        return (int(row["spent"]), int(row["reserved"])) if row else (0, 0)

    def reserved_for(self, job_id: UUID) -> int:
        """What is still reserved for a job, in cents."""
        return int(
            self._value(
                "select coalesce(sum(cents), 0) from ledger where job_id = %s and kind in ('reserve', 'release')",
                job_id,
            )
        )

    def settled_for(self, job_id: UUID) -> int:
        """What has been settled for a job, in cents."""
        return int(
            self._value("select coalesce(sum(cents), 0) from ledger where job_id = %s and kind = 'settle'", job_id)
        )

    def append(self, *, team_id: str, job_id: UUID | None, kind: EntryKind, cents: int, at: datetime, key: str) -> bool:
        """Append an entry; False where one with this key is there already."""
        done = self._run(
            "insert into ledger (team_id, job_id, kind, cents, at, entry_key) values (%s, %s, %s, %s, %s, %s)"
            " on conflict (entry_key) do nothing",
            team_id,
            job_id,
            kind.value,
            cents,
            at,
            key,
        )
        return done.rowcount == 1
