"""Estimates: what they add up to, how they move with the work and with history."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import catalog
from functions.errors import InvalidInput
from functions.estimate import History, estimate_run, no_history
from functions.learning import ENOUGH_HISTORY, Lessons, prior_of, prior_stages_seconds
from functions.model.estimate import (
    ALGORITHM,
    Estimate,
    EstimateAccuracy,
    FinishedRun,
    InterruptionRecord,
    Workload,
)
from functions.model.training_file import TokenCounts
from tests.unit.block_views import stats

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TIER, MODEL = "modal-h100", "llama-3-8b"


def quoted(
    *,
    tokens: int = 480_000,
    sequences: int = 242,
    preset: str = "balanced",
    history: History | None = None,
    tier: str = TIER,
    max_steps: int | None = None,
) -> Estimate:
    model = catalog.base_model(MODEL)
    counted = TokenCounts(
        tokenizer="t", total=tokens, trainable=tokens // 2, per_pair=tokens, longest=tokens // sequences
    )
    chosen = catalog.hyperparameters_for(catalog.preset(preset), model)
    return estimate_run(
        stats=stats(tokens=counted, sequences=sequences),
        model=model,
        tier=catalog.tier(tier),
        settings=chosen.model_copy(update={"max_steps": max_steps}),
        preset=preset,
        held_out_fraction=0.2,
        history=history or no_history(),
        now=NOW,
    )


def finished(*, faster: float = 1.0, slower: float = 1.0, tokens: float = 2e6, tier: str = TIER) -> FinishedRun:
    """A run of this kind whose speed and fixed stages were so many times the prior's."""
    work = Workload(
        tier=tier, base_model=MODEL, tokens=tokens, evaluated_tokens=tokens / 3, mean_length=2000, batch_size=2
    )
    prior = prior_of(work)
    speed = prior.train_tokens_per_second * faster
    seconds = prior_stages_seconds(prior, work) * slower + tokens / speed
    return FinishedRun(workload=work, tokens_per_second=speed, estimated_seconds=seconds, actual_seconds=seconds)


def past(*runs: FinishedRun) -> History:
    return History(Lessons(runs), {}, {})


def test_without_history_it_is_the_prior_and_fifteen_percent() -> None:
    estimate = quoted()
    assert estimate.tokens_per_second == 8000
    assert estimate.seconds.high == pytest.approx(estimate.seconds.expected * 1.15)
    assert estimate.seconds.low == pytest.approx(estimate.seconds.expected * 0.85)
    assert "not measured" in estimate.source
    assert (estimate.history_jobs, estimate.past_error, estimate.algorithm) == (0, None, ALGORITHM)


def speed_after(runs: int, faster: float) -> float:
    """Times the prior's speed."""
    return quoted(history=past(*[finished(faster=faster)] * runs)).tokens_per_second / 8000


def test_every_run_brings_it_nearer_to_the_truth() -> None:
    speeds = [speed_after(runs, 0.6) for runs in (0, 1, 3, 20)]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[0] == 1
    assert 0.615 < speeds[1] < 0.7
    assert speeds[3] == pytest.approx(0.6, rel=0.01)


def test_a_single_absurd_run_is_doubted_until_a_second_one_says_the_same() -> None:
    assert speed_after(1, 0.2) > 0.75
    assert speed_after(2, 0.2) < 0.25


def test_one_absurd_run_among_good_ones_changes_little() -> None:
    good = [finished(faster=0.8)] * 8
    before = quoted(history=past(*good)).seconds.expected
    after = quoted(history=past(*good[:5], finished(faster=0.1), *good[5:])).seconds.expected
    assert after == pytest.approx(before, rel=0.05)


def test_newer_runs_count_more() -> None:
    slow, fast = [finished(faster=0.7)] * 15, [finished(faster=1.3)] * 15
    assert quoted(history=past(*slow, *fast)).tokens_per_second > quoted(history=past(*fast, *slow)).tokens_per_second


def test_runs_on_another_machine_teach_a_little_and_do_not_count_as_like_this_one() -> None:
    other = finished(faster=0.7)
    work = other.workload.model_copy(update={"tier": "local", "base_model": "smollm2-135m"})
    speed = prior_of(work).train_tokens_per_second * 0.7
    elsewhere = other.model_copy(update={"workload": work, "tokens_per_second": speed, "actual_seconds": 40_000.0})
    estimate = quoted(history=past(*[elsewhere] * 10))
    assert estimate.history_jobs == 0
    assert 0.7 * 8000 < estimate.tokens_per_second < 0.95 * 8000
    assert estimate.seconds.high == pytest.approx(estimate.seconds.expected * 1.15)


