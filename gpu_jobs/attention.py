"""Which attention kernel a model runs with, and one of our own that keeps packed sequences apart without a mask.

A mask over a packed row costs memory and time with the square of the row, and shuts out the flash kernels. "packed"
attends within each sequence: on a GPU with the flash kernel for sequences of many lengths that torch brings, on a
CPU sequence by sequence.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from functions.model.job_spec import EngineOptions
from gpu_jobs.batching import Layout
from gpu_jobs.failures import JobFailed
from gpu_jobs.tokenization import TokenizedSequence

log = logging.getLogger(__name__)

PACKED = "brightrun_packed"
_TAKES_BOUNDS = frozenset({PACKED, "flash_attention_2", "flash_attention_3"})
# bf16 keeps eight bits: kernels that add in another order differ by a few of the last over many layers.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 6e-2}


def takes_bounds(model: Any) -> bool:
    """Whether the model's attention wants to be told where the sequences of a pass begin and end."""
    return getattr(model.config, "_attn_implementation", None) in _TAKES_BOUNDS


def set_attention(model: Any, engine: EngineOptions, *, packing: bool) -> str:
    """Give the model the attention that was asked for, else the best that is present; returns its name.

    Without packing, that is torch's `scaled_dot_product_attention`, which needs no mask then. With packing, every
    kernel that is there is tried on this very model: two sequences in one row must come out as they do alone.

    Raises:
        JobFailed: `settings_invalid`, where the kernel that was asked for cannot be used.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(PACKED, packed_attention)
    if engine.attention:
        name = PACKED if engine.attention == "packed" else engine.attention
        _set_asked(model, engine.attention, name)
        return engine.attention
    if packing:
        for name in _candidates(model):
            if _is_right(model, name):
                return "packed" if name == PACKED else name
    model.set_attn_implementation("sdpa")
    return "sdpa"


def packed_attention(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each sequence of a pass. As transformers calls it.

    query: (rows, heads, columns, size), key and value: (rows, fewer heads, columns, size); the result is
    (rows, columns, heads, size). `cu_seq_lens_q`: (sequences + 1,), see `batching.Pass`; None: a row is a sequence.
    """
    rows, _heads, columns, _size = query.shape
    q, k, v = (item.transpose(1, 2).flatten(0, 1) for item in (query, key, value))
    if cu_seq_lens_q is None:
        cu_seq_lens_q = torch.arange(0, rows * columns + 1, columns, dtype=torch.int32, device=query.device)
    if _flash_takes(query) and dropout == 0.0:
        out = _varlen(q, k, v, cu_seq_lens_q, max_length_q or columns, scaling)
    else:
        out = _one_by_one(q, k, v, cu_seq_lens_q, scaling, dropout)
    return out.reshape(rows, columns, *out.shape[1:]), None


def _flash_takes(query: Tensor) -> bool:
    """Flash kernels are for GPUs and half precision; under autocast fp32 may become that."""
    return query.is_cuda and (query.dtype is not torch.float32 or torch.is_autocast_enabled("cuda"))


def _varlen(q: Tensor, k: Tensor, v: Tensor, bounds: Tensor, longest: int, scaling: float | None) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    dtype = torch.get_autocast_dtype("cuda") if q.dtype is torch.float32 else q.dtype
    q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    grouped = q.size(1) != k.size(1)
    out: Any = varlen_attn(
        q, k, v, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=grouped
    )
    return out  # type: ignore[no-any-return]


def _one_by_one(q: Tensor, k: Tensor, v: Tensor, bounds: Tensor, scaling: float | None, dropout: float) -> Tensor:
    parts = []
    for start, end in itertools.pairwise(bounds.tolist()):
        query, key, value = (item[start:end].transpose(0, 1).unsqueeze(0) for item in (q, k, v))
        out = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=q.size(1) != k.size(1)
        )
        parts.append(out.squeeze(0).transpose(0, 1))
    return torch.cat(parts)


def _set_asked(model: Any, asked: str, name: str) -> None:
    try:
        model.set_attn_implementation(name)
    except (ImportError, ValueError) as error:
        raise _unusable(asked, str(error)) from error
    if name == PACKED and not _attends_to_all(model.config):
        raise _unusable(asked, "This model's attention looks through a window or caps its scores.")


def _unusable(asked: str, why: str) -> JobFailed:
    return JobFailed(
        "settings_invalid",
        f"The attention kernel “{asked}” cannot be used here.",
        why=why[:500],
        fixes=("Leave the kernel open: the best one present is then chosen.",),
    )


def _candidates(model: Any) -> Iterator[str]:
    from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

    if next(model.parameters()).is_cuda:
        checks: dict[str, Callable[[], bool]] = {
            "flash_attention_3": is_flash_attn_3_available,
            "flash_attention_2": is_flash_attn_2_available,
        }
        yield from (name for name, present in checks.items() if present())
    if _attends_to_all(model.config):
        yield PACKED


def _attends_to_all(config: Any) -> bool:
    """Whether every layer attends to all earlier tokens by plain scores."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    windowed = getattr(text, "sliding_window", None) is not None and getattr(text, "layer_types", None) is None
    return kinds == {"full_attention"} and not windowed and not getattr(text, "attn_logit_softcapping", None)


@torch.no_grad()
def _is_right(model: Any, name: str) -> bool:
    """Whether two packed sequences get the hidden states with this kernel that they get alone without it."""
    device = next(model.parameters()).device
    backbone = getattr(model, model.base_model_prefix)
    items = [
        TokenizedSequence(str(start), tuple(range(start, start + length)), (0,) * length)
        for start, length in ((3, 23), (7, 11))
    ]
    packed = Layout(packing=True, pass_tokens=64, pad_token_id=0).passes(items)[0].to(device)
    model.set_attn_implementation("sdpa")
    alone = [Layout(packing=False, pass_tokens=1, pad_token_id=0).passes([item])[0].to(device) for item in items]
    expected = torch.cat([backbone(**item.inputs(bounds=False)).last_hidden_state for item in alone], dim=1).float()
    try:
        model.set_attn_implementation(name)
        found = backbone(**packed.inputs(bounds=True)).last_hidden_state.float()
    except (ImportError, RuntimeError, TypeError, ValueError) as refusal:
        log.warning("The attention kernel %s does not run here: %s", name, refusal)
        return False
    error = float((found - expected).norm() / expected.norm())
    if not error <= _TOLERANCE.get(next(backbone.parameters()).dtype, _TOLERANCE[torch.bfloat16]):
        log.warning("The attention kernel %s is off by %.1e here and is not used.", name, error)
        return False
    return True
