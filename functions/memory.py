"""How much memory a run needs, part by part.

Bytes of weights, adapters and optimizer state follow from shapes. Those of activations were read off PyTorch: what a
Llama layer with LoRA on all projections keeps for backward is a whole number of bytes for each token and each unit of
width, found by measuring models of many shapes (tests/unit/test_memory.py measures them again).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from functions.levers import Levers, levers
from functions.model.catalog import BaseModelCard
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import EngineOptions, Hyperparameters, OptimizerName

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
# TRL's offload holds the newest five tensors on the GPU while they are on their way.
_OFFLOAD_STASH = 5
# Gradients on their way through a layer: bytes a token and unit of (hidden, inner) width, by bytes of the computing
# type and whether activations are recomputed. Measured, as the rest; the only figures here that are rounded.
_PASSING = {(4, False): (25, 7), (4, True): (3, 8), (2, False): (11, 6), (2, True): (11, 6)}
_GIB = 1024**3


@dataclass(frozen=True)
class Shape:
    """The shape of a Llama-like model. `narrow` is the width of keys and values, `attention` that of queries."""

    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    heads: int
    attention: int
    narrow: int
    tied: bool

    @classmethod
    def of_card(cls, card: BaseModelCard) -> Shape:
        """The shape on a base model's card; what is left of its parameters tells whether the embeddings are tied."""
        shape = cls(
            hidden=card.hidden_size,
            layers=card.layers,
            intermediate=card.intermediate_size,
            vocabulary=card.vocabulary,
            heads=card.heads,
            attention=card.hidden_size,
            narrow=card.hidden_size * card.kv_heads // card.heads,
            tied=False,
        )
        embeddings = card.parameters - card.layers * sum(shape.matrices.values())
        tied = embeddings < 1.5 * card.vocabulary * card.hidden_size
        return cls(**(vars(shape) | {"tied": tied}))

    @property
    def matrices(self) -> dict[str, int]:
        """Parameters of every linear layer in a decoder layer."""
        return {name: first * second for name, (first, second) in self.widths.items()}

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of every linear layer in a decoder layer."""
        return {
            "q_proj": (self.hidden, self.attention),
            "k_proj": (self.hidden, self.narrow),
            "v_proj": (self.hidden, self.narrow),
            "o_proj": (self.attention, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def unquantized(self) -> int:
        """Parameters that stay in the computing type: embeddings, head, norms."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + (2 * self.layers + 1) * self.hidden

    def adapter_parameters(self, rank: int, modules: tuple[str, ...]) -> int:
        """rank × (inputs + outputs) of every target module, over all layers."""
        return self.layers * rank * sum(sum(self.widths[name]) for name in modules)


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
    kept, backward = _activations(shape, settings, chosen, tokens=tokens, trainable=trainable, gpu=gpu, c=compute_bytes)
    backward += max(shape.matrices.values()) * compute_bytes if quantized else 0
    # Hidden states of all targets with their gradient; and a chunk of logits in fp32, twice while it is summed up.
    hidden = 2 * targets * shape.hidden * compute_bytes
    chunk = min(chosen.loss_chunk_tokens, targets) * shape.vocabulary * 2 * _FP32
    # Logits are gone before the first layer's backward begins: the greater of the two makes the peak.
    at_logits = chunk > backward
    return MemoryNeed(
        weights=_weights(shape, quantized=quantized, c=compute_bytes),
        adapters=trainable * _FP32,
        optimizer=trainable * _FP32 + round(trainable * _STATE_BYTES[chosen.optimizer]),
        activations=kept if at_logits else kept + backward,
        logits=hidden + chunk if at_logits else hidden,
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


def _activations(
    shape: Shape, settings: Hyperparameters, chosen: Levers, *, tokens: int, trainable: int, gpu: bool, c: int
) -> tuple[int, int]:
    """What waits for backward at the end of forward, and what one layer's backward needs besides."""
    layer = tokens * _layer_bytes(shape, settings, gpu=gpu, c=c)
    # Under autocast, adapters are cast to bf16 in every layer and kept until its backward.
    layer += 2 * trainable // shape.layers if c == 2 else 0
    wide, inner = _PASSING[c, chosen.checkpointing != "none"]
    passing = tokens * (wide * shape.hidden + inner * shape.intermediate)
    there = min(_OFFLOAD_STASH, shape.layers) if chosen.offloading else shape.layers
    if chosen.checkpointing == "none":
        return there * layer, passing
    kept = tokens * shape.hidden * c
    if chosen.checkpointing == "selective":
        kept += tokens * (shape.attention * c + _FP32 * shape.heads)
    return there * kept, layer + passing


def _layer_bytes(shape: Shape, settings: Hyperparameters, *, gpu: bool, c: int) -> int:
    """Bytes a token that one layer keeps for backward.

    Norms work in fp32; inputs of adapters are kept in the computing type, with dropout each with its own mask.
    """
    hidden, inner = shape.hidden, shape.intermediate
    plain = 24 * hidden + 4 * c * inner + 2 * c * shape.narrow + 4 * shape.heads + 7 * c * settings.rank + 8
    if not settings.dropout:
        return plain
    mask = (1 if gpu else _FP32) * (6 * hidden + inner)
    return plain + mask + (16 * hidden if c == _FP32 else 0)
