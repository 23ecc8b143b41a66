"""`job_attempts`: each launch of a job, from its beginning until its machine is known to be gone."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.model.job import Attempt
from functions.model.states import JobState
from infra.postgres.rows import Table


class MachinesTable(Table):
    """Statements over a job's attempts and the machines that they have."""

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
        """Store how the compute knows this attempt, which is looked after from its launch on."""
        self._run(
            "update job_attempts set call_id = %s, launch_failing_since = null, launch_failed_at = null,"
            " watched_since = launched_at, seen_at = launched_at"
            " where job_id = %s and attempt = %s",
            call_id,
            job_id,
            attempt,
        )

    def launch_failed(self, job_id: UUID, attempt: int, *, since: datetime, at: datetime) -> None:
        """Note that launching the attempt failed, for the first time in a row at `since`."""
        self._run(
            "update job_attempts set launch_failing_since = %s, launch_failed_at = %s"
            " where job_id = %s and attempt = %s",
            since,
            at,
            job_id,
            attempt,
        )

    def end_attempt(self, job_id: UUID, attempt: int, at: datetime) -> float:
        """Mark the attempt ended, once; returns the seconds since its first word, 0 if it had ended before."""
        seconds = self._value(
            "update job_attempts set ended_at = greatest(%s, launched_at, billed_from)"
            " where job_id = %s and attempt = %s and ended_at is null"
            " returning extract(epoch from ended_at - billed_from)::float8",
            at,
            job_id,
            attempt,
        )
        return float(seconds or 0.0)

    def reopen_attempt(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """An ended attempt was started again by its machine's owner: it runs, and is billed, from then on."""
        self._run(
            "update job_attempts set launched_at = greatest(%s, ended_at), billed_from = greatest(%s, ended_at),"
            " last_word_at = greatest(%s, ended_at), ended_at = null, gone_at = null"
            " where job_id = %s and attempt = %s and ended_at is not null",
            at,
            at,
            at,
            job_id,
            attempt,
        )

    def note_words(self, job_id: UUID, attempt: int, *, first: datetime | None, last: datetime) -> None:
        """The attempt, if it has not ended, spoke between these times of its own clock: that long it has lived.

        Without `first` all that was said is that it is over.
        """
        self._run(
            "update job_attempts set"
            " billed_from = greatest(launched_at, coalesce(least(billed_from, %s::timestamptz), %s::timestamptz)),"
            " last_word_at = greatest(launched_at, last_word_at, %s)"
            " where job_id = %s and attempt = %s and ended_at is null",
            first,
            last,
            last,
            job_id,
            attempt,
        )

    def note_seen(self, job_id: UUID, attempt: int, *, since: datetime, at: datetime) -> None:
        """The attempt was seen to run, and has been looked after without a gap since then."""
        self._run(
            "update job_attempts set watched_since = %s, seen_at = %s where job_id = %s and attempt = %s",
            since,
            at,
            job_id,
            attempt,
        )

    def lingering(self, since: datetime) -> list[tuple[Attempt, JobState]]:
        """Attempts that were launched, ended since then, and whose machine is not known to be gone; their jobs' states.

        Without those of interrupted jobs: their machine's owner may start them again.
        """
        rows = self._all(
            "select a.*, j.status from job_attempts a join training_jobs j on j.id = a.job_id"
            " where a.call_id <> '' and a.gone_at is null and a.ended_at > %s"
            " and (j.status <> 'interrupted' or a.attempt < j.attempt) order by a.ended_at",
            since,
        )
        return [(Attempt.model_validate(row), JobState(row["status"])) for row in rows]

    def note_gone(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """The machine of an attempt is known to be gone."""
        self._run(
            "update job_attempts set gone_at = %s where job_id = %s and attempt = %s and ended_at is not null",
            at,
            job_id,
            attempt,
        )

    def attempt(self, job_id: UUID, attempt: int) -> Attempt | None:
        """One attempt."""
        row = self._one("select * from job_attempts where job_id = %s and attempt = %s", job_id, attempt)
        return None if row is None else Attempt.model_validate(row)
