"""A process in which PyTorch takes CUDA for present. To be called before anything imports torch."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Self

SOURCE = Path(__file__).with_name("cuda_stub.cpp")
# What the H100 of the data sheet is to a program that asks.
H100 = SimpleNamespace(
    name="NVIDIA H100 80GB HBM3", total_memory=81_559 << 20, major=9, minor=0, multi_processor_count=132
)


def compiler() -> str | None:
    """A C++ compiler, if this machine has one."""
    return shutil.which("g++") or shutil.which("clang++")


def build(folder: Path) -> Path:
    """Compile the stub into a folder; takes a second.

    Raises:
        subprocess.CalledProcessError: the compiler refuses it.
    """
    torch = _torch()
    library = folder / "cuda_stub.so"
    links = [f"-L{torch / 'lib'}", "-lc10", "-ltorch_cpu"]
    made = ["-std=c++20", "-shared", "-fPIC", str(SOURCE), f"-I{torch / 'include'}", "-o", str(library)]
    subprocess.run([str(compiler()), *made, *links], check=True)
    return library


def pretend(library: Path) -> None:
    """Let PyTorch find the stub where it looks for CUDA, in this process."""
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(str(_torch() / "lib" / name), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(library))
    import torch

    answers = {
        "is_available": True, "is_initialized": True, "device_count": 1, "current_device": 0, "_lazy_init": None,
        "synchronize": None, "get_device_properties": H100, "get_device_capability": (H100.major, H100.minor),
        "get_device_name": H100.name, "is_bf16_supported": True,
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    for name in ("Stream", "Event", "stream", "current_stream", "default_stream"):
        setattr(torch.cuda, name, _Stream)
    # Of storages that have no address, TRL's offloading would take all for one.
    torch.UntypedStorage.data_ptr = lambda storage: storage._cdata  # type: ignore[method-assign]
    # bitsandbytes looks it up when its kernels for CUDA are registered.
    torch._C._cuda_getCurrentRawStream = lambda *_: 0  # type: ignore[attr-defined]


class _Stream:
    """A stream or an event: order needs nothing where nothing is computed."""

    def __init__(self, *_: object, **__: object) -> None:
        self.wait_event = self.wait_stream = self.record = self.synchronize = lambda *_: self
        self.record_event = self.record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _torch() -> Path:
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent
