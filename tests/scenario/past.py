"""A team's past: runs that finished, faster or slower than the prior has them."""

from __future__ import annotations

from datetime import timedelta

from functions.budget import settle
from functions.learning import prior_of, prior_stages_seconds
from functions.model.job import Job
from functions.model.progress import Interruption, Progress
from functions.model.states import JobState
from functions.model.training_file import TrainingFile
from functions.ports import Database, Files
from tests.scenario.house import SetClock, start

_WAY = (
    JobState.PROVISIONING,
    JobState.PREPROCESSING,
    JobState.LOADING_MODEL,
    JobState.TRAINING,
    JobState.FINALIZING,
)


def finished_run(
    db: Database,
    files: Files,
    file: TrainingFile,
    clock: SetClock,
    *,
    name: str,
    faster: float,
    preset: str = "balanced",
    interruptions: int = 0,
) -> Job:
    """A run from its start to its settlement; its fixed stages took what the prior says, a loss ten minutes each."""
    job = start(db, files, file, clock, name=name, preset=preset)
    work = job.estimate.workload
    assert work is not None
    prior = prior_of(work)
    speed = prior.train_tokens_per_second * faster
    losses = tuple(
        Interruption(
            at=clock(),
            step=1,
            cause="test",
            machine_at=clock() + timedelta(minutes=30),  # nobody is billed for those
            resumed_at=clock() + timedelta(minutes=40),
            resumed_step=1,
        )
        for _ in range(interruptions)
    )
    seconds = prior_stages_seconds(prior, work) + work.tokens / speed + 600 * interruptions
    cents = round(seconds / 3600 * job.rate_cents_per_hour)
    clock.forward(seconds=seconds)
    with db.transaction() as tx:
        for state in _WAY:
            tx.jobs.update(job.id, state=state)
        tx.jobs.update(
            job.id,
            state=JobState.COMPLETED,
            progress=Progress(mean_tokens_per_second=speed, trained_tokens=round(work.tokens), interruptions=losses),
            ended_at=clock(),
            billed_seconds=seconds,
            actual_cost_cents=cents,
        )
        settle(tx, job=job.model_copy(update={"actual_cost_cents": cents}), now=clock())
    return job
