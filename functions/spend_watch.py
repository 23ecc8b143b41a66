"""Keeps an eye on a running job's money: tells once a band, and notes projections to be held against the end."""

from __future__ import annotations

from datetime import datetime

from functions.accrued import running_since
from functions.jobs import projection_record
from functions.model.job import Job
from functions.model.outbox import Notice
from functions.model.states import RUNNING
from functions.pace import fraction_done, remaining_seconds
from functions.ports import Transaction
from functions.spend import band_reached, mark_reached, project, spend_of


def watch_spend(tx: Transaction, *, job: Job, now: datetime) -> None:
    """Tell of the band that the job's spending has reached, and keep the projection of the mark it has passed.

    Safe to repeat: a band is told once, a mark is kept once. Where several bands were passed unseen, the highest
    alone is told.
    """
    since = running_since(tx, job)
    if job.state not in RUNNING or since is None:
        return
    spent = spend_of(job, now=now, running_since=since).total_cents
    band = band_reached(job, now=now, running_since=since)
    if band is not None:
        tx.outbox.put(job=job, notice=Notice.SPEND, key=str(band), at=now, data={"band": band, "spent": spent})
    fraction = fraction_done(job)
    mark, remaining = mark_reached(fraction), remaining_seconds(job, now)
    if mark is not None and remaining is not None:
        record = projection_record(tx, job=job, fraction=fraction, now=now)
        made = project(job, spent_cents=spent, remaining_seconds=remaining, record=record)
        tx.history.add_projection(job_id=job.id, team_id=job.team_id, progress=mark, at=now, made=made)
