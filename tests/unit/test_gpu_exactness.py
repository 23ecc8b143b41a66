"""Exact resume where it is hardest: packed rows, dropout and accumulation, death inside a save, damaged checkpoints."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from functions.model.job_spec import EngineOptions, JobSpec
from tests.unit.gpu_tiny import _run, fork_server, job_spec, start_job, told, wait, wait_for_step

pytestmark = pytest.mark.slow

PACKED = EngineOptions(quantization="none", packing=True, loss_chunk_tokens=11)


def _spec(folder: Path, **changes: Any) -> JobSpec:
    """Rows of several conversations, in several passes a step, with dropout."""
    given: dict[str, Any] = {
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "dropout": 0.1,
        "engine": PACKED,
        "epochs": 6,
    }
    return job_spec(folder, **(given | {"engine": PACKED, "checkpoint_every_steps": 2} | changes))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    spec = _spec(tmp_path_factory.mktemp("jobs") / "whole")
    assert wait(start_job(spec)) == 0
    return spec


def _losses(*attempts: JobSpec) -> dict[int, float]:
    return {body["step"]: body["loss"] for spec in attempts for body in told(spec) if body["kind"] == "metrics"}


def _adapter(spec: JobSpec) -> str:
    return hashlib.sha256((Path(spec.work_dir) / "adapter/adapter_model.safetensors").read_bytes()).hexdigest()


def _resume_and_compare(first: JobSpec, uninterrupted: JobSpec) -> int:
    """Run a second attempt; the step it resumed at."""
    second = first.model_copy(update={"attempt": first.attempt + 1})
    assert wait(start_job(second)) == 0
    assert _losses(first, second) == _losses(uninterrupted)
    assert _adapter(second) == _adapter(uninterrupted)
    return int(next(body["step"] for body in told(second) if body["kind"] == "resumed"))


def test_run_packs_drops_out_and_accumulates(uninterrupted: JobSpec) -> None:
    """What the other tests rest on: several passes a step, and losses that another seed of dropout would change."""
    from gpu_jobs.batching import default_layout
    from gpu_jobs.tokenization import tokenize_sequences
    from tests.unit.gpu_tiny import conversations, smollm2_tokenizer

    items = tokenize_sequences(conversations(8), smollm2_tokenizer(), 256)
    layout = default_layout(cuda=False, packing=True, batch_size=4, max_length=max(map(len, items)), pad_token_id=0)
    passes = layout.passes(items)
    assert 1 < len(passes) < len(items)
    assert len(_losses(uninterrupted)) == 12


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_packed_run_resumes_bit_by_bit(tmp_path: Path, uninterrupted: JobSpec, sent: signal.Signals) -> None:
    first = _spec(tmp_path / "job")
    process = start_job(first)
    wait_for_step(first, 5)
    assert process.pid is not None
    os.kill(process.pid, sent)
    wait(process)

    assert _resume_and_compare(first, uninterrupted) >= 2


def _die_in_save(spec: str, place: str, save: int) -> None:
    """Run a job that kills itself by SIGKILL at a place within its n-th save."""
    from gpu_jobs import checkpoints as module

    checkpoints: Any = module
    names = {"adapter": "save_file", "state": "torch", "seal": "_sync", "rename": "_sync"}
    seen = 0
    real_save, real_write, real_sync = checkpoints.save_file, checkpoints.torch.save, checkpoints._sync

    def die(path: Path | None = None) -> None:
        if path is not None:  # as a kernel leaves it that had not written all
            os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def save_file(weights: Any, path: Path) -> None:
        nonlocal seen
        seen += 1
        real_save(weights, path)
        if place == "adapter" and seen == save:
            die(path)

    def write(state: Any, file: Any) -> None:
        real_write(state, file)
        if place == "state" and seen == save:
            file.flush()
            die(Path(file.name))

    def sync(path: Path) -> None:
        real_sync(path)
        if seen == save and place == "seal" and path.name == "complete.json":
            die(path)
        if seen == save and place == "rename" and path.name == "checkpoints":
            die()

    assert place in names
    checkpoints.save_file, checkpoints._sync = save_file, sync
    checkpoints.torch.save = write
    _run(spec)


@pytest.mark.parametrize(("place", "resumed"), [("adapter", 2), ("state", 2), ("seal", 2), ("rename", 4)])
def test_kill_inside_a_save_costs_at_most_that_save(
    tmp_path: Path, uninterrupted: JobSpec, place: str, resumed: int
) -> None:
    first = _spec(tmp_path / "job")
    process = fork_server().Process(target=_die_in_save, args=(first.model_dump_json(), place, 2))
    process.start()
    assert wait(process) == -signal.SIGKILL

    assert _resume_and_compare(first, uninterrupted) == resumed


@pytest.mark.parametrize("file", ["state.pt", "complete.json"])
def test_truncated_checkpoint_is_passed_over(tmp_path: Path, uninterrupted: JobSpec, file: str) -> None:
    first = _spec(tmp_path / "job")
    process = start_job(first)
    wait_for_step(first, 6)
    process.kill()
    wait(process)
    newest = max((tmp_path / "job/checkpoints").glob("step-*"))
    damaged = newest / file
    os.truncate(damaged, damaged.stat().st_size // 2)

    resumed = _resume_and_compare(first, uninterrupted)

    assert 0 < resumed < int(newest.name.removeprefix("step-"))
