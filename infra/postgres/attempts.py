"""What happened to a job: `job_attempts`, `job_events`, `training_metrics_history`, `model_artifacts`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from functions.model.alerts import Curve, HeldOutPoint, TrainingPoint
from functions.model.events import Event, HeldOut, Metrics
from functions.model.job import Artifact, Attempt
from functions.model.views import MetricPoint
from infra.postgres.rows import Row, Table


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _artifact(row: Row) -> Artifact:
    return Artifact.model_validate(row)


class AttemptsTable(Table):
    """Statements over what a job's attempts left behind."""

    def begin_attempt(self, job_id: UUID, at: datetime) -> int:
        """Count up and record the next attempt, with which a rest ends; returns its number."""
        number = int(
            self._value(
                "update training_jobs set attempt = attempt + 1, paused_at = null, paused_seconds = paused_seconds"
                " + coalesce(greatest(0, extract(epoch from %s - paused_at)), 0) where id = %s returning attempt",
                at,
                job_id,
            )
        )
        self._run("insert into job_attempts (job_id, attempt, launched_at) values (%s, %s, %s)", job_id, number, at)
        return number

    def set_call(self, job_id: UUID, attempt: int, call_id: str) -> None:
        """Store how the compute knows this attempt."""
        self._run(
            "update job_attempts set call_id = %s where job_id = %s and attempt = %s",
            call_id,
            job_id,
            attempt,
        )

    def end_attempt(self, job_id: UUID, attempt: int, at: datetime) -> float:
        """Mark the attempt ended, once; returns its seconds, 0 if it had ended before."""
        seconds = self._value(
            "update job_attempts set ended_at = greatest(%s, launched_at)"
            " where job_id = %s and attempt = %s and ended_at is null"
            " returning extract(epoch from ended_at - launched_at)::float8",
            at,
            job_id,
            attempt,
        )
        return float(seconds or 0.0)

    def reopen_attempt(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """An ended attempt was started again by its machine's owner: it runs, and is billed, from now on."""
        self._run(
            "update job_attempts set launched_at = %s, last_event_at = %s, ended_at = null"
            " where job_id = %s and attempt = %s and ended_at is not null",
            at,
            at,
            job_id,
            attempt,
        )

    def attempt(self, job_id: UUID, attempt: int) -> Attempt | None:
        """One attempt."""
        row = self._one("select * from job_attempts where job_id = %s and attempt = %s", job_id, attempt)
        return None if row is None else Attempt.model_validate(row)

    def add_events(self, events: Sequence[Event], received_at: datetime) -> list[Event]:
        """Store events of one job and attempt; returns those that were new."""
        first = events[0]
        rows = self._all(
            "insert into job_events (job_id, attempt, seq, at, kind, body)"
            " select %s, %s, e.seq, e.at, e.kind, e.body::jsonb"
            " from unnest(%s::int[], %s::timestamptz[], %s::text[], %s::text[]) as e (seq, at, kind, body)"
            " on conflict do nothing returning seq",
            first.job_id,
            first.attempt,
            [event.seq for event in events],
            [event.at for event in events],
            [event.body.kind for event in events],
            [json.dumps(event.body.model_dump(mode="json")) for event in events],
        )
        self._run(
            "update job_attempts set last_event_at = %s where job_id = %s and attempt = %s",
            received_at,
            first.job_id,
            first.attempt,
        )
        new = {row["seq"] for row in rows}
        return [event for event in events if event.seq in new]

    def add_points(self, job_id: UUID, attempt: int, events: Sequence[Event]) -> None:
        """Write metrics and held-out losses into the history. A later attempt's figures replace earlier ones."""
        metrics = {e.body.step: (e, e.body) for e in events if isinstance(e.body, Metrics)}
        if metrics:
            bodies = [body for _, body in metrics.values()]
            self._run(
                "insert into training_metrics_history (training_job_id, attempt, step, at, training_loss,"
                " learning_rate, grad_norm, tokens_per_second, memory_bytes, gpu_utilization)"
                " select %s, %s, p.* from unnest(%s::int[], %s::timestamptz[], %s::float8[], %s::float8[],"
                " %s::float8[], %s::float8[], %s::bigint[], %s::float8[]) as p"
                " on conflict (training_job_id, step) do update set attempt = excluded.attempt, at = excluded.at,"
                " training_loss = excluded.training_loss, learning_rate = excluded.learning_rate,"
                " grad_norm = excluded.grad_norm, tokens_per_second = excluded.tokens_per_second,"
                " memory_bytes = excluded.memory_bytes, gpu_utilization = excluded.gpu_utilization"
                # What an earlier attempt could not deliver may come late.
                " where training_metrics_history.attempt <= excluded.attempt",
                job_id,
                attempt,
                list(metrics),
                [event.at for event, _ in metrics.values()],
                [_finite(body.loss) for body in bodies],
                [_finite(body.learning_rate) for body in bodies],
                [_finite(body.grad_norm) for body in bodies],
                [_finite(body.tokens_per_second) for body in bodies],
                [body.memory_bytes for body in bodies],
                [_finite(body.gpu_utilization) for body in bodies],
            )
        for event in events:
            if isinstance(event.body, HeldOut):
                self._run(
                    "insert into training_metrics_history (training_job_id, attempt, step, at, validation_loss)"
                    " values (%s, %s, %s, %s, %s) on conflict (training_job_id, step)"
                    " do update set validation_loss = excluded.validation_loss",
                    job_id,
                    attempt,
                    event.body.step,
                    event.at,
                    _finite(event.body.loss),
                )

    def points(self, job_id: UUID, limit: int) -> list[MetricPoint]:
        """The curve, thinned evenly to at most `limit` points; held-out points are all kept."""
        rows = self._all(
            "select step, training_loss, validation_loss as held_out_loss from ("
            "  select *, row_number() over (order by step) as place, count(*) over () as total"
            "  from training_metrics_history where training_job_id = %s) as counted"
            " where validation_loss is not null or place = total or place %% greatest(1, total / %s) = 0 order by step",
            job_id,
            max(1, limit),
        )
        return [MetricPoint.model_validate(row) for row in rows]

    def curve(self, job_id: UUID, *, first: int, recent: int, held_out: int) -> Curve:
        """The first and the last steps of the curve, and the last held-out losses."""
        columns: LiteralString = (
            "select step, attempt, at, training_loss, tokens_per_second, gpu_utilization"
            " from training_metrics_history where training_job_id = %s and training_loss is not null"
        )
        begun = self._all(columns + " order by step limit %s", job_id, first)
        last = self._all(columns + " order by step desc limit %s", job_id, recent)
        measured = self._all(
            "select h.step, h.validation_loss as loss, (select avg(b.training_loss) from"
            "  (select training_loss from training_metrics_history where training_job_id = h.training_job_id"
            "   and step <= h.step and training_loss is not null order by step desc limit 20) b) as training_loss"
            " from training_metrics_history h where h.training_job_id = %s and h.validation_loss is not null"
            " and h.step > 0 order by h.step desc limit %s",
            job_id,
            held_out,
        )
        return Curve(
            first=tuple(TrainingPoint.model_validate(row) for row in begun),
            recent=tuple(TrainingPoint.model_validate(row) for row in reversed(last)),
            held_out=tuple(HeldOutPoint.model_validate(row) for row in reversed(measured)),
        )

    def log_tail(self, job_id: UUID, limit: int) -> list[str]:
        """The last log lines, oldest first."""
        rows = self._all(
            "select body ->> 'message' as message from job_events where job_id = %s and kind = 'log'"
            " order by at desc, seq desc limit %s",
            job_id,
            limit,
        )
        return [row["message"] for row in reversed(rows)]

    def add_artifact(self, artifact: Artifact) -> None:
        """Record a stored result; the same name again replaces it."""
        self._run(
            "insert into model_artifacts (id, job_id, team_id, name, path, size_bytes, sha256, created_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (job_id, name) do update set path = excluded.path,"
            " size_bytes = excluded.size_bytes, sha256 = excluded.sha256, created_at = excluded.created_at",
            artifact.id,
            artifact.job_id,
            artifact.team_id,
            artifact.name,
            artifact.path,
            artifact.size_bytes,
            artifact.sha256,
            artifact.created_at,
        )

    def artifacts(self, job_id: UUID) -> list[Artifact]:
        """A job's stored results with their download counts."""
        rows = self._all(
            "select a.*, (select count(*) from artifact_downloads d where d.artifact_id = a.id) as downloads"
            " from model_artifacts a where job_id = %s order by created_at",
            job_id,
        )
        return [_artifact(row) for row in rows]

    def artifact(self, artifact_id: UUID) -> Artifact | None:
        """One stored result."""
        row = self._one(
            "select a.*, (select count(*) from artifact_downloads d where d.artifact_id = a.id) as downloads"
            " from model_artifacts a where id = %s",
            artifact_id,
        )
        return None if row is None else _artifact(row)

    def count_download(self, artifact_id: UUID, user_id: str, at: datetime, expires_at: datetime) -> None:
        """Record that a link was made for somebody."""
        self._run(
            "insert into artifact_downloads (artifact_id, user_id, at, expires_at) values (%s, %s, %s, %s)",
            artifact_id,
            user_id,
            at,
            expires_at,
        )
