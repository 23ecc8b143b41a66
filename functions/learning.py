"""What the team's own finished jobs teach about speed and fixed stages, and how far predictions of it were off."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from functions import catalog
from functions.errors import InvalidInput
from functions.model.catalog import Throughput
from functions.model.estimate import FinishedRun, InterruptionRecord, Workload
from functions.regression import Floats, Regression, fit

# Until this many runs like the new one have finished, the interval is the requirement's 15 %.
ENOUGH_HISTORY = 5
_PRIOR_SPREAD = 0.15
_LEAST_SPREAD, _MOST_SPREAD = 0.04, 0.6
# A run counts half as much once this many of its kind have finished after it.
_HALF_LIFE_RUNS = 12
# One standard deviation, in natural logarithms, by which a prior may be off: as a whole, for a tier, for a model;
# and by how much speed may change with e times the tokens, the length, the batch.
_WHOLE, _TIER, _MODEL = 0.2, 0.1, 0.15
_TOKENS, _LENGTH, _BATCH = 0.05, 0.1, 0.15
_STAGES_LOOSER = 2.0  # fixed stages are known less well than speed
_SPEED_NOISE, _STAGES_NOISE = 0.1, 0.2
# A longer run never takes less time: together these stay below one.
_SLOPE_LIMIT = 0.4
_MOST_LOG = 3.0
# The interval that nine of ten runs end in: 1.645 deviations of a normal distribution on either side.
_Z90 = 1.645
_CALIBRATION_BELIEF = 4.0
_CLIPPED_AT = 2.5
# The interruption prior is believed as if it had been seen for so many hours, its recovery so many times.
_PRIOR_HOURS, _PRIOR_RECOVERIES = 20.0, 2.0


class Prediction(NamedTuple):
    """Seconds of a workload without interruptions, tokens a second, and how wide the interval is.

    `spread` is relative: the interval goes from expected / (1 + spread) to expected * (1 + spread) where
    `learned`, and spread to either side where it is the requirement's.
    """

    stages_seconds: float
    training_seconds: float
    tokens_per_second: float
    spread: float
    learned: bool
    like_this: int


def prior_stages_seconds(prior: Throughput, workload: Workload) -> float:
    """Fixed stages and evaluation, as the data file has them."""
    fixed = prior.preprocessing_seconds + prior.model_loading_seconds + prior.finalization_seconds
    return fixed + workload.evaluated_tokens / prior.forward_tokens_per_second


def prior_of(workload: Workload) -> Throughput:
    """The speed that the data files have for a workload.

    Raises:
        InvalidInput: they have none, or do not know its tier.
    """
    return catalog.throughput_prior(gpu=catalog.tier(workload.tier).gpu, model=workload.base_model)


def expected_loss_seconds(seconds: float, *, preemptible: bool, record: InterruptionRecord) -> float:
    """Billed seconds that interruptions will take of a run of so many seconds.

    A rate (interruptions a billed hour) times what one recovery takes; both are the prior's until history, which
    is counted together with it, outweighs it (gamma-Poisson).
    """
    if not preemptible:
        return 0.0
    per_hour, recovery = catalog.interruption_prior()
    rate = (per_hour * _PRIOR_HOURS + record.interruptions) / (_PRIOR_HOURS + record.billed_hours)
    each = (recovery * _PRIOR_RECOVERIES + record.recovery_seconds) / (_PRIOR_RECOVERIES + record.recoveries)
    return seconds / 3600 * rate * each


class _Row(NamedTuple):
    run: FinishedRun
    prior: Throughput


class Lessons:
    """What a team's finished jobs teach; computed once, asked for many workloads."""

    def __init__(self, history: Sequence[FinishedRun]) -> None:
        """Take history in, the oldest run first."""
        self._rows = [_Row(run, prior) for run in history if (prior := _usable(run)) is not None]
        self._kinds = Counter(_kind(row.run.workload) for row in self._rows)
        self._tiers = sorted({row.run.workload.tier for row in self._rows})
        self._models = sorted({row.run.workload.base_model for row in self._rows})

    def predict(self, workload: Workload) -> Prediction:
        """What a workload takes, by the priors and by all that was learned.

        Raises:
            InvalidInput: no speed is known of its tier and base model.
        """
        prior = prior_of(workload)
        stages, speed = prior_stages_seconds(prior, workload), prior.train_tokens_per_second
        like_this = self._kinds[_kind(workload)]
        if not self._rows:
            return Prediction(stages, workload.tokens / speed, speed, _PRIOR_SPREAD, False, 0)
        faster, speed_variance = self._asked(self._speed, self._speed_features(workload), workload, looser=1)
        slower, stages_variance = self._asked(
            self._stages, self._stages_features(workload), workload, looser=_STAGES_LOOSER
        )
        speed, stages = speed * math.exp(faster), stages * math.exp(slower)
        training = workload.tokens / speed
        learned = like_this >= ENOUGH_HISTORY
        spread = _PRIOR_SPREAD
        if learned:
            deviation = math.sqrt(_mixed(training, stages, speed_variance, stages_variance)) * self._calibration
            spread = min(_MOST_SPREAD, max(_LEAST_SPREAD, math.expm1(_t90(self._kinds.total()) * deviation)))
        return Prediction(stages, training, speed, spread, learned, like_this)

    def _asked(
        self, regression: Regression, features: Floats, workload: Workload, *, looser: float
    ) -> tuple[float, float]:
        value, variance = regression.predict(features)
        if workload.tier not in self._tiers:
            variance += (_TIER * looser) ** 2
        if workload.base_model not in self._models:
            variance += (_MODEL * looser) ** 2
        return max(-_MOST_LOG, min(_MOST_LOG, value)), variance

    @cached_property
    def _weights(self) -> Floats:
        """What each run counts in the fit before each other one: halved by every dozen of its kind since."""
        kinds = [_kind(row.run.workload) for row in self._rows]
        weights = np.zeros((len(kinds) + 1, len(kinds)))
        for fitted in range(len(kinds) + 1):
            later: Counter[tuple[str, str]] = Counter()
            for place in range(fitted - 1, -1, -1):
                weights[fitted, place] = 0.5 ** (later[kinds[place]] / _HALF_LIFE_RUNS)
                later[kinds[place]] += 1
        return weights

    @cached_property
    def _centre(self) -> Floats:
        sizes: Floats = np.array([_sizes(row.run.workload) for row in self._rows])
        return np.asarray(sizes.mean(axis=0))

    def _levels(self, workload: Workload) -> list[float]:
        return [
            1.0,
            *(float(workload.tier == tier) for tier in self._tiers),
            *(float(workload.base_model == model) for model in self._models),
        ]

    def _stages_features(self, workload: Workload) -> Floats:
        return np.array(self._levels(workload))

    def _speed_features(self, workload: Workload) -> Floats:
        return np.concatenate([np.array(self._levels(workload)), _sizes(workload) - self._centre])

    def _deviations(self) -> list[float]:
        return [_WHOLE, *(_TIER for _ in self._tiers), *(_MODEL for _ in self._models)]

    @cached_property
    def _speed(self) -> Regression:
        """Of log(speed / prior speed)."""
        ratios = [row.run.tokens_per_second / row.prior.train_tokens_per_second for row in self._rows]
        learned = fit(
            np.array([self._speed_features(row.run.workload) for row in self._rows]),
            _logs(ratios),
            self._weights,
            prior_deviations=np.array([*self._deviations(), _TOKENS, _LENGTH, _BATCH]),
            noise=_SPEED_NOISE,
        )
        slopes = learned.coefficients[:, -3:]
        np.clip(slopes, -_SLOPE_LIMIT, _SLOPE_LIMIT, out=slopes)
        return learned

    @cached_property
    def _stages(self) -> Regression:
        """Of log(seconds besides training / prior seconds besides training)."""
        ratios = [_stages_of(row.run) / prior_stages_seconds(row.prior, row.run.workload) for row in self._rows]
        return fit(
            np.array([self._stages_features(row.run.workload) for row in self._rows]),
            _logs(ratios),
            self._weights,
            prior_deviations=np.array(self._deviations()) * _STAGES_LOOSER,
            noise=_STAGES_NOISE,
        )

    @cached_property
    def _calibration(self) -> float:
        """How much further off than it believed the regression was, over all runs it foretold; about one.

        Every run is held against what was foretold of it from the runs before. A run far off counts as one
        `_CLIPPED_AT` deviations off: one outlier must not widen every interval for months.
        """
        faster, speed_variance = self._speed.foretold()
        slower, stages_variance = self._stages.foretold()
        squares = []
        for place, (run, prior) in enumerate(self._rows):
            training = run.workload.tokens / (prior.train_tokens_per_second * math.exp(faster[place]))
            stages = prior_stages_seconds(prior, run.workload) * math.exp(slower[place])
            variance = _mixed(training, stages, speed_variance[place], stages_variance[place])
            off = math.log(run.actual_seconds / (training + stages)) / math.sqrt(variance)
            squares.append(min(abs(off), _CLIPPED_AT) ** 2)
        weights = self._weights[-1]
        total = _CALIBRATION_BELIEF + float(weights @ np.array(squares))
        return math.sqrt(total / (_CALIBRATION_BELIEF + float(weights.sum())))


