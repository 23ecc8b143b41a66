"""The levers of the engine as they stand on a device: what was asked for, else what is right there.

The trainer and the memory estimate both read them here, so that the estimate is of the run that will be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.model.job_spec import EngineOptions, OptimizerName

Checkpointing = Literal["none", "full", "selective"]

# Recomputing activations costs a third more time; smaller models fit without it.
_CHECKPOINTING_PARAMETERS = 1_000_000_000
# From here on a gigabyte of optimizer state is worth more than the last bit of its precision.
_PAGED_OPTIMIZER_PARAMETERS = 30_000_000_000
# On a GPU enough rows for its matrix units; on a CPU a chunk of logits that stays near its cache.
_GPU_CHUNK_TOKENS = 1024
_CPU_CHUNK_LOGITS = 1 << 24


@dataclass(frozen=True)
class Levers:
    """Every lever with its value; see `EngineOptions` for what each does."""

    packing: bool
    checkpointing: Checkpointing
    offloading: bool
    optimizer: OptimizerName
    loss_chunk_tokens: int
    compile: bool


def levers(engine: EngineOptions, *, gpu: bool, parameters: int, vocabulary: int) -> Levers:
    """What the options come to for a base model of so many parameters and so large a vocabulary.

    Defaults: a GPU packs; above a billion parameters it recomputes activations; above 30 billion its optimizer
    is paged and has 8-bit state. A CPU does none of this: there padding-free passes of one sequence were measured
    faster. Offloading and compiling are off until a measurement speaks for them (gpu_jobs/MEASUREMENTS.md).
    """
    chunk = _GPU_CHUNK_TOKENS if gpu else max(1, _CPU_CHUNK_LOGITS // vocabulary)
    paged = gpu and parameters >= _PAGED_OPTIMIZER_PARAMETERS
    return Levers(
        packing=packs(engine, gpu=gpu),
        checkpointing=_checkpointing(engine, gpu=gpu, parameters=parameters),
        offloading=bool(engine.activation_offloading),
        optimizer=engine.optimizer or ("paged_adamw_8bit" if paged else "adamw_torch"),
        loss_chunk_tokens=engine.loss_chunk_tokens or chunk,
        compile=bool(engine.compile),
    )


def packs(engine: EngineOptions, *, gpu: bool) -> bool:
    """Whether several sequences share a row."""
    return gpu if engine.packing is None else engine.packing


def _checkpointing(engine: EngineOptions, *, gpu: bool, parameters: int) -> Checkpointing:
    asked = engine.activation_checkpointing
    if asked == "selective":
        return "selective"
    wanted = gpu and parameters >= _CHECKPOINTING_PARAMETERS if asked is None else asked
    return "full" if wanted else "none"
