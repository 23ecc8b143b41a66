"""Whether a job waits for a GPU, for those who show it or act on it."""

from __future__ import annotations

from functions.model.diagnosis import GpuWait
from functions.model.job import Job
from functions.model.states import JobState
from functions.ports import Transaction

# Between tries, and while one is under way.
_MAY_WAIT = frozenset({JobState.QUEUED_WAITING_FOR_GPU, JobState.PROVISIONING, JobState.RECOVERING})


def open_wait(tx: Transaction, job: Job) -> GpuWait | None:
    """The job's wait for a GPU. It is open between tries and during them: a machine's first word ends it."""
    return tx.failures.wait(job.id) if job.state in _MAY_WAIT and job.stop is None else None
