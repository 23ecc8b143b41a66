"""What people do to a job after its start: cancel it, pause it, let it go on, move it to the front.

A job that has a machine is not stopped here: the wish is kept with the job, and `reconcile` ends the machine.
So a wish outlives any process, and a job that ends by itself meanwhile has simply ended.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.access import require
from functions.budget import budget_status, reserve, settle
from functions.capacity import give_back
from functions.errors import Conflict, InvalidInput
from functions.find_job import get_job
from functions.gpu_wait import open_wait
from functions.ingest import move
from functions.model.job import CANCEL_REASONS, Job, StopKind, StopRequest
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.model.states import RUNNING, TERMINAL, JobState
from functions.model.views import ResumeView
from functions.pace import fraction_done
from functions.ports import Clock, Database, Transaction
from functions.queue import move_to_front
from functions.rest import offer_of, offers, on_tier

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
        InvalidInput: the tier is unknown, not offered, another provider's, or too small.
        ApprovalNeeded: the rest is dear there and is not interrupted.
        OverBudget: the rest does not fit in the budget.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)
        job = get_job(tx, team_id=person.team_id, job_id=job_id, lock=True)
        if job.state is not JobState.PAUSED:
            raise Conflict(f"{job.name} is not paused: it is {job.state.value}.")
        now = clock()
        chosen = offer_of(tx, job=job, key=tier or job.configuration.tier, now=now)
        cents = chosen.rest.cents_high
        reserve(tx, team_id=job.team_id, job_id=job.id, cents=cents, now=now)
        job = on_tier(tx, job, chosen)
        tx.audit.append(
            team_id=job.team_id,
            at=now,
            actor=person.user_id,
            action="job.resumed",
            target=str(job.id),
            detail={"tier": chosen.tier.key, "reserved_cents": cents},
        )
        data: dict[str, float | int | str | None] = {"by": person.user_id, "step": job.kept_step}
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
    return _resume_view(tx, job, now)


def _resume_view(tx: Transaction, job: Job, now: datetime) -> ResumeView:
    return ResumeView(
        job=job,
        fraction=fraction_done(job),
        offers=offers(tx, job=job, now=now),
        budget=budget_status(tx, team_id=job.team_id, now=now),
        wait=tx.failures.wait(job.id),
    )


def switch_machine(db: Database, *, clock: Clock, person: Person, job_id: UUID, tier: str) -> Job:
    """Put a job that waits for a GPU back into the queue for another one; its money is reserved anew.

    A call that waits at its provider is given up; like every machine of an ended attempt it is ended by the loop.

    Raises:
        NotAllowed: the person may not start jobs.
        NotFound: no such job in the team, or its training file is gone.
        Conflict: it does not wait for a GPU any more.
        InvalidInput: it is the machine that it waits for, or one that it cannot go to.
        ApprovalNeeded: the rest is dear there and is not interrupted.
        OverBudget: the rest does not fit in the budget.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)
        job = get_job(tx, team_id=person.team_id, job_id=job_id, lock=True)
        _require_waiting(tx, job)
        if tier == job.configuration.tier:
            raise InvalidInput("It waits for this very machine. Choose another one.", field="tier")
        now = clock()
        chosen = offer_of(tx, job=job, key=tier, now=now)
        settle(tx, job=job, now=now)
        reserve(tx, team_id=job.team_id, job_id=job.id, cents=chosen.rest.cents_high, now=now)
        before, job = job.configuration.tier, on_tier(tx, give_back(tx, job=job), chosen)
        tx.failures.end_wait(job.id, served=False, at=now)
        tx.audit.append(
            team_id=job.team_id,
            at=now,
            actor=person.user_id,
            action="job.machine_switched",
            target=str(job.id),
            detail={"before": before, "tier": tier, "reserved_cents": chosen.rest.cents_high},
        )
        return move(tx, job=job, state=JobState.QUEUED, now=now)


def switch_view(tx: Transaction, *, team_id: str, job_id: UUID, now: datetime) -> ResumeView:
    """What it takes and costs to wait for another machine no longer.

    Raises:
        NotFound: no such job in the team, or its training file is gone.
        Conflict: it does not wait for a GPU any more.
    """
    job = get_job(tx, team_id=team_id, job_id=job_id)
    _require_waiting(tx, job)
    return _resume_view(tx, job, now)


def _require_waiting(tx: Transaction, job: Job) -> None:
    if open_wait(tx, job) is None:
        raise Conflict(f"{job.name} does not wait for a GPU any more: it is {job.state.value.replace('_', ' ')}.")


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
