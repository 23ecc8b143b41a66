"""A running job's money: bands, projections, advice, and the words for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.milestones import milestone
from blocks.spend_words import breakdown, track_record
from functions.model.estimate import Span
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.progress import Interruption
from functions.model.spend import Advice, Projection, Spend, TrackRecord
from functions.spend import BANDS, MARKS, advise, band_reached, mark_reached, project, record_mark, spend_of
from tests.unit import block_views as views

NOW = views.NOW


def job(**changes: Any) -> Job:
    """$3.60 an hour, ten hours expected, nothing billed yet."""
    estimate = views.estimate(
        seconds=Span(low=32_400, expected=36_000, high=39_600),
        cents_low=32_40,
        cents_expected=36_02,
        cents_high=39_60,
        storage_cents=2,
    )
    return views.job(**{"estimate": estimate, "rate_cents_per_hour": 360, "billed_seconds": 0.0, **changes})


def band_after(hours: float) -> int | None:
    return band_reached(job(), now=NOW, running_since=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("hours", "band"), [(0, None), (7.99, None), (8, 80), (9.99, 80), (10, 100), (11.99, 100), (12, 120), (50, 120)]
)
def test_each_band_begins_where_it_says(hours: float, band: int | None) -> None:
    assert band_after(hours) == band


def test_nothing_expected_is_no_band() -> None:
    free = job(estimate=views.estimate(cents_expected=2, storage_cents=2))
    assert band_reached(free, now=NOW, running_since=NOW - timedelta(hours=1)) is None


def test_ended_attempts_and_the_running_one_are_billed_and_recoveries_told_apart() -> None:
    spend = spend_of(job(billed_seconds=7200.0), now=NOW, running_since=NOW - timedelta(hours=1))
    assert spend.total_cents == 3 * 360
    assert spend.interruption_cents == 54  # nine minutes at $3.60
    assert spend.compute_cents + spend.interruption_cents == spend.total_cents
    unbroken = job(progress=views.progress(interruptions=()))
    assert spend_of(unbroken, now=NOW, running_since=None) == Spend(total_cents=0, interruption_cents=0)


def test_the_range_narrows_as_less_remains_and_the_worst_case_holds_one_more_interruption() -> None:
    early = project(job(), spent_cents=3_60, remaining_seconds=9 * 3600)
    late = project(job(), spent_cents=32_40, remaining_seconds=3600)
    assert early.expected_cents == late.expected_cents == 36_00
    assert late.worst_cents - late.best_cents < early.worst_cents - early.best_cents
    assert early.worst_cents == 3_60 + 35_64 + 60  # 32.40 and a tenth, ten minutes at $3.60
    at_home = job(configuration=views.configuration(tier="local", base_model="smollm2-135m"))
    assert project(at_home, spent_cents=3_60, remaining_seconds=9 * 3600).worst_cents == 3_60 + 35_64


def test_with_a_record_the_record_says_how_wide_it_is() -> None:
    few = TrackRecord(progress=50, runs=4, mean_error=0.2, in_range=2)
    bad = few.model_copy(update={"runs": 5})
    without = project(job(), spent_cents=18_00, remaining_seconds=5 * 3600)
    assert project(job(), spent_cents=18_00, remaining_seconds=5 * 3600, record=few) == without
    wide = project(job(), spent_cents=18_00, remaining_seconds=5 * 3600, record=bad)
    assert wide.worst_cents == 36_00 + 14_85 + 60
    assert wide.best_cents == 36_00 - 14_85


@given(
    spent=st.integers(0, 10**9),
    remaining=st.floats(0, 1e9),
    runs=st.integers(0, 50),
    error=st.floats(0, 50),
    expected=st.floats(0, 1e9),
    more=st.floats(0, 1e9),
)
def test_a_projection_is_always_in_order(
    spent: int, remaining: float, runs: int, error: float, expected: float, more: float
) -> None:
    estimate = views.estimate(seconds=Span(low=0, expected=expected, high=expected + more))
    record = TrackRecord(progress=50, runs=runs, mean_error=error, in_range=0)
    made = project(job(estimate=estimate), spent_cents=spent, remaining_seconds=remaining, record=record)
    assert 0 <= spent == made.spent_cents <= made.best_cents <= made.expected_cents <= made.worst_cents
    longer = project(job(estimate=estimate), spent_cents=spent, remaining_seconds=remaining + 3600, record=record)
    assert longer.expected_cents > made.expected_cents


@given(st.floats(0, 1))
def test_marks_are_passed_once_each_and_every_share_has_a_record(fraction: float) -> None:
    mark = mark_reached(fraction)
    assert mark is None or (mark in MARKS and mark <= fraction * 100 < mark + 15)
    assert record_mark(fraction) in MARKS


@pytest.mark.parametrize(
    ("expected", "worst", "fraction", "advice"),
    [
        (36_00, 39_60, 0.5, Advice.NOTHING),
        (36_00, 41_00, 0.5, Advice.WATCH),
        (41_00, 44_00, 0.5, Advice.CONSIDER_CANCELLING),
        (41_00, 44_00, 0.85, Advice.LET_FINISH),
    ],
)
def test_advice_follows_from_the_projection(expected: int, worst: int, fraction: float, advice: Advice) -> None:
    made = Projection(spent_cents=20_00, best_cents=30_00, expected_cents=expected, worst_cents=worst)
    assert advise(job(), made, fraction=fraction) is advice


@pytest.mark.parametrize("band", BANDS)
def test_an_alert_names_the_starter_the_money_the_end_and_the_record(band: int) -> None:
    view = views.card(advice=Advice.CONSIDER_CANCELLING)
    text, blocks = milestone(Notice.SPEND, view, {"band": band, "spent": 39_28}, None)
    assert "<@U0ELENA>" in text
    assert "$39.28 spent" in text
    assert "$49.10 expected" in text
    assert ("⚠" in text) is (band > 80)
    assert "Projected $47.32 at the end: $46.10 at best, $52.40 at worst." in text
    assert "Earlier projections at 50 % of the way were within ±6 % (8 runs)." in text
    assert "cancelling now saves the rest" in text
    assert len(blocks) == 1


def test_without_a_record_it_says_so_and_an_ended_run_has_no_projection() -> None:
    assert "not known yet" in track_record(views.card(track_record=None))
    ended, _ = milestone(Notice.SPEND, views.completed_card(), {"band": 80, "spent": 39_28}, None)
    assert "Projected" not in ended
    assert "record" not in ended
    assert breakdown(views.card()) == "Computing $21.59, recovering from interruptions $0.59"
    assert breakdown(views.card(spend=Spend(total_cents=5, interruption_cents=0))) == ""


def test_an_interruption_costs_what_the_machine_did_twice_not_the_time_without_one() -> None:
    lost = Interruption(
        at=NOW,
        step=10,
        cause="SIGKILL",
        machine_at=NOW + timedelta(minutes=50),
        resumed_at=NOW + timedelta(minutes=52),
        resumed_step=4,
        seconds_per_step=30.0,
    )
    assert lost.overhead_seconds == 2 * 60 + 6 * 30
    assert lost.model_copy(update={"resumed_at": None}).overhead_seconds == 0
