"""What people do to a job after its start: stop requests, pauses, the queue, and jobs that go on from others."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.estimate import Estimate
from functions.model.job import Configuration, RetryRecord, StopRequest
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

    def change_tier(
        self, job_id: UUID, configuration: Configuration, rate_cents_per_hour: int, estimate: Estimate
    ) -> None:
        """Bill what comes at another tier's rate; what was billed so far stays as it is."""
        self._run(
            "update training_jobs set configuration = %s, tier = %s, rate_cents_per_hour = %s, estimate = %s,"
            " cents_before = actual_cost_cents, seconds_before = billed_seconds where id = %s",
            Jsonb(configuration.model_dump(mode="json")),
            configuration.tier,
            rate_cents_per_hour,
            Jsonb(estimate.model_dump(mode="json")),
            job_id,
        )

    def promote(self, job_id: UUID, at: datetime) -> None:
        """Put the job before all that wait."""
        self._run("update training_jobs set promoted_at = %s where id = %s", at, job_id)

    def tries_again(self, job_id: UUID) -> int:
        """How many jobs were made by trying again, in the whole line that this one stands in."""
        row = self._one(
            "with recursive up as (select id, parent_id from training_jobs where id = %s union all"
            "  select j.id, j.parent_id from training_jobs j join up on j.id = up.parent_id),"
            " line as (select id from up where parent_id is null union all"
            "  select j.id from training_jobs j join line on j.parent_id = line.id)"
            " select greatest(count(*) - 1, 0) as made from line",
            job_id,
        )
        return int(row["made"]) if row else 0

    def retry_record(self, team_id: str) -> RetryRecord:
        """How jobs that were tried again have ended."""
        row = self._one(
            "select count(*) filter (where status = 'completed') as completed, count(*) as ended from training_jobs"
            " where team_id = %s and parent_id is not null and status in ('completed', 'failed')",
            team_id,
        )
        return RetryRecord.model_validate(row)

    def copy_points(self, parent_id: UUID, job_id: UUID, *, up_to: int) -> None:
        """Give a job that goes on from another one the curve up to where it goes on."""
        self._run(
            "insert into training_metrics_history (training_job_id, step, attempt, at, training_loss, validation_loss,"
            " learning_rate, grad_norm, tokens_per_second, memory_bytes, gpu_utilization)"
            " select %s, step, 0, at, training_loss, validation_loss, learning_rate, grad_norm, tokens_per_second,"
            " memory_bytes, gpu_utilization from training_metrics_history where training_job_id = %s and step <= %s"
            " on conflict do nothing",
            job_id,
            parent_id,
            up_to,
        )
