"""A reconciler that dies at the worst moment of a launch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from infra.local_compute import LocalCompute
from tests.unit.gpu_tiny import JOB_ID, job_spec


def test_a_trainer_whose_launcher_died_before_noting_its_process_id_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def die(path: Path, *arguments: Any) -> int:
        if path.name.startswith("pid-"):
            raise KeyboardInterrupt
        return write(path, *arguments)

    spec = job_spec(tmp_path / "job")
    with monkeypatch.context() as dying:
        dying.setattr(Path, "write_text", die)
        with pytest.raises(KeyboardInterrupt):
            LocalCompute(tmp_path).launch(spec, token="t", tier="local")
    other, call_id = LocalCompute(tmp_path), f"{JOB_ID}:1"
    assert other.poll(call_id).running
    assert other.launch(spec, token="t", tier="local") == call_id
    time.sleep(0.2)
    other.cancel(call_id)
    assert not other.poll(call_id).running