def test_the_interval_is_the_requirements_until_five_runs_and_then_their_residuals() -> None:
    def spread(runs: int) -> float:
        estimate = quoted(history=past(*[finished(faster=0.9)] * runs))
        return estimate.seconds.high / estimate.seconds.expected - 1

    assert spread(ENOUGH_HISTORY - 1) == pytest.approx(0.15)
    assert spread(40) < 0.12


def test_interruptions_of_the_past_set_the_buffer() -> None:
    def buffer(record: InterruptionRecord) -> int:
        return quoted(tokens=50_000_000, history=History(Lessons(()), {TIER: record}, {})).interruption_cents

    never = buffer(InterruptionRecord(billed_hours=500))
    often = buffer(InterruptionRecord(billed_hours=500, interruptions=100, recoveries=100, recovery_seconds=90_000))
    assert 0 <= never < quoted(tokens=50_000_000).interruption_cents < often


def test_accuracy_of_the_preset_goes_with_it() -> None:
    accuracy = {"balanced": EstimateAccuracy(runs=9, mean_error=0.12, in_range=8)}
    known = quoted(history=History(Lessons(()), {}, accuracy))
    assert (known.past_error, known.past_runs) == (0.12, 9)
    assert quoted(preset="conservative", history=History(Lessons(()), {}, accuracy)).past_error is None


def test_what_has_no_price_or_no_tokens_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no price"):
        quoted(tier="modal-h100-on-demand")
    with pytest.raises(InvalidInput, match="not counted"):
        estimate_run(
            stats=stats(tokens=None),
            model=catalog.base_model(MODEL),
            tier=catalog.tier(TIER),
            settings=catalog.preset("balanced").hyperparameters,
            preset="balanced",
            held_out_fraction=0.2,
            history=no_history(),
            now=NOW,
        )


_positive = st.floats(1e-3, 1e9)
_runs = st.lists(
    st.builds(
        FinishedRun,
        workload=st.builds(
            Workload,
            tier=st.sampled_from([TIER, "local", "gone"]),
            base_model=st.sampled_from([MODEL, "llama-3-70b", "smollm2-135m", "gone"]),
            tokens=st.floats(0, 1e10),
            evaluated_tokens=st.floats(0, 1e10),
            mean_length=st.floats(1, 1e5),
            batch_size=st.integers(1, 64),
        ),
        tokens_per_second=st.one_of(st.just(0.0), _positive),
        estimated_seconds=_positive,
        actual_seconds=st.one_of(st.just(0.0), _positive),
        lost_seconds=st.floats(0, 1e6),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(
    _runs, st.integers(100, 10**8), st.integers(1, 4000), st.sampled_from(["conservative", "balanced", "aggressive"])
)
def test_any_history_gives_money_that_adds_up(
    runs: list[FinishedRun], tokens: int, sequences: int, preset: str
) -> None:
    estimate = quoted(tokens=max(tokens, sequences), sequences=sequences, preset=preset, history=past(*runs))
    parts = (
        estimate.gpu_cents,
        estimate.evaluation_cents,
        estimate.interruption_cents,
        estimate.storage_cents,
    )
    assert min(parts) >= 0
    assert sum(parts) == estimate.cents_expected
    assert 0 < estimate.cents_low <= estimate.cents_expected <= estimate.cents_high
    assert 0 < estimate.seconds.low <= estimate.seconds.expected <= estimate.seconds.high < math.inf


@settings(max_examples=60, deadline=None)
@given(_runs, st.integers(1_000, 10**7), st.integers(1, 1000), st.floats(1, 20))
def test_more_tokens_never_take_less(runs: list[FinishedRun], tokens: int, sequences: int, factor: float) -> None:
    history = past(*runs)
    small = quoted(tokens=tokens, sequences=sequences, history=history)
    longer = quoted(tokens=round(tokens * factor), sequences=sequences, history=history)
    more = quoted(tokens=round(tokens * factor), sequences=math.ceil(sequences * factor), history=history)
    for larger in (longer, more):
        assert larger.seconds.expected >= small.seconds.expected * 0.999
        assert larger.cents_expected >= small.cents_expected - 1
