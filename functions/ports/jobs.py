"""Training files, jobs, and what is learned from those that ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from functions.model.alerts import Curve
from functions.model.diagnosis import ConfigurationKey, EndingCounts, GpuWait, SuggestionRecord, WaitRecord
from functions.model.estimate import Estimate, EstimateAccuracy, FinishedRun, InterruptionRecord
from functions.model.events import Event
from functions.model.job import (
    Artifact,
    Attempt,
    Configuration,
    Job,
    JobChoice,
    NewJob,
    PresetRecord,
    RetryRecord,
    StopRequest,
)
from functions.model.progress import Progress
from functions.model.spend import Projection, TrackRecord
from functions.model.states import JobState
from functions.model.training_file import TrainingFile
from functions.model.views import MetricPoint


class TrainingFiles(Protocol):
    """The `training_files` table."""

    def get(self, team_id: str, file_id: UUID) -> TrainingFile | None:
        """One file of the team."""
        ...

    def by_content(self, team_id: str, sha256: str) -> TrainingFile | None:
        """The active file with these very bytes."""
        ...

    def search(self, team_id: str, text: str, limit: int) -> list[TrainingFile]:
        """Active files whose name contains the text, newest first."""
        ...

    def add(self, file: TrainingFile) -> None:
        """Insert a file."""
        ...


class Jobs(Protocol):
    """`training_jobs`, `job_attempts`, `job_events`, `training_metrics_history`, `model_artifacts`."""

    def get(self, job_id: UUID, *, lock: bool = False) -> Job | None:
        """One job; `lock` holds its row until the transaction ends."""
        ...

    def keep_draft(self, team_id: str, request_key: str, choice: JobChoice) -> None:
        """Keep what was chosen between the form and the start; the newest choice of a request stays."""
        ...

    def draft(self, team_id: str, request_key: str) -> JobChoice | None:
        """What was chosen for a request."""
        ...

    def by_request(self, team_id: str, request_key: str) -> Job | None:
        """The job that this very request made, if it did."""
        ...

    def name_taken(self, team_id: str, name: str) -> bool:
        """Whether a job of the team has the name, upper and lower case alike."""
        ...

    def active_on_file(self, file_id: UUID) -> str | None:
        """The name of the active job on a training file."""
        ...

    def files_in_use(self, team_id: str) -> dict[UUID, str]:
        """The names of the active jobs by the training file that each is on."""
        ...

    def insert(self, job: NewJob) -> None:
        """Insert a job as queued."""
        ...

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
        ...

    def in_states(self, states: Iterable[JobState]) -> list[Job]:
        """Jobs in any of the states: those moved to the front, the last moved first; then the oldest first."""
        ...

    def lock_places(self) -> None:
        """Take one's turn, until the transaction ends, at giving waiting jobs their places."""
        ...

    def set_stop(self, job_id: UUID, stop: StopRequest | None) -> None:
        """Keep a person's wish that the job stop, or forget it once it has."""
        ...

    def begin_pause(self, job_id: UUID, at: datetime) -> None:
        """From now on the job rests."""
        ...

    def end_pause(self, job_id: UUID, at: datetime) -> None:
        """Add the rest that ends now to the job's paused time."""
        ...

    def change_tier(
        self, job_id: UUID, configuration: Configuration, rate_cents_per_hour: int, estimate: Estimate
    ) -> None:
        """Bill what comes at another tier's rate; what was billed so far stays as it is."""
        ...

    def promote(self, job_id: UUID, at: datetime) -> None:
        """Put the job before all that wait."""
        ...

    def tries_again(self, job_id: UUID) -> int:
        """How many jobs were made by trying again, in the whole line that this one stands in."""
        ...

    def retry_record(self, team_id: str) -> RetryRecord:
        """How jobs that were tried again have ended."""
        ...

    def tries_of(self, job_id: UUID) -> list[Job]:
        """The jobs that tried this one again, the oldest first."""
        ...

    def copy_points(self, parent_id: UUID, job_id: UUID, *, up_to: int) -> None:
        """Give a job that goes on from another one the curve up to where it goes on."""
        ...

    def recent(self, team_id: str, limit: int) -> list[Job]:
        """The team's newest jobs."""
        ...

    def count(self, team_id: str) -> int:
        """How many jobs the team has."""
        ...

    def begin_attempt(self, job_id: UUID, at: datetime) -> int:
        """Count up and record the next attempt, with which a rest ends; returns its number."""
        ...

    def set_call(self, job_id: UUID, attempt: int, call_id: str) -> None:
        """Store how the compute knows this attempt."""
        ...

    def launch_failed(self, job_id: UUID, attempt: int, *, since: datetime, at: datetime) -> None:
        """Note that launching the attempt failed, for the first time in a row at `since`."""
        ...

    def end_attempt(self, job_id: UUID, attempt: int, at: datetime) -> float:
        """Mark the attempt ended, once; returns the seconds since its first word, 0 if it had ended before."""
        ...

    def reopen_attempt(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """An ended attempt was started again by its machine's owner: it runs, and is billed, from then on."""
        ...

    def note_words(self, job_id: UUID, attempt: int, *, first: datetime | None, last: datetime) -> None:
        """The attempt, if it has not ended, spoke between these times of its own clock: that long it has lived.

        Without `first` all that was said is that it is over.
        """
        ...

    def note_seen(self, job_id: UUID, attempt: int, *, since: datetime, at: datetime) -> None:
        """The attempt was seen to run, and has been looked after without a gap since then."""
        ...

    def lingering(self, since: datetime) -> list[tuple[Attempt, JobState]]:
        """Attempts that were launched, ended since then, and whose machine is not known to be gone; their jobs' states.

        Without those of interrupted jobs: their machine's owner may start them again.
        """
        ...

    def note_gone(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """The machine of an attempt is known to be gone."""
        ...

    def attempt(self, job_id: UUID, attempt: int) -> Attempt | None:
        """One attempt."""
        ...

    def add_events(self, events: Sequence[Event], received_at: datetime) -> list[Event]:
        """Store events of one job and attempt; returns those that were new."""
        ...

    def add_points(self, job_id: UUID, attempt: int, events: Sequence[Event]) -> None:
        """Write metrics and held-out losses into the history."""
        ...

    def points(self, job_id: UUID, limit: int) -> list[MetricPoint]:
        """The curve, thinned evenly to at most `limit` points; held-out points are all kept."""
        ...

    def curve(self, job_id: UUID, *, first: int, recent: int, held_out: int) -> Curve:
        """The first and the last steps of the curve, and the last held-out losses."""
        ...

    def log_tail(self, job_id: UUID, limit: int) -> list[str]:
        """The last log lines, oldest first."""
        ...

    def add_artifact(self, artifact: Artifact) -> None:
        """Record a stored result; the same name again replaces it."""
        ...

    def artifacts(self, job_id: UUID) -> list[Artifact]:
        """A job's stored results with their download counts."""
        ...

    def artifact(self, artifact_id: UUID) -> Artifact | None:
        """One stored result."""
        ...

    def count_download(self, artifact_id: UUID, user_id: str, at: datetime, expires_at: datetime) -> None:
        """Record that a link was made for somebody."""
        ...

    def preset_records(self, team_id: str) -> dict[str, PresetRecord]:
        """How each preset has done."""
        ...

    def tags(self, team_id: str) -> list[str]:
        """Tags the team has used."""
        ...

    def clients_used(self, team_id: str) -> list[str]:
        """Names of clients that are set up or that runs carry; upper and lower case are alike."""
        ...

    def projects_used(self, team_id: str) -> list[str]:
        """Names of projects that runs carry; upper and lower case are alike."""
        ...

    def add_tags(self, team_id: str, tags: Iterable[str]) -> None:
        """Remember tags."""
        ...


class History(Protocol):
    """What is learned from ended jobs, and `spend_projections`."""

    def finished_runs(self, team_id: str, limit: int) -> list[FinishedRun]:
        """What the team's last completed jobs teach, the oldest first."""
        ...

    def interruptions(self, team_id: str, since: datetime) -> dict[str, InterruptionRecord]:
        """By tier: how often machines were lost in the team's ended jobs, however they ended."""
        ...

    def launch_seconds(self, since: datetime) -> dict[str, float]:
        """By tier: what machines took from their launch to their first word, in the middle of those launched since."""
        ...

    def accuracy(self, team_id: str, since: datetime) -> dict[str, EstimateAccuracy]:
        """By preset: how the estimates of completed jobs did."""
        ...

    def add_projection(self, *, job_id: UUID, team_id: str, progress: int, at: datetime, made: Projection) -> None:
        """Keep what was projected at so many percent; the first one stays."""
        ...

    def track_record(self, team_id: str, progress: int, since: datetime) -> TrackRecord | None:
        """How projections at this percent did in completed jobs; None while there is none."""
        ...


class Failures(Protocol):
    """`job_endings`, `retry_suggestions` and `gpu_waits`."""

    def record_ending(self, job: Job, key: ConfigurationKey, *, failure_code: str | None, at: datetime) -> None:
        """A job of this configuration completed (no code) or failed; the same attempt counts once."""
        ...

    def endings(self, team_id: str, key: ConfigurationKey) -> EndingCounts:
        """How the team's jobs of this configuration ended."""
        ...

    def take_suggestion(
        self, failed: Job, key: ConfigurationKey, *, code: str, fix_key: str, retry_job_id: UUID, by: str, at: datetime
    ) -> None:
        """Somebody retries the failed job with a fix; the same choice again changes nothing."""
        ...

    def settle_suggestions(self, retry_job_id: UUID, *, completed: bool, failure_code: str | None) -> None:
        """The retry ended: its fix worked, did not help against its failure, or something else came in between."""
        ...

    def suggestion_records(self, team_id: str, code: str) -> dict[str, SuggestionRecord]:
        """How each fix did against this failure, by its key."""
        ...

    def keep_wait(self, job: Job, wait: GpuWait) -> None:
        """Begin the job's wait for a GPU, or note how the one that is open goes on."""
        ...

    def wait(self, job_id: UUID) -> GpuWait | None:
        """The job's open wait."""
        ...

    def end_wait(self, job_id: UUID, *, served: bool, at: datetime) -> GpuWait | None:
        """Close the open wait, if there is one; returns it."""
        ...

    def wait_record(self, tier: str, *, since: datetime, hour: int) -> WaitRecord:
        """How waits for this tier ended since then; those that began within an hour of `hour` (UTC) also apart."""
        ...

    def past_waits(self, tier: str, limit: int) -> list[float]:
        """Seconds that the last waits for this tier took until a GPU was there, newest first."""
        ...
