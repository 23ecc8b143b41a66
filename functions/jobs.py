"""What people see of jobs: the card, the list, the details, App Home."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from functions.budget import budget_status
from functions.errors import NotFound
from functions.model.events import Stage
from functions.model.job import Job
from functions.model.people import Person
from functions.model.spend import Advice, TrackRecord
from functions.model.states import ACTIVE, RUNNING, JobState
from functions.model.views import CardView, HomeView, JobDetailsView, JobLine, JobListView
from functions.ports import Transaction
from functions.spend import advise, project, record_mark, spend_of

# FR2.1.2: how much of the bar each stage fills.
_SHARE = {
    Stage.PREPROCESSING: 0.02,
    Stage.MODEL_LOADING: 0.08,
    Stage.TRAINING: 0.85,
    Stage.FINALIZATION: 0.05,
}
_POINTS_SHOWN = 12
_LOG_LINES = 8
_LISTED = 10
_RECORD_SPAN = timedelta(days=180)


def get_job(tx: Transaction, *, team_id: str, job_id: UUID) -> Job:
    """The team's job.

    Raises:
        NotFound: there is none in this team.
    """
    job = tx.jobs.get(job_id)
    if job is None or job.team_id != team_id:
        raise NotFound("There is no such job in this workspace.")
    return job


def card_view(tx: Transaction, *, job: Job, now: datetime) -> CardView:
    """The card of a job as it stands."""
    spend = spend_of(job, now=now, running_since=running_since(tx, job))
    elapsed = ((job.ended_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    remaining = remaining_seconds(job, now)
    fraction = fraction_done(job)
    record = projection = None
    if remaining is not None:
        record = projection_record(tx, job=job, fraction=fraction, now=now)
        projection = project(job, spent_cents=spend.total_cents, remaining_seconds=remaining, record=record)
    artifacts = tx.jobs.artifacts(job.id)
    return CardView(
        job=job,
        now=now,
        elapsed_seconds=max(0.0, elapsed),
        remaining_seconds=remaining,
        done_at=now + timedelta(seconds=remaining) if remaining is not None else None,
        fraction=fraction,
        spent_cents=spend.total_cents,
        projected_cents=projection.expected_cents if projection else None,
        artifact=artifacts[-1] if artifacts else None,
        can_retry=job.state is JobState.FAILED,
        spend=spend,
        projection=projection,
        track_record=record,
        advice=advise(job, projection, fraction=fraction) if projection else Advice.NOTHING,
    )


def fraction_done(job: Job) -> float:
    """Share of the work that is done, 0 to 1, by the stages' shares and the steps within training."""
    if job.state is JobState.COMPLETED:
        return 1.0
    plan, step = job.progress.plan, job.progress.step
    done = 0.0
    for item in job.progress.stages:
        # After a recovery the first stages are gone through once more; the steps that are kept still count.
        prepared = step > 0 and item.stage in (Stage.PREPROCESSING, Stage.MODEL_LOADING)
        if item.status == "complete" or prepared:
            done += _SHARE[item.stage]
        elif item.stage is Stage.TRAINING and plan:
            done += _SHARE[item.stage] * min(1.0, step / max(1, plan.total_steps))
    return min(done, 0.99)


def remaining_seconds(job: Job, now: datetime) -> float | None:
    """Seconds until the end: from this run's own pace once it trains, from the estimate before."""
    if job.state not in RUNNING:
        return None
    estimate = job.estimate.seconds.expected
    plan, training = job.progress.plan, job.progress.stage(Stage.TRAINING)
    seconds, step = training.attempt_seconds(now), job.progress.step
    tail = estimate * _SHARE[Stage.FINALIZATION]
    if plan and seconds and step and training.status != "pending":
        first = _first_step_of_attempt(job)
        pace = seconds / max(1, step - first)
        return max(0.0, (plan.total_steps - step) * pace) + tail
    elapsed = (now - job.started_at).total_seconds() if job.started_at else 0.0
    return max(tail, estimate - elapsed)


def _first_step_of_attempt(job: Job) -> int:
    past = job.progress.interruptions
    return past[-1].resumed_step or 0 if past and past[-1].resumed_at else 0


def running_since(tx: Transaction, job: Job) -> datetime | None:
    """When the attempt that runs was launched; None where none does."""
    attempt = tx.jobs.attempt(job.id, job.attempt) if job.state in RUNNING else None
    return attempt.launched_at if attempt and attempt.ended_at is None else None


def projection_record(tx: Transaction, *, job: Job, fraction: float, now: datetime) -> TrackRecord | None:
    """How the team's earlier projections did about as far on the way; None while there are none."""
    return tx.history.track_record(job.team_id, record_mark(fraction), now - _RECORD_SPAN)


def _spent(tx: Transaction, job: Job, now: datetime) -> int:
    return spend_of(job, now=now, running_since=running_since(tx, job)).total_cents


def _line(tx: Transaction, job: Job, now: datetime) -> JobLine:
    return JobLine(job=job, fraction=fraction_done(job), spent_cents=_spent(tx, job, now))


def job_list(tx: Transaction, *, team_id: str, now: datetime) -> JobListView:
    """The team's newest jobs."""
    lines = tuple(_line(tx, job, now) for job in tx.jobs.recent(team_id, _LISTED))
    return JobListView(lines=lines, total=tx.jobs.count(team_id), now=now)


def job_details(tx: Transaction, *, team_id: str, job_id: UUID, now: datetime) -> JobDetailsView:
    """Everything about one job.

    Raises:
        NotFound: there is none in this team.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id)
    return JobDetailsView(
        card=card_view(tx, job=job, now=now),
        file=tx.files.get(team_id, job.training_file_id),
        points=tuple(tx.jobs.points(job.id, _POINTS_SHOWN)),
        log=tuple(tx.jobs.log_tail(job.id, _LOG_LINES)),
        artifacts=tuple(tx.jobs.artifacts(job.id)),
    )


def home(tx: Transaction, *, person: Person, now: datetime) -> HomeView:
    """App Home of a person."""
    recent = tx.jobs.recent(person.team_id, 20)
    active = [job for job in recent if job.state in ACTIVE]
    ended = [job for job in recent if job.state not in ACTIVE]
    return HomeView(
        person=person,
        active=tuple(_line(tx, job, now) for job in active),
        recent=tuple(_line(tx, job, now) for job in ended[:5]),
        files=len(tx.files.search(person.team_id, "", 100)),
        budget=budget_status(tx, team_id=person.team_id, now=now),
        now=now,
    )
