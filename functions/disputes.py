"""Disputes of top-ups (chargebacks): what is known of one, and what managers are told of it.

A dispute may begin as an inquiry, which takes nothing. When it is a chargeback, the bank takes the money at once
and gives it back if it accepts the answer.
"""

from __future__ import annotations

from datetime import datetime

from functions.budget_notices import NoticeData, tell_team
from functions.model.outbox import Notice
from functions.model.payments import Dispute, Told, TopUp
from functions.ports import Transaction

_NOTICES = {Told.ASKED: Notice.DISPUTE_ASKED, Told.TAKEN: Notice.DISPUTE_TAKEN, Told.LOST: Notice.DISPUTE_LOST}


def merged(before: Dispute | None, heard: Dispute) -> Dispute:
    """What is known after an event, the same in whatever order events come."""
    if before is None:
        return heard
    due = [moment for moment in (before.due_by, heard.due_by) if moment is not None]
    return before.model_copy(
        update={
            "cents": max(before.cents, heard.cents),
            "withdrawn_cents": max(before.withdrawn_cents, heard.withdrawn_cents),
            "reinstated_cents": max(before.reinstated_cents, heard.reinstated_cents),
            "reason": heard.reason or before.reason,
            "due_by": max(due, default=None),
            # An inquiry becomes a chargeback or is closed, never the other way round.
            "inquiry": before.inquiry and heard.inquiry,
            "lost": before.lost or heard.lost,
        }
    )


def tell(
    tx: Transaction, *, asked: TopUp, dispute: Dispute, taken_cents: int, key: str, data: NoticeData, now: datetime
) -> Told:
    """Tell managers, and whoever topped up, what is new about a dispute; once for the same news.

    Args:
        tx: the transaction that books it.
        asked: the top-up that is disputed.
        dispute: what is known of it.
        taken_cents: what was taken off the budget now; negative for what came back.
        key: names the state that is told.
        data: how the budget stands.
        now: the moment.

    Returns:
        What they have been told last.
    """
    due = _due(dispute, taken_cents)
    if taken_cents == 0 and due is dispute.told:
        return due
    notice = Notice.DISPUTE_RETURNED if taken_cents < 0 else _NOTICES[due]
    said: NoticeData = {
        **data,
        "disputed_cents": dispute.cents,
        "reason": dispute.reason,
        "due": int(dispute.due_by.timestamp()) if dispute.due_by else None,
        "paid_at": int(asked.created_at.timestamp()),
    }
    tell_team(tx, team_id=asked.team_id, notice=notice, key=key, data=said, now=now)
    tx.outbox.put_team(team_id=asked.team_id, channel_id=asked.asked_by, notice=notice, key=key, at=now, data=said)
    return due


def _due(dispute: Dispute, taken_cents: int) -> Told:
    """What managers are to know of it now; money that is taken anew is told anew."""
    if dispute.gone_cents > 0:
        return Told.LOST if dispute.lost else Told.TAKEN
    if dispute.inquiry and dispute.withdrawn_cents == 0:
        return Told.ASKED
    # What came back may be taken once more.
    return Told.NOTHING if taken_cents < 0 else dispute.told
