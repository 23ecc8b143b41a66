"""Alerts speak when something is wrong, and keep quiet over healthy runs however noisy they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.alerts import FIRST_POINTS, HELD_OUT_POINTS, RECENT_POINTS, alerts
from functions.model.alerts import AlertKind, Curve, HeldOutPoint, TrainingPoint
from functions.model.events import HeldOut, Metrics, Planned, Stage
from functions.model.progress import Progress, StageProgress
from tests.unit import block_views as views

K = AlertKind


def plan(total: int) -> Planned:
    """A run of so many steps."""
    return views.PLAN.model_copy(update={"total_steps": total})


class Run:
    """A run whose curve is given by functions of the share that is done, told as far as `step`."""

    def __init__(
        self,
        total: int,
        loss: Callable[[float], float],
        *,
        noise: float = 0.0,
        seed: int = 0,
        held_out: Callable[[float], float] | None = None,
        speed: Callable[[float], float] = lambda _: 1000.0,
        busy: float | None = 0.9,
        evaluations: int = 6,
    ) -> None:
        random = Random(seed)  # noqa: S311 - noise, not a secret
        self.total = total
        self.points = tuple(
            TrainingPoint(
                step=step,
                attempt=1,
                at=views.NOW + timedelta(seconds=10 * step),
                training_loss=max(1e-3, loss(step / total) * math.exp(random.gauss(0, noise))),
                tokens_per_second=speed(step / total) * math.exp(random.gauss(0, 0.15)),
                gpu_utilization=busy,
            )
            for step in range(1, total + 1)
        )
        every = max(1, total // evaluations)
        held = held_out or (lambda share: loss(share) * 1.05)
        self.held_out = {
            step: held(step / total) * math.exp(random.gauss(0, 0.002)) for step in range(every, total + 1, every)
        }

    def kinds(self, step: int, *, now_after: float = 60.0) -> list[AlertKind]:
        """Which alerts hold at a step."""
        points = self.points[:step]
        measured = [
            HeldOutPoint(
                step=at,
                loss=loss,
                training_loss=sum(p.training_loss for p in points[max(0, at - 20) : at]) / min(20, at),
            )
            for at, loss in self.held_out.items()
            if at <= step
        ]
        curve = Curve(
            first=points[:FIRST_POINTS], recent=points[-RECENT_POINTS:], held_out=tuple(measured[-HELD_OUT_POINTS:])
        )
        metrics = Metrics(step=step, epoch=1.0, loss=points[-1].training_loss, learning_rate=1e-4)
        stages = tuple(
            StageProgress(stage=stage, status="active", started_at=views.NOW)
            if stage is Stage.TRAINING
            else StageProgress(stage=stage)
            for stage in Stage
        )
        progress = Progress(plan=plan(self.total), metrics=metrics, stages=stages)
        now = views.NOW + timedelta(seconds=now_after)
        found = alerts(progress, curve, expected_seconds={Stage.TRAINING: 3600.0}, now=now)
        assert all(alert.what and alert.meaning and alert.todo for alert in found)
        return [alert.kind for alert in found]

    def all_kinds(self) -> set[AlertKind]:
        """Every alert that is raised anywhere along the run."""
        return {kind for step in range(1, self.total + 1) for kind in self.kinds(step)}


def healthy(start: float, end: float, speed: float) -> Callable[[float], float]:
    """A loss that falls quickly and then ever more slowly, after a warm-up in which nothing happens."""

    def loss(share: float) -> float:
        after = max(0.0, share - 0.05)
        return end + (start - end) * math.exp(-speed * after)

    return loss


@settings(max_examples=40, deadline=None)
@given(
    total=st.integers(10, 700),
    start=st.floats(0.8, 4.0),
    kept=st.floats(0.2, 0.8),
    speed=st.floats(4.0, 30.0),
    noise=st.floats(0.0, 0.35),
    seed=st.integers(0, 10**6),
)
def test_no_alarm_over_a_healthy_run(
    total: int, start: float, kept: float, speed: float, noise: float, seed: int
) -> None:
    run = Run(total, healthy(start, start * kept, speed), noise=noise, seed=seed)
    assert run.all_kinds() == set()


@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_has_converged_is_left_in_peace(seed: int) -> None:
    run = Run(1500, healthy(2.5, 0.4, 40.0), noise=0.25, seed=seed)
    assert run.all_kinds() == set()


@settings(deadline=None, max_examples=25)
@given(noise=st.floats(0.0, 0.15), seed=st.integers(0, 1000))
def test_a_loss_that_turns_upwards_is_told(noise: float, seed: int) -> None:
    run = Run(600, lambda share: 2.0 - 2 * share if share < 0.5 else 1.0 + 3 * (share - 0.5), noise=noise, seed=seed)
    assert K.LOSS_RISING not in run.kinds(300)
    assert K.LOSS_RISING in run.kinds(600)


@settings(deadline=None, max_examples=25)
@given(noise=st.floats(0.0, 0.05), seed=st.integers(0, 1000))
def test_a_loss_that_never_moves_is_told(noise: float, seed: int) -> None:
    run = Run(400, lambda _: 2.0, noise=noise, seed=seed)
    assert K.LOSS_RISING not in run.all_kinds()
    assert run.kinds(29) == []
    assert noise > 0.03 or K.LOSS_FLAT in run.all_kinds()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000))
def test_learning_by_heart_is_told(seed: int) -> None:
    run = Run(
        600, healthy(2.0, 0.3, 6.0), noise=0.1, seed=seed, held_out=lambda share: 1.5 + abs(share - 0.4), evaluations=6
    )
    assert K.OVERFITTING not in run.kinds(300)
    assert K.OVERFITTING in run.kinds(600)


def test_a_held_out_loss_that_rises_with_the_training_loss_is_no_overfitting() -> None:
    run = Run(600, lambda share: 1.0 + share)
    assert K.OVERFITTING not in run.kinds(600)


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
def test_a_drop_in_speed_is_told(share: float, seed: int) -> None:
    run = Run(200, healthy(2.0, 1.0, 8.0), seed=seed, speed=lambda done: 1000.0 if done < 0.9 else 1000.0 * share)
    assert K.THROUGHPUT_DROP not in run.kinds(175)
    assert K.THROUGHPUT_DROP in run.kinds(200)


def test_another_machine_after_a_recovery_is_measured_by_itself() -> None:
    run = Run(200, healthy(2.0, 1.0, 8.0), speed=lambda done: 1000.0 if done < 0.9 else 100.0)
    run.points = tuple(p.model_copy(update={"attempt": 2}) if p.step > 180 else p for p in run.points)
    assert run.kinds(200) == []


def test_a_machine_that_stutters_for_seconds_is_left_in_peace() -> None:
    run = Run(200, healthy(2.0, 1.0, 8.0), speed=lambda done: 1000.0 if done < 0.9 else 100.0)
    quick = tuple(p.model_copy(update={"at": views.NOW + timedelta(seconds=p.step / 20)}) for p in run.points)
    run.points = quick
    assert run.kinds(200) == []


def test_an_idle_gpu_is_told_and_an_unmeasured_one_is_not() -> None:
    assert Run(100, healthy(2, 1, 8), busy=0.2).kinds(100) == [K.GPU_IDLE]
    assert Run(100, healthy(2, 1, 8), busy=None).kinds(100) == []


def test_a_stage_that_takes_twice_as_long_is_told() -> None:
    run = Run(100, healthy(2, 1, 8))
    assert run.kinds(50, now_after=7100) == []
    assert run.kinds(50, now_after=7300) == [K.STAGE_SLOW]


def test_memory_is_told_from_nine_tenths_on() -> None:
    def kinds(share: float) -> list[AlertKind]:
        metrics = views.METRICS.model_copy(update={"memory_bytes": int(share * 80 * views.GIB)})
        found = alerts(views.progress(metrics=metrics), Curve(), expected_seconds={}, now=views.NOW)
        assert all("of 80 GB" in alert.what for alert in found)
        return [alert.kind for alert in found]

    assert kinds(0.89) == []
    assert kinds(0.93) == [K.MEMORY_HIGH]


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": views.METRICS.model_copy(update={"loss": math.nan})},
        {"held_out": HeldOut(step=800, loss=math.inf)},
    ],
)
def test_what_is_no_number_is_told(changes: dict[str, object]) -> None:
    found = alerts(views.progress(**changes), Curve(), expected_seconds={}, now=views.NOW)
    assert [alert.kind for alert in found] == [K.NOT_A_NUMBER]


def test_nothing_is_said_of_a_run_that_has_not_begun() -> None:
    assert alerts(Progress(), Curve(), expected_seconds={}, now=views.NOW) == ()


@pytest.mark.parametrize(("risen", "told"), [(1.10, True), (1.03, False)])
def test_one_clear_rise_is_told_as_a_run_of_two_epochs_has_no_second(risen: float, told: bool) -> None:
    held_out = (
        HeldOutPoint(step=50, loss=1.5, training_loss=1.2), HeldOutPoint(step=100, loss=1.5 * risen, training_loss=0.7)
    )  # fmt: skip
    found = alerts(Progress(plan=plan(100)), Curve(held_out=held_out), expected_seconds={}, now=views.NOW)
    assert [alert.kind for alert in found] == [K.OVERFITTING] * told
