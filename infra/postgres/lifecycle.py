"""What people do to a job after its start: stop requests, pauses, the queue, and jobs that go on from others."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.job import Configuration, RetryRecord, StopRequest
from functions.model.states import TERMINAL
from infra.postgres.rows import Table


class LifecycleTable(Table):
    """Statements over the columns of `training_jobs` that a person's wishes change."""

    def set_stop(self, job_id: UUID, stop: StopRequest | None) -> None:
        """Keep a person's wish that the job stop, or forget it once it has."""
        value = None if stop is None else Jsonb(stop.model_dump(mode="json"))
        self._run("update training_jobs set stop = %s where id = %s", value, job_id)

    def begin_pause(self, job_id: UUID, at: datetime) -> None:
        """From now on the job rests."""
        self._run("update training_jobs set paused_at = %s where id = %s", at, job_id)

    def end_pause(self, job_id: UUID, at: datetime) -> None:
        """Add the rest that ends now to the job's paused time."""
        self._run(
            "update training_jobs set paused_at = null, paused_seconds = paused_seconds"
            " + coalesce(greatest(0, extract(epoch from %s - paused_at)), 0) where id = %s",
            at,
            job_id,
        )

    def change_tier(self, job_id: UUID, configuration: Configuration, rate_cents_per_hour: int) -> None:
        """Bill what comes at another tier's rate; what was billed so far stays as it is."""
        self._run(
            "update training_jobs set configuration = %s, tier = %s, rate_cents_per_hour = %s,"
            " cents_before = actual_cost_cents, seconds_before = billed_seconds where id = %s",
            Jsonb(configuration.model_dump(mode="json")),
            configuration.tier,
            rate_cents_per_hour,
            job_id,
        )

    def promote(self, job_id: UUID, at: datetime) -> None:
        """Put the job before all that wait."""
        self._run("update training_jobs set promoted_at = %s where id = %s", at, job_id)

    def retries_of(self, root_id: UUID) -> int:
        """How many jobs were made by trying this one again, and those again."""
        return int(
            self._value(
                "with recursive line as (select id from training_jobs where id = %s union all"
                " select j.id from training_jobs j join line on j.parent_id = line.id)"
                " select count(*) - 1 from line",
                root_id,
            )
        )

    def retry_record(self, team_id: str, fix_key: str | None = None) -> RetryRecord:
        """How jobs that were tried again have ended; with `fix_key` those of one suggestion alone."""
        row = self._one(
            "select count(*) filter (where status = 'completed') as completed, count(*) as ended from training_jobs"
            " where team_id = %s and parent_id is not null and status = any(%s)"
            " and (%s::text is null or fix_key = %s)",
            team_id,
            [state.value for state in TERMINAL],
            fix_key,
            fix_key,
        )
        return RetryRecord.model_validate(row)
