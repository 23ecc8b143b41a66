"""The one place that turns a job's id into the job: another team's is none."""

from __future__ import annotations

from uuid import UUID

from functions.errors import NotFound
from functions.model.job import Job
from functions.ports import Transaction


def get_job(tx: Transaction, *, team_id: str, job_id: UUID, lock: bool = False) -> Job:
    """The team's job; with `lock` its row is this transaction's until that ends.

    Raises:
        NotFound: there is none in this team.
    """
    job = tx.jobs.get(job_id, lock=lock)
    if job is None or job.team_id != team_id:
        raise NotFound("There is no such job in this workspace.")
    return job
