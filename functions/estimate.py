"""Durations from tokens and measured speed; costs from durations and the rate card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import fmean, median, pstdev

from functions import catalog
from functions.errors import InvalidInput
from functions.memory import lora_parameters
from functions.model.catalog import BaseModelCard, Throughput, Tier
from functions.model.estimate import Estimate, FinishedRun, Span
from functions.model.job_spec import Hyperparameters
from functions.model.money import cost_cents
from functions.model.training_file import TrainingFileStats

# Until this many runs have finished, the interval is the requirement's 15 % and not their residuals.
ENOUGH_HISTORY = 5
_PRIOR_SPREAD = 0.15
_LEAST_SPREAD = 0.05
# 80 % of a normal distribution lies within 1.28 standard deviations.
_Z80 = 1.28
_GIB = 1024**3


def planned_steps(stats: TrainingFileStats, settings: Hyperparameters, held_out_fraction: float) -> int:
    """Optimizer steps of the whole run."""
    sequences = max(1, round(stats.sequences * (1 - held_out_fraction)))
    per_epoch = math.ceil(sequences / (settings.batch_size * settings.gradient_accumulation_steps))
    steps = per_epoch * settings.epochs
    return min(steps, settings.max_steps) if settings.max_steps else steps


def estimate_run(
    *,
    stats: TrainingFileStats,
    model: BaseModelCard,
    tier: Tier,
    settings: Hyperparameters,
    held_out_fraction: float,
    history: Sequence[FinishedRun],
    now: datetime,
) -> Estimate:
    """What the run will take and cost.

    Tokens of the dataset times epochs over the measured speed, plus the fixed stages; the team's own
    finished runs replace the prior speed, and their errors the prior interval.

    Raises:
        InvalidInput: the tier is not offered, or the file's tokens were never counted.
    """
    if tier.cents_per_hour is None or stats.tokens is None:
        raise InvalidInput(f"There is no price for {tier.name}." if stats.tokens else "The tokens are not counted yet.")
    prior = catalog.throughput_prior(gpu=tier.gpu, model=model.key)
    steps = planned_steps(stats, settings, held_out_fraction)
    uncapped = planned_steps(stats, settings.model_copy(update={"max_steps": None}), held_out_fraction)
    tokens = round(stats.tokens.total * (1 - held_out_fraction) * settings.epochs * steps / uncapped)
    speed = median(run.tokens_per_second for run in history) if history else prior.train_tokens_per_second
    evaluations = math.ceil(settings.epochs * steps / uncapped) + 2  # one an epoch, base and tuned at the ends
    seconds = _fixed_seconds(prior) + tokens / speed
    seconds += stats.tokens.total * held_out_fraction * evaluations / prior.forward_tokens_per_second
    spread = _spread(history)
    lost = _expected_loss(seconds, tier)
    gpu = cost_cents(seconds, tier.cents_per_hour)
    interruption = cost_cents(lost, tier.cents_per_hour)
    storage = _storage_cents(model, settings)
    return Estimate(
        seconds=Span(low=seconds * (1 - spread), expected=seconds + lost, high=(seconds + lost) * (1 + spread)),
        cents_low=cost_cents(seconds * (1 - spread), tier.cents_per_hour) + storage,
        cents_expected=gpu + interruption + storage,
        cents_high=cost_cents((seconds + lost) * (1 + spread), tier.cents_per_hour) + storage,
        gpu_cents=gpu,
        interruption_cents=interruption,
        storage_cents=storage,
        tokens=tokens,
        steps=steps,
        tokens_per_second=speed,
        history_jobs=len(history),
        past_error=_past_error(history),
        source=f"{len(history)} finished runs like this one" if history else prior.source,
        made_at=now,
    )


def _fixed_seconds(prior: Throughput) -> float:
    return prior.preprocessing_seconds + prior.model_loading_seconds + prior.finalization_seconds


def _ratios(history: Sequence[FinishedRun]) -> list[float]:
    return [run.actual_seconds / run.estimated_seconds for run in history if run.estimated_seconds > 0]


def _spread(history: Sequence[FinishedRun]) -> float:
    ratios = _ratios(history)
    if len(ratios) < ENOUGH_HISTORY:
        return _PRIOR_SPREAD
    return min(0.9, max(_LEAST_SPREAD, _Z80 * pstdev(ratios)))


def _past_error(history: Sequence[FinishedRun]) -> float | None:
    ratios = _ratios(history)
    return fmean(abs(ratio - 1) for ratio in ratios) if ratios else None


def _expected_loss(seconds: float, tier: Tier) -> float:
    if not tier.preemptible:
        return 0.0
    per_hour, recovery = catalog.interruption_prior()
    return seconds / 3600 * per_hour * recovery


def _storage_cents(model: BaseModelCard, settings: Hyperparameters) -> int:
    """A month of the adapter in both its formats, fp32."""
    size = 2 * 4 * lora_parameters(model, rank=settings.rank, modules=settings.target_modules)
    return round(size / _GIB * catalog.storage_cents_per_gib_month())
