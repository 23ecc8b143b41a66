"""What is learned from jobs that have ended: how long they took, how often machines were lost, how quotes did."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.model.estimate import EstimateAccuracy, FinishedRun, InterruptionRecord, Workload
from functions.model.spend import Projection, TrackRecord
from infra.postgres.rows import Row, Table


def _run(row: Row) -> FinishedRun:
    return FinishedRun(
        workload=Workload.model_validate(row["workload"]),
        tokens_per_second=row["tokens_per_second"],
        estimated_seconds=row["estimated_seconds"],
        actual_seconds=row["actual_seconds"],
        lost_seconds=row["lost_seconds"],
    )


class HistoryTable(Table):
    """Statements over ended rows of `training_jobs`, and over `spend_projections`."""

    def finished_runs(self, team_id: str, limit: int) -> list[FinishedRun]:
        """What the team's last completed jobs teach, the oldest first."""
        rows = self._all(
            "select estimate -> 'workload' as workload,"
            " (progress ->> 'mean_tokens_per_second')::float8 as tokens_per_second,"
            " (estimate -> 'seconds' ->> 'expected')::float8 as estimated_seconds,"
            " billed_seconds as actual_seconds, lost.lost_seconds"
            " from training_jobs j join job_interruptions lost on lost.job_id = j.id"
            " where team_id = %s and status = 'completed'"
            # Neither a run that went on from another's checkpoint nor one that changed its tier did the quoted work.
            " and resume_step is null and seconds_before = 0 and jsonb_typeof(estimate -> 'workload') = 'object'"
            " and progress ->> 'mean_tokens_per_second' is not null order by ended_at desc limit %s",
            team_id,
            limit,
        )
        return [_run(row) for row in reversed(rows)]

    def interruptions(self, team_id: str, since: datetime) -> dict[str, InterruptionRecord]:
        """By tier: how often machines were lost in the team's ended jobs, however they ended."""
        rows = self._all(
            "select tier, sum(billed_seconds) / 3600 as billed_hours, sum(lost.interruptions)::int as interruptions,"
            " count(*) as runs, count(*) filter (where status = 'completed') as completed,"
            " count(*) filter (where lost.interruptions > 0) as interrupted_runs,"
            " sum(lost.recoveries)::int as recoveries, sum(lost.lost_seconds) as recovery_seconds"
            " from training_jobs j join job_interruptions lost on lost.job_id = j.id"
            " where team_id = %s and ended_at >= %s group by tier",
            team_id,
            since,
        )
        return {row["tier"]: InterruptionRecord.model_validate(row) for row in rows}

    def launch_seconds(self, since: datetime) -> dict[str, float]:
        """By tier: what machines took from their launch to their first word, in the middle of those launched since."""
        rows = self._all(
            "select j.tier, percentile_cont(0.5) within group"
            " (order by extract(epoch from a.billed_from - a.launched_at)::float8) as seconds"
            " from job_attempts a join training_jobs j on j.id = a.job_id"
            # One that its machine's owner started again begins with a word.
            " where a.launched_at >= %s and a.billed_from > a.launched_at group by j.tier",
            since,
        )
        return {row["tier"]: row["seconds"] for row in rows}

    def accuracy(self, team_id: str, since: datetime) -> dict[str, EstimateAccuracy]:
        """By preset: how the estimates of completed jobs did."""
        rows = self._all(
            "select preset, count(*) as runs, avg(abs(billed_seconds / expected - 1)) as mean_error,"
            " count(*) filter (where billed_seconds between low and high) as in_range"
            " from training_jobs cross join lateral (select (estimate -> 'seconds' ->> 'low')::float8 as low,"
            "  (estimate -> 'seconds' ->> 'expected')::float8 as expected,"
            "  (estimate -> 'seconds' ->> 'high')::float8 as high) as told"
            " where team_id = %s and status = 'completed' and ended_at >= %s and expected > 0"
            " and resume_step is null and seconds_before = 0 group by preset",
            team_id,
            since,
        )
        return {row["preset"]: EstimateAccuracy.model_validate(row) for row in rows}

    def add_projection(self, *, job_id: UUID, team_id: str, progress: int, at: datetime, made: Projection) -> None:
        """Keep what was projected at so many percent; the first one stays."""
        self._run(
            "insert into spend_projections (job_id, team_id, progress, at, spent_cents, best_cents, expected_cents,"
            " worst_cents) values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            job_id,
            team_id,
            progress,
            at,
            made.spent_cents,
            made.best_cents,
            made.expected_cents,
            made.worst_cents,
        )

    def track_record(self, team_id: str, progress: int, since: datetime) -> TrackRecord | None:
        """How projections at this percent did in completed jobs; None while there is none."""
        row = self._one(
            "select count(*) as runs, avg(abs(j.actual_cost_cents::float8 / p.expected_cents - 1)) as mean_error,"
            " count(*) filter (where j.actual_cost_cents between p.best_cents and p.worst_cents) as in_range"
            " from spend_projections p join training_jobs j on j.id = p.job_id"
            " where p.team_id = %s and p.progress = %s and p.at >= %s and j.status = 'completed'"
            " and p.expected_cents > 0 and j.actual_cost_cents > 0",
            team_id,
            progress,
            since,
        )
        return TrackRecord(progress=progress, **row) if row and row["runs"] else None
