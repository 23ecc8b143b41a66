"""Takes what GPU jobs say: stores events once, moves the job, queues what people should see."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.budget import close_attempt, settle
from functions.errors import InvalidInput, NotFound
from functions.model.events import ArtifactStored, Event, EventBatch, HeldOut, Resumed, Stage, StageChanged
from functions.model.ids import derived_id
from functions.model.job import Artifact, Job
from functions.model.outbox import Notice
from functions.model.progress import Progress
from functions.model.states import TERMINAL, JobState
from functions.ports import Clock, Database, Transaction
from functions.progress import advance, next_state
from functions.spend_watch import watch_spend

_ENDED = {
    JobState.COMPLETED: Notice.COMPLETED,
    JobState.FAILED: Notice.FAILED,
    JobState.CANCELLED: Notice.CANCELLED,
    JobState.INTERRUPTED: Notice.INTERRUPTED,
}


def ingest(db: Database, *, clock: Clock, job_id: UUID, attempt: int, batch: EventBatch) -> int:
    """Store a batch that a job's attempt signed, in one transaction; returns how many events were new.

    An attempt may bring along what earlier ones could not deliver.

    Raises:
        InvalidInput: an event belongs to another job, or to a later attempt than the one that signed.
        NotFound: there is no such job.
    """
    if any(event.job_id != job_id or event.attempt > attempt for event in batch.events):
        raise InvalidInput("An event belongs to another job or a later attempt than the one that signed the batch.")
    now = clock()
    stored = 0
    with db.transaction() as tx:
        job = tx.jobs.get(job_id, lock=True)
        if job is None or tx.jobs.attempt(job_id, attempt) is None:
            raise NotFound(f"There is no attempt {attempt} of job {job_id}.")
        for number in sorted({event.attempt for event in batch.events}):
            new = tx.jobs.add_events([event for event in batch.events if event.attempt == number], now)
            if new:
                tx.jobs.add_points(job_id, number, new)
                job = _apply(tx, job, number, new, now)
                stored += len(new)
    return stored


def _apply(tx: Transaction, job: Job, attempt: int, events: list[Event], now: datetime) -> Job:
    progress, state = job.progress, job.state
    started_at = job.started_at
    for event in events:
        # News of an attempt that was given up still counts as history, but moves nothing any more.
        if isinstance(event.body, ArtifactStored):
            tx.jobs.add_artifact(_artifact(job, event.body, event.at))
        if attempt != job.attempt:
            continue
        progress = advance(progress, event)
        state = next_state(state, event)
        started_at = started_at or event.at
        _tell(tx, job, event, now)
    tx.jobs.update(job.id, progress=progress, started_at=None if job.started_at else started_at)
    moved = job.model_copy(update={"progress": progress, "started_at": started_at})
    if state is not job.state:
        moved = move(tx, job=moved, state=state, now=now)
    watch_spend(tx, job=moved, now=now)
    tx.outbox.put(job=moved, notice=Notice.CARD, key="", at=now, data={})
    return moved


def move(tx: Transaction, *, job: Job, state: JobState, now: datetime) -> Job:
    """Put the job, whose row is locked, into another state; ended ones are billed, settled and told of."""
    notice = _ENDED.get(state)
    if notice is not None:
        job = close_attempt(tx, job=job, now=now)
    if state in TERMINAL:
        settle(tx, job=job, now=now)
        tx.audit.append(
            team_id=job.team_id,
            at=now,
            actor="system",
            action=f"job.{state.value}",
            target=str(job.id),
            detail={"cents": job.actual_cost_cents, "attempt": job.attempt},
        )
    tx.jobs.update(job.id, state=state, ended_at=now if state in TERMINAL else None)
    job = job.model_copy(update={"state": state, "ended_at": now if state in TERMINAL else None})
    tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
    if notice is not None:
        tx.outbox.put(job=job, notice=notice, key=str(job.attempt), at=now, data=_loss_data(job.progress))
    return job


def _loss_data(progress: Progress) -> dict[str, float | int | str | None]:
    if not progress.interruptions:
        return {"step": progress.step}
    last = progress.interruptions[-1]
    return {"step": last.step, "cause": last.cause}


def _tell(tx: Transaction, job: Job, event: Event, now: datetime) -> None:
    body = event.body
    if isinstance(body, StageChanged) and body.stage is Stage.TRAINING and body.status == "started":
        tx.outbox.put(job=job, notice=Notice.STARTED, key="once", at=now, data={})
    elif isinstance(body, HeldOut) and body.step > 0:  # step 0 is the base model, no progress yet
        data: dict[str, float | int | str | None] = {"step": body.step, "loss": body.loss}
        tx.outbox.put(job=job, notice=Notice.HELD_OUT, key=str(body.step), at=now, data=data)
    elif isinstance(body, Resumed):
        tx.outbox.put(job=job, notice=Notice.RECOVERED, key=str(event.attempt), at=now, data={"step": body.step})


def _artifact(job: Job, body: ArtifactStored, at: datetime) -> Artifact:
    return Artifact(
        id=derived_id("artifact", str(job.id), body.name),
        job_id=job.id,
        team_id=job.team_id,
        name=body.name,
        path=body.path,
        size_bytes=body.bytes,
        sha256=body.sha256,
        created_at=at,
    )
