"""A Llama-like model in NF4 out of fake tensors on CUDA, as bitsandbytes and transformers would have loaded it."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from gpu_jobs.bench.shapes import BenchShape, config_of

CUDA = torch.device("cuda")
_BF16 = torch.bfloat16


def make_model(shape: BenchShape, *, quantized: bool) -> Any:
    """Frozen, in bf16, its linear layers in NF4 if so wanted; to be called within a `FakeTensorMode`."""
    from transformers import LlamaForCausalLM

    nn.Module._apply = _apply  # type: ignore[method-assign]
    config = config_of(shape)
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    for layer in model.model.layers if quantized else ():
        for part in (layer.self_attn, layer.mlp):
            for name, old in list(part.named_children()):
                if isinstance(old, nn.Linear):
                    setattr(part, name, _nf4(old.out_features, old.in_features))
    for name, weight in list(model.named_parameters()):
        if weight.is_meta:
            owner, _, attribute = name.rpartition(".")
            made = nn.Parameter(torch.empty(weight.shape, dtype=_BF16, device=CUDA), requires_grad=False)
            setattr(model.get_submodule(owner), attribute, made)
    with CUDA:
        model.model.rotary_emb = type(model.model.rotary_emb)(config)
    model.is_loaded_in_4bit = quantized  # PEFT asks this before it chooses its layer
    return model.requires_grad_(False)


def _nf4(outputs: int, inputs: int) -> nn.Module:
    """bitsandbytes' own layer; its weight is a plain parameter, as fake tensors cannot be its subclass."""
    from bitsandbytes.functional import QuantState
    from bitsandbytes.nn import Linear4bit

    with unset_fake_temporarily():
        layer: Any = Linear4bit(
            inputs, outputs, bias=False, compute_dtype=_BF16, compress_statistics=True, device="meta"
        )
    blocks = ceil(outputs * inputs / 64)
    scales = QuantState(absmax=_empty(ceil(blocks / 256)), code=_empty(256), blocksize=256, dtype=torch.float32)
    weight: Any = nn.Parameter(_empty(ceil(outputs * inputs / 2), 1, dtype=torch.uint8), requires_grad=False)
    weight.quant_state = QuantState(
        absmax=_empty(blocks, dtype=torch.uint8), shape=torch.Size((outputs, inputs)), code=_empty(16), blocksize=64,
        quant_type="nf4", dtype=_BF16, offset=_empty(), state2=scales,
    )  # fmt: skip
    weight.compress_statistics, weight.quant_type, weight.bnb_quantized = True, "nf4", True
    del layer._parameters["weight"]
    layer.register_parameter("weight", weight)
    layer.quant_state, layer.compute_type_is_set = weight.quant_state, True
    return layer  # type: ignore[no-any-return]


def _empty(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(size, dtype=dtype, device=CUDA)


def _apply(self: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """`Module.to` and its like: PyTorch's own way swaps tensors in place, which fake ones refuse."""
    for child in self.children():
        child._apply(change)
    for name, weight in list(self._parameters.items()):
        if weight is not None:
            with torch.no_grad():
                changed = change(weight)
            if changed is not weight:
                self._parameters[name] = nn.Parameter(changed, requires_grad=weight.requires_grad)
    for name, buffer in list(self._buffers.items()):
        if buffer is not None:
            self._buffers[name] = change(buffer)
    return self
