"""Folds events into what is known of a job: its progress, and the state that it moves to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from functions.model.events import (
    CheckpointSaved,
    Event,
    Failed,
    Finished,
    HeldOut,
    Interrupted,
    Metrics,
    PerplexityMeasured,
    Planned,
    Resumed,
    Stage,
    StageChanged,
)
from functions.model.job import StopKind
from functions.model.progress import Interruption, Progress, StageProgress
from functions.model.states import TERMINAL, JobState, is_legal

_STATE_OF_STAGE = {
    Stage.PREPROCESSING: JobState.PREPROCESSING,
    Stage.MODEL_LOADING: JobState.LOADING_MODEL,
    Stage.TRAINING: JobState.TRAINING,
    Stage.FINALIZATION: JobState.FINALIZING,
}
# The way forward within one attempt. Deliveries may come out of order: a later stage's news implies the
# stages before it, and an earlier stage's news that comes late moves nothing.
_FORWARD = (
    JobState.PREPROCESSING,
    JobState.LOADING_MODEL,
    JobState.TRAINING,
    JobState.FINALIZING,
    JobState.COMPLETED,
)


def advance(progress: Progress, event: Event) -> Progress:
    """The progress after this event. Events of one attempt may come in any order, and twice."""
    fold = _FOLDS.get(type(event.body))
    return fold(progress, event.body, event.at) if fold else progress


def next_states(state: JobState, event: Event, stop: StopKind | None = None) -> tuple[JobState, ...]:
    """The states that this event of the job's current attempt leads through; empty where it moves nothing.

    `stop` is what a person has asked for: an interruption is then what they wanted.
    """
    target = _target(event, stop)
    if target is None or state in TERMINAL or target is state:
        return ()
    if target in _FORWARD:
        return _forward(state, target)
    return (target,) if is_legal(state, target) else ()


def stopped_as(stop: StopKind | None) -> JobState:
    """What a job is whose machine is gone before it ended."""
    return _STOPPED.get(stop, JobState.INTERRUPTED)


_STOPPED: dict[StopKind | None, JobState] = {StopKind.CANCEL: JobState.CANCELLED, StopKind.PAUSE: JobState.PAUSED}


def _target(event: Event, stop: StopKind | None) -> JobState | None:
    body = event.body
    if isinstance(body, StageChanged):
        return _STATE_OF_STAGE[body.stage]
    if isinstance(body, Finished):
        return JobState.COMPLETED
    if isinstance(body, Failed):
        return JobState.FAILED
    return stopped_as(stop) if isinstance(body, Interrupted) else None


def _forward(state: JobState, target: JobState) -> tuple[JobState, ...]:
    goal = _FORWARD.index(target)
    start = _FORWARD.index(state) + 1 if state in _FORWARD else 0
    way = []
    for step in _FORWARD[start : goal + 1]:
        if is_legal(state, step):
            way.append(step)
            state = step
    return tuple(way)


def _stage(progress: Progress, body: StageChanged, at: datetime) -> Progress:
    order = list(Stage)

    def change(item: StageProgress) -> StageProgress:
        if order.index(item.stage) < order.index(body.stage):
            return _passed(item, at)
        if item.stage is not body.stage:
            return item
        if body.status == "started":
            # A later attempt goes through the stage again: what it took before still counts.
            before = (item.seconds(at) or 0.0) if item.finished_at else item.earlier_seconds
            return StageProgress(
                stage=item.stage, status="active", detail=body.detail, started_at=at, earlier_seconds=before
            )
        if body.status == "finished":
            detail = body.detail or item.detail
            return item.model_copy(update={"status": "complete", "detail": detail, "finished_at": at})
        return item.model_copy(update={"detail": body.detail})

    stages = tuple(change(item) for item in progress.stages)
    return progress.model_copy(update={"stages": stages, "interruptions": _spoken_again(progress, at)})


def _spoken_again(progress: Progress, at: datetime) -> tuple[Interruption, ...]:
    """The losses, the last one with the time of the next machine's first word."""
    past = progress.interruptions
    if not past or past[-1].machine_at is not None or past[-1].resumed_at is not None:
        return past
    return (*past[:-1], past[-1].model_copy(update={"machine_at": at}))


def _passed(item: StageProgress, at: datetime) -> StageProgress:
    """An earlier stage: an attempt that finds its result on disk does not go through it again."""
    if item.status == "complete":
        return item
    return item.model_copy(update={"status": "complete", "finished_at": at})


def _planned(progress: Progress, body: Planned, _: datetime) -> Progress:
    return progress.model_copy(update={"plan": body})


def _metrics(progress: Progress, body: Metrics, _: datetime) -> Progress:
    before = progress.metrics
    if before is not None and body.step < before.step:
        return progress
    previous = before.loss if before and body.step > before.step else progress.previous_loss
    return progress.model_copy(
        update={"metrics": body, "previous_loss": previous, "trained_tokens": body.tokens_trained}
    )


