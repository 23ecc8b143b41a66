"""`budgets` and the append-only `ledger`. A balance is always a sum over entries."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.budget import DayForecast, JobCost, LimitChange
from functions.model.money import BudgetRules, EntryKind, JobBooked
from functions.model.payments import PaymentBooked
from infra.postgres.rows import Table

# Days and months are told in UTC, whatever the session's zone is.
_RULES = "period, grace_percent, hard_stop, recipients, channel_id, daily_digest"


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

    def rules(self, team_id: str) -> BudgetRules:
        """The team's rules; of a team never seen, those that every team begins with."""
        row = self._one(f"select monthly_limit_cents as limit_cents, {_RULES} from budgets where team_id = %s", team_id)  # noqa: S608 - our own columns
        return BudgetRules.model_validate(row) if row else BudgetRules(limit_cents=self.default_limit_cents)

    def set_rules(self, team_id: str, rules: BudgetRules) -> None:
        """Replace the rules of a team whose row is there."""
        self._run(
            "update budgets set monthly_limit_cents = %s, period = %s, grace_percent = %s, hard_stop = %s,"
            " recipients = %s, channel_id = %s, daily_digest = %s where team_id = %s",
            rules.limit_cents,
            rules.period.value,
            rules.grace_percent,
            rules.hard_stop,
            Jsonb(list(rules.recipients)),
            rules.channel_id,
            rules.daily_digest,
            team_id,
        )

    def add_limit_change(self, team_id: str, change: LimitChange) -> None:
        """Keep what the limit was before and is from now on."""
        self._run(
            "insert into budget_limits (team_id, at, before_cents, limit_cents, changed_by, reason)"
            " values (%s, %s, %s, %s, %s, %s)",
            team_id,
            change.at,
            change.before_cents,
            change.limit_cents,
            change.changed_by,
            change.reason,
        )

    def limit_changes(self, team_id: str) -> list[LimitChange]:
        """Every change of the limit, the oldest first."""
        rows = self._all(
            "select at, before_cents, limit_cents, changed_by, reason from budget_limits where team_id = %s"
            " order by at, id",
            team_id,
        )
        return [LimitChange.model_validate(row) for row in rows]

    def teams(self) -> list[str]:
        """Every team that has a budget or money in the ledger."""
        rows = self._all("select team_id from budgets union select team_id from ledger order by team_id")
        return [row["team_id"] for row in rows]

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

    def top_ups(self, team_id: str) -> list[tuple[date, int]]:
        """What was paid in beforehand, by day, the oldest first.

        What is refunded or disputed is taken back from the day of its top-up.
        """
        rows = self._all(
            "select (at at time zone 'UTC')::date as day, sum(cents)::bigint as cents from"
            " (select l.cents, coalesce(t.at, l.at) as at from ledger l"
            "   left join ledger t on l.kind <> 'top_up' and t.kind = 'top_up' and t.payment_id = l.payment_id"
            "   where l.team_id = %s and l.kind in ('top_up', 'refund', 'dispute', 'reinstate')) as paid"
            " group by 1 order by 1",
            team_id,
        )
        return [(row["day"], int(row["cents"])) for row in rows]

    def months(self, team_id: str, since: datetime) -> list[tuple[date, int]]:
        """Spending by calendar month (its first day) since then, the oldest first; months without any are left out."""
        rows = self._all(
            "select date_trunc('month', at at time zone 'UTC')::date as month, sum(cents)::bigint as cents from ledger"
            " where team_id = %s and kind in ('settle', 'adjust') and at >= %s group by 1 order by 1",
            team_id,
            since,
        )
        return [(row["month"], int(row["cents"])) for row in rows]

    def daily(self, team_id: str, since: datetime, until: datetime) -> list[tuple[date, int]]:
        """Spending by day from then and before the other; days without any are left out."""
        rows = self._all(
            "select (at at time zone 'UTC')::date as day, sum(cents)::bigint as cents from ledger"
            " where team_id = %s and kind in ('settle', 'adjust') and at >= %s and at < %s group by 1 order by 1",
            team_id,
            since,
            until,
        )
        return [(row["day"], int(row["cents"])) for row in rows]

    def job_costs(self, team_id: str, since: datetime) -> list[JobCost]:
        """The jobs of a period: made or settled since then, or holding money now."""
        rows = self._all(
            "select j.id as job_id, j.name, j.status as state, j.created_by, j.client, j.project, j.preset, j.tier,"
            " j.created_at, j.ended_at, coalesce(l.settled, 0)::bigint as settled_cents,"
            " coalesce(l.reserved, 0)::bigint as reserved_cents"
            " from training_jobs j left join (select job_id,"
            "   sum(cents) filter (where kind in ('settle', 'adjust') and at >= %s) as settled,"
            "   sum(cents) filter (where kind in ('reserve', 'release')) as reserved"
            "   from ledger where team_id = %s and job_id is not null group by job_id) l on l.job_id = j.id"
            " where j.team_id = %s and (j.created_at >= %s or l.settled is not null or l.reserved > 0)"
            " order by j.created_at desc",
            since,
            team_id,
            team_id,
            since,
        )
        return [JobCost.model_validate(row) for row in rows]

    def booked_of(self, payment_id: str) -> PaymentBooked:
        """What was booked of one payment."""
        row = self._one(
            "select coalesce(sum(cents) filter (where kind = 'top_up'), 0)::bigint as credited_cents,"
            " coalesce(-sum(cents) filter (where kind = 'refund'), 0)::bigint as refunded_cents,"
            " coalesce(-sum(cents) filter (where kind in ('dispute', 'reinstate')), 0)::bigint as disputed_cents"
            " from ledger where payment_id = %s",
            payment_id,
        )
        return PaymentBooked.model_validate(row)

    def booked_for(self, job_id: UUID) -> JobBooked:
        """What stands in the ledger for a job."""
        row = self._one(
            "select coalesce(sum(cents) filter (where kind in ('reserve', 'release')), 0)::bigint as reserved_cents,"
            " coalesce(sum(cents) filter (where kind = 'settle'), 0)::bigint as settled_cents,"
            " count(*) as entries from ledger where job_id = %s",
            job_id,
        )
        return JobBooked.model_validate(row)

    def append(
        self,
        *,
        team_id: str,
        job_id: UUID | None,
        kind: EntryKind,
        cents: int,
        at: datetime,
        key: str,
        payment_id: str | None = None,
    ) -> bool:
        """Append an entry; False where one with this key is there already."""
        done = self._run(
            "insert into ledger (team_id, job_id, kind, cents, at, entry_key, payment_id)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (entry_key) do nothing",
            team_id,
            job_id,
            kind.value,
            cents,
            at,
            key,
            payment_id,
        )
        return done.rowcount == 1

    def keep_forecast(self, team_id: str, made: DayForecast) -> bool:
        """Keep a day's forecast; False where the day has one already."""
        done = self._run(
            "insert into budget_forecasts (team_id, day, period, spent_cents, best_cents, expected_cents, worst_cents)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            team_id,
            made.day,
            made.period.value,
            made.spent_cents,
            made.best_cents,
            made.expected_cents,
            made.worst_cents,
        )
        return done.rowcount == 1

    def forecasts(self, team_id: str, since: date, before: date) -> list[DayForecast]:
        """The forecasts from one day on and before another, the oldest first."""
        rows = self._all(
            "select day, period, spent_cents, best_cents, expected_cents, worst_cents from budget_forecasts"
            " where team_id = %s and day >= %s and day < %s order by day",
            team_id,
            since,
            before,
        )
        return [DayForecast.model_validate(row) for row in rows]
