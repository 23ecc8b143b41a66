"""`training_jobs`: the jobs themselves, their names, tags and records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from functions.model.job import Job, JobChoice, Lineage, NewJob, PresetRecord
from functions.model.progress import Progress
from functions.model.states import TERMINAL, JobState
from infra.postgres.attempts import AttemptsTable
from infra.postgres.lifecycle import LifecycleTable
from infra.postgres.rows import Row

_SELECT = (
    "select j.*, f.name as training_file_name from training_jobs j join training_files f on f.id = j.training_file_id "
)


def _job(row: Row) -> Job:
    values = {name: row[name] for name in Job.model_fields if name in row}
    lineage = None
    if row["parent_id"] is not None:
        lineage = {name: row[name] for name in Lineage.model_fields if name in row} | {"kind": row["lineage"]}
    return Job.model_validate({**values, "state": row["status"], "lineage": lineage})


class JobsTable(LifecycleTable, AttemptsTable):
    """Statements over `training_jobs`; what happens to a job afterwards is in the base classes."""

    def get(self, job_id: UUID, *, lock: bool = False) -> Job | None:
        """One job; `lock` holds its row until the transaction ends."""
        row = (
            self._one(_SELECT + "where j.id = %s for update of j", job_id)
            if lock
            else self._one(_SELECT + "where j.id = %s", job_id)
        )
        return None if row is None else _job(row)

    def keep_draft(self, team_id: str, request_key: str, choice: JobChoice) -> None:
        """Keep what was chosen between the form and the start; the newest choice of a request stays."""
        self._run(
            "insert into job_drafts (team_id, request_key, choice) values (%s, %s, %s)"
            " on conflict (team_id, request_key) do update set choice = excluded.choice",
            team_id,
            request_key,
            Jsonb(choice.model_dump(mode="json")),
        )

    def draft(self, team_id: str, request_key: str) -> JobChoice | None:
        """What was chosen for a request."""
        found = self._value(
            "select choice from job_drafts where team_id = %s and request_key = %s", team_id, request_key
        )
        return None if found is None else JobChoice.model_validate(found)

    def by_request(self, team_id: str, request_key: str) -> Job | None:
        """The job that this very request made, if it did."""
        row = self._one(_SELECT + "where j.team_id = %s and j.request_key = %s", team_id, request_key)
        return None if row is None else _job(row)

    def name_taken(self, team_id: str, name: str) -> bool:
        """Whether a job of the team has the name, upper and lower case alike."""
        found = self._value("select 1 from training_jobs where team_id = %s and lower(name) = lower(%s)", team_id, name)
        return found is not None

    def active_on_file(self, file_id: UUID) -> str | None:
        """The name of the active job on a training file."""
        found = self._value(
            "select name from training_jobs where training_file_id = %s"
            " and status not in ('completed', 'failed', 'cancelled', 'pending_configuration')",
            file_id,
        )
        return None if found is None else str(found)

    def files_in_use(self, team_id: str) -> dict[UUID, str]:
        """The names of the active jobs by the training file that each is on."""
        rows = self._all(
            "select training_file_id, name from training_jobs where team_id = %s"
            " and status not in ('completed', 'failed', 'cancelled', 'pending_configuration')",
            team_id,
        )
        return {row["training_file_id"]: row["name"] for row in rows}

    def insert(self, job: NewJob) -> None:
        """Insert a job as queued."""
        choice, lineage = job.choice, job.lineage
        self._run(
            "insert into training_jobs (id, team_id, training_file_id, request_key, name, description, notes, tags,"
            " client, project, preset, tier, base_model, max_steps, configuration, estimate, rate_cents_per_hour,"
            " status, created_by, channel_id, created_at, parent_id, lineage, retry_number, resume_step, cap_cents)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'queued', %s, %s, %s,"
            " %s, %s, %s, %s, %s)",
            job.id,
            job.team_id,
            job.training_file_id,
            job.request_key,
            choice.name,
            choice.description,
            choice.notes,
            Jsonb(list(choice.tags)),
            choice.client,
            choice.project,
            job.configuration.preset,
            job.configuration.tier,
            job.configuration.base_model,
            choice.max_steps,
            Jsonb(job.configuration.model_dump(mode="json")),
            Jsonb(job.estimate.model_dump(mode="json")),
            job.rate_cents_per_hour,
            job.created_by,
            job.channel_id,
            job.created_at,
            lineage.parent_id if lineage else None,
            lineage.kind if lineage else "",
            lineage.retry_number if lineage else 0,
            lineage.resume_step if lineage else None,
            job.cap_cents,
        )

    def update(
        self,
        job_id: UUID,
        *,
        state: JobState | None = None,
        progress: Progress | None = None,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        recoveries: int | None = None,
        billed_seconds: float | None = None,
        actual_cost_cents: int | None = None,
    ) -> None:
        """Change what is given."""
        changes: dict[str, object] = {
            "status": state.value if state else None,
            "progress": Jsonb(progress.model_dump(mode="json")) if progress else None,
            "started_at": started_at,
            "ended_at": ended_at,
            "recoveries": recoveries,
            "billed_seconds": billed_seconds,
            "actual_cost_cents": actual_cost_cents,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        parts = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in given]
        if parts:
            statement = sql.SQL("update training_jobs set {} where id = %s").format(sql.SQL(", ").join(parts))
            self._connection.execute(statement, [*given.values(), job_id])

    def in_states(self, states: Iterable[JobState]) -> list[Job]:
        """Jobs in any of the states: those moved to the front, the last moved first; then the oldest first."""
        names = [state.value for state in states]
        rows = self._all(
            _SELECT + "where j.status = any(%s) order by j.promoted_at desc nulls last, j.created_at, j.id", names
        )
        return [_job(row) for row in rows]

    def lock_places(self) -> None:
        """Take one's turn, until the transaction ends, at giving waiting jobs their places."""
        self._run("select pg_advisory_xact_lock(hashtext('brightrun places'))")

    def tries_of(self, job_id: UUID) -> list[Job]:
        """The jobs that tried this one again, the oldest first."""
        return [_job(row) for row in self._all(_SELECT + "where j.parent_id = %s order by j.created_at, j.id", job_id)]

    def recent(self, team_id: str, limit: int) -> list[Job]:
        """The team's newest jobs."""
        rows = self._all(_SELECT + "where j.team_id = %s order by j.created_at desc limit %s", team_id, limit)
        return [_job(row) for row in rows]

    def count(self, team_id: str) -> int:
        """How many jobs the team has."""
        return int(self._value("select count(*) from training_jobs where team_id = %s", team_id))

    def preset_records(self, team_id: str) -> dict[str, PresetRecord]:
        """How each preset has done."""
        rows = self._all(
            "select preset, count(*) filter (where status = 'completed') as completed,"
            " count(*) filter (where status = 'failed') as failed"
            " from training_jobs where team_id = %s and status = any(%s) group by preset",
            team_id,
            [state.value for state in TERMINAL],
        )
        return {row["preset"]: PresetRecord(completed=row["completed"], failed=row["failed"]) for row in rows}

    def tags(self, team_id: str) -> list[str]:
        """Tags the team has used."""
        rows = self._all("select name from job_tags where team_id = %s order by name", team_id)
        return [row["name"] for row in rows]

    def clients_used(self, team_id: str) -> list[str]:
        """Names of clients that are set up or that runs carry; upper and lower case are alike."""
        rows = self._all(
            "select distinct on (lower(name)) name from (select name, 0 as rank from clients where team_id = %s"
            " union all select client, 1 from training_jobs where team_id = %s and client <> '') as used"
            " order by lower(name), rank, name",
            team_id,
            team_id,
        )
        return [row["name"] for row in rows]

    def projects_used(self, team_id: str) -> list[str]:
        """Names of projects that runs carry; upper and lower case are alike."""
        rows = self._all(
            "select distinct on (lower(project)) project from training_jobs where team_id = %s and project <> ''"
            " order by lower(project), project",
            team_id,
        )
        return [row["project"] for row in rows]

    def add_tags(self, team_id: str, tags: Iterable[str]) -> None:
        """Remember tags."""
        self._run(
            "insert into job_tags (team_id, name) select %s, unnest(%s::text[]) on conflict do nothing",
            team_id,
            list(tags),
        )
