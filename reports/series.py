"""The numbers behind a loss curve: points put in order, gaps kept, noise averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions.model.views import MetricPoint

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One curve, by rising step. A loss that is not a finite number is NaN and breaks the line."""

    steps: Floats
    losses: Floats

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Where there is a number."""
        return np.isfinite(self.losses)

    @property
    def last(self) -> tuple[float, float] | None:
        """The last (step, loss) that is a number."""
        where = np.flatnonzero(self.finite)
        return (float(self.steps[where[-1]]), float(self.losses[where[-1]])) if where.size else None

    @property
    def lowest(self) -> tuple[float, float] | None:
        """The (step, loss) of the lowest loss, the first where several are equal."""
        if not self.finite.any():
            return None
        where = int(np.nanargmin(self.losses))
        return float(self.steps[where]), float(self.losses[where])

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Numbers without a number on either side: no line would show them."""
        padded = np.concatenate(([False], self.finite, [False]))
        return self.finite & ~padded[:-2] & ~padded[2:]


def series(points: Sequence[MetricPoint], loss_of: Callable[[MetricPoint], float | None]) -> Series:
    """One curve out of points in any order; of a step told twice the later entry counts."""
    by_step = {point.step: loss for point in points if (loss := loss_of(point)) is not None}
    steps = sorted(by_step)
    losses = np.array([by_step[step] for step in steps], dtype=np.float64)
    losses[~np.isfinite(losses)] = np.nan
    return Series(steps=np.array(steps, dtype=np.float64), losses=losses)


def smoothed(losses: Floats) -> Floats:
    """A moving mean over about a twentieth of the points, taken twice; NaN where the loss is NaN.

    There must be at least one number.

    The window is centred. It narrows towards the start, where loss falls steeply and a one-sided mean would
    hide the fall, and is cut off at the end, where a narrow one would follow the noise of a few steps.
    """
    radius = max(3, losses.size // 50)
    means = _moving_mean(_moving_mean(losses, radius), radius)
    # After a spike of many orders of magnitude the running sums are imprecise; a mean never leaves the data.
    return np.clip(means, np.nanmin(losses), np.nanmax(losses))


def _moving_mean(losses: Floats, radius: int) -> Floats:
    index = np.arange(losses.size)
    reach = np.minimum(radius, index + 2)
    low = np.maximum(index - reach, 0)
    high = np.minimum(index + reach, losses.size - 1) + 1
    finite = np.isfinite(losses)
    sums = np.concatenate(([0.0], np.cumsum(np.where(finite, losses, 0.0))))
    counts = np.concatenate(([0], np.cumsum(finite)))
    means = (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1)
    return np.where(finite, means, np.nan)
