"""A new job goes on from another job's checkpoint, with other epochs, another schedule or smaller batches."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from functions.model.job_spec import JobSpec, ResumeFrom
from tests.unit.gpu_tiny import job_spec, start_job, told, wait, wait_for_step


def losses(spec: JobSpec) -> dict[int, float]:
    return {body["step"]: body["loss"] for body in told(spec) if body["kind"] == "metrics"}


def rates(spec: JobSpec) -> dict[int, float]:
    return {body["step"]: body["learning_rate"] for body in told(spec) if body["kind"] == "metrics"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """A job of four sequences a step that somebody stopped on its way."""
    spec = job_spec(tmp_path_factory.mktemp("jobs") / "first", batch_size=2, gradient_accumulation_steps=2)
    process = start_job(spec)
    wait_for_step(spec, 5)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert wait(process) == 75
    return spec


def child(stopped: JobSpec, folder: Path, *, known: int | None = None, **changes: Any) -> JobSpec:
    source = ResumeFrom(
        work_dir=stopped.work_dir, hyperparameters=stopped.hyperparameters, engine=stopped.engine, step=known
    )
    settings: dict[str, Any] = {"batch_size": 2, "gradient_accumulation_steps": 2} | changes
    spec = job_spec(folder, resume_from=source, **settings)
    return spec.model_copy(update={"data": stopped.data})


def resumed_at(spec: JobSpec) -> int:
    return int(next(body["step"] for body in told(spec) if body["kind"] == "resumed"))


def test_unchanged_it_does_what_the_first_job_would_have_done(stopped: JobSpec, tmp_path: Path) -> None:
    whole = job_spec(tmp_path / "whole", batch_size=2, gradient_accumulation_steps=2)
    assert wait(start_job(whole.model_copy(update={"data": stopped.data}))) == 0
    spec = child(stopped, tmp_path / "second")
    assert wait(start_job(spec)) == 0
    at = resumed_at(spec)
    assert at >= 5
    assert losses(spec) == {step: loss for step, loss in losses(whole).items() if step > at}
    assert (Path(stopped.work_dir) / "checkpoints").is_dir()  # the first job may still be gone on from


def test_smaller_batches_of_the_same_step_are_the_same_training(stopped: JobSpec, tmp_path: Path) -> None:
    same = child(stopped, tmp_path / "same")
    small = child(stopped, tmp_path / "small", batch_size=1, gradient_accumulation_steps=4)
    assert wait(start_job(same)) == wait(start_job(small)) == 0
    assert losses(small) == pytest.approx(losses(same), rel=1e-4)


def test_other_epochs_and_another_schedule_take_over_from_there(stopped: JobSpec, tmp_path: Path) -> None:
    spec = child(stopped, tmp_path / "shorter", epochs=3, lr_scheduler="linear", learning_rate=0.004, warmup_ratio=0.0)
    assert wait(start_job(spec)) == 0
    at, steps = resumed_at(spec), max(losses(spec))
    assert steps == 12
    for step, rate in rates(spec).items():
        assert step > at
        assert rate == pytest.approx(0.004 * (1 - (step - 1) / steps))


def test_a_checkpoint_that_is_gone_is_said_and_nothing_starts_over(stopped: JobSpec, tmp_path: Path) -> None:
    lost = stopped.model_copy(update={"work_dir": str(tmp_path / "nowhere")})
    spec = child(lost, tmp_path / "second").model_copy(update={"data": stopped.data})
    assert wait(start_job(spec)) == 1
    failed = told(spec)[-1]
    assert failed["code"] == "checkpoint_gone"
    assert not losses(spec)


def test_what_the_first_job_could_not_deliver_is_told_by_the_next(stopped: JobSpec, tmp_path: Path) -> None:
    spec = child(stopped, tmp_path / "second", known=2)
    assert wait(start_job(spec)) == 0
    at, first = resumed_at(spec), losses(stopped)
    assert {step: loss for step, loss in losses(spec).items() if step <= at} == {
        step: loss for step, loss in first.items() if 2 < step <= at
    }
    assert [body["step"] for body in told(spec) if body["kind"] == "metrics"] == sorted(losses(spec))


def test_a_training_that_is_done_is_only_packed(tmp_path: Path) -> None:
    whole = job_spec(tmp_path / "whole", epochs=2)
    assert wait(start_job(whole)) == 0
    assert not list(Path(whole.work_dir, "checkpoints").glob("step-*"))
    spec = child(whole, tmp_path / "second", known=4, epochs=2, batch_size=1)
    assert wait(start_job(spec)) == 0
    kinds = [body["kind"] for body in told(spec)]
    assert "resumed" not in kinds
    assert kinds[-1] == "finished"
    assert losses(spec) == {step: loss for step, loss in losses(whole).items() if step > 4}
    measured = [body for job in (whole, spec) for body in told(job) if body["kind"] == "perplexity"]
    assert measured[0] == measured[1]
    weights = [Path(job.work_dir, "adapter", "adapter_model.safetensors").read_bytes() for job in (whole, spec)]
    assert weights[0] == weights[1]
