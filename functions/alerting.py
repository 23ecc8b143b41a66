"""Looks at a running job with the rules of `alerts`, and tells each worry once in its thread."""

from __future__ import annotations

from datetime import datetime

from functions import catalog
from functions.alerts import FIRST_POINTS, HELD_OUT_POINTS, RECENT_POINTS, alerts
from functions.errors import BrightRunError
from functions.model.alerts import Alert, Curve
from functions.model.events import Stage
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import RUNNING
from functions.ports import Transaction

# Before this many steps no rule over the curve speaks.
_FIRST_LOOK = 30


def current_alerts(tx: Transaction, *, job: Job, now: datetime) -> tuple[Alert, ...]:
    """What is to worry about now; nothing for a job that does not run."""
    if job.state not in RUNNING:
        return ()
    curve = Curve()
    if job.progress.step >= _FIRST_LOOK:
        curve = tx.jobs.curve(job.id, first=FIRST_POINTS, recent=RECENT_POINTS, held_out=HELD_OUT_POINTS)
    return alerts(job.progress, curve, expected_seconds=expected_seconds(job), now=now)


def raise_alerts(tx: Transaction, *, job: Job, now: datetime) -> None:
    """Tell what is new; what was told of this job before is not told again."""
    for alert in current_alerts(tx, job=job, now=now):
        data: dict[str, float | int | str | None] = {
            "what": alert.what,
            "meaning": alert.meaning,
            "todo": alert.todo,
        }
        tx.outbox.put(job=job, notice=Notice.ALERT, key=alert.kind.value, at=now, data=data)


def expected_seconds(job: Job) -> dict[Stage, float]:
    """How long each stage should take: the fixed ones by the prior, training by what the estimate leaves."""
    settings = job.configuration
    try:
        prior = catalog.throughput_prior(gpu=catalog.tier(settings.tier).gpu, model=settings.base_model)
    except BrightRunError:
        return {}
    fixed = {
        Stage.PREPROCESSING: prior.preprocessing_seconds,
        Stage.MODEL_LOADING: prior.model_loading_seconds,
        Stage.FINALIZATION: prior.finalization_seconds,
    }
    training = max(0.0, job.estimate.seconds.expected - sum(fixed.values()))
    return fixed | {Stage.TRAINING: training}
