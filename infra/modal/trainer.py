"""What the GPU function does with its input; nothing here needs Modal but the name of the exception that it reads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from functions.model.job_spec import JobSpec
from gpu_jobs.container import run_start
from gpu_jobs.job import SPEC_UNREADABLE

log = logging.getLogger(__name__)


class TrainerCrashed(RuntimeError):
    """Whatever stopped a start outside the training. One type: a caller tells it from trouble of its own."""


def run_call(spec: dict[str, Any], token: str, *, secure: Callable[[], None]) -> int:
    """Run one start of the attempt and give its exit code; 64 where the spec cannot be read.

    Raises:
        KeyboardInterrupt: the machine is taken away; the work is saved.
        TrainerCrashed: anything unforeseen.
    """
    try:
        read = JobSpec.model_validate(spec)
    except ValidationError as error:
        log.error("The job's spec cannot be read: %s", error)  # noqa: TRY400 - the trace would say no more
        return SPEC_UNREADABLE
    try:
        ending = run_start(read, token, secure=secure)
    except Exception as error:
        log.exception("The trainer crashed.")
        raise TrainerCrashed(f"{type(error).__name__}: {error}") from None
    if ending.taken_away:
        # Seen by Modal's own runner, which then does not report a result: the same input is started elsewhere.
        raise KeyboardInterrupt
    return ending.code
