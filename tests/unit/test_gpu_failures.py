"""A job that cannot go on says what, why and what to do, and its process says so with its exit code."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from functions.catalog import base_model
from functions.memory import memory_need
from functions.model.job_spec import TrainingData
from gpu_jobs.__main__ import main
from gpu_jobs.checkpoints import Checkpoints, Progress
from gpu_jobs.failures import describe, model_gated
from tests.unit.gpu_tiny import job_spec, start_job, told, wait


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"base_model_path": None, "base_model": "/nowhere/at-all"}, "model_missing"),
        ({"learning_rate": 0.999, "epochs": 50, "alpha": 10**30}, "nan_loss"),
        ({"target_modules": ("no_such_layer",)}, "settings_invalid"),
        ({"optimizer": "adamw_8bit"}, "settings_invalid"),
        ({"sha256": "0" * 64}, "data_altered"),
        ({"url": "file:///nowhere.jsonl", "sha256": "0" * 64}, "data_unreadable"),
    ],
)
def test_failure_is_told_in_words(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    data = {key: changes[key] for key in ("url", "sha256") if key in changes}
    spec = job_spec(tmp_path / "job", **{key: changes[key] for key in changes if key not in {*data, "optimizer"}})
    update: dict[str, Any] = {"data": TrainingData.model_validate(spec.data.model_dump() | data)}
    if "optimizer" in changes:
        update["engine"] = spec.engine.model_copy(update={"optimizer": changes["optimizer"]})
    spec = spec.model_copy(update=update)

    assert wait(start_job(spec)) == 1

    failed = told(spec)[-1]
    assert (failed["kind"], failed["code"]) == ("failed", code)
    assert failed["what"].endswith(".")
    assert failed["fixes"]
    assert failed["log_tail"]
    assert failed["what"] in (tmp_path / "job/log-1.txt").read_text()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (model_gated("meta-llama/x"), "model_gated"),
        (ZeroDivisionError("oh"), "unknown"),
    ],
)
def test_exceptions_are_recognized(tmp_path: Path, error: Exception, code: str) -> None:
    spec = job_spec(tmp_path / "job", batch_size=4, base_model_path="unused")

    failed = describe(error, spec=spec, step=7, log_tail=["last words"])

    assert (failed.code, failed.step, failed.log_tail) == (code, 7, ("last words",))
    if code == "out_of_memory":
        assert failed.fixes[0].startswith("Set the batch size to 2 and gradient accumulation to 4")


def test_out_of_memory_is_explained_in_parts(tmp_path: Path) -> None:
    spec = job_spec(tmp_path / "job", base_model_path="unused")
    need = memory_need(base_model("llama-3-70b"), spec.hyperparameters, longest=8192, available=80 << 30)

    failed = describe(torch.OutOfMemoryError("Tried to allocate 2 GiB"), spec=spec, step=1, log_tail=[], memory=need)

    assert failed.why.startswith(f"Weights {need.weights / 2**30:.1f} GB, ")
    assert failed.why.endswith("of 80.0 GB. Tried to allocate 2 GiB")


def test_spec_that_cannot_be_read_has_its_own_exit_code(tmp_path: Path) -> None:
    assert main([str(tmp_path / "nowhere.json")]) == 64
    assert main([]) == 64


def _save(checkpoints: Checkpoints, step: int) -> None:
    weights = {"w": torch.full((3,), float(step))}
    checkpoints.save(progress=Progress(step=step), weights=weights, state={"random": {"cpu": torch.get_rng_state()}})


def test_only_complete_checkpoints_of_this_run_count(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, fingerprint="a", keep=3)
    for step in (2, 4, 6, 8):
        _save(checkpoints, step)
    (tmp_path / "step-00000008/complete.json").unlink()
    (tmp_path / "step-00000006/state.pt").write_bytes(b"half")

    newest = checkpoints.newest()

    assert newest is not None
    assert newest.step == 4
    assert checkpoints.load(newest)[1]["w"].tolist() == [4.0, 4.0, 4.0]
    assert not (tmp_path / "step-00000002").exists()
    assert Checkpoints(tmp_path, fingerprint="b", keep=3).newest() is None
