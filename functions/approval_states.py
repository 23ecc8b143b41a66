"""How people and the clock change a request's state: legally, noted in its history, told to the one who asked.

What its run does to it, launch or end, is in `approval_outcomes`.
"""

from __future__ import annotations

from datetime import datetime

from functions.approval_news import tell_requester
from functions.errors import Conflict
from functions.model.approval import LEGAL, Approval, ApprovalState
from functions.ports import Transaction


def become(
    tx: Transaction,
    request: Approval,
    state: ApprovalState,
    now: datetime,
    actor: str,
    *,
    event: str = "",
    detail: str = "",
    outcome: str = "",
) -> Approval:
    """Put a request, whose row is locked, into another state.

    Raises:
        Conflict: it moved on meanwhile.
    """
    if state not in LEGAL[request.state]:
        raise Conflict(f"A request that is {request.state.value} cannot be {state.value}.")
    after = request.model_copy(update={"state": state, "outcome": outcome or request.outcome})
    if not tx.approvals.change(request, after):
        raise Conflict("Somebody else was faster.")
    tx.approvals.note(request.id, at=now, actor=actor, event=event or state.value, detail=detail or outcome)
    if request.state is not ApprovalState.DRAFT:
        tell_requester(tx, request=after, actor=actor, now=now)
    return after.model_copy(update={"version": request.version + 1})
