"""The estimator against histories whose truth is known: every run is foretold from those before it alone."""

from __future__ import annotations

from functools import cache
from statistics import mean, median

import pytest

from tests.unit.generated_history import TRUTHS, Foretold, Truth, backtest

SEEDS = range(8)
RUNS = 60


@cache
def histories(truth: Truth) -> list[list[Foretold]]:
    return [backtest(truth, seed=seed, runs=RUNS) for seed in SEEDS]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_eight_to_nineteen_of_twenty_runs_end_in_the_interval(truth: Truth) -> None:
    learned = [run for told in histories(truth) for run in told if run.learned]
    assert 0.80 <= mean(run.inside for run in learned) <= 0.95


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_error_falls_with_history(truth: Truth) -> None:
    # The first three runs of a few histories say little, so there are more of them. A run that went wrong is no
    # fault of its estimate.
    first = mean(run.error for seed in range(100, 160) for run in backtest(truth, seed=seed, runs=3))
    late = [run.error for told in histories(truth) for run in told[-30:] if not run.odd]
    # The noise of a single run is what no history takes away.
    assert median(late) < 2 * truth.noise
    if truth.drift == 0:
        assert mean(late) < first


@pytest.mark.parametrize("truth", [t for t in TRUTHS if t.speed in (0.6, 1.4)], ids=lambda truth: truth.name)
def test_a_wrong_prior_is_unlearned_within_ten_runs(truth: Truth) -> None:
    first = median(told[0].error for told in histories(truth))
    tenth = median(run.error for told in histories(truth) for run in told[7:12])
    assert first > 0.2
    assert tenth < 0.09


def test_the_interval_is_no_wider_than_the_noise_asks_for() -> None:
    quiet, noisy = TRUTHS[0], TRUTHS[-1]

    def width(truth: Truth) -> float:
        return median(run.high / run.expected - 1 for told in histories(truth) for run in told[20:])

    assert width(quiet) < 0.15
    assert width(noisy) < 0.35
    assert width(quiet) < width(noisy)
