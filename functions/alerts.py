"""When to worry about a run that trains: pure rules over its progress and its curve.

A rule speaks only where noise alone would hardly ever make it speak. Losses of single steps scatter by a tenth or
more of their value, so windows of steps are compared, against the scatter that this very run shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import fmean, median

from functions.model.alerts import Alert, AlertKind, Curve, HeldOutPoint, TrainingPoint
from functions.model.events import Stage
from functions.model.progress import Progress
from functions.words import gigabytes, span

# As many points as the rules look at.
FIRST_POINTS = 50
RECENT_POINTS = 256
HELD_OUT_POINTS = 3

_MEMORY_SHARE = 0.9
_WINDOW = 20
# A window's mean is called higher only this many standard errors, and this share, above the lowest window's.
_ERRORS, _RISE = 5.0, 1.1
# A loss is called flat after this share of the run, where it fell by less than a hundredth, not even that is
# clear of the scatter, and a tenth would have been (3.6 standard errors).
_FLAT_AFTER, _FLAT_STEPS, _FLAT_FALL, _FLAT_ERROR, _CLEAR_ERRORS = 0.2, 40, 0.01, 0.025, 2.0
_HELD_OUT_STEP, _HELD_OUT_RISE, _HELD_OUT_CLEAR = 0.0025, 0.015, 0.05
# A machine that others use is slow for seconds at a time: what is told of lasts a minute, and ten steps.
_LAST_POINTS, _LAST_SECONDS = 10, 60.0
_SLOW_SHARE = 0.6
IDLE_SHARE = 0.4
_STAGE_TIMES, _STAGE_GRACE_SECONDS = 2.0, 300.0
_STAGE_NAMES = {
    Stage.PREPROCESSING: "Preprocessing",
    Stage.MODEL_LOADING: "Model loading",
    Stage.TRAINING: "Training",
    Stage.FINALIZATION: "Finalization",
}


def alerts(
    progress: Progress, curve: Curve, *, expected_seconds: Mapping[Stage, float], now: datetime
) -> tuple[Alert, ...]:
    """What is to worry about now, the most urgent first.

    Args:
        progress: what is known of the run.
        curve: its first and its recent points.
        expected_seconds: how long each stage should take in one attempt.
        now: the time, for the stage that runs.
    """
    found = [
        _not_a_number(progress),
        _memory(progress),
        _loss(progress, curve),
        _overfitting(curve),
        _throughput(curve),
        _idle(curve),
        _slow_stage(progress, expected_seconds, now),
    ]
    return tuple(alert for alert in found if alert is not None)


def _not_a_number(progress: Progress) -> Alert | None:
    losses = {
        "training loss": progress.metrics.loss if progress.metrics else 0.0,
        "held-out loss": progress.held_out.loss if progress.held_out else 0.0,
    }
    wrong = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if not wrong:
        return None
    return Alert(
        kind=AlertKind.NOT_A_NUMBER,
        what=f"The {wrong[0]} is not a number at step {progress.step:,}.",
        meaning="The weights went off course; what is trained from here on is worth nothing.",
        todo="The run stops by itself. Retry with a lower learning rate.",
    )


def _memory(progress: Progress) -> Alert | None:
    used = progress.metrics.memory_bytes if progress.metrics else None
    there = progress.plan.device_memory_bytes if progress.plan else None
    if not used or not there or used < _MEMORY_SHARE * there:
        return None
    return Alert(
        kind=AlertKind.MEMORY_HIGH,
        what=f"Memory {gigabytes(used)} of {gigabytes(there)}, {used / there:.0%}.",
        meaning="A longer conversation than those so far could push it over, and the run would stop.",
        todo="Nothing now: checkpoints are kept. If it fails, half the batch is the first thing to try.",
    )


def _scatter(losses: Sequence[float]) -> float:
    """The standard deviation of single steps around the curve, from the differences of neighbours."""
    squares = [(after - before) ** 2 for before, after in pairwise(losses)]
    return math.sqrt(fmean(squares) / 2) if squares else 0.0


def _windows(losses: Sequence[float]) -> Iterator[float]:
    """Means of windows that end before the last one."""
    for end in range(len(losses) - _WINDOW, _WINDOW - 1, -_WINDOW):
        yield fmean(losses[end - _WINDOW : end])


def _loss(progress: Progress, curve: Curve) -> Alert | None:
    losses = [point.training_loss for point in curve.recent]
    return _rising(losses) or _flat(progress, curve, losses)


def _rising(losses: Sequence[float]) -> Alert | None:
    earlier = list(_windows(losses))
    if len(earlier) < 2:
        return None
    now, lowest = fmean(losses[-_WINDOW:]), min(earlier)
    error = _scatter(losses) * math.sqrt(2 / _WINDOW)
    if now <= _RISE * lowest or now - lowest <= _ERRORS * error:
        return None
    return Alert(
        kind=AlertKind.LOSS_RISING,
        what=f"The training loss rose from {lowest:.3f} to {now:.3f} (means of {_WINDOW} steps).",
        meaning="It unlearns: the steps are probably too large.",
        todo="If it does not turn within an epoch, cancel and retry with a quarter of the learning rate.",
    )


def _flat(progress: Progress, curve: Curve, losses: Sequence[float]) -> Alert | None:
    total = progress.plan.total_steps if progress.plan else 0
    if not losses or progress.step < max(_FLAT_STEPS, _FLAT_AFTER * total):
        return None
    window = max(10, min(FIRST_POINTS, progress.step // 3))
    first = [point.training_loss for point in curve.first[:window]]
    last = losses[-window:]
    if len(first) < window or len(last) < window or curve.recent[-window].step <= curve.first[window - 1].step:
        return None
    before, now = fmean(first), fmean(last)
    error = _scatter(losses) * math.sqrt(2 / window)
    clear = before - now > _CLEAR_ERRORS * error
    if before <= 0 or clear or abs(before - now) > _FLAT_FALL * before or error > _FLAT_ERROR * before:
        return None
    return Alert(
        kind=AlertKind.LOSS_FLAT,
        what=f"The training loss is {now:.3f} after {progress.step:,} steps, as at the start ({before:.3f}).",
        meaning="It learns next to nothing from this file with these settings.",
        todo="Consider cancelling: a bolder preset or learning rate, or a look at the training file, helps more.",
    )


def _overfitting(curve: Curve) -> Alert | None:
    """A clear rise speaks at once: with two or three epochs there may be no time to see it twice."""
    risen = _risen_twice(curve.held_out) or _risen_clearly(curve.held_out)
    if not risen or any(point.training_loss is None for point in risen):
        return None
    first, last = risen[0], risen[-1]
    fell_to = last.training_loss or 0.0
    if fell_to >= (first.training_loss or 0.0):
        return None
    losses = " → ".join(f"{point.loss:.3f}" for point in risen)
    return Alert(
        kind=AlertKind.OVERFITTING,
        what=f"The held-out loss rose{' twice' if len(risen) > 2 else ''}, {losses}, while the training loss fell to "
        f"{fell_to:.3f}.",
        meaning="It begins to learn the conversations by heart and gets worse on those it does not know.",
        todo=f"Consider a run of fewer steps: the best so far was at step {first.step:,} or before.",
    )


def _risen_twice(held_out: Sequence[HeldOutPoint]) -> Sequence[HeldOutPoint]:
    if len(held_out) < HELD_OUT_POINTS:
        return ()
    first, middle, last = points = held_out[-HELD_OUT_POINTS:]
    turned = middle.loss > first.loss * (1 + _HELD_OUT_STEP) and last.loss > middle.loss * (1 + _HELD_OUT_STEP)
    return points if turned and last.loss >= first.loss * (1 + _HELD_OUT_RISE) and first.loss > 0 else ()


def _risen_clearly(held_out: Sequence[HeldOutPoint]) -> Sequence[HeldOutPoint]:
    points = held_out[-2:]
    return points if len(points) == 2 and points[1].loss >= points[0].loss * (1 + _HELD_OUT_CLEAR) > 0 else ()


def _of_last_attempt(points: Sequence[TrainingPoint]) -> list[TrainingPoint]:
    return [point for point in points if point.attempt == points[-1].attempt] if points else []


def _lately(points: Sequence[TrainingPoint]) -> int:
    """How many of the last points make up a minute and ten steps; 0 where the attempt is too young to say."""
    for number in range(_LAST_POINTS, len(points)):
        if (points[-1].at - points[-number - 1].at).total_seconds() >= _LAST_SECONDS:
            return number
    return 0


def _throughput(curve: Curve) -> Alert | None:
    measured = [point for point in _of_last_attempt(curve.recent) if point.tokens_per_second is not None]
    speeds = [point.tokens_per_second or 0.0 for point in measured]
    lately = _lately(measured)
    if not lately or len(speeds) < 4 * lately:
        return None
    now, usual = median(speeds[-lately:]), median(speeds[:-lately])
    if now >= _SLOW_SHARE * usual:
        return None
    return Alert(
        kind=AlertKind.THROUGHPUT_DROP,
        what=f"{now:,.0f} tokens a second, {1 - now / usual:.0%} under this run's usual {usual:,.0f}.",
        meaning="Something else uses the machine, or it is throttled; the run takes longer and costs more.",
        todo="Nothing if it passes. If it stays, pause and resume: the run gets another machine.",
    )


def _idle(curve: Curve) -> Alert | None:
    measured = [point for point in _of_last_attempt(curve.recent) if point.gpu_utilization is not None]
    lately = _lately(measured)
    busy = [point.gpu_utilization or 0.0 for point in measured[-lately:]]
    if not lately or median(busy) >= IDLE_SHARE:
        return None
    return Alert(
        kind=AlertKind.GPU_IDLE,
        what=f"The GPU computes only {median(busy):.0%} of the time.",
        meaning="You pay for a card that mostly waits.",
        todo="Nothing for this run; the next one can take a larger batch or a smaller card.",
    )


def _slow_stage(progress: Progress, expected_seconds: Mapping[Stage, float], now: datetime) -> Alert | None:
    for item in progress.stages:
        expected, took = expected_seconds.get(item.stage), item.attempt_seconds(now)
        if item.status != "active" or not expected or took is None:
            continue
        if took > max(_STAGE_TIMES * expected, expected + _STAGE_GRACE_SECONDS):
            return Alert(
                kind=AlertKind.STAGE_SLOW,
                what=f"{_STAGE_NAMES[item.stage]} has taken {span(took)}, {took / expected:.1f} times the expected "
                f"{span(expected)}.",
                meaning="The machine is slower than those before, or it is stuck.",
                todo="Nothing if it moves on. If the step stands still, cancel and try again.",
            )
    return None
