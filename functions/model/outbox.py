"""Messages on their way to Slack. Written with the state they tell of, sent by one worker."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Notice(StrEnum):
    """What a message is about. The worker renders it from the job as it stands when it is sent."""

    CARD = "card"
    STARTED = "started"
    HELD_OUT = "held_out"
    INTERRUPTED = "interrupted"
    RECOVERED = "recovered"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RESUMED = "resumed"
    WAITING_FOR_GPU = "waiting_for_gpu"
    GPU_FOUND = "gpu_found"
    ALERT = "alert"
    SPEND = "spend"
    INVOICED = "invoiced"
    INVOICE_VOIDED = "invoice_voided"
    # Of a team, not of a job.
    BUDGET_ALERT = "budget_alert"
    BUDGET_RISK = "budget_risk"
    BUDGET_CHANGED = "budget_changed"
    BUDGET_OVERRIDE = "budget_override"
    BUDGET_DIGEST = "budget_digest"
    BUDGET_MONTH = "budget_month"
    TOPPED_UP = "topped_up"
    REFUNDED = "refunded"
    DISPUTE_ASKED = "dispute_asked"
    DISPUTE_TAKEN = "dispute_taken"
    DISPUTE_RETURNED = "dispute_returned"
    DISPUTE_LOST = "dispute_lost"
    # Of a person: what became of what they asked for.
    REQUEST_NEWS = "request_news"


class OutboxMessage(BaseModel):
    """A row of `outbox`. A CARD is edited in place; every other notice is one message in its thread.
    One without a job tells of the team; its `channel_id` is a channel's or a person's id.

    `sending_since` is set, in a transaction of its own, before Slack is called: a row found in that
    state after a crash may or may not have been sent, and is looked up before it is sent again.
    Without a job it is a message of its own, and `channel_id` may be a person's id.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    team_id: str
    job_id: UUID | None
    channel_id: str
    notice: Notice
    data: dict[str, float | int | str | None]
    attempts: int
    sending_since: datetime | None
    created_at: datetime


class Card(BaseModel):
    """Where a job's card is."""

    model_config = ConfigDict(frozen=True)

    job_id: UUID
    channel_id: str
    ts: str
