"""Whose checkpoint a job goes on from."""

from __future__ import annotations

from uuid import UUID

from functions.model.job import Job
from functions.ports import Transaction


def checkpoint_source(tx: Transaction, job: Job) -> Job | None:
    """The job whose checkpoint this one's next try can go on from: its own, or that which it went on from itself."""
    seen: set[UUID] = set()
    while job.id not in seen:
        seen.add(job.id)
        if job.progress.checkpoint_step:
            return job
        if job.lineage is None or job.lineage.kind != "resume":
            return None
        parent = tx.jobs.get(job.lineage.parent_id)
        if parent is None:
            return None
        job = parent
    return None
