"""How much GPU memory a run needs, part by part."""

from __future__ import annotations

from functions.model.catalog import BaseModelCard
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import Hyperparameters

# NF4 with double quantisation: 4 bits a weight, one 8-bit scale in 64, one 32-bit scale in 256 of those.
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
_BF16 = 2
_FP32 = 4
# CUDA context, cuBLAS workspaces and fragmentation.
_OVERHEAD = 2 * 1024**3
# The loss is computed over slices of the sequence; a slice's logits are in fp32, with their gradient.
_LOSS_CHUNK = 256


def lora_parameters(model: BaseModelCard, *, rank: int, modules: tuple[str, ...]) -> int:
    """Trainable parameters: rank * (inputs + outputs) of every target module, over all layers."""
    hidden, inner = model.hidden_size, model.intermediate_size
    narrow = hidden * model.kv_heads // model.heads
    widths = {
        "q_proj": 2 * hidden,
        "k_proj": hidden + narrow,
        "v_proj": hidden + narrow,
        "o_proj": 2 * hidden,
        "gate_proj": hidden + inner,
        "up_proj": hidden + inner,
        "down_proj": hidden + inner,
    }
    return model.layers * rank * sum(widths[module] for module in modules)


def memory_need(model: BaseModelCard, settings: Hyperparameters, *, longest: int, available: int | None) -> MemoryNeed:
    """Bytes by part for QLoRA with activation checkpointing, sequences of at most `longest` tokens."""
    embeddings = 2 * model.vocabulary * model.hidden_size
    trainable = lora_parameters(model, rank=settings.rank, modules=settings.target_modules)
    tokens = settings.batch_size * min(longest, settings.max_length)
    layer_inputs = model.layers * tokens * model.hidden_size * _BF16
    one_layer = tokens * (10 * model.hidden_size + 4 * model.intermediate_size) * _BF16
    return MemoryNeed(
        weights=round((model.parameters - embeddings) * _NF4_BYTES) + embeddings * _BF16,
        adapters=trainable * _FP32,
        optimizer=trainable * 3 * _FP32,  # gradient and the two moments of AdamW
        activations=layer_inputs + one_layer,
        logits=2 * min(tokens, _LOSS_CHUNK * settings.batch_size) * model.vocabulary * _FP32,
        overhead=_OVERHEAD,
        available=available,
    )
