"""Starts of one attempt: numbered, told of when they were lost, and given up when they get nowhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.model.events import SEQ_STRIDE, Event, LogLine
from functions.model.job_spec import JobSpec
from gpu_jobs.container import Ending, run_start
from gpu_jobs.events import EventWriter
from gpu_jobs.interruption import Interrupted, Interruption
from gpu_jobs.job import FAILED, INTERRUPTED, run_job
from gpu_jobs.job_run import JobRun
from gpu_jobs.starts import MAX_LOST, Starts
from tests.unit.gpu_tiny import job_spec, told


def _spec(folder: Path) -> JobSpec:
    return job_spec(folder / "job", base_model_path="unused", restarted_by_owner=True)


def _trains(monkeypatch: pytest.MonkeyPatch, work: Callable[[JobRun], None]) -> None:
    monkeypatch.setattr("gpu_jobs.train.train_job", work)


def _sequence(spec: JobSpec) -> list[int]:
    lines = (Path(spec.work_dir) / f"events-{spec.attempt}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["seq"] for line in lines]


class MachineDied(BaseException):
    """Nothing of the process lives to see this."""


def _dies(run: JobRun) -> None:
    raise MachineDied


def test_a_lost_start_is_told_of_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)
    _trains(monkeypatch, _dies)
    with pytest.raises(MachineDied):
        run_start(spec, "token", secure=lambda: None)

    seen = []
    _trains(monkeypatch, lambda run: seen.append(run.spec.start))
    assert run_start(spec, "token", secure=lambda: None) == Ending(0, False)

    assert seen == [2]
    assert told(spec)[1] == {"kind": "interrupted", "step": 0, "signal": "SIGKILL", "wait_for_call": True}
    assert _sequence(spec) == [1, SEQ_STRIDE + 1, SEQ_STRIDE + 2]


def test_numbers_that_a_dead_machine_took_along_are_not_given_again(tmp_path: Path) -> None:
    spec = _spec(tmp_path)
    kept = tmp_path / "kept"
    work_dir = Path(spec.work_dir)

    def tell(start: int) -> list[int]:
        writer = EventWriter(spec.model_copy(update={"start": start}), "token", lambda: datetime.now(UTC))
        return [writer.emit(LogLine(level="info", message=str(number))).seq for number in range(3)]

    Starts(work_dir, 1, secure=lambda: shutil.copytree(work_dir, kept, dirs_exist_ok=True)).begin()
    first = tell(1)
    shutil.rmtree(work_dir)
    kept.rename(work_dir)

    start = Starts(work_dir, 1, secure=lambda: None).begin()

    assert (start.number, start.after_loss) == (2, True)
    assert min(tell(start.number)) > max(first)


def test_starts_that_get_nowhere_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)
    _trains(monkeypatch, _dies)
    for _ in range(MAX_LOST):
        with pytest.raises(MachineDied):
            run_start(spec, "token", secure=lambda: None)

    assert run_start(spec, "token", secure=lambda: None) == Ending(FAILED, False)

    failed = told(spec)[-1]
    assert (failed["kind"], failed["code"]) == ("failed", "host_killed")
    assert "killed 3 times in a row" in failed["what"]


def test_a_newer_checkpoint_is_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)
    checkpoints = Path(spec.work_dir) / "checkpoints"

    def gains(run: JobRun) -> None:
        (checkpoints / f"step-{run.spec.start:08d}").mkdir(parents=True)
        raise MachineDied

    _trains(monkeypatch, gains)
    for _ in range(2 * MAX_LOST):
        with pytest.raises(MachineDied):
            run_start(spec, "token", secure=lambda: None)

    assert [body["step"] for body in told(spec) if body["kind"] == "interrupted"] == [1, 2, 3, 4, 5]


def test_time_that_is_over_ends_the_job_as_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path).model_copy(update={"stop_after_seconds": 1})
    secured = []

    def works_on(run: JobRun) -> None:
        while True:
            run.check()

    _trains(monkeypatch, works_on)

    assert run_start(spec, "token", secure=lambda: secured.append(len(told(spec)))) == Ending(INTERRUPTED, False)

    assert told(spec)[-1] == {"kind": "interrupted", "step": 0, "signal": "time limit", "wait_for_call": True}
    assert secured[1] < len(told(spec))  # first the files, then the word


def test_a_count_that_would_not_last_begins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)
    begun = []
    _trains(monkeypatch, lambda run: begun.append(run))

    def away() -> None:
        raise ConnectionError("the volume is away")

    with pytest.raises(ConnectionError):
        run_start(spec, "token", secure=away)

    assert not begun


def test_a_signal_ends_the_job_and_is_told_to_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)

    def interrupted(run: JobRun) -> None:
        os.kill(os.getpid(), 2)
        run.check()

    _trains(monkeypatch, interrupted)

    assert run_start(spec, "token", secure=lambda: None) == Ending(INTERRUPTED, True)
    assert told(spec)[-1]["signal"] == "SIGINT"
    assert run_job(spec.model_copy(update={"attempt": 2}), "token") == INTERRUPTED
    with pytest.raises(Interrupted):
        Interruption(0.0).check()


def test_a_lost_start_is_told_with_the_time_of_its_last_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = _spec(tmp_path)
    _trains(monkeypatch, _dies)
    with pytest.raises(MachineDied):
        run_start(spec, "token", secure=lambda: None)
    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=30)
    events = Path(spec.work_dir) / "events-1.jsonl"
    first = Event.model_validate_json(events.read_text("utf-8"))
    events.write_text(first.model_copy(update={"at": half_an_hour_ago}).model_dump_json() + "\n", "utf-8")
    last_write = half_an_hour_ago + timedelta(seconds=20)
    for path in Path(spec.work_dir).iterdir():
        os.utime(path, (last_write.timestamp(), last_write.timestamp()))

    _trains(monkeypatch, lambda run: None)
    run_start(spec, "token", secure=lambda: None)

    lines = [Event.model_validate_json(line) for line in events.read_text("utf-8").splitlines()]
    assert abs(lines[1].at - last_write) < timedelta(seconds=1)
    assert lines[2].at > last_write + timedelta(minutes=29)


def test_a_start_that_is_given_up_is_told_as_lost_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec(tmp_path)
    _trains(monkeypatch, _dies)
    for _ in range(MAX_LOST):
        with pytest.raises(MachineDied):
            run_start(spec, "token", secure=lambda: None)
    run_start(spec, "token", secure=lambda: None)
    assert [body["kind"] for body in told(spec)][-2:] == ["interrupted", "failed"]
