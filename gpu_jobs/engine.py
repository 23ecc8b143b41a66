"""The engine's levers on this machine: refused where they cannot work, put on a model where they can."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from functions.levers import Levers, levers
from functions.memory import need
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import JobSpec
from functions.model.shape import Shape
from gpu_jobs.devices import Device
from gpu_jobs.failures import JobFailed

_DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
_CACHE_FOLDER = "compiled-kernels"
# As torch, flash-attn and the kernels of transformers' hub call theirs; the last have a name that changes in front.
_ATTENTION_KERNELS = ("_scaled_dot_product_", "_varlen_attn", "flash_attn")


def require_usable(spec: JobSpec, device: Device) -> None:
    """Let engine options pass that this machine can run; asked before anything is loaded.

    Raises:
        JobFailed: `settings_invalid`, with what is missing.
    """
    engine = spec.engine
    if engine.optimizer not in {None, "adamw_torch"} and not device.is_cuda:
        raise _refused(f"The optimizer “{engine.optimizer}” cannot be used here.", "Its kernels need a GPU.")
    if engine.activation_offloading and not device.is_cuda:
        raise _refused(
            "Activations cannot be offloaded here.",
            "Offloading moves them from a GPU to main memory; this run computes in main memory.",
        )
    if engine.compile and not device.is_cuda and not (shutil.which("g++") or shutil.which("clang++")):
        raise _refused("The model cannot be compiled here.", "Compiling for a CPU needs a C++ compiler (g++).")


def _refused(what: str, why: str) -> JobFailed:
    fixes = ("Leave this option open: what suits the machine is then chosen.", "Choose a tier with a GPU.")
    return JobFailed("settings_invalid", what, why=why, fixes=fixes)


def levers_of(spec: JobSpec, model: Any, device: Device) -> Levers:
    """The levers for a loaded base model (PEFT-wrapped or not)."""
    return levers(
        spec.engine,
        gpu=device.is_cuda,
        parameters=int(model.num_parameters()),
        vocabulary=int(model.config.get_text_config().vocab_size),
    )


def shape_of(config: Any) -> Shape:
    """The shape of a model by its configuration, for the estimate of its memory."""
    text = config.get_text_config()
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shape(
        hidden=text.hidden_size,
        layers=text.num_hidden_layers,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
        heads=text.num_attention_heads,
        attention=size * text.num_attention_heads,
        narrow=size * (getattr(text, "num_key_value_heads", None) or text.num_attention_heads),
        tied=bool(text.tie_word_embeddings),
    )


def expected_memory(
    spec: JobSpec, base: Any, chosen: Levers, device: Device, *, tokens: int, targets: int, overhead: int
) -> MemoryNeed:
    """What the estimate says of a loaded base model with passes of `tokens` places, `targets` of them with loss."""
    return need(
        shape_of(base.config),
        spec.hyperparameters,
        chosen,
        tokens=tokens,
        targets=targets,
        gpu=device.is_cuda,
        quantized=any(type(layer).__name__ == "Linear4bit" for layer in base.modules()),
        compute_bytes=device.dtype.itemsize,
        overhead=overhead,
        available=device.memory_bytes,
    )


def enable_checkpointing(model: Any, chosen: Levers) -> None:
    """Recompute activations in backward where the levers say so. `model` is not PEFT-wrapped."""
    if chosen.checkpointing == "none":
        return
    how: dict[str, Any] = {"use_reentrant": False}
    if chosen.checkpointing == "selective":
        how["context_fn"] = partial(create_selective_checkpoint_contexts, _keep_attention)
    model.activation_checkpointing_enable(how)


def _keep_attention(_context: object, operator: object, *_: object, **__: object) -> CheckpointPolicy:
    """Keep what attention gave, which is dear to compute again. TRL's policy does not know the kernel "packed"."""
    kept = any(kernel in str(operator) for kernel in _ATTENTION_KERNELS)
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE


def activation_context(model: Any, chosen: Levers) -> AbstractContextManager[object]:
    """To be entered around forward and backward of each pass: offloads what is saved between them, or does nothing.

    TRL's manager copies on a stream of its own while the GPU goes on computing.
    """
    if not chosen.offloading:
        return nullcontext()
    from trl.models.activation_offloading import OffloadActivations

    context = OffloadActivations()
    context.update_model_params(model)
    return context  # type: ignore[no-any-return]


def compile_layers(model: Any, spec: JobSpec) -> None:
    """Compile every layer in place; kernels are kept in a folder that all jobs of a volume share.

    Layer by layer the compiler has one small graph to work on, whatever the depth; the first pass takes minutes
    on an empty cache. The folder is only set where the environment does not name one.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    folder = Path(spec.engine.compile_cache_dir or Path(spec.work_dir).resolve().parent / _CACHE_FOLDER)
    for variable, name in (("TORCHINDUCTOR_CACHE_DIR", "inductor"), ("TRITON_CACHE_DIR", "triton")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ.setdefault(variable, str(folder / name))
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.compile()


def compute_dtype(spec: JobSpec, device: Device) -> torch.dtype:
    """The floating-point type that was asked for, else the one the device is fast at."""
    asked = spec.engine.compute_dtype
    return device.dtype if asked is None else _DTYPES[asked]
