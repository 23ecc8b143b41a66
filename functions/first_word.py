"""The first word of an attempt: only now is it known that it has a machine."""

from __future__ import annotations

from datetime import datetime

from functions.approval_outcomes import on_launched
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.ports import Transaction


def on_first_word(tx: Transaction, *, job: Job, now: datetime) -> None:
    """A machine was found for the job: its wait ends, and an approved start is launched. Safe to repeat."""
    on_launched(tx, job=job, now=now)
    wait = tx.failures.end_wait(job.id, served=True, at=now)
    if wait is not None:
        seconds = (now - wait.since).total_seconds()
        tx.outbox.put(job=job, notice=Notice.GPU_FOUND, key=str(job.attempt), at=now, data={"seconds": seconds})
