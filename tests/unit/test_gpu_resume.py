"""An interrupted training ends exactly where an uninterrupted one does."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.model.job_spec import JobSpec
from gpu_jobs.checkpoints import Checkpoints
from gpu_jobs.events import EventWriter
from gpu_jobs.interruption import Interrupted
from gpu_jobs.job_run import JobRun
from gpu_jobs.train import train_job
from tests.unit.gpu_tiny import job_spec, kinds, start_job, told, wait, wait_for_step


def _losses(*attempts: JobSpec) -> dict[int, float]:
    return {
        body["step"]: body["loss"] for spec in attempts for body in told(spec) if body["kind"] in {"metrics", "failed"}
    }


def _adapter(spec: JobSpec) -> str:
    return hashlib.sha256((Path(spec.work_dir) / "adapter/adapter_model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    spec = job_spec(tmp_path_factory.mktemp("jobs") / "whole")
    assert wait(start_job(spec)) == 0
    return spec


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_resumed_run_equals_uninterrupted_run_bit_by_bit(
    tmp_path: Path, uninterrupted: JobSpec, sent: signal.Signals
) -> None:
    first = job_spec(tmp_path / "job")
    process = start_job(first)
    wait_for_step(first, 8)
    assert process.pid is not None
    os.kill(process.pid, sent)
    code = wait(process)
    second = first.model_copy(update={"attempt": 2})

    assert wait(start_job(second)) == 0

    assert _losses(first, second) == _losses(uninterrupted)
    assert _adapter(second) == _adapter(uninterrupted)
    last = max(body["step"] for body in told(first) if body["kind"] == "metrics")
    resumed = next(body["step"] for body in told(second) if body["kind"] == "resumed")
    if sent is signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert last - first.checkpoint_every_steps - 1 <= resumed <= last
    else:
        assert code == 75
        assert kinds(first)[-2:] == ["checkpoint", "interrupted"]
        assert told(first)[-1] == {"kind": "interrupted", "step": last, "signal": sent.name, "wait_for_call": False}
        assert resumed == last
    base = [body for spec in (first, second) for body in told(spec) if body["kind"] == "held_out" and body["step"] == 0]
    # Told by each attempt, for the first may die before it can say it; measured once.
    assert base in ([base[0]], [base[0]] * 2)


def test_who_dies_between_keeping_the_result_and_tidying_up_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: Checkpoints) -> None:
        raise KeyboardInterrupt

    first, second = (job_spec(tmp_path / "job", max_steps=6, attempt=number) for number in (1, 2))
    with monkeypatch.context() as dying:
        dying.setattr(Checkpoints, "remove_all", die)
        with pytest.raises(KeyboardInterrupt):
            _run_until(first, checks=None)
    assert (tmp_path / "job" / "checkpoints").is_dir()
    assert _run_until(second, checks=None)
    assert "metrics" not in kinds(second)
    assert not (tmp_path / "job" / "checkpoints").exists()


def test_kill_in_the_middle_of_saving_leaves_a_resumable_job(tmp_path: Path, uninterrupted: JobSpec) -> None:
    attempts = [job_spec(tmp_path / "job", checkpoint_every_steps=1, attempt=number) for number in (1, 2, 3)]
    for spec, step in zip(attempts[:2], (5, 14), strict=True):
        process = start_job(spec)
        wait_for_step(spec, step)
        process.kill()
        wait(process)

    assert wait(start_job(attempts[2])) == 0

    assert _losses(*attempts) == _losses(uninterrupted)
    assert _adapter(attempts[2]) == _adapter(uninterrupted)


def test_interruption_at_any_point_loses_nothing(tmp_path: Path) -> None:
    whole = job_spec(tmp_path / "whole", epochs=1)
    _run_until(whole, checks=None)
    attempts = []
    for number in range(1, 30):
        attempts.append(job_spec(tmp_path / "job", epochs=1, attempt=number))
        # The checks of one attempt fall between micro-batches, between held-out passes and between stages.
        if _run_until(attempts[-1], checks=18 + number):
            break

    assert len(attempts) > 4
    assert _losses(*attempts) == _losses(whole)
    assert _adapter(attempts[-1]) == _adapter(whole)
    measured = [
        {body["step"]: body["loss"] for spec in run for body in told(spec) if body["kind"] == "held_out"}
        for run in (attempts, [whole])
    ]
    assert measured[0] == measured[1]


def _run_until(spec: JobSpec, *, checks: int | None) -> bool:
    """Train in this process until the job has been asked so many times whether to stop; whether it finished."""
    left = iter(range(checks)) if checks else itertools.count()

    def check() -> None:
        if next(left, None) is None:
            raise Interrupted("SIGTERM")

    writer = EventWriter(spec, "token", lambda: datetime.now(UTC))
    try:
        train_job(JobRun(spec=spec, send=writer.emit, check=check, service=None))
    except Interrupted:
        return False
    return True


def test_cap_on_steps_ends_the_learning_rate_with_it(tmp_path: Path) -> None:
    spec = job_spec(tmp_path / "job", max_steps=6)

    assert wait(start_job(spec)) == 0

    rates = [body["learning_rate"] for body in told(spec) if body["kind"] == "metrics"]
    assert len(rates) == 6
    assert rates[-1] < 0.15 * max(rates)
    planned = next(body for body in told(spec) if body["kind"] == "planned")
    assert (planned["total_steps"], planned["train_conversations"], planned["held_out_conversations"]) == (6, 16, 4)


def test_events_come_in_the_order_of_the_work(uninterrupted: JobSpec) -> None:
    seen = kinds(uninterrupted)

    assert seen[-1] == "finished"
    order = ["planned", "held_out", "metrics", "perplexity", "artifact", "finished"]
    assert [seen.index(kind) for kind in order] == sorted(seen.index(kind) for kind in order)
    stages = [body["stage"] for body in told(uninterrupted) if body.get("status") == "started"]
    assert stages == ["preprocessing", "model_loading", "training", "finalization"]
    assert [body["step"] for body in told(uninterrupted) if body["kind"] == "held_out"] == [0, 8, 16, 24, 32, 40]
    assert not (Path(uninterrupted.work_dir) / "checkpoints").exists()
