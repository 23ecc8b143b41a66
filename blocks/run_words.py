"""What is said of a run wherever one shows up: its state, its stages, its verdict, its money."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import NamedTuple

from blocks.spend_words import projected_range
from blocks.text import safe
from blocks.units import count, decimal, duration, money, money_range, practice, rough
from functions.alerts import IDLE_SHARE
from functions.model.estimate import Estimate
from functions.model.events import PerplexityMeasured, Stage
from functions.model.job import Job
from functions.model.progress import Progress, StageProgress
from functions.model.states import JobState
from functions.model.views import CardView

PRODUCTION_READY_PERCENT = 30.0
ACCEPTABLE_PERCENT = 20.0
_SLOW, _FAST = 0.75, 1.25
_WELL_USED = 0.8

STATE_NAMES: dict[JobState, str] = {
    JobState.PENDING_CONFIGURATION: "Draft",
    JobState.QUEUED: "Queued",
    JobState.QUEUED_WAITING_FOR_GPU: "Waiting for a GPU",
    JobState.PROVISIONING: "Starting the machine",
    JobState.PREPROCESSING: "Preparing the data",
    JobState.LOADING_MODEL: "Loading the model",
    JobState.TRAINING: "Training",
    JobState.INTERRUPTED: "Interrupted",
    JobState.RECOVERING: "Recovering",
    JobState.FINALIZING: "Finalizing",
    JobState.EVALUATING: "Evaluating",
    JobState.COMPLETED: "Completed",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
    JobState.PAUSED: "Paused",
}
_SIGNS = {
    JobState.COMPLETED: "✓",
    JobState.FAILED: "✗",
    JobState.CANCELLED: "–",
    JobState.INTERRUPTED: "⚠",
    JobState.QUEUED: "○",
    JobState.QUEUED_WAITING_FOR_GPU: "○",
    JobState.PENDING_CONFIGURATION: "○",
    JobState.PAUSED: "○",
}
_STAGE_NAMES = {
    Stage.PREPROCESSING: "Preprocessing",
    Stage.MODEL_LOADING: "Model loading",
    Stage.TRAINING: "Training",
    Stage.FINALIZATION: "Finalization",
}
# How a stage that was under way looks in a run that is not.
_HALTED = {
    JobState.INTERRUPTED: "○",
    JobState.RECOVERING: "○",
    JobState.PAUSED: "○",
    JobState.CANCELLED: "–",
    JobState.COMPLETED: "✓",
}
_STAGE_SIGNS = {"pending": "○", "active": "●", "complete": "✓", "failed": "✗"}


class Verdict(NamedTuple):
    """What held-out perplexity says: the badge and the change in words."""

    badge: str
    change: str


def state_name(state: JobState) -> str:
    """`● Training`, `✓ Completed`."""
    return f"{_SIGNS.get(state, '●')} {STATE_NAMES[state]}"


def shown_state(view: CardView) -> JobState:
    """The state that people are told: who is being tried for a GPU in vain waits for one, and starts nothing yet."""
    return JobState.QUEUED_WAITING_FOR_GPU if view.wait else view.job.state


def verdict(measured: PerplexityMeasured) -> Verdict:
    """Production ready from 30 % improvement, acceptable from 20 % (FR6.1.1)."""
    before, after = measured.base, measured.tuned
    figures = f"{decimal(before, 1)} → {decimal(after, 1)}"
    if not (math.isfinite(before) and math.isfinite(after)) or before <= 0:
        return Verdict("✗ Below threshold", f"Perplexity {figures}")
    # Cut to a tenth, as the figures show it: no rounding lifts a run over a threshold.
    improvement = math.floor(round((before - after) / before * 1000, 6)) / 10
    direction = "lower" if improvement >= 0 else "higher"
    change = f"Perplexity {figures}, {abs(improvement):.1f} % {direction}"
    if improvement >= PRODUCTION_READY_PERCENT:
        return Verdict("✓ Production ready", change)
    if improvement >= ACCEPTABLE_PERCENT:
        return Verdict("⚠ Acceptable quality", change)
    return Verdict("✗ Below threshold", change)


def verdict_line(measured: PerplexityMeasured) -> str:
    """`*✓ Production ready*: perplexity 24.5 → 16.8, 31.4 % lower than the base model`."""
    badge, change = verdict(measured)
    return f"*{badge}*  ·  {change}"


def stage_line(view: CardView) -> str:
    """`✓ Preprocessing 2 min   ● Training 1 h 23 m of ~12 h   ○ Finalization ~5 min`."""
    return "   ".join(_stage(item, view) for item in view.job.progress.stages)


def current_stage(progress: Progress) -> StageProgress | None:
    """The stage that runs. After a recovery earlier ones run again while later ones still count as begun."""
    active = [item for item in progress.stages if item.status == "active" and item.started_at]
    return max(active, key=lambda item: item.started_at or datetime.min.replace(tzinfo=UTC), default=None)


def _stage(item: StageProgress, view: CardView) -> str:
    sign, name = _STAGE_SIGNS.get(item.status, "○"), _STAGE_NAMES[item.stage]
    if item.status == "active" and view.job.state in _HALTED:
        # It waits behind an interruption, or never ended: its clock would count the waiting.
        return f"{_HALTED[view.job.state]} {name}"
    expected = view.expected_seconds.get(item.stage, 0.0)
    about = f"~{rough(expected)}" if expected >= 1 else ""
    if item.status == "pending" or (item.status == "active" and item != current_stage(view.job.progress)):
        return f"○ {name} {about}".rstrip()
    took = item.seconds(view.job.ended_at or view.now)
    if took is None:
        return f"{sign} {name}"
    of = f" of {about}" if item.status == "active" and about else ""
    return f"{sign} {name} {duration(took)}{of}"


def step_line(progress: Progress) -> str:
    """`step 850 of 2,000 · epoch 2 of 3`, as far as it is known."""
    plan, metrics = progress.plan, progress.metrics
    if plan is None:
        return ""
    if metrics is None:
        past = progress.interruptions
        from_step = past[-1].resumed_step if past and past[-1].resumed_at else None
        if from_step:
            return f"goes on from step {from_step:,} of {plan.total_steps:,}"
        return f"{count(plan.total_steps, 'step')} planned"
    shown = f"step {metrics.step:,} of {plan.total_steps:,}"
    if not math.isfinite(metrics.epoch):
        return shown
    epoch = min(plan.epochs, max(1, math.floor(metrics.epoch) + 1))
    return f"{shown} · epoch {epoch} of {plan.epochs}"


def money_line(view: CardView) -> str:
    """`$22.18 of $45–55   projected $47.32 ($46–51), on track`."""
    job = view.job
    expected = money_range(job.estimate.cents_low, job.estimate.cents_high)
    line = f"{money(view.spent_cents)} of {expected}{practice(job.configuration.tier)}"
    if view.spent_cents > job.estimate.cents_high:
        return f"⚠ {line}, over the estimate"
    if view.projected_cents is None:
        return line
    over = view.projected_cents - job.estimate.cents_high
    course = f"{money(over)} over the estimate" if over > 0 else "on track"
    return f"{line}   projected {money(view.projected_cents)}{projected_range(view)}, {course}"


def spent(view: CardView) -> str:
    """`$5.12 practice money`."""
    return spent_words(view.spent_cents, view.job.configuration.tier)


def spent_words(cents: int, tier: str) -> str:
    """An amount, marked where the tier bills nobody."""
    return f"{money(cents)}{practice(tier)}"


def took(view: CardView) -> str:
    """`10 min`, `10 min, paused 5 h`."""
    return f"{duration(view.elapsed_seconds)}{paused(view)}"


def paused(view: CardView) -> str:
    """`, paused 5 h`, which no other time holds; empty where it never was."""
    return f", paused {duration(view.paused_seconds)}" if view.paused_seconds >= 1 else ""


def problem_words(view: CardView) -> str:
    """What went wrong, in one sentence."""
    failure = view.job.progress.failure
    if view.diagnosis is not None:
        return safe(view.diagnosis.problem, 400)
    return safe(failure.what, 400) if failure else "The run stopped without saying why."


def interruptions_line(progress: Progress) -> str:
    """`Interrupted 2 times, recovered, 9 min lost`; empty if it never was."""
    past = progress.interruptions
    if not past:
        return ""
    times = "once" if len(past) == 1 else f"{len(past)} times"
    lost = sum((item.resumed_at - item.at).total_seconds() for item in past if item.resumed_at)
    if past[-1].resumed_at is None:
        return f"Interrupted {times}"
    return f"Interrupted {times}, recovered, {duration(lost)} lost"


def cause_words(cause: str) -> str:
    """Why a machine was lost, `exit code -9` in words; escaped."""
    signal = re.fullmatch(r"exit code -(\d{1,2})", cause)
    return f"ended from outside, signal {signal[1]}" if signal else safe(cause, 100)


def checkpoint_words(job: Job) -> str:
    """Where a run goes on from: `the checkpoint of step 600`, or `the start`."""
    step = job.kept_step
    return f"the checkpoint of step {step:,}" if step else "the start, as no checkpoint was saved yet"


def speed_verdict(tokens_per_second: float, estimate: Estimate) -> str:
    """How a speed compares with what the estimate rests on; single steps scatter, so the bands are wide."""
    share = tokens_per_second / estimate.tokens_per_second if estimate.tokens_per_second > 0 else 1.0
    if share < _SLOW:
        return f"slower than the {decimal(estimate.tokens_per_second, 0)} expected"
    return "faster than expected" if share > _FAST else "as expected"


def busy_verdict(utilization: float) -> str:
    """How well a GPU is used."""
    return "well used" if utilization >= _WELL_USED else "waits a lot" if utilization < IDLE_SHARE else "partly idle"
