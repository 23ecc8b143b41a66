"""Takes what GPU jobs say: stores events once, moves the job, queues what people should see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from functions.alerting import raise_alerts
from functions.approval_outcomes import on_ended
from functions.budget import close_attempt, settle
from functions.errors import InvalidInput, NotFound
from functions.failure_history import note_ending
from functions.first_word import on_first_word
from functions.model.events import (
    ArtifactStored,
    CheckpointSaved,
    Event,
    EventBatch,
    HeldOut,
    Interrupted,
    Metrics,
    PerplexityMeasured,
    Planned,
    Resumed,
    Stage,
    StageChanged,
)
from functions.model.ids import derived_id
from functions.model.job import MAX_RECOVERIES, Artifact, Job, StopKind
from functions.model.outbox import Notice
from functions.model.progress import Progress
from functions.model.states import IN_QUEUE, TERMINAL, JobState
from functions.ports import Clock, Database, Transaction
from functions.progress import advance, halted, next_states, stopped
from functions.spend_watch import watch_spend

_ENDED = {
    JobState.COMPLETED: Notice.COMPLETED,
    JobState.FAILED: Notice.FAILED,
    JobState.CANCELLED: Notice.CANCELLED,
    JobState.INTERRUPTED: Notice.INTERRUPTED,
    JobState.PAUSED: Notice.PAUSED,
}
# A job that rests or waits has no machine: what speaks for it was told to stop, and has not heard of it yet.
_AT_REST = IN_QUEUE | {JobState.PAUSED}


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
                for part in _parts(new):
                    job = _taken_up(tx, job, number, part[0], now)
                    _note_words(tx, job_id, number, part, now)
                    job = _apply(tx, job, number, part, now)
                stored += len(new)
    return stored


def stop_asked(db: Database, *, job_id: UUID, attempt: int) -> StopKind | None:
    """What a person has asked of this attempt of a job; an attempt that was replaced or has ended is to stop anyhow."""
    with db.transaction() as tx:
        job = tx.jobs.get(job_id)
        current = tx.jobs.attempt(job_id, attempt) if job and job.attempt == attempt else None
    if job is None or current is None or job.state in TERMINAL:
        return StopKind.CANCEL
    if current.ended_at is not None and not (job.state is JobState.INTERRUPTED and _may_go_on(job)):
        return StopKind.CANCEL
    return job.stop.kind if job.stop else None


def _may_go_on(job: Job) -> bool:
    """Whether the machine's owner may start an interrupted attempt again by itself."""
    lost = job.progress.last_loss
    return lost is not None and lost.wait_for_call and job.recoveries < MAX_RECOVERIES


def _parts(events: list[Event]) -> Iterator[list[Event]]:
    """The events up to each interruption: what comes after one is told by another start of the attempt."""
    part: list[Event] = []
    for event in events:
        part.append(event)
        if isinstance(event.body, Interrupted):
            yield part
            part = []
    if part:
        yield part


def _taken_up(tx: Transaction, job: Job, attempt: int, first: Event, now: datetime) -> Job:
    """The job, recovering if its machine's owner has started the interrupted attempt again by itself."""
    again = attempt == job.attempt and job.state is JobState.INTERRUPTED and isinstance(first.body, StageChanged)
    if not again or not _may_go_on(job):
        return job
    tx.jobs.reopen_attempt(job.id, attempt, min(first.at, now))
    tx.jobs.update(job.id, state=JobState.RECOVERING, recoveries=job.recoveries + 1)
    return job.model_copy(update={"state": JobState.RECOVERING, "recoveries": job.recoveries + 1})


def _key(job: Job) -> str:
    """Names this start of the job, for messages that are told once a start."""
    losses = job.progress.interruptions
    return f"{job.attempt}.{len(losses)}" if losses and losses[-1].wait_for_call else str(job.attempt)


def _apply(tx: Transaction, job: Job, attempt: int, events: list[Event], now: datetime) -> Job:
    progress, states = job.progress, [job.state]
    started_at = job.started_at
    current = attempt == job.attempt and job.state not in _AT_REST
    for event in events:
        # News of an attempt that was given up still counts as history, but moves nothing any more.
        if isinstance(event.body, ArtifactStored):
            tx.jobs.add_artifact(_artifact(job, event.body, event.at))
        if not current:
            progress = _late(tx, job, progress, event, now)
            continue
        asked = job.stop.kind if job.stop else None
        if asked is not None and isinstance(event.body, Interrupted):
            progress = halted(progress, at=event.at)  # as asked for: no loss to be counted
        else:
            progress = advance(progress, event)
        for state in next_states(states[-1], event, asked):
            progress, reached = stopped(progress, state, at=event.at)
            states.append(reached)
        started_at = started_at or event.at
        _tell(tx, job, event, now)
    tx.jobs.update(job.id, progress=progress, started_at=None if job.started_at else started_at)
    moved = job.model_copy(update={"progress": progress, "started_at": started_at})
    until = _last_word(tx, job, now) if isinstance(events[-1].body, Interrupted) else now
    # Before the states: the first word and the last may come in one batch, and what was launched has not failed to.
    if current and job.state in (JobState.PROVISIONING, JobState.RECOVERING):
        on_first_word(tx, job=job, now=now)
    for state in states[1:]:
        moved = move(tx, job=moved, state=state, now=now, until=until)
    if any(isinstance(event.body, Metrics | HeldOut) for event in events):
        raise_alerts(tx, job=moved, now=now)
    watch_spend(tx, job=moved, now=now)
    tx.outbox.put(job=moved, notice=Notice.CARD, key="", at=now, data={})
    return moved


