"""Durations from tokens and learned speed; costs from durations and the rate card."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from functions import catalog
from functions.errors import InvalidInput
from functions.learning import Lessons, Prediction, expected_loss_seconds, prior_of
from functions.memory import lora_parameters
from functions.model.catalog import BaseModelCard, Tier
from functions.model.estimate import Estimate, EstimateAccuracy, InterruptionRecord, Span, Workload
from functions.model.job_spec import Hyperparameters
from functions.model.money import cost_cents
from functions.model.training_file import TrainingFileStats

_GIB = 1024**3


class History(NamedTuple):
    """What a team's past tells an estimate: speeds, interruptions by tier, accuracy by preset."""

    lessons: Lessons
    interruptions: dict[str, InterruptionRecord]
    accuracy: dict[str, EstimateAccuracy]


def no_history() -> History:
    """Of a team that has not finished a run yet."""
    return History(Lessons(()), {}, {})


def planned_steps(stats: TrainingFileStats, settings: Hyperparameters, held_out_fraction: float) -> int:
    """Optimizer steps of the whole run."""
    sequences = max(1, round(stats.sequences * (1 - held_out_fraction)))
    per_epoch = math.ceil(sequences / (settings.batch_size * settings.gradient_accumulation_steps))
    steps = per_epoch * settings.epochs
    return min(steps, settings.max_steps) if settings.max_steps else steps


def workload_of(
    stats: TrainingFileStats, *, model: BaseModelCard, tier: Tier, settings: Hyperparameters, held_out_fraction: float
) -> Workload:
    """What a run has to do.

    Raises:
        InvalidInput: the file's tokens were never counted.
    """
    if stats.tokens is None:
        raise InvalidInput("The tokens are not counted yet.", fix="Add the file again with /datasets.")
    uncapped = planned_steps(stats, settings.model_copy(update={"max_steps": None}), held_out_fraction)
    epochs = settings.epochs * planned_steps(stats, settings, held_out_fraction) / uncapped
    evaluations = math.ceil(epochs) + 2  # one an epoch, base and tuned at the ends
    return Workload(
        tier=tier.key,
        base_model=model.key,
        tokens=round(stats.tokens.total * (1 - held_out_fraction) * epochs),
        evaluated_tokens=stats.tokens.total * held_out_fraction * evaluations,
        mean_length=max(1.0, min(stats.tokens.total / max(1, stats.sequences), settings.max_length)),
        batch_size=settings.batch_size,
    )


def estimate_run(
    *,
    stats: TrainingFileStats,
    model: BaseModelCard,
    tier: Tier,
    settings: Hyperparameters,
    preset: str,
    held_out_fraction: float,
    history: History,
    now: datetime,
) -> Estimate:
    """What the run will take and cost.

    Tokens of the dataset times epochs over the speed, plus the fixed stages, plus what interruptions will take;
    the team's own finished runs take over from the priors as they come, and their errors set the interval.

    Raises:
        InvalidInput: the tier is not offered, or the file's tokens were never counted.
    """
    if tier.cents_per_hour is None:
        raise InvalidInput(f"There is no price for {tier.name}.", field="tier")
    workload = workload_of(stats, model=model, tier=tier, settings=settings, held_out_fraction=held_out_fraction)
    predicted = history.lessons.predict(workload)
    work = predicted.stages_seconds + predicted.training_seconds
    record = history.interruptions.get(tier.key, InterruptionRecord())
    lost = expected_loss_seconds(work, preemptible=tier.preemptible, record=record)
    seconds = _span(work + lost, predicted)
    storage = _storage_cents(model, settings)
    without_loss = cost_cents(work, tier.cents_per_hour)
    gpu = cost_cents(work - _evaluation_seconds(workload, predicted), tier.cents_per_hour)
    expected = cost_cents(seconds.expected, tier.cents_per_hour)
    accuracy = history.accuracy.get(preset)
    return Estimate(
        seconds=seconds,
        cents_low=cost_cents(seconds.low, tier.cents_per_hour) + storage,
        cents_expected=expected + storage,
        cents_high=cost_cents(seconds.high, tier.cents_per_hour) + storage,
        gpu_cents=gpu,
        evaluation_cents=without_loss - gpu,
        interruption_cents=expected - without_loss,
        storage_cents=storage,
        tokens=round(workload.tokens),
        steps=planned_steps(stats, settings, held_out_fraction),
        tokens_per_second=predicted.tokens_per_second,
        history_jobs=predicted.like_this,
        past_error=accuracy.mean_error if accuracy else None,
        past_runs=accuracy.runs if accuracy else 0,
        past_in_range=accuracy.in_range if accuracy else 0,
        source=_source(workload, predicted),
        workload=workload,
        made_at=now,
    )


def _span(seconds: float, predicted: Prediction) -> Span:
    high = seconds * (1 + predicted.spread)
    low = seconds / (1 + predicted.spread) if predicted.learned else seconds * (1 - predicted.spread)
    return Span(low=low, expected=seconds, high=high)


def _evaluation_seconds(workload: Workload, predicted: Prediction) -> float:
    """The part of the stages that reads the held-out conversations."""
    prior = prior_of(workload)
    reading = workload.evaluated_tokens / prior.forward_tokens_per_second
    fixed = prior.preprocessing_seconds + prior.model_loading_seconds + prior.finalization_seconds
    return predicted.stages_seconds * reading / (reading + fixed) if reading + fixed > 0 else 0.0


def _source(workload: Workload, predicted: Prediction) -> str:
    if not predicted.like_this:
        return prior_of(workload).source
    return f"{predicted.like_this} finished {'run' if predicted.like_this == 1 else 'runs'} like this one"


def _storage_cents(model: BaseModelCard, settings: Hyperparameters) -> int:
    """A month of the adapter in both its formats, fp32."""
    size = 2 * 4 * lora_parameters(model, rank=settings.rank, modules=settings.target_modules)
    return round(size / _GIB * catalog.storage_cents_per_gib_month())
