"""What people do to a job after its start: cancel it, pause it, let it go on, move it to the front.

A job that has a machine is not stopped here: the wish is kept with the job, and `reconcile` ends the machine.
So a wish outlives any process, and a job that ends by itself meanwhile has simply ended.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions import catalog
from functions.access import require
from functions.budget import budget_status, reserve
from functions.errors import Conflict, InvalidInput
from functions.find_job import get_job
from functions.ingest import move
from functions.model.job import CANCEL_REASONS, Job, StopKind, StopRequest
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.model.states import RUNNING, TERMINAL, JobState
from functions.model.views import ResumeView
from functions.pace import fraction_done
from functions.ports import Clock, Database, Transaction
from functions.queue import move_to_front

# What another try at the last stages costs at least, however little of the training is left.
_LEAST_REST = 0.1
NOTES_MAX = 500


def cancel_job(db: Database, *, clock: Clock, person: Person, job_id: UUID, reason: str, notes: str = "") -> Job:
    """End a job for good. One without a machine is cancelled at once, one with a machine as soon as that is gone.

    Raises:
        NotAllowed: the person may not stop jobs.
        NotFound: no such job in the team.
        InvalidInput: no reason from the list, or notes that are too long.
        Conflict: it has ended already.
    """
    require(person, Permission.STOP_JOBS)
    if reason not in CANCEL_REASONS:
        raise InvalidInput("Choose a reason.", field="reason")
    if len(notes) > NOTES_MAX:
        raise InvalidInput(f"At most {NOTES_MAX} characters.", field="notes")
    with db.transaction() as tx:
        job = get_job(tx, team_id=person.team_id, job_id=job_id, lock=True)
        if job.state in TERMINAL:
            raise Conflict(f"{job.name} has ended already: it is {job.state.value}.")
        if job.stop is not None and job.stop.kind is StopKind.CANCEL:
            return job
        now = clock()
        stop = StopRequest(kind=StopKind.CANCEL, by=person.user_id, at=now, reason=reason, notes=notes.strip())
        job = _ask(tx, job, stop)
        # A running job's machine is ended by the reconciler; so is one that is being replaced.
        if job.state in RUNNING:
            return job
        if job.paused_at is not None:
            tx.jobs.end_pause(job.id, now)
        return move(tx, job=job, state=JobState.CANCELLED, now=now)


def pause_job(db: Database, *, clock: Clock, person: Person, job_id: UUID) -> Job:
    """Ask a running job to save where it is and rest; while it rests it costs nothing.

    Raises:
        NotAllowed: the person may not stop jobs.
        NotFound: no such job in the team.
        Conflict: it is not running, or is being stopped already.
    """
    require(person, Permission.STOP_JOBS)
    with db.transaction() as tx:
        job = get_job(tx, team_id=person.team_id, job_id=job_id, lock=True)
        if job.stop is not None:
            raise Conflict(f"{job.name} is being stopped already.")
        if job.state not in RUNNING:
            raise Conflict(f"{job.name} is not running now, so there is nothing to pause.")
        return _ask(tx, job, StopRequest(kind=StopKind.PAUSE, by=person.user_id, at=clock()))


def _ask(tx: Transaction, job: Job, stop: StopRequest) -> Job:
    tx.jobs.set_stop(job.id, stop)
    job = job.model_copy(update={"stop": stop})
    tx.audit.append(
        team_id=job.team_id,
        at=stop.at,
        actor=stop.by,
        action=f"job.{stop.kind.value}_asked",
        target=str(job.id),
        detail={"reason": stop.reason, "notes": stop.notes, "step": job.progress.step},
    )
    tx.outbox.put(job=job, notice=Notice.CARD, key="", at=stop.at, data={})
    return job


def resume_paused(db: Database, *, clock: Clock, person: Person, job_id: UUID, tier: str = "") -> Job:
    """Put a paused job back into the queue, at another price tier if one is named; the rest is reserved.

    Raises:
        NotAllowed: the person may not start jobs.
        NotFound: no such job in the team.
        Conflict: it is not paused.
        InvalidInput: the tier is unknown or not offered.
        OverBudget: the rest does not fit in the month's budget.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)
        job = get_job(tx, team_id=person.team_id, job_id=job_id, lock=True)
        if job.state is not JobState.PAUSED:
            raise Conflict(f"{job.name} is not paused: it is {job.state.value}.")
        now = clock()
        chosen = catalog.tier(tier or job.configuration.tier)
        if not chosen.offered or chosen.cents_per_hour is None:
            raise InvalidInput(f"{chosen.name} is not offered. {chosen.explanation}", field="tier")
        cents = rest_cents(job, chosen.cents_per_hour)
        reserve(tx, team_id=job.team_id, job_id=job.id, cents=cents, now=now)
        if chosen.key != job.configuration.tier:
            configuration = job.configuration.model_copy(update={"tier": chosen.key})
            tx.jobs.change_tier(job.id, configuration, chosen.cents_per_hour)
        tx.audit.append(
            team_id=job.team_id,
            at=now,
            actor=person.user_id,
            action="job.resumed",
            target=str(job.id),
            detail={"tier": chosen.key, "reserved_cents": cents},
        )
        data: dict[str, float | int | str | None] = {"by": person.user_id, "step": job.progress.checkpoint_step or 0}
        tx.outbox.put(job=job, notice=Notice.RESUMED, key=str(job.attempt), at=now, data=data)
        return move(tx, job=job, state=JobState.QUEUED, now=now)


def resume_view(tx: Transaction, *, team_id: str, job_id: UUID, now: datetime) -> ResumeView:
    """What letting a paused job go on means.

    Raises:
        NotFound: no such job in the team.
        Conflict: it is not paused.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id)
    if job.state is not JobState.PAUSED:
        raise Conflict(f"{job.name} is not paused: it is {job.state.value}.")
    own = catalog.tier(job.configuration.tier)
    tiers = [tier for tier in catalog.tiers_of(own.provider) if tier.offered and tier.cents_per_hour is not None]
    return ResumeView(
        job=job,
        fraction=fraction_done(job),
        rest_seconds=job.estimate.seconds.expected * rest_share(job),
        offers=tuple((tier, rest_cents(job, tier.cents_per_hour or 0)) for tier in tiers),
        budget=budget_status(tx, team_id=team_id, now=now),
    )


def rest_share(job: Job) -> float:
    """How much of the whole job is still to do, at least the last stages."""
    return max(_LEAST_REST, 1 - fraction_done(job))


def rest_cents(job: Job, rate_cents_per_hour: int) -> int:
    """What the rest of a job may cost at most, at a rate, by its estimate and how far it has come."""
    at_rate = rate_cents_per_hour / job.rate_cents_per_hour if job.rate_cents_per_hour else 1.0
    return round(job.estimate.cents_high * rest_share(job) * at_rate)


def promote_job(db: Database, *, clock: Clock, person: Person, job_id: UUID) -> Job:
    """Put a waiting job before all others that wait.

    Raises:
        NotAllowed: the person is no manager.
        NotFound: no such job in the team.
        Conflict: it does not wait any more, or is the first already.
    """
    require(person, Permission.PROMOTE_JOBS)
    with db.transaction() as tx:
        return move_to_front(tx, team_id=person.team_id, job_id=job_id, by=person.user_id, now=clock())
