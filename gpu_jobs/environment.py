"""What must be in a process's environment before it starts, so that training on a CPU is not slowed down."""

from __future__ import annotations

import os
from pathlib import Path


def training_environment() -> dict[str, str]:
    """Variables for the process that trains; the launcher merges them into its environment.

    The C library hands large blocks back to the kernel after every use and asks for them again, which costs
    page faults in every layer; these settings make it keep them. It reads them once, when a process starts.
    """
    return {
        "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
        "MALLOC_TOP_PAD_": str(256 << 20),
        # Whoever set it knows what else runs here.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(physical_cores()),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
        "PYTHONUNBUFFERED": "1",
        "TQDM_DISABLE": "1",
    }


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads counted once and a container's quota respected."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = _distinct_cores() or allowed
    return max(1, min(allowed, cores, _quota() or allowed))


def _distinct_cores() -> int:
    """Pairs of socket and core in /proc/cpuinfo; 0 where the kernel does not say."""
    try:
        blocks = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")
    except OSError:
        return 0
    found = set()
    for block in blocks:
        fields = dict(line.replace("\t", "").split(":", 1) for line in block.splitlines() if ":" in line)
        if "core id" in fields:
            found.add((fields.get("physical id"), fields["core id"]))
    return len(found)


def _quota() -> int | None:
    """Whole cores of the control group's CPU quota, at least 1; None where there is no quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("utf-8").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
