"""The engine on a GPU: kernels agree, offload and paged state change no number, memory is what was foretold."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from functions.levers import Levers
from functions.model.job_spec import EngineOptions, Hyperparameters
from gpu_jobs.attention import set_attention
from gpu_jobs.batching import Layout
from gpu_jobs.bench import ours
from gpu_jobs.bench.figures import Case
from gpu_jobs.bench.meter import Meter
from gpu_jobs.bench.shapes import BenchShape, make_model
from gpu_jobs.devices import find_device
from gpu_jobs.engine import activation_context, enable_checkpointing
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.model_loading import add_adapter
from tests.scenario.provoked import train_provoked
from tests.unit.gpu_tiny import (
    ALL_PROJECTIONS,
    conversations,
    fork_server,
    job_spec,
    start_job,
    told,
    wait,
    wait_for_step,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SMALL = BenchShape("small", 1024, 2816, 8, 8, 2, 32000)
CASE = Case("small", 2048, 16, 3)
SETTINGS = Hyperparameters(
    rank=16, alpha=32, dropout=0.0, target_modules=ALL_PROJECTIONS, learning_rate=1e-4, epochs=1, batch_size=4,
    gradient_accumulation_steps=1, warmup_ratio=0.0,
)  # fmt: skip


@pytest.fixture
def model() -> Any:
    return make_model(SMALL, find_device())


def _gradient(model: Any, kernel: Any, checkpointing: Any = "none", *, offloading: bool = False) -> tuple[Any, int]:
    """The gradient of all adapter weights for one packed row, and the peak of memory beyond what was there."""
    model = copy.deepcopy(model)
    set_attention(model, EngineOptions(attention=kernel), packing=True)
    chosen = Levers(True, checkpointing, offloading, optimizer="adamw_torch", loss_chunk_tokens=256, compile=False)
    tuned = add_adapter(model, SETTINGS).train()
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:  # at zero, the gradient of its partner is zero too
            torch.nn.init.normal_(weight, std=0.02)
    enable_checkpointing(model, chosen)
    loss, device = SummedCrossEntropy(tuned, chunk_tokens=256), find_device()
    (row,) = Layout(True, 2048, 0).passes(ours.documents(CASE, SMALL.vocabulary, 4))
    row = row.to(device.torch_device)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with activation_context(tuned, chosen):
        with device.autocast():
            value = loss(row)
        value.backward()  # type: ignore[no-untyped-call]
    peak = torch.cuda.max_memory_allocated() - before
    return torch.cat([item.grad.flatten() for item in tuned.parameters() if item.grad is not None]), peak


def _near(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return float((found - expected).norm() / expected.norm()) < 0.02  # bf16


def test_best_attention_is_no_fallback_and_its_gradients_agree(model: Any) -> None:
    assert set_attention(model, EngineOptions(), packing=True) != "sdpa"
    assert _near(_gradient(model, None)[0], _gradient(model, "sdpa")[0])


def test_checkpointing_and_offloading_save_memory_and_change_no_gradient(model: Any) -> None:
    expected, everything = _gradient(model, None)
    for checkpointing, offloading in (("full", False), ("selective", False), ("none", True), ("full", True)):
        gradient, peak = _gradient(model, None, checkpointing, offloading=offloading)
        assert _near(gradient, expected), (checkpointing, offloading)
        assert peak < everything, (checkpointing, offloading)


def test_estimate_of_memory_is_within_five_percent(model: Any) -> None:
    device = find_device()
    for checkpointing in (False, True):
        meter = Meter(device, model, memory=True)
        engine = EngineOptions(activation_checkpointing=checkpointing)
        expected = ours.run(model, CASE, device, meter, steps=2, engine=engine)
        assert expected == pytest.approx(meter.peak_bytes, rel=0.05)


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"])
def test_killed_job_goes_on_and_ends_where_it_would_have(tmp_path: Path, optimizer: Any) -> None:
    """Not bit by bit: kernels on a GPU add in no fixed order. NF4, packed, with every optimizer."""
    engine = EngineOptions(optimizer=optimizer)
    whole, first = (job_spec(tmp_path / name, engine=engine) for name in ("whole", "job"))
    assert wait(start_job(whole)) == 0
    process = start_job(first)
    wait_for_step(first, 8)
    process.kill()
    wait(process)
    second = first.model_copy(update={"attempt": 2})
    assert wait(start_job(second)) == 0

    found, expected = (
        {body["step"]: body["loss"] for spec in run for body in told(spec) if body["kind"] == "metrics"}
        for run in ((first, second), (whole,))
    )
    assert found.keys() == expected.keys()
    assert all(found[step] == pytest.approx(expected[step], rel=0.02) for step in expected)


def test_memory_that_runs_out_on_the_card_is_told_with_what_it_needed(tmp_path: Path) -> None:
    """CUDA's own error from a real trainer; how it reads in the workspace is tested without a GPU."""
    spec = job_spec(tmp_path / "job", batch_size=64, max_length=256, sequences=conversations(90))
    trainer = fork_server().Process(target=train_provoked, args=(spec.model_dump_json(), "token", "little_gpu_memory"))
    trainer.start()
    assert wait(trainer) == 1
    failed = told(spec)[-1]
    assert (failed["kind"], failed["code"]) == ("failed", "out_of_memory")
    assert "CUDA" in failed["why"]
    assert failed["memory_bytes"] > 0
    assert failed["fixes"][0].startswith("Set the batch size to 32")


def test_compiled_model_trains(model: Any) -> None:
    device = find_device()
    ours.run(model, CASE, device, Meter(device, model, memory=False), steps=2, engine=EngineOptions(compile=True))
