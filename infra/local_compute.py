"""GPU jobs as subprocesses of this machine, by the very entry point that runs in the cloud."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from functions.errors import NotFound
from functions.model.job_spec import EMBEDDED_MODEL, JobSpec
from functions.ports import CallState
from gpu_jobs.embedded_model import ensure_embedded_model
from gpu_jobs.environment import training_environment

# What a job inherits from this process; everything else, every secret above all, stays out.
_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HF_TOKEN",
    "HF_ENDPOINT",
)
# The process notes its id before it becomes the trainer, so that a launcher that dies in between leaves none that
# nobody can stop.
_NOTING_ITS_ID = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"')

_TAIL_LINES, _TAIL_BYTES = 20, 16_384


class LocalCompute:
    """The `Compute` port over subprocesses.

    Every attempt holds a lock on its file as long as it lives, whoever started it: a killed reconciler
    finds its jobs again, and a process id that was given to somebody else fools nobody.
    """

    provider = "local"
    # The lock of an attempt that runs is held.
    repeatable = True

    def __init__(self, data_dir: Path, *, vmstat: Path = Path("/proc/vmstat")) -> None:
        self._vmstat = vmstat
        self._runs = (data_dir / "runs").resolve()
        self._models = (data_dir / "models").resolve()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        """Start an attempt; an attempt that runs already is left alone."""
        call_id = f"{spec.job_id}:{spec.attempt}"
        folder = self._folder(call_id)
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock_file(call_id).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return call_id
            pid_file = folder / f"pid-{spec.attempt}"
            spec_file = folder / f"spec-{spec.attempt}.json"
            spec_file.write_text(spec.model_dump_json(indent=1), "utf-8")
            environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
            environment |= training_environment() | {"BRIGHTRUN_JOB_TOKEN": token}
            with (folder / f"output-{spec.attempt}.txt").open("ab") as output:
                child = subprocess.Popen(  # noqa: S603 - our own interpreter and entry point
                    [*_NOTING_ITS_ID, str(pid_file), sys.executable, "-m", "gpu_jobs", str(spec_file)],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                )
            pid_file.write_text(str(child.pid), "utf-8")
            (folder / f"oom-kills-{spec.attempt}").write_text(str(self._oom_kills()), "utf-8")
        self._children[call_id] = child
        return call_id

    def poll(self, call_id: str) -> CallState:
        """How it stands, without waiting."""
        child = self._children.get(call_id)
        if child is not None:
            code = child.poll()
            if code is None:
                return CallState(running=True)
            note = _ending(code) + (self._memory_note(call_id) if code == -signal.SIGKILL else "")
            return CallState(running=False, exit_code=code, note=note, log_tail=self._last_lines(call_id))
        if self._is_locked(call_id):
            return CallState(running=True)
        note = f"its process is gone{self._memory_note(call_id)}"
        return CallState(running=False, note=note, log_tail=self._last_lines(call_id))

    def waits_for_gpu(self, call_id: str) -> bool:
        """Never: a process of this machine has one."""
        return False

    def cancel(self, call_id: str) -> None:
        """Ask the attempt to stop, then make it stop."""
        for sent, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            if not self._is_locked(call_id):
                return
            self._signal(call_id, sent)
            self._wait(call_id, patience)

    def cancel_all(self) -> None:
        """Stop everything that runs here; used when the embedded run ends."""
        for lock in self._runs.glob("*/lock-*"):
            call_id = f"{lock.parent.name}:{lock.name.removeprefix('lock-')}"
            if self._is_locked(call_id):
                self._signal(call_id, signal.SIGTERM)
        for lock in self._runs.glob("*/lock-*"):
            self.cancel(f"{lock.parent.name}:{lock.name.removeprefix('lock-')}")

    def work_dir(self, job_id: UUID) -> str:
        """The folder that outlives a job's attempts."""
        return str(self._runs / str(job_id))

    def model_path(self, base_model: str) -> str | None:
        """The embedded model's folder; other models come from the hub or its cache."""
        return str(ensure_embedded_model(self._models)) if base_model == EMBEDDED_MODEL else None

    def _oom_kills(self) -> int:
        """How many processes the kernel has ended for lack of memory since it started; 0 where it does not say."""
        try:
            lines = self._vmstat.read_text("utf-8").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    def _memory_note(self, call_id: str) -> str:
        """Says so if the kernel ended processes for lack of memory while the attempt ran."""
        kept = self._folder(call_id) / f"oom-kills-{call_id.rsplit(':', 1)[1]}"
        try:
            before = int(kept.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        return ", the machine ran out of memory" if self._oom_kills() > before else ""

    def _last_lines(self, call_id: str) -> tuple[str, ...]:
        """What the attempt's process wrote last."""
        output = self._folder(call_id) / f"output-{call_id.rsplit(':', 1)[1]}.txt"
        try:
            with output.open("rb") as stream:
                stream.seek(max(0, output.stat().st_size - _TAIL_BYTES))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ()
        return tuple(text.splitlines()[-_TAIL_LINES:])

    def _folder(self, call_id: str) -> Path:
        return self._runs / call_id.rsplit(":", 1)[0]

    def _lock_file(self, call_id: str) -> Path:
        return self._folder(call_id) / f"lock-{call_id.rsplit(':', 1)[1]}"

    def _is_locked(self, call_id: str) -> bool:
        try:
            with self._lock_file(call_id).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _signal(self, call_id: str, sent: signal.Signals) -> None:
        attempt = call_id.rsplit(":", 1)[1]
        try:
            pid = int((self._folder(call_id) / f"pid-{attempt}").read_text("utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise NotFound(f"The process of {call_id} cannot be found.") from error
        try:
            os.killpg(pid, sent)
        except ProcessLookupError:
            return

    def _wait(self, call_id: str, patience: float) -> None:
        import time

        deadline = time.monotonic() + patience
        while self._is_locked(call_id) and time.monotonic() < deadline:
            child = self._children.get(call_id)
            if child is not None:
                child.poll()
            time.sleep(0.05)


def _ending(code: int | None) -> str:
    if code is None:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
