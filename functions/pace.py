"""How far a job has come, and how much longer it takes."""

from __future__ import annotations

from datetime import datetime

from functions.model.events import Stage
from functions.model.job import Job
from functions.model.states import RUNNING, JobState

# FR2.1.2: how much of the bar each stage fills.
_SHARE = {
    Stage.PREPROCESSING: 0.02,
    Stage.MODEL_LOADING: 0.08,
    Stage.TRAINING: 0.85,
    Stage.FINALIZATION: 0.05,
}


def rested_seconds(job: Job, now: datetime) -> float:
    """How long the job has rested: from each pause until it had a machine again."""
    resting = ((job.ended_at or now) - job.paused_at).total_seconds() if job.paused_at else 0.0
    return job.paused_seconds + max(0.0, resting)


def elapsed_seconds(job: Job, now: datetime) -> float:
    """How long the job has taken since its first word, without its rests; 0 before it."""
    if job.started_at is None:
        return 0.0
    return max(0.0, ((job.ended_at or now) - job.started_at).total_seconds() - rested_seconds(job, now))


def fraction_done(job: Job) -> float:
    """Share of the work that is done, 0 to 1, by the stages' shares and the steps within training."""
    if job.state is JobState.COMPLETED:
        return 1.0
    return _done_at(job, job.progress.step)


def _done_at(job: Job, step: int) -> float:
    plan, done = job.progress.plan, 0.0
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
    if plan and seconds and step > job.progress.resumed_step and training.status != "pending":
        pace = seconds / max(1, step - job.progress.resumed_step)
        return max(0.0, (plan.total_steps - step) * pace) + tail
    if step and training.status == "pending":
        return rest_seconds(job)  # on its way back: what it did beyond its checkpoint is done once more
    if step:
        return max(tail, estimate * _share_left(job, step))
    return max(tail, estimate - elapsed_seconds(job, now))


def rest_seconds(job: Job) -> float:
    """Seconds that a job without a machine will take once it has one: all of it, or what its checkpoint leaves."""
    estimate = job.estimate.seconds.expected
    tail = estimate * _SHARE[Stage.FINALIZATION]
    if 0 < job.billed_seconds <= job.seconds_before:
        # Since it was given another machine nothing ran: its estimate is what it had taken and the rest there.
        return max(tail, estimate - job.billed_seconds)
    step = job.kept_step
    return max(tail, estimate * _share_left(job, step)) if step and job.progress.plan else estimate


def left_seconds(job: Job, now: datetime) -> float:
    """Seconds of machine time until the end, of a job that has a machine or not."""
    remaining = remaining_seconds(job, now)
    return rest_seconds(job) if remaining is None else remaining


def _share_left(job: Job, step: int) -> float:
    """How much of this job's own work is left: one that went on from another's checkpoint began further on."""
    begun = 0.0
    plan, lineage = job.progress.plan, job.lineage
    if plan is not None and lineage is not None and lineage.resume_step:
        prepared = _SHARE[Stage.PREPROCESSING] + _SHARE[Stage.MODEL_LOADING]
        begun = prepared + _SHARE[Stage.TRAINING] * min(1.0, lineage.resume_step / max(1, plan.total_steps))
    return (1 - _done_at(job, step)) / max(1 - begun, _SHARE[Stage.FINALIZATION])
