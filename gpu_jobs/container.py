"""One start of an attempt in a container whose owner starts it again when it takes the machine away."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from functions.model.events import SEQ_STRIDE, Event, Interrupted
from functions.model.job_spec import JobSpec
from gpu_jobs.environment import training_environment
from gpu_jobs.event_spool import Spool
from gpu_jobs.events import EventWriter
from gpu_jobs.failures import describe, killed_by_host
from gpu_jobs.interruption import Interruption
from gpu_jobs.job import FAILED, INTERRUPTED, run_job
from gpu_jobs.starts import Starts, last_sign_of_life

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 30.0
# What the kernel's out-of-memory killer sends, and all that is known of a start that left no word.
_KILLED = "SIGKILL"


class Ending(NamedTuple):
    """The exit code, and whether the machine was taken away: its owner then has to see the interruption too."""

    code: int
    taken_away: bool


def run_start(spec: JobSpec, token: str, *, secure: Callable[[], None]) -> Ending:
    """Run the attempt from where its earlier starts left it. Call it in the main thread, before torch is loaded.

    Args:
        spec: the attempt; its `start` is set here.
        token: the attempt's token.
        secure: makes what is in the work folder outlive the machine.

    Raises:
        OSError: the work folder cannot be written; nothing has begun.
        Exception: what `secure` raised at its first call; nothing has begun.
    """
    for name, value in training_environment().items():
        os.environ.setdefault(name, value)
    work_dir = Path(spec.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    # Without a lasting count of starts, this one could give its events numbers that the service knows already.
    alive = last_sign_of_life(work_dir, spec.attempt, now=datetime.now(UTC))
    starts = Starts(work_dir, spec.attempt, secure=secure)
    start = starts.begin()
    secure = _lenient(secure)
    spec = spec.model_copy(update={"start": start.number})
    if start.after_loss:
        _tell_loss(spec, token, alive=alive, lost=start.lost, hopeless=start.hopeless)
    if start.hopeless:
        code, taken_away = FAILED, False
    else:
        interruption = Interruption(spec.stop_after_seconds)
        code = run_job(spec, token, interruption=interruption, secure=secure)
        taken_away = code == INTERRUPTED and interruption.signalled
    starts.end()
    secure()
    return Ending(code, taken_away)


def _lenient(secure: Callable[[], None]) -> Callable[[], None]:
    def attempt() -> None:
        try:
            secure()
        except Exception:
            # The owner does the same every few seconds and at the end; this one is no reason to lose a training.
            log.warning("The work folder could not be secured now; that is left to the machine's owner.", exc_info=True)

    return attempt


def _tell_loss(spec: JobSpec, token: str, *, alive: datetime, lost: int, hopeless: bool) -> None:
    """Say on behalf of the start before this one that it was lost; if that was one too many, that the job failed.

    It was lost when it gave its last sign of life: until another machine was found, none was had.
    """
    said = _said_so_itself(spec)
    if said and not hopeless:
        return
    writer = EventWriter(spec, token, lambda: datetime.now(UTC))
    if not said:
        writer.emit(Interrupted(step=_checkpoint_step(spec), signal=_KILLED, wait_for_call=True), at=alive)
    if hopeless:
        writer.emit(describe(killed_by_host(lost), spec=spec, step=None, log_tail=()))
    # The trainer has its own writer; what this one could not send, it sends first.
    writer.close(_DRAIN_SECONDS if hopeless else 3.0)


def _said_so_itself(spec: JobSpec) -> bool:
    """Whether the start before this one told of its interruption, and was killed while it put its things away."""
    line = Spool(Path(spec.work_dir), spec.attempt).last_line()
    if line is None:
        return False
    last = Event.model_validate_json(line)
    return isinstance(last.body, Interrupted) and last.seq > (spec.start - 2) * SEQ_STRIDE


def _checkpoint_step(spec: JobSpec) -> int:
    folders = sorted((Path(spec.work_dir) / "checkpoints").glob("step-*"))
    return int(folders[-1].name.removeprefix("step-")) if folders else 0
