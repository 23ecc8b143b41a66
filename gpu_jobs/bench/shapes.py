"""Models of known shapes with random weights, made on the device layer by layer in NF4: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gpu_jobs.devices import Device

_STD = 0.02  # what Llama's weights are initialised with


@dataclass(frozen=True)
class BenchShape:
    """A Llama-like shape."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int


SHAPES = {
    shape.name: shape
    for shape in (
        BenchShape("70b", 8192, 28672, 80, 64, 8, 128256),
        BenchShape("8b", 4096, 14336, 32, 32, 8, 128256),
        BenchShape("tiny", 128, 320, 4, 4, 2, 512),
    )
}


def config_of(shape: BenchShape) -> Any:
    """Its configuration for transformers."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        tie_word_embeddings=False, max_position_embeddings=16384, use_cache=False, pad_token_id=0, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip


def make_model(shape: BenchShape, device: Device) -> Any:
    """A frozen model in NF4 with double quantisation; at no time is more than one matrix of it in full precision."""
    from transformers import LlamaForCausalLM

    config = config_of(shape)
    torch.manual_seed(0)
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config).to(device.dtype)
    where = device.torch_device
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, old in list(part.named_children()):
                if isinstance(old, nn.Linear):
                    setattr(part, name, _quantized(old.out_features, old.in_features, device))
    for name, weight in list(model.named_parameters()):
        if weight.is_meta:
            value = torch.ones if "norm" in name else _random
            owner, _, attribute = name.rpartition(".")
            made = value(weight.shape, dtype=device.dtype, device=where)
            setattr(model.get_submodule(owner), attribute, nn.Parameter(made, requires_grad=False))
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(where)
    model.is_loaded_in_4bit = True  # TRL asks this before it puts an adapter on
    return model.eval().requires_grad_(False)


def _random(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=device).normal_(std=_STD)


def _quantized(outputs: int, inputs: int, device: Device) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    layer: Any = Linear4bit(
        inputs, outputs, bias=False, compute_dtype=device.dtype, compress_statistics=True, quant_type="nf4",
        device="meta",
    )  # fmt: skip
    full = _random(torch.Size((outputs, inputs)), dtype=device.dtype, device=device.torch_device)
    # The move to its device is what quantises it.
    layer.weight = Params4bit(full, requires_grad=False, compress_statistics=True, quant_type="nf4", module=layer).to(
        device.torch_device
    )
    layer.support_avx512bf16_for_cpu = False
    return layer  # type: ignore[no-any-return]


def weights_of(model: Any) -> list[torch.Tensor]:
    """Parameters and buffers, and what quantised weights need beside themselves."""
    found = [*model.parameters(), *model.buffers()]
    for weight in model.parameters():
        state = getattr(weight, "quant_state", None)
        if state is not None:
            found += [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    return found
