"""Figures: what a person reads in them, and that nothing a job may hold makes them fail or warn."""

from __future__ import annotations

import math
import struct
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from time import perf_counter
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from functions.model.estimate import Estimate, Span
from functions.model.events import PerplexityMeasured
from functions.model.job import Configuration, Job
from functions.model.job_spec import Hyperparameters
from functions.model.progress import Interruption, Progress
from functions.model.states import JobState
from functions.model.views import MetricPoint
from reports.figures import draw_loss_curve, draw_perplexity_bars, loss_curve, perplexity_bars
from reports.series import series, smoothed
from reports.style import SMALL, Sheet, drawable
from reports.verdict import badge, improvement_percent

# Sockets that other tests of this process left to the garbage collector are not the figures' affair.
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def job(name: str = "Elena Morales · Balanced", **progress: Any) -> Job:
    hyperparameters = Hyperparameters(
        rank=16, alpha=32, dropout=0, target_modules=("q_proj",), learning_rate=1e-4, epochs=3, batch_size=2,
        gradient_accumulation_steps=4, warmup_ratio=0.03,
    )  # fmt: skip
    estimate = Estimate(
        seconds=Span(low=1, expected=2, high=3), cents_low=1, cents_expected=2, cents_high=3, gpu_cents=2,
        interruption_cents=0, storage_cents=0, tokens=1, steps=1, tokens_per_second=1, history_jobs=0,
        past_error=None, source="test", made_at=NOW,
    )  # fmt: skip
    return Job(
        id=UUID(int=7), team_id="T1", training_file_id=UUID(int=1), training_file_name="file", name=name,
        description="", notes="", tags=(), client="", project="",
        configuration=Configuration(base_model="m", tier="spot", preset="balanced", hyperparameters=hyperparameters),
        estimate=estimate, rate_cents_per_hour=395, state=JobState.TRAINING, progress=Progress(**progress), attempt=1,
        recoveries=0, created_by="U1", channel_id="C1", created_at=NOW, started_at=NOW, ended_at=None,
        billed_seconds=0, actual_cost_cents=0,
    )  # fmt: skip


def falling(count: int, *, held_out_every: int = 10) -> list[MetricPoint]:
    noise = np.random.default_rng(0).normal(0, 0.1, count)
    losses = [0.9 + 1.6 * math.exp(-6 * step / count) + noise[step - 1] for step in range(1, count + 1)]
    return [
        MetricPoint(step=step, training_loss=loss, held_out_loss=1.1 if step % held_out_every == 0 else None)
        for step, loss in enumerate(losses, start=1)
    ]


def measured(base: float, tuned: float, tokens: int = 48213, conversations: int = 48) -> PerplexityMeasured:
    return PerplexityMeasured(base=base, tuned=tuned, tokens=tokens, conversations=conversations)


def written(sheet: Sheet) -> list[Any]:
    """Every piece of text that is drawn."""
    sheet.png()
    return [text for text in sheet.figure.findobj(Text) if text.get_text() and text.get_visible()]


def texts(sheet: Sheet) -> list[str]:
    return [text.get_text() for text in written(sheet)]


def png_size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("count", [0, 1, 2, 30, 31, 10_000])
def test_a_curve_of_any_length_is_a_picture_of_the_promised_size(count: int) -> None:
    assert png_size(loss_curve(job(), falling(count))) == (1600, 900)


def test_the_last_values_stand_at_the_ends_of_the_lines() -> None:
    points = [
        MetricPoint(step=1, training_loss=2.0),
        MetricPoint(step=2, training_loss=1.5, held_out_loss=1.75),
        MetricPoint(step=3, training_loss=1.25),
    ]
    shown = texts(draw_loss_curve(job(), points))
    assert shown.count("1.250") == 1
    assert shown.count("1.750") == 1
    assert {"Training", "Held-out", "Optimizer step", "Loss, nats per token"} <= set(shown)
    assert "Both in nats per token, on one axis. Lower is better." in shown


def test_the_labels_of_two_close_lines_do_not_overlap() -> None:
    sheet = draw_loss_curve(job(), [MetricPoint(step=step, training_loss=1.0, held_out_loss=1.0) for step in (1, 2)])
    labels = [text for text in written(sheet) if text.get_text() in {"Training", "Held-out", "1.000"}]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))