def _held_out(progress: Progress, body: HeldOut, _: datetime) -> Progress:
    before = progress.held_out
    if before is not None and body.step < before.step:
        return progress
    previous = before.loss if before and body.step > before.step else progress.previous_held_out
    best = min(body.loss, progress.best_held_out) if progress.best_held_out is not None else body.loss
    return progress.model_copy(update={"held_out": body, "previous_held_out": previous, "best_held_out": best})


def _checkpoint(progress: Progress, body: CheckpointSaved, _: datetime) -> Progress:
    return progress.model_copy(update={"checkpoint_step": max(body.step, progress.checkpoint_step or 0)})


def _perplexity(progress: Progress, body: PerplexityMeasured, _: datetime) -> Progress:
    return progress.model_copy(update={"perplexity": body})


def _interrupted(progress: Progress, body: Interrupted, at: datetime) -> Progress:
    if progress.stopping is not None:
        return progress
    return interrupted(progress, at=at, step=body.step, cause=body.signal, wait_for_call=body.wait_for_call)


def _resumed(progress: Progress, body: Resumed, at: datetime) -> Progress:
    """Goes back to the checkpoint: what came after it is trained again and will be told again."""
    past = progress.interruptions
    if past and past[-1].resumed_at is None:
        last = past[-1].model_copy(update={"resumed_at": at, "resumed_step": body.step})
        past = (*past[:-1], last)
    metrics = progress.metrics
    if metrics is not None and metrics.step > body.step:
        metrics = metrics.model_copy(update={"step": body.step})
    update = {"interruptions": past, "failure": None, "stopping": None, "metrics": metrics, "resumed_step": body.step}
    return progress.model_copy(update=update)


def failed(progress: Progress, failure: Failed, at: datetime) -> Progress:
    """The progress of a run that failed in the stage that is under way, or was when its last machine was lost."""
    under_way = next((item for item in progress.stages if item.status == "active"), None) or next(
        (item for item in progress.stages if item.status == "pending" and item.earlier_seconds), None
    )

    def mark(item: StageProgress) -> StageProgress:
        if item is not under_way:
            return item
        ended = at if item.status == "active" else None
        return item.model_copy(update={"status": "failed", "finished_at": ended})

    return progress.model_copy(update={"failure": failure, "stages": tuple(map(mark, progress.stages))})


def stopped(progress: Progress, state: JobState, *, at: datetime) -> tuple[Progress, JobState]:
    """A run that was being stopped and is interrupted has failed for the reason that it was stopped for."""
    if state is not JobState.INTERRUPTED or progress.stopping is None:
        return progress, state
    return failed(progress.model_copy(update={"stopping": None}), progress.stopping, at), JobState.FAILED


def _finished(progress: Progress, body: Finished, _: datetime) -> Progress:
    return progress.model_copy(
        update={"mean_tokens_per_second": body.tokens_per_second, "trained_tokens": body.trained_tokens}
    )


def interrupted(
    progress: Progress,
    *,
    at: datetime,
    step: int,
    cause: str,
    wait_for_call: bool = False,
    log_tail: tuple[str, ...] = (),
) -> Progress:
    """The progress after the machine was lost; the stage it was in will begin anew.

    A machine that was killed tells of its last checkpoint's step, if of any: what was reported beyond it is lost.
    """
    loss = Interruption(
        at=at,
        step=max(step, progress.step),
        cause=cause,
        wait_for_call=wait_for_call,
        seconds_per_step=_pace(progress, at),
        log_tail=log_tail,
    )
    return halted(progress, at=at).model_copy(update={"interruptions": (*progress.interruptions, loss)})


def _pace(progress: Progress, at: datetime) -> float:
    """Seconds a step that the attempt took until now; 0 before its first one."""
    seconds, steps = progress.stage(Stage.TRAINING).attempt_seconds(at), progress.step - progress.resumed_step
    return seconds / steps if seconds and steps > 0 else 0.0


def halted(progress: Progress, *, at: datetime) -> Progress:
    """The progress with no stage running: what is under way will begin anew."""

    def halt(item: StageProgress) -> StageProgress:
        if item.status != "active":
            return item
        return StageProgress(stage=item.stage, detail=item.detail, earlier_seconds=item.seconds(at) or 0.0)

    return progress.model_copy(update={"stages": tuple(halt(item) for item in progress.stages), "resumed_step": 0})


_FOLDS: dict[type, Callable[[Progress, Any, datetime], Progress]] = {
    StageChanged: _stage,
    Planned: _planned,
    Metrics: _metrics,
    HeldOut: _held_out,
    CheckpointSaved: _checkpoint,
    PerplexityMeasured: _perplexity,
    Interrupted: _interrupted,
    Resumed: _resumed,
    Failed: failed,
    Finished: _finished,
}
