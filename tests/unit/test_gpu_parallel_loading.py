"""The base model is read beside preprocessing; what fails in either is told as that stage's, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from functions.model.job_spec import JobSpec, TrainingData
from gpu_jobs.background import Background
from gpu_jobs.failures import model_missing
from gpu_jobs.interruption import Interrupted
from gpu_jobs.job import FAILED, INTERRUPTED, run_job
from tests.unit.gpu_tiny import job_spec, told


def _stages(spec: JobSpec) -> list[tuple[str, str]]:
    return [(body["stage"], body["status"]) for body in told(spec) if body["kind"] == "stage"]


def test_work_goes_on_while_the_model_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = job_spec(tmp_path / "job")
    seen: list[str] = []

    def load(*_: Any) -> Any:
        deadline = time.monotonic() + 30
        while not any(body["kind"] == "planned" for body in told(spec)) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append("planned" if any(body["kind"] == "planned" for body in told(spec)) else "nothing yet")
        raise model_missing("tiny", why="pulled away")

    monkeypatch.setattr("gpu_jobs.train.load_base_model", load)

    assert run_job(spec, "token") == FAILED
    assert seen == ["planned"]


def test_failure_in_loading_is_told_in_its_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = job_spec(tmp_path / "job")

    def load(*_: Any) -> Any:
        raise model_missing("tiny", why="pulled away")

    monkeypatch.setattr("gpu_jobs.train.load_base_model", load)

    assert run_job(spec, "token") == FAILED

    assert _stages(spec)[-2:] == [("preprocessing", "finished"), ("model_loading", "started")]
    assert told(spec)[-1]["code"] == "model_missing"


def test_failure_in_preprocessing_does_not_wait_for_the_model(tmp_path: Path) -> None:
    spec = job_spec(tmp_path / "job")
    data = TrainingData.model_validate(spec.data.model_dump() | {"url": "file:///nowhere.jsonl"})
    spec = spec.model_copy(update={"data": data})
    file = tmp_path / "spec.json"
    file.write_text(spec.model_dump_json(), "utf-8")
    script = (
        "import sys, time, gpu_jobs.train as train\n"
        "train.load_base_model = lambda *_: time.sleep(600)\n"
        "from gpu_jobs.__main__ import leave, main\n"
        "leave(main(sys.argv[1:]))\n"
    )

    command = [sys.executable, "-c", script, str(file)]
    done = subprocess.run(command, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)

    assert done.returncode == FAILED
    assert told(spec)[-1]["code"] == "data_unreadable"
    assert {stage for stage, _ in _stages(spec)} == {"preprocessing"}


def test_signal_while_the_model_loads_ends_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, done = job_spec(tmp_path / "job"), threading.Event()

    def load(*_: Any) -> Any:
        while not any(body.get("stage") == "model_loading" for body in told(spec)):
            time.sleep(0.01)
        os.kill(os.getpid(), 15)
        done.wait(60)

    monkeypatch.setattr("gpu_jobs.train.load_base_model", load)
    try:
        assert run_job(spec, "token") == INTERRUPTED
    finally:
        done.set()
    last = told(spec)[-1]
    assert (last["kind"], last["step"], last["signal"]) == ("interrupted", 0, "SIGTERM")


def test_waiting_for_work_can_be_stopped() -> None:
    finish = threading.Event()
    work = Background(lambda: finish.wait(60))

    def check() -> None:
        raise Interrupted("SIGINT")

    with pytest.raises(Interrupted):
        work.result(check)
    finish.set()
    assert Background(lambda: 7).result(lambda: None) == 7
