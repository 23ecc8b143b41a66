"""The shell around a training: events, signals, failures and the exit code. The training itself is `train.py`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from functions.model import events as said
from functions.model.job_spec import JobSpec
from gpu_jobs.events import EventWriter
from gpu_jobs.failures import describe
from gpu_jobs.interruption import Interrupted, Interruption
from gpu_jobs.job_run import JobRun
from gpu_jobs.service import Service

log = logging.getLogger(__name__)

FINISHED = 0
FAILED = 1
SPEC_UNREADABLE = 64  # EX_USAGE
INTERRUPTED = 75  # EX_TEMPFAIL: start another attempt, it goes on from the last checkpoint

_TAIL_LINES = 20
# A machine that is asked to go has thirty seconds in all; a job that ends by itself has time.
_DRAIN_SECONDS = {INTERRUPTED: 8.0, FINISHED: 120.0, FAILED: 60.0}


def run_job(
    spec: JobSpec,
    token: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    interruption: Interruption | None = None,
    secure: Callable[[], None] = lambda: None,
) -> int:
    """Run one attempt of a job to its end, whatever that is; returns the process's exit code.

    0: finished and stored. 75: interrupted, resumable. 1: failed, and the Failed event says why.

    `secure` makes what is in `work_dir` outlive the machine; it is called before an interruption is told.
    """
    Path(spec.work_dir).mkdir(parents=True, exist_ok=True)
    interruption = interruption or Interruption(spec.stop_after_seconds)
    with interruption, _logging(Path(spec.work_dir) / f"log-{spec.attempt}.txt") as tail:
        writer = EventWriter(spec, token, clock, on_stop=interruption.request)
        service = Service.of(spec, token)
        run = JobRun(spec=spec, send=writer.emit, check=interruption.check, service=service)
        code = _attempt(run, tail, secure)
        writer.close(_DRAIN_SECONDS[code])
        if service:
            service.close()
    return code


def _attempt(run: JobRun, tail: deque[str], secure: Callable[[], None]) -> int:
    try:
        run.start(said.Stage.PREPROCESSING, "Starting the trainer…")
        # Imported now: torch and transformers take seconds, and people should see before that that the job runs.
        from gpu_jobs.train import train_job

        train_job(run)
    except Interrupted as interrupted:
        secure()
        run.emit(
            said.Interrupted(
                step=run.checkpoint_step,
                signal=interrupted.signal_name,
                wait_for_call=run.spec.restarted_by_owner,
            )
        )
        log.info("Interrupted by %s after step %s.", interrupted.signal_name, run.checkpoint_step)
        return INTERRUPTED
    except Exception as error:
        log.exception("The job failed.")
        failed = describe(error, spec=run.spec, step=run.step, log_tail=tuple(tail), memory=run.memory)
        log.error("%s: %s %s", failed.code, failed.what, failed.why)  # noqa: TRY400 - the trace stands above
        run.emit(failed)
        return FAILED
    return FINISHED


class _Tail(logging.Handler):
    """Keeps the last lines of the log for the Failed event."""

    def __init__(self, lines: deque[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.extend(self.format(record).splitlines())


@contextmanager
def _logging(path: Path) -> Iterator[deque[str]]:
    """Log to the attempt's file and to standard error; gives the last lines, which keep up with the log."""
    lines: deque[str] = deque(maxlen=_TAIL_LINES)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a line a request would drown the rest
    handlers = (logging.FileHandler(path, encoding="utf-8"), logging.StreamHandler(), _Tail(lines))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    try:
        yield lines
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
