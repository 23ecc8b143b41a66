"""How much memory a run needs, part by part: weights, adapters and optimizer state follow from shapes."""

from __future__ import annotations

from math import ceil

from functions.activations import Activations
from functions.levers import Levers, levers
from functions.model.catalog import BaseModelCard
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import EngineOptions, Hyperparameters, OptimizerName
from functions.model.shape import Shape

_FP32 = 4
# CUDA context, cuBLAS workspaces and fragmentation.
OVERHEAD = 2 * 1024**3
# Double quantisation: an 8-bit scale for 64 weights, a 32-bit scale for 256 of those; and two code tables a matrix.
_NF4_BLOCK, _SCALES_BLOCK, _NF4_TABLES = 64, 256, 4 * (16 + 256 + 1)
# Resident bytes of optimizer state a parameter. Paged state lives in main memory and visits the GPU.
_STATE_BYTES: dict[OptimizerName, float] = {
    "adamw_torch": 2 * _FP32,
    "adamw_8bit": 2 * (1 + _FP32 / 256),
    "paged_adamw_8bit": 0,
    "paged_adamw_32bit": 0,
}
_GIB = 1024**3


def lora_parameters(model: BaseModelCard, *, rank: int, modules: tuple[str, ...]) -> int:
    """Trainable parameters of an adapter on a base model."""
    return Shape.of_card(model).adapter_parameters(rank, modules)


def memory_need(
    model: BaseModelCard,
    settings: Hyperparameters,
    *,
    longest: int,
    available: int | None,
    engine: EngineOptions | None = None,
) -> MemoryNeed:
    """Bytes by part for sequences of at most `longest` tokens; without a card of fixed size, on a CPU."""
    engine, gpu = engine or EngineOptions(), available is not None
    chosen = levers(engine, gpu=gpu, parameters=model.parameters, vocabulary=model.vocabulary)
    tokens = (settings.batch_size if gpu else 1) * min(longest, settings.max_length)
    return need(
        Shape.of_card(model),
        settings,
        chosen,
        tokens=tokens,
        targets=tokens,
        gpu=gpu,
        # A CPU with room expands the weights once and computes in fp32, if it has no instructions for bf16.
        quantized=engine.quantization == "nf4" and gpu,
        compute_bytes=_compute_bytes(engine, gpu=gpu),
        overhead=OVERHEAD,
        available=available,
    )


def need(
    shape: Shape,
    settings: Hyperparameters,
    chosen: Levers,
    *,
    tokens: int,
    targets: int,
    gpu: bool,
    quantized: bool,
    compute_bytes: int,
    overhead: int,
    available: int | None,
) -> MemoryNeed:
    """Bytes by part of passes of `tokens` places, of which `targets` carry loss.

    `compute_bytes`: 2 for bf16, 4 for fp32.
    """
    trainable = shape.adapter_parameters(settings.rank, settings.target_modules)
    held = Activations(
        shape, settings, chosen, tokens=tokens, targets=targets, quantized=quantized, gpu=gpu, c=compute_bytes
    )
    # Logits are gone before the last layer's backward begins: the greater of the two makes the peak.
    at_logits = held.at_logits > held.in_backward + held.of_targets
    activations = held.kept if at_logits else held.kept + held.in_backward
    gradients = trainable * _FP32
    if gpu and settings.gradient_accumulation_steps == 1:
        # With one pass a step, gradients come as activations go: the lesser of the two costs nothing.
        activations -= min(held.kept, gradients)
    return MemoryNeed(
        weights=_weights(shape, quantized=quantized, c=compute_bytes),
        adapters=trainable * _FP32,
        optimizer=gradients + round(trainable * _STATE_BYTES[chosen.optimizer]),
        activations=activations,
        logits=held.at_logits if at_logits else held.of_targets,
        overhead=overhead,
        available=available,
    )


def in_parts(need: MemoryNeed) -> str:
    """`Weights 38.1 GB, adapters 0.8 GB, … : 71.4 GB in all, of 80.0 GB.`, the largest first."""
    named = {
        "weights": need.weights,
        "adapters": need.adapters,
        "gradients and optimizer": need.optimizer,
        "activations": need.activations,
        "logits": need.logits,
        "CUDA itself": need.overhead,
    }
    parts = [f"{name} {_gb(size)}" for name, size in sorted(named.items(), key=lambda item: -item[1]) if size]
    there = f", of {_gb(need.available)}" if need.available is not None else ""
    text = f"{', '.join(parts)}: {_gb(need.total)} in all{there}."
    return text[0].upper() + text[1:]


def _gb(size: int) -> str:
    return f"{size / _GIB:.1f} GB" if size >= _GIB // 10 else f"{size / 2**20:.0f} MB"


def _compute_bytes(engine: EngineOptions, *, gpu: bool) -> int:
    if engine.compute_dtype is None:
        return 2 if gpu else _FP32
    return 2 if engine.compute_dtype == "bfloat16" else _FP32


def _weights(shape: Shape, *, quantized: bool, c: int) -> int:
    rest = shape.unquantized * c
    if not quantized:
        return rest + shape.layers * sum(shape.matrices.values()) * c
    return rest + shape.layers * sum(_nf4_bytes(size) for size in shape.matrices.values())


def _nf4_bytes(parameters: int) -> int:
    """Of one double-quantised matrix: half a byte a weight, its scales, the scales of these, code tables."""
    scales = ceil(parameters / _NF4_BLOCK)
    return ceil(parameters / 2) + scales + _FP32 * ceil(scales / _SCALES_BLOCK) + _NF4_TABLES
