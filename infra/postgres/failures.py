"""`job_endings`, `retry_suggestions` and `gpu_waits`: what failed with which settings, what helped, who waits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.model.diagnosis import ConfigurationKey, EndingCounts, GpuWait, SuggestionRecord, WaitRecord
from functions.model.job import Job
from infra.postgres.rows import Table


class FailuresTable(Table):
    """Statements over what failed, what was tried against it, and waits for a GPU."""

    def record_ending(self, job: Job, key: ConfigurationKey, *, failure_code: str | None, at: datetime) -> None:
        """A job of this configuration completed (no code) or failed; the same attempt counts once."""
        self._run(
            "insert into job_endings (job_id, attempt, team_id, at, outcome, failure_code, preset, tier, base_model,"
            " batch_size) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            job.id,
            job.attempt,
            job.team_id,
            at,
            "failed" if failure_code else "completed",
            failure_code,
            key.preset,
            key.tier,
            key.base_model,
            key.batch_size,
        )

    def endings(self, team_id: str, key: ConfigurationKey) -> EndingCounts:
        """How the team's jobs of this configuration ended."""
        rows = self._all(
            "select failure_code, count(*)::int as number from job_endings where team_id = %s and preset = %s"
            " and tier = %s and base_model = %s and batch_size = %s group by failure_code",
            team_id,
            key.preset,
            key.tier,
            key.base_model,
            key.batch_size,
        )
        counts = {row["failure_code"]: row["number"] for row in rows}
        return EndingCounts(completed=counts.pop(None, 0), failed=counts)

    def take_suggestion(
        self, failed: Job, key: ConfigurationKey, *, code: str, fix_key: str, retry_job_id: UUID, by: str, at: datetime
    ) -> None:
        """Somebody retries the failed job with a fix; the same choice again changes nothing."""
        self._run(
            "insert into retry_suggestions (team_id, failed_job_id, retry_job_id, failure_code, fix_key, preset, tier,"
            " base_model, batch_size, chosen_by, chosen_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (failed_job_id, retry_job_id, fix_key) do nothing",
            failed.team_id,
            failed.id,
            retry_job_id,
            code,
            fix_key,
            key.preset,
            key.tier,
            key.base_model,
            key.batch_size,
            by,
            at,
        )

    def settle_suggestions(self, retry_job_id: UUID, *, completed: bool, failure_code: str | None) -> None:
        """The retry ended: its fix worked, did not help against its failure, or something else came in between."""
        self._run(
            "update retry_suggestions set outcome = case when %s then 'worked' when failure_code = %s then 'failed'"
            " else 'other' end where retry_job_id = %s and outcome is null",
            completed,
            failure_code,
            retry_job_id,
        )

    def suggestion_records(self, team_id: str, code: str) -> dict[str, SuggestionRecord]:
        """How each fix did against this failure, by its key."""
        rows = self._all(
            "select fix_key, count(*)::int as tried, count(*) filter (where outcome = 'worked')::int as worked"
            " from retry_suggestions where team_id = %s and failure_code = %s and outcome in ('worked', 'failed')"
            " group by fix_key",
            team_id,
            code,
        )
        return {row["fix_key"]: SuggestionRecord(tried=row["tried"], worked=row["worked"]) for row in rows}

    def keep_wait(self, job: Job, wait: GpuWait) -> None:
        """Begin the job's wait, or note how the one that is open goes on."""
        self._run(
            "insert into gpu_waits (job_id, team_id, tier, reason, since, tries, next_try_at, gives_up_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (job_id) where ended_at is null"
            " do update set reason = excluded.reason, tries = excluded.tries, next_try_at = excluded.next_try_at,"
            " gives_up_at = excluded.gives_up_at",
            job.id,
            job.team_id,
            wait.tier,
            wait.reason,
            wait.since,
            wait.tries,
            wait.next_try_at,
            wait.gives_up_at,
        )

    def wait(self, job_id: UUID) -> GpuWait | None:
        """The job's open wait."""
        row = self._one("select * from gpu_waits where job_id = %s and ended_at is null", job_id)
        return None if row is None else GpuWait.model_validate(row)

    def end_wait(self, job_id: UUID, *, served: bool, at: datetime) -> GpuWait | None:
        """Close the open wait, if there is one; returns it."""
        row = self._one(
            "update gpu_waits set ended_at = %s, outcome = %s where job_id = %s and ended_at is null returning *",
            at,
            "served" if served else "given_up",
            job_id,
        )
        return None if row is None else GpuWait.model_validate(row)

    def wait_record(self, tier: str, *, since: datetime, hour: int) -> WaitRecord:
        """How waits for this tier ended since then; those that began within an hour of `hour` (UTC) also apart."""
        row = self._one(
            "select count(*) as waits, count(*) filter (where in_vain) as in_vain,"
            " count(*) filter (where near) as around, count(*) filter (where near and in_vain) as around_in_vain"
            " from (select outcome = 'given_up' as in_vain,"
            "  mod(extract(hour from since at time zone 'UTC')::int - %s + 25, 24) <= 2 as near from gpu_waits"
            "  where tier = %s and since >= %s and (outcome = 'served' or ended_at >= gives_up_at)) as ended",
            hour,
            tier,
            since,
        )
        return WaitRecord.model_validate(row)

    def past_waits(self, tier: str, limit: int) -> list[float]:
        """Seconds that the last waits for this tier took until a GPU was there, newest first."""
        rows = self._all(
            "select extract(epoch from ended_at - since)::float8 as seconds from gpu_waits"
            " where tier = %s and outcome = 'served' order by ended_at desc limit %s",
            tier,
            limit,
        )
        return [row["seconds"] for row in rows]
