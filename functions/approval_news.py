"""What the one who asked is told about their request: directly, once, with the way on. An edited copy rings no bell."""

from __future__ import annotations

from datetime import datetime

from functions.model.approval import Approval, ApprovalState
from functions.model.outbox import Notice
from functions.ports import Transaction

# "Launched" is told by the run's own card.
_TOLD = frozenset(
    {
        ApprovalState.APPROVED,
        ApprovalState.REJECTED,
        ApprovalState.EXPIRED,
        ApprovalState.SUPERSEDED,
        ApprovalState.LAUNCH_FAILED,
    }
)


def tell_requester(tx: Transaction, *, request: Approval, actor: str, now: datetime) -> None:
    """Queue the news of what a request has become, unless the one who asked brought it about (`actor`)."""
    if request.state not in _TOLD or actor == request.requested_by:
        return
    subject = request.subject
    data: dict[str, float | int | str | None] = {
        "request": str(request.id),
        "kind": request.kind.value,
        "state": request.state.value,
        "title": request.quoted.title,
        "by": request.decided_by,
        "note": request.note,
        "outcome": request.outcome,
        "limit_cents": int(subject.get("limit_cents") or 0),
        "job": str(request.job_id or subject.get("job_id") or ""),
        "channel": request.channel_id,
        "reviewable": int(bool(subject.get("choice"))),
    }
    tx.outbox.put_team(
        team_id=request.team_id,
        channel_id=request.requested_by,
        notice=Notice.REQUEST_NEWS,
        key=f"{request.id}:{request.state.value}",
        at=now,
        data=data,
    )
