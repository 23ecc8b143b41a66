"""Time of steps and peak of memory, measured the same way for every engine."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import torch

from gpu_jobs.bench.shapes import weights_of
from gpu_jobs.devices import Device
from gpu_jobs.memory_meter import LiveBytes


class Meter:
    """Entered around a training; `step` is called at the end of each. The first step warms up and does not count.

    On a GPU the allocator says what the peak was. On a CPU it is counted tensor by tensor, which takes time: with
    `memory` there, the times are not to be used.
    """

    def __init__(self, device: Device, base: Any, *, memory: bool) -> None:
        self._device = device
        self._live = LiveBytes() if memory and not device.is_cuda else None
        if self._live is not None:
            self._live.note(weights_of(base))
        self._marks: list[float] = []

    def __enter__(self) -> Meter:
        if self._device.is_cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        if self._live is not None:
            self._live.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """An optimizer step is done."""
        if self._device.is_cuda:
            torch.cuda.synchronize()
        self._marks.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """From the end of the first step to the end of the last."""
        return self._marks[-1] - self._marks[0] if len(self._marks) > 1 else 0.0

    @property
    def steps(self) -> int:
        """How many steps `seconds` are of."""
        return max(0, len(self._marks) - 1)

    @property
    def peak_bytes(self) -> int:
        """The most that was allocated at once, the base model's weights included."""
        if self._device.is_cuda:
            return torch.cuda.max_memory_allocated()
        return self._live.peak if self._live is not None else 0
