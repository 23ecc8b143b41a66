"""A machine that was lost too often: what its ends have in common is the failure that people are told."""

from __future__ import annotations

import re
from uuid import uuid4

from functions.model.diagnosis import FailureCode
from functions.model.events import Failed
from functions.model.job import Job
from functions.words import counted

# How a provider says it: a signal by name, minus its number, or 128 and its number as shells do.
_OUT_OF_MEMORY = re.compile(r"out of memory|\boom", re.IGNORECASE)
_KILLED = re.compile(r"SIG(KILL|SEGV|BUS|ABRT)|exit code (-9|137|-11|139)\b")
_BY_ITSELF = re.compile(r"exit code -?\d+|trainer crashed|container failed")


def gave_up(job: Job) -> Failed:
    """The failure of a job that no automatic recovery is left for, by how it was lost the last time.

    One that ended by itself without a word gets a reference, and what its log said last.
    """
    past = job.progress.interruptions
    step = job.kept_step
    last = past[-1].cause if past else "unknown"
    code, reference = _code(last), ""
    what = f"Interrupted {counted(len(past), 'time')}; automatic recovery stops here."
    if code is FailureCode.UNKNOWN:
        reference = uuid4().hex[:8]
        what = f"The trainer ended {counted(len(past), 'time')} without saying why (reference {reference})."
    return Failed(
        code=code,
        what=what,
        why=f"It was lost {counted(len(past), 'time')}. The last time: {last}.",
        fixes=(
            f"Try again: it goes on from step {step}, nothing before it is trained twice."
            if step
            else "Try again: nothing was trained yet.",
        ),
        step=job.progress.step or step,
        log_tail=past[-1].log_tail if past else (),
        reference=reference,
    )


def _code(cause: str) -> FailureCode:
    if _OUT_OF_MEMORY.search(cause):
        return FailureCode.HOST_OUT_OF_MEMORY
    if _KILLED.search(cause):
        return FailureCode.HOST_KILLED
    return FailureCode.UNKNOWN if _BY_ITSELF.search(cause) else FailureCode.INTERRUPTED
