"""Histories of a team with a known truth, for the backtest of the estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from functions.learning import Lessons, expected_loss_seconds, prior_of, prior_stages_seconds
from functions.model.estimate import FinishedRun, InterruptionRecord, Workload

TIER, MODEL = "modal-h100", "llama-3-8b"


@dataclass(frozen=True)
class Truth:
    """How the world is: speed against the prior, its drift a run, its dependence on length and batch, its noise."""

    name: str
    speed: float = 1.0
    stages: float = 1.0
    drift: float = 0.0
    outlier_every: int = 0
    length_slope: float = -0.06
    batch_slope: float = 0.16
    noise: float = 0.05
    stages_noise: float = 0.15
    interruptions_per_hour: float = 0.05


TRUTHS = (
    Truth("the prior is right"),
    Truth("the prior is 40 % too fast", speed=0.6, stages=1.4),
    Truth("the prior is 40 % too slow", speed=1.4, stages=0.7),
    Truth("speed drifts by a third over sixty runs", drift=-0.007),
    Truth("every fifteenth run goes wrong", speed=0.8, outlier_every=15),
    Truth("a noisy house", speed=1.2, noise=0.12, stages_noise=0.3),
)


@dataclass(frozen=True)
class Foretold:
    """One run, and what the estimator said of it from the runs before."""

    expected: float
    low: float
    high: float
    actual: float
    learned: bool
    odd: bool

    @property
    def inside(self) -> bool:
        return self.low <= self.actual <= self.high

    @property
    def error(self) -> float:
        return abs(self.actual / self.expected - 1)


def backtest(truth: Truth, *, seed: int, runs: int) -> list[Foretold]:
    """Runs one after the other: each is estimated from those before it, then happens, then is history."""
    chance = np.random.default_rng(seed)
    history: list[FinishedRun] = []
    told = []
    record = InterruptionRecord()
    for number in range(runs):
        work = _workload(chance)
        predicted = Lessons(history[-60:]).predict(work)
        seconds = predicted.stages_seconds + predicted.training_seconds
        expected = seconds + expected_loss_seconds(seconds, preemptible=True, record=record)
        low = expected / (1 + predicted.spread) if predicted.learned else expected * (1 - predicted.spread)
        run, losses = _happens(work, truth, number, chance, expected)
        high = expected * (1 + predicted.spread)
        told.append(Foretold(expected, low, high, run.actual_seconds, predicted.learned, _is_odd(truth, number)))
        history.append(run)
        record = InterruptionRecord(
            billed_hours=record.billed_hours + run.actual_seconds / 3600,
            interruptions=record.interruptions + losses,
            recoveries=record.recoveries + losses,
            recovery_seconds=record.recovery_seconds + run.lost_seconds,
        )
    return told


def _is_odd(truth: Truth, number: int) -> bool:
    return bool(truth.outlier_every) and number % truth.outlier_every == truth.outlier_every - 3


def _workload(chance: np.random.Generator) -> Workload:
    tokens = math.exp(chance.uniform(math.log(5e5), math.log(3e7)))
    return Workload(
        tier=TIER,
        base_model=MODEL,
        tokens=tokens,
        evaluated_tokens=tokens * 0.25 * chance.uniform(0.8, 2),
        mean_length=math.exp(chance.uniform(math.log(300), math.log(3500))),
        batch_size=int(chance.choice([1, 2, 4])),
    )


def _happens(
    work: Workload, truth: Truth, number: int, chance: np.random.Generator, expected: float
) -> tuple[FinishedRun, int]:
    prior = prior_of(work)
    effect = truth.length_slope * math.log(work.mean_length / 1000) + truth.batch_slope * math.log(work.batch_size / 2)
    speed = prior.train_tokens_per_second * truth.speed * math.exp(effect + truth.drift * number)
    speed *= math.exp(chance.normal(0, truth.noise))
    if _is_odd(truth, number):
        speed /= 3
    stages = prior_stages_seconds(prior, work) * truth.stages * math.exp(chance.normal(0, truth.stages_noise))
    seconds = stages + work.tokens / speed
    losses = int(chance.poisson(truth.interruptions_per_hour * seconds / 3600))
    lost = float(sum(chance.uniform(200, 900) for _ in range(losses)))
    run = FinishedRun(
        workload=work,
        tokens_per_second=speed,
        estimated_seconds=expected,
        actual_seconds=seconds + lost,
        lost_seconds=lost,
    )
    return run, losses
