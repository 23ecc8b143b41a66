"""What people see of jobs: the card, the list, the details, App Home."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from functions import catalog
from functions.accrued import job_cents_now, running_since
from functions.alerting import current_alerts, expected_seconds
from functions.budget import budget_status
from functions.failure_history import diagnosis_of
from functions.find_job import get_job
from functions.gpu_wait import open_wait
from functions.lineage import family_of
from functions.model.job import Job
from functions.model.lineage import Family
from functions.model.people import Person
from functions.model.spend import Advice, TrackRecord
from functions.model.states import ACTIVE, IN_QUEUE, TERMINAL, JobState
from functions.model.views import CardView, HomeView, JobDetailsView, JobLine, JobListView, QueueLimits
from functions.pace import elapsed_seconds, fraction_done, remaining_seconds, rested_seconds
from functions.ports import Transaction
from functions.queue import queue
from functions.spend import advise, project, record_mark, spend_of

_POINTS_SHOWN = 12
_LOG_LINES = 8
_LISTED = 10
_WAITS_SHOWN = 5
_WAITS_SPAN = timedelta(days=90)
_RECORD_SPAN = timedelta(days=180)


def card_view(tx: Transaction, *, job: Job, now: datetime, limits: QueueLimits) -> CardView:
    """The card of a job as it stands."""
    spend = spend_of(job, now=now, running_since=running_since(tx, job))
    remaining = remaining_seconds(job, now)
    fraction = fraction_done(job)
    record = projection = None
    if remaining is not None:
        record = projection_record(tx, job=job, fraction=fraction, now=now)
        projection = project(job, spent_cents=spend.total_cents, remaining_seconds=remaining, record=record)
    artifacts = tx.jobs.artifacts(job.id)
    waiting = queue(tx, limits=limits, now=now) if job.state in IN_QUEUE else ()
    wait = open_wait(tx, job)
    family = family_of(tx, job)
    provider, model = catalog.tier(job.configuration.tier).provider, job.configuration.base_model
    return CardView(
        job=job,
        now=now,
        elapsed_seconds=elapsed_seconds(job, now),
        paused_seconds=rested_seconds(job, now),
        remaining_seconds=remaining,
        done_at=now + timedelta(seconds=remaining) if remaining is not None else None,
        fraction=fraction,
        spent_cents=spend.total_cents,
        projected_cents=projection.expected_cents if projection else None,
        artifact=artifacts[-1] if artifacts else None,
        can_retry=job.state is JobState.FAILED and not _tried_again(family),
        can_switch=wait is not None and len(catalog.tiers_for(provider, model)) > 1,
        queued=next((entry for entry in waiting if entry.job.id == job.id), None),
        diagnosis=diagnosis_of(tx, job=job),
        wait=wait,
        alerts=current_alerts(tx, job=job, now=now),
        wait_record=tx.failures.wait_record(wait.tier, since=now - _WAITS_SPAN, hour=now.hour) if wait else None,
        past_waits=tuple(tx.failures.past_waits(wait.tier, _WAITS_SHOWN)) if wait else (),
        spend=spend,
        projection=projection,
        track_record=record,
        advice=advise(job, projection, fraction=fraction) if projection else Advice.NOTHING,
        family=family,
        expected_seconds=expected_seconds(job) if job.state not in TERMINAL else {},
    )


def _tried_again(family: Family | None) -> bool:
    """Whether a try of the job is under way, or has done what it failed at."""
    ended_in_vain = (JobState.FAILED, JobState.CANCELLED)
    return family is not None and any(item.state not in ended_in_vain for item in family.tries)


def projection_record(tx: Transaction, *, job: Job, fraction: float, now: datetime) -> TrackRecord | None:
    """How the team's earlier projections did about as far on the way; None while there are none."""
    return tx.history.track_record(job.team_id, record_mark(fraction), now - _RECORD_SPAN)


def _line(tx: Transaction, job: Job, now: datetime) -> JobLine:
    return JobLine(
        job=job,
        fraction=fraction_done(job),
        spent_cents=job_cents_now(tx, job=job, now=now),
        waits_for_gpu=open_wait(tx, job) is not None,
        preset=catalog.preset_name(job.configuration.preset),
        machine=catalog.tier_name(job.configuration.tier),
    )


def job_list(tx: Transaction, *, team_id: str, now: datetime, limits: QueueLimits) -> JobListView:
    """The team's newest jobs, and its queue."""
    lines = tuple(_line(tx, job, now) for job in tx.jobs.recent(team_id, _LISTED))
    waiting = tuple(entry for entry in queue(tx, limits=limits, now=now) if entry.job.team_id == team_id)
    return JobListView(lines=lines, total=tx.jobs.count(team_id), now=now, queue=waiting, limits=limits)


def job_details(tx: Transaction, *, team_id: str, job_id: UUID, now: datetime, limits: QueueLimits) -> JobDetailsView:
    """Everything about one job.

    Raises:
        NotFound: there is none in this team.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id)
    return JobDetailsView(
        card=card_view(tx, job=job, now=now, limits=limits),
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