def test_a_long_curve_is_smoothed_and_says_so_with_the_last_measured_value() -> None:
    points = falling(200)
    last = points[-1].training_loss
    shown = " ".join(texts(draw_loss_curve(job(), points)))
    assert f"Thick: smoothed; thin: as measured, last {last:.3f}." in shown
    assert "smoothed" not in " ".join(texts(draw_loss_curve(job(), falling(30))))


def test_checkpoint_interruptions_and_the_lowest_held_out_loss_are_told() -> None:
    lost = Interruption(at=NOW, step=40, cause="SIGTERM", resumed_at=NOW, resumed_step=40)
    again = Interruption(at=NOW, step=70, cause="SIGTERM")
    points = [MetricPoint(step=step, held_out_loss=loss) for step, loss in ((20, 2.0), (50, 1.5), (90, 1.8))]
    shown = " ".join(texts(draw_loss_curve(job(checkpoint_step=1234, interruptions=(lost, again)), points)))
    assert "▲ Last checkpoint: step 1,234." in shown
    assert "┊ Interrupted 2×, resumed 1×." in shown
    assert "○ Lowest held-out loss: 1.500 at step 50." in shown


def test_losses_that_are_no_numbers_leave_a_gap_and_are_counted() -> None:
    points = [MetricPoint(step=step, training_loss=1.0) for step in range(1, 6)]
    points[2] = MetricPoint(step=3, training_loss=math.nan)
    points[3] = MetricPoint(step=4, training_loss=math.inf)
    assert "Gaps: 2 loss values not a finite number." in " ".join(texts(draw_loss_curve(job(), points)))
    assert "No loss was a finite number." in texts(draw_loss_curve(job(), points[2:4]))
    assert "No loss has been reported yet." in texts(draw_loss_curve(job(), []))


def test_steps_are_whole_numbers() -> None:
    for count in (1, 2, 3, 7, 40):
        sheet = draw_loss_curve(job(), falling(count))
        sheet.png()
        ticks = sheet.figure.axes[0].get_xticks()
        assert len(ticks) >= 2
        assert all(float(tick).is_integer() for tick in ticks)


def test_losses_of_many_magnitudes_get_a_logarithmic_axis_that_is_named() -> None:
    points = [MetricPoint(step=step, training_loss=500 * math.exp(-step / 9) + 0.5) for step in range(100)]
    assert "Nats per token (log)" in texts(draw_loss_curve(job(), points))


def test_a_step_told_twice_counts_as_told_last_and_order_does_not_matter() -> None:
    points = [MetricPoint(step=step, training_loss=loss) for step, loss in ((3, 1.0), (1, 3.0), (2, 9.0), (2, 2.0))]
    curve = series(points, lambda point: point.training_loss)
    assert curve.steps.tolist() == [1, 2, 3]
    assert curve.losses.tolist() == [3, 2, 1]


@given(st.lists(st.floats(-50, 1e9) | st.just(math.nan), min_size=1, max_size=200))
def test_smoothing_stays_within_the_data_and_keeps_its_gaps(losses: list[float]) -> None:
    data = np.array([1.0, *losses])
    means = smoothed(data)
    assert (np.isnan(means) == np.isnan(data)).all()
    assert np.nanmin(means) >= np.nanmin(data)
    assert np.nanmax(means) <= np.nanmax(data)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("🚀 Q1 日本語 launch", "Q1 launch"),
        ("$5 → $10 \\frac{1}{2} _x^y", "$5 → $10 \\frac{1}{2} _x^y"),
        ("two\nlines\tand \u200bnothing\x00", "two lines and nothing"),
        ("日本語", "Training run 00000000"),
        ("", "Training run 00000000"),
    ],
)
def test_titles_lose_only_what_the_font_cannot_draw(name: str, title: str) -> None:
    assert title in texts(draw_loss_curve(job(name), falling(3)))
    assert title in texts(draw_perplexity_bars(job(name, perplexity=measured(10, 5))))


