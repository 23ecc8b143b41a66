"""The figures of a job as PNG: its loss curve, and its perplexity before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from functions.model.events import PerplexityMeasured
from functions.model.job import Job
from functions.model.views import MetricPoint
from reports import style
from reports.series import Floats, Series, series, smoothed
from reports.style import Sheet, drawable
from reports.verdict import badge, improvement_percent

CURVE_SIZE = (1600, 900)
BARS_SIZE = (1200, 800)
SMOOTH_ABOVE = 30
LOG_ABOVE_RATIO = 100.0


def loss_curve(job: Job, points: Sequence[MetricPoint]) -> bytes:
    """Training and held-out loss over optimizer steps as PNG, 1600 x 900 pixels.

    Args:
        job: gives the title, the interruptions and the last checkpoint.
        points: losses in nats per token, in any order; of a step told twice the later entry counts. None is
            "not measured at this step"; NaN and infinity are measured but useless, and break the line.
    """
    return draw_loss_curve(job, points).png()


def perplexity_bars(job: Job) -> bytes:
    """Base and tuned perplexity with the improvement and its badge as PNG, 1200 x 800 pixels."""
    return draw_perplexity_bars(job).png()


def draw_loss_curve(job: Job, points: Sequence[MetricPoint]) -> Sheet:
    """The sheet behind `loss_curve`."""
    training = series(points, lambda point: point.training_loss)
    held_out = series(points, lambda point: point.held_out_loss)
    sheet = Sheet(*CURVE_SIZE)
    _title(sheet, job)
    if training.last is None and held_out.last is None:
        told = training.steps.size + held_out.steps.size
        _say_nothing(sheet, "No loss was a finite number." if told else "No loss has been reported yet.")
        return sheet
    both = training.last is not None and held_out.last is not None
    scale = "Both in nats per token, on one axis. Lower is better." if both else "In nats per token. Lower is better."
    sheet.write(60, 142, scale, style.SMALL, color=style.MUTED)
    lines = sheet.wrap(_notes(job, training, held_out), style.SMALL, sheet.width - 120)
    for index, line in enumerate(reversed(lines)):
        sheet.write(60, sheet.height - 32 - 48 * index, line, style.SMALL, color=style.MUTED)
    axes = sheet.axes(left=200, top=178, right=270, bottom=(150 if lines else 130) + 48 * len(lines))
    _scale(axes, job, training, held_out)
    _marks(axes, job)
    ends = [_draw_training(axes, training), _draw_held_out(axes, held_out)]
    _label_ends(axes, [end for end in ends if end is not None])
    return sheet


def draw_perplexity_bars(job: Job) -> Sheet:
    """The sheet behind `perplexity_bars`."""
    sheet = Sheet(*BARS_SIZE)
    measured = job.progress.perplexity
    _title(sheet, job)
    if measured is None:
        _say_nothing(sheet, "Perplexity has not been measured yet.")
        return sheet
    scope = f"{_count(measured.tokens, 'token')} of {_count(measured.conversations, 'held-out conversation')}"
    sheet.write(60, 142, "Perplexity, lower is better", style.SMALL, color=style.MUTED)
    sheet.write(60, 190, f"Measured on {scope}", style.SMALL, color=style.MUTED)
    _draw_bars(sheet, measured)
    _draw_verdict(sheet, measured)
    return sheet


def _title(sheet: Sheet, job: Job) -> None:
    name = drawable(job.name, bold=True) or f"Training run {str(job.id)[:8]}"
    room = sheet.width - 120
    # A name that is a little too long is set smaller before any of it is cut.
    smallest = style.LABEL * sheet.width // CURVE_SIZE[0]
    sizes = range(style.TITLE, smallest, -2)
    size = next((size for size in sizes if sheet.text_width(name, size, bold=True) <= room), smallest)
    sheet.write(60, 84, sheet.fit(name, size, room, bold=True), size, bold=True)


def _say_nothing(sheet: Sheet, text: str) -> None:
    sheet.write(sheet.width / 2, sheet.height / 2 + 20, text, style.LABEL, color=style.MUTED, ha="center")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _scale(axes: Any, job: Job, training: Series, held_out: Series) -> None:
    """Limits, ticks and axis names."""
    axes.set_xlim(*_step_limits(job, np.concatenate((training.steps, held_out.steps))))
    axes.xaxis.set_major_locator(FixedLocator(_step_ticks(*axes.get_xlim())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    losses = np.concatenate((training.losses[training.finite], held_out.losses[held_out.finite]))
    logarithmic = _scale_losses(axes, float(losses.min()), float(losses.max()))
    axes.grid(axis="y", color=style.GRID, linewidth=2)
    small = style.font(style.SMALL)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(small)
    name = "Nats per token (log)" if logarithmic else "Loss, nats per token"
    axes.set_ylabel(name, fontproperties=small, color=style.MUTED, labelpad=14)
    axes.set_xlabel("Optimizer step", fontproperties=small, color=style.MUTED, labelpad=6)


def _step_limits(job: Job, steps: Floats) -> tuple[float, float]:
    """From the first step, or 0 where that is near, to the last thing that is shown."""
    marked = [item.step for item in job.progress.interruptions]
    first, last = float(steps.min()), max([float(steps.max()), job.progress.checkpoint_step or 0, *marked])
    if first == last:
        return first - 1, last + 1
    return (min(first, 0.0) if first <= last / 10 else first), last


def _scale_losses(axes: Any, low: float, high: float) -> bool:
    """Loss axis between two losses; returns whether it had to be logarithmic."""
    if low > 0 and high / low > LOG_ABOVE_RATIO:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return True
    # A curve that hardly moves must not look like a mountain range.
    pad = max(0.06 * (high - low), 0.03 * max(abs(high), abs(low)), 1e-3)
    axes.set_ylim(low - pad, high + pad)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    plain = ScalarFormatter(useOffset=False, useMathText=False)
    plain.set_scientific(False)
    axes.yaxis.set_major_formatter(plain)
    return False


def _step_ticks(low: float, high: float) -> list[float]:
    """Whole steps inside the limits, at most seven."""
    ticks = MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _marks(axes: Any, job: Job) -> None:
    """Interruptions as dotted lines, the last checkpoint as a triangle on the axis."""
    low, high = axes.get_xlim()
    for step in {item.step for item in job.progress.interruptions if item.step >= low}:
        axes.axvline(step, color=style.GREY, linewidth=2.5, linestyle=(0, (1, 2.2)), zorder=1)
    checkpoint = job.progress.checkpoint_step
    if checkpoint is not None and low <= checkpoint <= high:
        look = {"marker": "^", "markersize": 14, "color": style.MUTED, "linestyle": "none"}
        axes.plot([checkpoint], [0.0], transform=axes.get_xaxis_transform(), clip_on=False, zorder=5, **look)


def _notes(job: Job, training: Series, held_out: Series) -> list[str]:
    """What the marks mean, and what the curve alone does not tell."""
    progress = job.progress
    notes = []
    if np.count_nonzero(training.finite) > SMOOTH_ABOVE and training.last is not None:
        notes.append(f"Thick: smoothed; thin: as measured, last {_loss(training.last[1])}.")
    if progress.checkpoint_step is not None:
        notes.append(f"▲ Last checkpoint: step {progress.checkpoint_step:,}.")
    if progress.interruptions:
        resumed = sum(item.resumed_at is not None for item in progress.interruptions)
        notes.append(f"┊ Interrupted {len(progress.interruptions)}×, resumed {resumed}×.")
    best = held_out.lowest
    if best is not None and held_out.last is not None and best[1] < held_out.last[1]:
        notes.append(f"○ Lowest held-out loss: {_loss(best[1])} at step {best[0]:,.0f}.")
    lost = int(np.count_nonzero(~training.finite) + np.count_nonzero(~held_out.finite))
    if lost:
        notes.append(f"Gaps: {_count(lost, 'loss value')} not a finite number.")
    return notes


def _loss(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.3g}"


@dataclass(frozen=True)
class _End:
    """Where a line ends, to be labelled there."""

    name: str
    step: float
    loss: float
    color: str


def _draw_training(axes: Any, curve: Series) -> _End | None:
    if curve.last is None:
        return None
    smooth = np.count_nonzero(curve.finite) > SMOOTH_ABOVE
    look = {"linewidth": 2, "alpha": 0.35, "zorder": 2} if smooth else {"linewidth": 5, "zorder": 3}
    axes.plot(curve.steps, curve.losses, color=style.BLUE, **look)
    alone = curve.alone
    axes.plot(curve.steps[alone], curve.losses[alone], "o", color=style.BLUE, markersize=5 if smooth else 11, zorder=3)
    step, loss = curve.last
    if smooth:
        means = smoothed(curve.losses)
        axes.plot(curve.steps, means, color=style.BLUE, linewidth=6, solid_capstyle="round", zorder=3)
        loss = float(means[curve.finite][-1])
    axes.plot([step], [loss], "o", color=style.BLUE, markersize=13, zorder=4, clip_on=False)
    return _End("Training", step, loss, style.BLUE)


def _draw_held_out(axes: Any, curve: Series) -> _End | None:
    if curve.last is None:
        return None
    every = max(1, curve.steps.size // 15)
    dashes = {"linewidth": 4.5, "linestyle": (0, (3, 1.6)), "color": style.VERMILLION, "clip_on": False}
    marks = {"marker": "D", "markersize": 13, "markeredgecolor": style.PAPER, "markeredgewidth": 2, "markevery": every}
    axes.plot(curve.steps, curve.losses, zorder=4, **dashes, **marks)
    step, loss = curve.last
    axes.plot([step], [loss], "D", color=style.VERMILLION, markersize=14, zorder=5, clip_on=False)
    lowest = curve.lowest
    if lowest is not None and lowest[1] < loss:
        axes.plot(
            *lowest, "o", markerfacecolor="none", markeredgecolor=style.INK, markersize=26, markeredgewidth=3, zorder=5
        )
    return _End("Held-out", step, loss, style.VERMILLION)


def _label_ends(axes: Any, ends: list[_End]) -> None:
    """Name and last value right of each line; two that would overlap are moved apart."""
    box = axes.get_window_extent()
    heights = [float(axes.transData.transform((end.step, end.loss))[1]) for end in ends]
    for end, height in zip(ends, _apart(heights, 104.0, box.y0 + 48, box.y1 + 48), strict=True):
        for offset, text, bold in ((8, end.name, False), (-38, _loss(end.loss), True)):
            axes.text(
                box.x1 + 26, height + offset, text, transform=None, fontproperties=style.font(style.LABEL, bold=bold),
                color=end.color, parse_math=False,
            )  # fmt: skip


def _apart(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    """Heights at least `gap` apart and within limits, in the same order from bottom to top."""
    if len(heights) < 2:
        return [min(max(height, low), high) for height in heights]
    bottom, top = (0, 1) if heights[0] <= heights[1] else (1, 0)
    short = max(0.0, gap - (heights[top] - heights[bottom]))
    moved = list(heights)
    moved[bottom] = min(max(heights[bottom] - short / 2, low), high - gap)
    moved[top] = min(max(heights[top] + short / 2, moved[bottom] + gap), high)
    return moved


def _draw_bars(sheet: Sheet, measured: PerplexityMeasured) -> None:
    axes = sheet.axes(left=60, top=290, right=520, bottom=90)
    values = [measured.base, measured.tuned]
    shown = [value if math.isfinite(value) and value > 0 else 0.0 for value in values]
    top = max(shown) or 1.0
    axes.bar([0, 1], shown, width=0.72, color=[style.GREY, style.BLUE])
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(0, top)
    axes.set_yticks([])
    axes.set_xticks([0, 1], ["Base model", "Fine-tuned"])
    for label in axes.get_xticklabels():
        label.set_fontproperties(style.font(style.LABEL))
        label.set_color(style.INK)
    for position, (value, height) in enumerate(zip(values, shown, strict=True)):
        axes.annotate(
            _perplexity(value), (position, height), xytext=(0, 12), textcoords="offset points", ha="center",
            fontproperties=style.font(56, bold=True), color=style.INK, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _perplexity(value: float) -> str:
    if not math.isfinite(value):
        return "not finite"
    if value >= 1e6:
        return f"{value:.1e}"
    decimals = 2 if value < 10 else 1 if value < 1000 else 0
    return f"{value:,.{decimals}f}"


def _draw_verdict(sheet: Sheet, measured: PerplexityMeasured) -> None:
    """The improvement in large figures, and the badge: symbol and words, never colour alone."""
    improvement = improvement_percent(measured)
    verdict = badge(improvement)
    middle = sheet.width - 280
    if improvement is None:
        headline, below = "–", "no finite number"
    else:
        headline = f"{abs(improvement):.1f} %"
        below = "lower perplexity" if improvement > 0 else "higher perplexity" if improvement < 0 else "no change"
    sheet.write(middle, 452, headline, 88, bold=True, color=verdict.color, ha="center")
    sheet.write(middle, 508, below, style.SMALL, color=style.MUTED, ha="center")
    width, height = sheet.text_width(verdict.text, style.LABEL, bold=True) + 56, 80
    pill = FancyBboxPatch(
        ((middle - width / 2) / sheet.width, 1 - 640 / sheet.height), width / sheet.width, height / sheet.height,
        boxstyle="round,pad=0,rounding_size=0.02", mutation_aspect=sheet.width / sheet.height,
        facecolor=verdict.color, edgecolor="none", transform=sheet.figure.transFigure,
    )  # fmt: skip
    sheet.figure.add_artist(pill)
    sheet.write(middle, 613, verdict.text, style.LABEL, bold=True, color=style.PAPER, ha="center")
