"""Real trainers that are made to fail: each in a process of its own, under limits or with settings that break it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from functions.model.job_spec import JobSpec
from functions.ports import CallState
from tests.unit.gpu_tiny import fork_server, tiny_model_folder

Change = Callable[[JobSpec], JobSpec]
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000


def as_it_is(spec: JobSpec) -> JobSpec:
    """No change."""
    return spec


class ProvokedCompute:
    """This machine, with the tiny model; `provoke` names what happens in the trainer's process before it starts."""

    provider = "local"
    repeatable = True

    def __init__(self, folder: Path, *, provoke: str = "", change: Change = as_it_is) -> None:
        self._folder = folder
        self._provoke = provoke
        self._change = change
        self._processes: dict[str, BaseProcess] = {}

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        call_id = f"{spec.job_id}:{spec.attempt}"
        spec = self._change(spec)
        Path(spec.work_dir).mkdir(parents=True, exist_ok=True)
        process = fork_server().Process(target=train_provoked, args=(spec.model_dump_json(), token, self._provoke))
        process.start()
        self._processes[call_id] = process
        return call_id

    def poll(self, call_id: str) -> CallState:
        code = self._processes[call_id].exitcode
        note = "" if code is None else f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return CallState(running=code is None, exit_code=code, note=note)

    def waits_for_gpu(self, call_id: str) -> bool:
        return False

    def cancel(self, call_id: str) -> None:
        self._processes[call_id].terminate()
        self._processes[call_id].join(20)

    def cancel_all(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.kill()
            process.join(20)

    def work_dir(self, job_id: UUID) -> str:
        return str(self._folder / str(job_id))

    def model_path(self, base_model: str) -> str | None:
        return str(tiny_model_folder())


def train_provoked(spec_json: str, token: str, provoke: str) -> None:
    spec = JobSpec.model_validate_json(spec_json)
    from gpu_jobs.job import run_job

    if provoke:
        _PROVOKE[provoke](Path(spec.work_dir))
    raise SystemExit(run_job(spec, token))


def _little_memory(_: Path) -> None:
    """So much address space as is used already, and a little more: the allocator's next large block is refused."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (400 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _little_gpu_memory(_: Path) -> None:
    """A sliver of the card, as if others had the rest: CUDA's own allocator refuses the next block."""
    import torch

    torch.cuda.set_per_process_memory_fraction(0.004)


def _small_files(_: Path) -> None:
    """No file may grow beyond 1.5 MB: a checkpoint's write ends in EFBIG. Python ignores SIGXFSZ."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))


def _small_disk(work_dir: Path) -> None:
    """Checkpoints go to a disk of 64 kB, which only this process sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    checkpoints = work_dir / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    flags = _CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    if libc.unshare(flags) or libc.mount(b"none", str(checkpoints).encode(), b"tmpfs", 0, b"size=64k"):
        raise OSError(ctypes.get_errno(), "no file system of its own could be had")


def _in_the_way(work_dir: Path) -> None:
    """A file where the checkpoints' folder should be: nobody foresees everything."""
    (work_dir / "checkpoints").write_text("", "utf-8")


def _killed(_: Path) -> None:
    """The host ends it without warning."""
    os.kill(os.getpid(), signal.SIGKILL)


_PROVOKE: dict[str, Callable[[Path], None]] = {
    "little_memory": _little_memory,
    "little_gpu_memory": _little_gpu_memory,
    "small_files": _small_files,
    "small_disk": _small_disk,
    "in_the_way": _in_the_way,
    "killed": _killed,
}
