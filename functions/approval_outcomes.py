"""What becomes of an approved start: launched once it has a machine, or failed to."""

from __future__ import annotations

from datetime import datetime

from functions.approval_news import tell_requester
from functions.model.approval import ApprovalState
from functions.model.job import Job
from functions.ports import Transaction


def on_launched(tx: Transaction, *, job: Job, now: datetime) -> None:
    """An attempt of the job has a machine: an approved start is launched now, and not before."""
    request = tx.approvals.of_job(job.id)
    if request is not None:
        tx.approvals.change(request, request.model_copy(update={"state": ApprovalState.LAUNCHED}))
        tx.approvals.note(request.id, at=now, actor="system", event="launched")


def on_ended(tx: Transaction, *, job: Job, now: datetime) -> None:
    """The job ended; an approved start that was never launched has failed to."""
    request = tx.approvals.of_job(job.id)
    if request is not None:
        why = job.progress.failure.what if job.progress.failure else "It was cancelled before it started."
        after = request.model_copy(update={"state": ApprovalState.LAUNCH_FAILED, "outcome": why})
        tx.approvals.change(request, after)
        tx.approvals.note(request.id, at=now, actor="system", event="launch_failed", detail=why)
        tell_requester(tx, request=after, actor=job.stop.by if job.stop else "system", now=now)