def _usable(run: FinishedRun) -> Throughput | None:
    """The prior of a run that can teach; None where its figures make no sense or its tier is gone."""
    if run.tokens_per_second <= 0 or run.workload.tokens <= 0 or run.actual_seconds <= 0:
        return None
    try:
        return prior_of(run.workload)
    except InvalidInput:
        return None


def _kind(workload: Workload) -> tuple[str, str]:
    return workload.tier, workload.base_model


def _sizes(workload: Workload) -> Floats:
    return np.asarray(np.log([max(1.0, workload.tokens), workload.mean_length, float(workload.batch_size)]))


def _stages_of(run: FinishedRun) -> float:
    """Billed seconds that were neither training nor lost; at least one, as clocks of two machines disagree."""
    return max(1.0, run.actual_seconds - run.lost_seconds - run.workload.tokens / run.tokens_per_second)


def _logs(ratios: Sequence[float]) -> Floats:
    return np.asarray(np.clip(np.log(np.array(ratios)), -_MOST_LOG, _MOST_LOG))


def _mixed(training: float, stages: float, training_variance: float, stages_variance: float) -> float:
    """Variance of the logarithm of a sum of two parts, to first order."""
    part = training / (training + stages) if training + stages > 0 else 0.5
    return part**2 * training_variance + (1 - part) ** 2 * stages_variance


def _t90(runs: int) -> float:
    """Half width of Student's 90 % interval (Abramowitz and Stegun 26.7.5, first term)."""
    freedom = _CALIBRATION_BELIEF + runs - 1
    return _Z90 + (_Z90**3 + _Z90) / (4 * freedom)
