"""What this machine can do: the device, the arithmetic it is fast at, its memory and how busy it is."""

from __future__ import annotations

import logging
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_jobs.environment import physical_cores

log = logging.getLogger(__name__)

# NVML is asked at most this often: an answer takes milliseconds, and a step of a small model not many more.
_UTILIZATION_SECONDS = 5.0


@dataclass(frozen=True)
class Device:
    """Where the run computes, and in which floating-point type."""

    kind: str
    name: str
    dtype: torch.dtype
    memory_bytes: int | None

    @property
    def is_cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.kind == "cuda"

    @property
    def torch_device(self) -> torch.device:
        """For `tensor.to`."""
        return torch.device(self.kind)

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision where the base is bf16 (the adapter stays fp32); nothing where all is fp32."""
        if self.dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self.kind, dtype=self.dtype)


def find_device() -> Device:
    """The GPU if there is one, else the CPU; threads are set to the physical cores, or to OMP_NUM_THREADS.

    A CPU computes in bf16 only where it has instructions for it; without them bf16 was measured 8 times slower
    than fp32.
    """
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Device("cuda", properties.name, torch.bfloat16, properties.total_memory)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or physical_cores()))
    dtype = torch.bfloat16 if _cpu_has_bf16() else torch.float32
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Device("cpu", f"CPU, {torch.get_num_threads()} cores", dtype, memory)


def _cpu_has_bf16() -> bool:
    try:
        info = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def available_memory_bytes() -> int:
    """Main memory that can still be had without swapping; 0 where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)


class Gauges:
    """Memory and utilisation, for the metrics of a step."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._peak = 0
        self._asked = -_UTILIZATION_SECONDS
        self._utilization: float | None = None
        self._nvml = device.is_cuda

    def memory_bytes(self) -> int:
        """The most that was allocated on the GPU so far; on a CPU what the process holds now."""
        if self._device.is_cuda:
            now = torch.cuda.max_memory_allocated()
        else:
            pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
            now = pages * os.sysconf("SC_PAGE_SIZE")
        self._peak = max(self._peak, now)
        return now

    @property
    def peak_bytes(self) -> int:
        """The highest figure that `memory_bytes` gave."""
        return self._peak

    def utilization(self) -> float | None:
        """Share of the last interval in which the GPU computed, 0 to 1; None on a CPU or without NVML."""
        if self._nvml and time.monotonic() - self._asked >= _UTILIZATION_SECONDS:
            self._asked = time.monotonic()
            try:
                self._utilization = torch.cuda.utilization() / 100
            except Exception as error:  # noqa: BLE001 - NVML has errors of its own; none is worth losing a training
                self._nvml, self._utilization = False, None
                log.warning(
                    "How busy the GPU is cannot be told (%s: %s); the run goes on without.", type(error).__name__, error
                )
        return self._utilization