def test_a_long_title_is_cut_to_the_picture() -> None:
    for sheet in (draw_loss_curve(job("W" * 5000), []), draw_perplexity_bars(job("A long name " * 20))):
        title = next(text for text in written(sheet) if text.get_text().endswith("…"))
        assert title.get_window_extent().x1 <= sheet.width - 50


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=80))
def test_no_name_makes_a_figure_fail_or_warn(name: str) -> None:
    assert png_size(perplexity_bars(job(name, perplexity=measured(10, 5)))) == (1200, 800)
    assert drawable(drawable(name)) == drawable(name)


_LOSS = st.none() | st.floats(-1e6, 1e30) | st.sampled_from([math.nan, math.inf, -math.inf])
_POINT = st.builds(MetricPoint, step=st.integers(0, 10**7), training_loss=_LOSS, held_out_loss=_LOSS)


@settings(max_examples=25, deadline=None)
@given(st.lists(_POINT, max_size=60), st.none() | st.integers(0, 10**7))
def test_no_points_make_a_figure_fail_or_warn(points: list[MetricPoint], checkpoint: int | None) -> None:
    assert png_size(loss_curve(job(checkpoint_step=checkpoint), points)) == (1600, 900)


def test_everything_written_lies_within_the_picture_and_is_readable_on_a_phone() -> None:
    lost = Interruption(at=NOW, step=40, cause="SIGTERM", resumed_at=NOW, resumed_step=40)
    points = [*falling(90), MetricPoint(step=91, training_loss=math.nan, held_out_loss=1.3)]
    curve = draw_loss_curve(job("x" * 200, checkpoint_step=90, interruptions=(lost,)), points)
    for sheet in (curve, draw_perplexity_bars(job(perplexity=measured(123456.7, 9.87)))):
        for text in written(sheet):
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= sheet.width, text
            assert box.y1 <= sheet.height, text
            pixels_on_phone = text.get_fontsize() * 100 / 72 * 400 / sheet.width
            assert pixels_on_phone >= SMALL / 4 - 0.01, text


@pytest.mark.parametrize(
    ("base", "tuned", "percent", "words"),
    [
        (24.5, 16.8, "31.4 %", "✓ Production ready"),
        (24.5, 17.15, "30.0 %", "✓ Production ready"),
        (100.0, 70.01, "29.9 %", "⚠ Acceptable"),
        (20.0, 16.0, "20.0 %", "⚠ Acceptable"),
        (100.0, 80.01, "19.9 %", "✗ Below threshold"),
        (8.0, 10.0, "25.0 %", "✗ Below threshold"),
        (math.inf, 5.0, "–", "✗ Not measurable"),
        (5.0, math.nan, "–", "✗ Not measurable"),
    ],
)
def test_bars_show_the_improvement_and_its_badge(base: float, tuned: float, percent: str, words: str) -> None:
    shown = texts(draw_perplexity_bars(job(perplexity=measured(base, tuned))))
    assert percent in shown
    assert words in shown
    assert "Measured on 48,213 tokens of 48 held-out conversations" in shown


def test_bars_carry_their_values_and_say_which_way_it_went() -> None:
    better = texts(draw_perplexity_bars(job(perplexity=measured(24.5, 6.789))))
    assert {"24.5", "6.79", "Base model", "Fine-tuned", "lower perplexity"} <= set(better)
    worse = texts(draw_perplexity_bars(job(perplexity=measured(8.0, 10.0, tokens=1, conversations=1))))
    assert {"higher perplexity", "Measured on 1 token of 1 held-out conversation"} <= set(worse)
    assert "Perplexity has not been measured yet." in texts(draw_perplexity_bars(job()))


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_a_badge_never_promises_more_than_the_figure_beside_it(base: float, tuned: float) -> None:
    improvement = improvement_percent(measured(base, tuned))
    assert improvement is not None
    exact = (base - tuned) / base * 100
    assert exact - 0.11 <= improvement <= exact + 1e-6
    assert (badge(improvement).text == "✓ Production ready") is (improvement >= 30)


def test_threads_draw_the_same_picture() -> None:
    points = falling(60)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: loss_curve(job(), points), range(6)))
    assert len(set(pictures)) == 1


def test_a_long_curve_is_drawn_quickly() -> None:
    points = falling(10_000)
    loss_curve(job(), points[:10])
    started = perf_counter()
    loss_curve(job(), points)
    assert perf_counter() - started < 3  # 0.3 s alone; the bound is wide because tests share the machine
