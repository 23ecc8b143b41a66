"""A request that somebody else decides: its life, what was quoted, and the rules of its time."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.people import Role


class ApprovalKind(StrEnum):
    """What is asked for."""

    LIMIT_INCREASE = "limit_increase"
    OVER_BUDGET_START = "over_budget_start"
    COSTLY_START = "costly_start"
    PROMOTION = "promotion"


STARTS = frozenset({ApprovalKind.OVER_BUDGET_START, ApprovalKind.COSTLY_START})


class ApprovalState(StrEnum):
    """Where a request stands. Approved is not launched: that is said once it is true."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    LAUNCHED = "launched"
    LAUNCH_FAILED = "launch_failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


_S = ApprovalState
LEGAL: dict[ApprovalState, frozenset[ApprovalState]] = {
    _S.DRAFT: frozenset({_S.PENDING, _S.CANCELLED, _S.EXPIRED, _S.SUPERSEDED}),
    _S.PENDING: frozenset({_S.APPROVED, _S.REJECTED, _S.CANCELLED, _S.EXPIRED, _S.SUPERSEDED, _S.LAUNCH_FAILED}),
    _S.APPROVED: frozenset({_S.LAUNCHED, _S.LAUNCH_FAILED}),
    **dict.fromkeys((_S.LAUNCHED, _S.LAUNCH_FAILED, _S.REJECTED, _S.CANCELLED, _S.EXPIRED, _S.SUPERSEDED), frozenset()),
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ApprovalPolicy(_Record):
    """Who may decide and for how long; frozen in each request, so that a later change does not touch it."""

    roles: tuple[Role, ...] = (Role.MANAGER, Role.ADMIN)
    hours: int = 24


class Quoted(_Record):
    """What the managers see, as it stood when it was asked. Money in cents; what does not apply is 0 or empty.

    `cents_high` is what is set aside and `cap_cents` where the run is stopped, whatever the estimate is by then.
    Of a run that shall go to the front: since when it waits, when it starts as it is, and when at the front.
    """

    title: str
    facts: tuple[str, ...] = ()
    cents_low: int = 0
    cents_high: int = 0
    cap_cents: int = 0
    seconds: float = 0.0
    limit_cents: int = 0
    used_cents: int = 0
    after_cents: int = 0
    grace_cents: int = 0
    practice: bool = False
    waiting_since: datetime | None = None
    starts_at: datetime | None = None
    starts_first_at: datetime | None = None


class Approval(_Record):
    """A row of `approval_requests`."""

    id: UUID
    team_id: str
    kind: ApprovalKind
    state: ApprovalState
    requested_by: str
    reason: str
    subject: dict[str, Any]
    digest: str
    quoted: Quoted
    policy: ApprovalPolicy
    channel_id: str
    created_at: datetime
    expires_at: datetime
    reminded: int = 0
    escalated: bool = False
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""
    job_id: UUID | None = None
    outcome: str = ""
    version: int = 1


class ApprovalCopy(_Record):
    """One copy of a request's message: in a channel, or with a person."""

    request_id: UUID
    recipient: str
    channel_id: str
    ts: str
    shown_version: int
    nudged: int
    sending_since: datetime | None
    tries: int


class ApprovalEvent(_Record):
    """One line of a request's history."""

    at: datetime
    actor: str
    event: str
    detail: str
