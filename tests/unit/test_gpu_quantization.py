"""NF4 on a CPU: gradients survive an evaluation, and expanding the weights once changes no number."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from functions.model.job_spec import EngineOptions, JobSpec
from gpu_jobs.batching import Layout
from gpu_jobs.devices import Device
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.model_loading import add_adapter, load_base_model
from gpu_jobs.tokenization import tokenize_sequences
from tests.unit.gpu_tiny import conversations, job_spec, smollm2_tokenizer

CPU = Device("cpu", "test", torch.float32, None)


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return job_spec(tmp_path / "job", dropout=0.0, engine=EngineOptions(quantization="nf4"))


def _loaded(spec: JobSpec, monkeypatch: pytest.MonkeyPatch, *, memory: int) -> Any:
    monkeypatch.setattr("gpu_jobs.model_loading.available_memory_bytes", lambda: memory)
    return load_base_model(spec, CPU)


def _gradient_norm(model: Any, loss: SummedCrossEntropy) -> float:
    model.train()
    model.zero_grad(set_to_none=True)
    (item,) = Layout(False, 10_000, 0).passes(tokenize_sequences(conversations(2), smollm2_tokenizer(), 256))
    loss(item).backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def test_gradients_are_the_same_before_and_after_an_evaluation(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    base = _loaded(spec, monkeypatch, memory=0)
    four_bit = [layer for layer in base.modules() if type(layer).__name__ == "Linear4bit"]
    assert len(four_bit) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in four_bit)
    model = add_adapter(base, spec.hyperparameters)
    loss = SummedCrossEntropy(model)
    before = _gradient_norm(model, loss)

    model.eval()
    with torch.no_grad():
        for item in Layout(False, 1, 0).passes(tokenize_sequences(conversations(4), smollm2_tokenizer(), 256)):
            loss(item)

    assert _gradient_norm(model, loss) == before > 0


def test_weights_expanded_once_give_the_same_logits(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.arange(1, 60).unsqueeze(0)
    with torch.no_grad():
        expanded = _loaded(spec, monkeypatch, memory=1 << 40)(input_ids=ids).logits
        packed = _loaded(spec, monkeypatch, memory=0)(input_ids=ids).logits
        whole = load_base_model(spec.model_copy(update={"engine": EngineOptions(quantization="none")}), CPU)
        unquantized = whole(input_ids=ids).logits

    assert torch.allclose(expanded, packed, atol=1e-5)
    assert not torch.allclose(expanded, unquantized, atol=1e-3)


def test_adapter_is_fp32_on_a_bf16_base(spec: JobSpec) -> None:
    plain = spec.model_copy(update={"engine": EngineOptions(quantization="none")})
    model = load_base_model(plain, Device("cpu", "test", torch.bfloat16, None))
    assert next(model.parameters()).dtype is torch.bfloat16

    tuned = add_adapter(copy.deepcopy(model), spec.hyperparameters)

    assert {weight.dtype for weight in tuned.parameters() if weight.requires_grad} == {torch.float32}
