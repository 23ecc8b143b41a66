"""The memory estimate against real models: exact where bytes follow from shapes, close where PyTorch decides."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from functions import catalog
from functions.levers import Levers
from functions.memory import in_parts, memory_need, need
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import EngineOptions, Hyperparameters
from functions.model.shape import Shape
from gpu_jobs.batching import Layout
from gpu_jobs.engine import enable_checkpointing, shape_of
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.memory_meter import LiveBytes, storage_bytes
from gpu_jobs.model_loading import add_adapter
from gpu_jobs.optimizers import make_optimizer
from gpu_jobs.tokenization import TokenizedSequence
from tests.unit.gpu_tiny import ALL_PROJECTIONS

GB = 1024**3


def _settings(**changes: Any) -> Hyperparameters:
    values: dict[str, Any] = {
        "rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": ALL_PROJECTIONS, "learning_rate": 0.001, "epochs": 1,
        "batch_size": 1, "gradient_accumulation_steps": 1, "warmup_ratio": 0.0,
    }  # fmt: skip
    return Hyperparameters(**(values | changes))


def _levers(checkpointing: Any = "none") -> Levers:
    return Levers(True, checkpointing, offloading=False, optimizer="adamw_torch", loss_chunk_tokens=32, compile=False)


def _model(hidden: int, layers: int, *, quantized: bool, dtype: torch.dtype = torch.float32, tied: bool = True) -> Any:
    """A Llama with random weights, in NF4 if so wanted."""
    from bitsandbytes.nn import Linear4bit, Params4bit
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=hidden, intermediate_size=hidden * 5 // 2, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=tied, use_cache=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(dtype)
    for layer in model.model.layers if quantized else ():
        for part in (layer.self_attn, layer.mlp):
            for name, old in list(part.named_children()):
                if isinstance(old, torch.nn.Linear):
                    new = Linear4bit(old.in_features, old.out_features, bias=False, compute_dtype=dtype)
                    new.weight = Params4bit(old.weight.data, requires_grad=False, quant_type="nf4").to("cpu")
                    new.support_avx512bf16_for_cpu = False
                    setattr(part, name, new)
    return model.requires_grad_(False)


def _weights(model: Any) -> list[torch.Tensor]:
    """Parameters, and what a quantised one needs beside itself."""
    found = list(model.parameters())
    for weight in list(found):
        state = getattr(weight, "quant_state", None)
        if state is not None:
            found += [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    return found


def _expected(model: Any, settings: Hyperparameters, chosen: Levers, tokens: int, **changes: Any) -> MemoryNeed:
    values: dict[str, Any] = {"gpu": False, "quantized": False, "compute_bytes": 4, "overhead": 0, "available": None}
    return need(shape_of(model.config), settings, chosen, tokens=tokens, targets=8, **(values | changes))


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize(("hidden", "layers", "tied"), [(256, 2, True), (512, 1, False)])
def test_bytes_of_weights_adapters_and_optimizer_are_those_of_a_real_model(
    hidden: int, layers: int, tied: bool, quantized: bool
) -> None:
    model = _model(hidden, layers, quantized=quantized, tied=tied)
    expected = _expected(model, _settings(), _levers(), 64, quantized=quantized)
    weights = storage_bytes(_weights(model))
    tuned = add_adapter(model, _settings())
    trained = [item for item in tuned.parameters() if item.requires_grad]
    optimizer = make_optimizer(trained, _settings(), "adamw_torch")
    for item in trained:
        item.grad = torch.zeros_like(item)
    optimizer.step()
    state = [value for held in optimizer.state.values() for value in held.values() if value.numel() > 1]

    assert expected.weights == pytest.approx(weights, rel=0.01)
    assert expected.adapters == storage_bytes(trained)
    assert expected.optimizer == storage_bytes([*state, *(item.grad for item in trained if item.grad is not None)])


def _measured_activations(model: Any, chosen: Levers, settings: Hyperparameters, tokens: int) -> tuple[int, int]:
    """(bytes alive after forward, the most in forward and backward), beyond weights, gradients and their like."""
    tuned = add_adapter(model, settings)
    enable_checkpointing(model, chosen)
    tuned.train()
    loss = SummedCrossEntropy(tuned, chunk_tokens=chosen.loss_chunk_tokens)
    labels = (-100,) * (tokens - 8) + (5,) * 8
    (item,) = Layout(True, 10**6, 0).passes([TokenizedSequence("a", (5,) * tokens, labels)])
    mixed = next(model.parameters()).dtype is torch.bfloat16

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16) if mixed else nullcontext():
            return loss(item)

    forward().backward()  # type: ignore[no-untyped-call]
    meter = LiveBytes()
    gradients = [weight.grad for weight in tuned.parameters() if weight.grad is not None]
    meter.note([*tuned.parameters(), *tuned.buffers(), *_weights(model), *gradients])
    before = meter.now
    with meter:
        result = forward()
        held = meter.now - before
        result.backward()  # type: ignore[no-untyped-call]
    return held, meter.peak - before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("checkpointing", ["none", "full", "selective"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_within_a_tenth_of_what_is_measured(
    dtype: torch.dtype, checkpointing: Any, dropout: float
) -> None:
    settings, chosen, tokens = _settings(dropout=dropout), _levers(checkpointing), 300
    model = _model(128, 6, quantized=False, dtype=dtype)
    expected = _expected(model, settings, chosen, tokens, compute_bytes=dtype.itemsize)

    _, peak = _measured_activations(model, chosen, settings, tokens)

    assert expected.activations + expected.logits == pytest.approx(peak, rel=0.1)


def test_what_is_held_for_backward_grows_with_layers_as_foretold() -> None:
    """To the byte: the difference that two more layers make, everything else being equal."""
    settings, chosen, tokens = _settings(), _levers(), 200
    held, foretold = [], []
    for layers in (2, 4):
        model = _model(128, layers, quantized=False)
        held.append(_measured_activations(model, chosen, settings, tokens)[0])
        foretold.append(_expected(model, settings, chosen, tokens).activations)

    assert held[1] - held[0] == foretold[1] - foretold[0]


def test_quantised_weights_are_expanded_one_at_a_time() -> None:
    settings, chosen, tokens = _settings(), _levers("full"), 64
    model = _model(256, 4, quantized=True)
    expected = _expected(model, settings, chosen, tokens, quantized=True)

    _, peak = _measured_activations(model, chosen, settings, tokens)

    assert expected.activations + expected.logits == pytest.approx(peak, rel=0.15)


def test_cards_have_the_parameters_of_their_shapes() -> None:
    for card in catalog.base_models():
        shape = Shape.of_card(card)
        total = shape.unquantized + shape.layers * sum(shape.matrices.values())
        assert total == card.parameters
        assert shape.tied == (card.key == "smollm2-135m")


def test_seventy_billion_parameters_at_rank_16_take_at_most_60_gb_at_4k() -> None:
    card = catalog.base_model("llama-3-70b")
    at_4k = memory_need(card, _settings(rank=16), longest=4096, available=80 * GB)
    assert 45 * GB < at_4k.total < 60 * GB
    assert at_4k.weights == pytest.approx(37.5 * GB, rel=0.05)
    offloaded = memory_need(
        card, _settings(rank=16), longest=4096, available=80 * GB, engine=EngineOptions(activation_offloading=True)
    )
    assert offloaded.activations < 0.6 * at_4k.activations
    plain = memory_need(
        card, _settings(rank=16), longest=4096, available=80 * GB, engine=EngineOptions(optimizer="adamw_torch")
    )
    assert plain.optimizer == 3 * at_4k.optimizer
    assert not memory_need(card, _settings(rank=16, batch_size=8), longest=4096, available=80 * GB).fits


def test_explanation_names_the_largest_part_first() -> None:
    found = MemoryNeed(
        weights=38 * GB, adapters=GB, optimizer=0, activations=40 * GB, logits=50 << 20, overhead=2 * GB,
        available=80 * GB,
    )  # fmt: skip
    assert in_parts(found) == (
        "Activations 40.0 GB, weights 38.0 GB, CUDA itself 2.0 GB, adapters 1.0 GB, logits 50 MB: "
        "81.0 GB in all, of 80.0 GB."
    )