def _note_words(tx: Transaction, job_id: UUID, attempt: int, events: list[Event], now: datetime) -> None:
    """When a machine spoke, no clock running ahead of ours. Its loss may be told by the next one, by its own clock."""
    words = [min(event.at, now) for event in events if not isinstance(event.body, Interrupted)]
    last = max(min(event.at, now) for event in events)
    tx.jobs.note_words(job_id, attempt, first=min(words, default=None), last=last)


def _last_word(tx: Transaction, job: Job, now: datetime) -> datetime:
    """Until when an attempt that was interrupted is known to have had a machine; the news may come much later."""
    attempt = tx.jobs.attempt(job.id, job.attempt)
    return attempt.last_word_at if attempt and attempt.last_word_at else now


def _late(tx: Transaction, job: Job, progress: Progress, event: Event, now: datetime) -> Progress:
    """News of an attempt that ended, brought along by the next one, which may not come by that place again.

    It comes before that one's own, so figures are folded in as ever; stages, the state and the attempt's end are
    settled already. The run began, and was measured at a step, only once: people are told of both.
    """
    if isinstance(event.body, Planned | Metrics | HeldOut | CheckpointSaved | PerplexityMeasured):
        progress = advance(progress, event)
    if isinstance(event.body, HeldOut | StageChanged):
        _tell(tx, job, event, now)
    return progress


def move(tx: Transaction, *, job: Job, state: JobState, now: datetime, until: datetime | None = None) -> Job:
    """Put the job, whose row is locked, into another state; ended ones are billed, settled and told of.

    `until` is when it lost its machine, and is billed to, where that is not now.
    """
    notice = _ENDED.get(state)
    data = _ending_data(job, state)
    if notice is not None:
        job = _stopped(tx, job, state, until or now)
    if state in TERMINAL or state is JobState.PAUSED:
        settle(tx, job=job, now=now)
    if state is JobState.PAUSED:
        tx.jobs.begin_pause(job.id, now)
    if state in TERMINAL:
        note_ending(tx, job=job, state=state, now=now)
        on_ended(tx, job=job, now=now)
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
        tx.outbox.put(job=job, notice=notice, key=_key(job), at=now, data=data)
    parent = tx.jobs.get(job.lineage.parent_id) if job.lineage and state in TERMINAL else None
    if parent is not None:  # its card says how the new try ended
        tx.outbox.put(job=parent, notice=Notice.CARD, key="", at=now, data={})
    return job


def _stopped(tx: Transaction, job: Job, state: JobState, until: datetime) -> Job:
    """The job with its attempt closed and billed. A wish to stop is out of date now; of a cancelled job it is kept."""
    if job.stop is not None and state is not JobState.CANCELLED:
        tx.jobs.set_stop(job.id, None)
        job = job.model_copy(update={"stop": None})
    return close_attempt(tx, job=job, now=until)


def _ending_data(job: Job, state: JobState) -> dict[str, float | int | str | None]:
    """What the message about an ending needs that the job will not show any more when it is sent."""
    if state in (JobState.CANCELLED, JobState.PAUSED) and job.stop is not None:
        return {"step": job.progress.step, "by": job.stop.by, "reason": job.stop.reason}
    if state is JobState.INTERRUPTED and (lost := job.progress.last_loss) is not None:
        return {"step": job.kept_step, "cause": lost.cause}
    return {"step": job.progress.step}


def _tell(tx: Transaction, job: Job, event: Event, now: datetime) -> None:
    body = event.body
    if isinstance(body, StageChanged) and body.stage is Stage.TRAINING and body.status == "started":
        tx.outbox.put(job=job, notice=Notice.STARTED, key="once", at=now, data={})
    elif isinstance(body, HeldOut) and body.step > 0:  # step 0 is the base model, no progress yet
        data: dict[str, float | int | str | None] = {"step": body.step, "loss": body.loss}
        tx.outbox.put(job=job, notice=Notice.HELD_OUT, key=str(body.step), at=now, data=data)
    elif isinstance(body, Resumed):
        tx.outbox.put(job=job, notice=Notice.RECOVERED, key=_key(job), at=now, data={"step": body.step})


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
