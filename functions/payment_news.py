"""What Stripe says of payments, booked: a top-up credited when it is paid, taken back by refunds and by disputes.

The ledger follows from what is known of a payment, and not from the order in which it was heard: what is heard
of first is written down and booked together with its payment. All that is known only grows (all that was
refunded, taken and given back so far), so a late or repeated event changes nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime

from functions.budget import budget_status, period_words
from functions.budget_notices import NoticeData
from functions.disputes import merged, tell
from functions.model.money import EntryKind
from functions.model.outbox import Notice
from functions.model.payments import Dispute, Heard, PaymentEvent, PaymentNews, PaymentRecord, TopUp
from functions.ports import Clock, Database, Transaction

log = logging.getLogger(__name__)


def hear(db: Database, *, clock: Clock, event: PaymentEvent) -> Heard:
    """Book what a verified event tells, in one transaction; a repeat changes nothing."""
    if event.news is PaymentNews.OTHER:
        return Heard.NOT_OURS
    with db.transaction() as tx:
        if event.dispute is None and tx.top_ups.get(event.team_id, event.request_key) is None:
            # Another installation may use the same Stripe account.
            log.warning("payment %s belongs to no top-up that was asked for here", event.payment_id)
            return Heard.NOT_OURS
        now = clock()
        if not tx.top_ups.first_event(event, now):
            return Heard.REPEAT
        known = _with(tx.top_ups.lock_payment(event), event)
        tx.top_ups.set_payment(known.payment_id, paid_cents=known.paid_cents, refunded_cents=known.refunded_cents)
        if event.dispute is not None:
            _note(tx, event.payment_id, event.dispute, now)
        asked = tx.top_ups.get(known.team_id, known.request_key) if known.team_id and known.request_key else None
        if asked is None:
            return Heard.NOT_OURS
        return Heard.BOOKED if _Booking(tx, asked, known, now).book(event) else Heard.NOTHING_NEW


def _with(known: PaymentRecord, event: PaymentEvent) -> PaymentRecord:
    if event.news is PaymentNews.PAID:
        return known if known.paid_cents is not None else known.model_copy(update={"paid_cents": event.cents})
    if event.news is PaymentNews.REFUNDED:
        return known.model_copy(update={"refunded_cents": max(known.refunded_cents, event.cents)})
    return known


def _note(tx: Transaction, payment_id: str, told: Dispute, now: datetime) -> None:
    before = next((d for d in tx.top_ups.disputes(payment_id) if d.dispute_id == told.dispute_id), None)
    tx.top_ups.save_dispute(payment_id, merged(before, told), now)


class _Booking:
    """Brings the ledger to what is known of a payment, whose row is locked."""

    def __init__(self, tx: Transaction, asked: TopUp, known: PaymentRecord, now: datetime) -> None:
        self._tx = tx
        self._asked = asked
        self._known = known
        self._now = now
        self._disputes = tx.top_ups.disputes(known.payment_id)
        # Names the state that is booked: each of its sums only grows.
        sums = [known.refunded_cents]
        if self._disputes:
            sums += [sum(d.withdrawn_cents for d in self._disputes), sum(d.reinstated_cents for d in self._disputes)]
        self._state = ":".join(map(str, sums))

    def book(self, event: PaymentEvent) -> bool:
        """Book what has changed and tell it; whether anything has."""
        paid = self._known.paid_cents
        if paid is None:
            return False
        booked = self._tx.ledger.booked_of(self._known.payment_id)
        changed = not booked.credited_cents
        if changed:
            self._append(EntryKind.TOP_UP, paid, self._known.payment_id)
            self._tell(Notice.TOPPED_UP, paid, f"{EntryKind.TOP_UP.value}:{self._known.payment_id}")
        # Refunds and disputes together never take more than was paid.
        gone = self._known.refunded_cents + sum(dispute.gone_cents for dispute in self._disputes)
        due = min(paid, gone) - booked.refunded_cents - booked.disputed_cents
        changed |= due != 0
        if event.dispute is None:
            due -= self._refund(min(due, min(self._known.refunded_cents, paid) - booked.refunded_cents))
        for dispute in self._disputes:
            concerned = event.dispute is None or event.dispute.dispute_id == dispute.dispute_id
            part = due if event.dispute is not None else min(due, dispute.gone_cents)
            if concerned:
                self._dispute(dispute, part)
                due -= part
        return changed

    def _refund(self, cents: int) -> int:
        if cents <= 0:
            return 0
        key = f"{self._known.payment_id}:{self._state}"
        self._append(EntryKind.REFUND, -cents, key)
        self._tell(Notice.REFUNDED, cents, f"{EntryKind.REFUND.value}:{key}")
        return cents

    def _dispute(self, dispute: Dispute, cents: int) -> None:
        """Book what a bank has taken now, or given back where it is negative, and tell how the dispute stands."""
        before = budget_status(self._tx, team_id=self._asked.team_id, now=self._now)
        key = f"{dispute.dispute_id}:{self._state}"
        if cents:
            self._append(EntryKind.DISPUTE if cents > 0 else EntryKind.REINSTATE, -cents, key)
        said = {**self._facts(cents), "fell_cents": before.limit_cents - self._limit()}
        told = tell(self._tx, asked=self._asked, dispute=dispute, taken_cents=cents, key=key, data=said, now=self._now)
        if told is not dispute.told:
            after = dispute.model_copy(update={"told": told})
            self._tx.top_ups.save_dispute(self._known.payment_id, after, self._now)

    def _append(self, kind: EntryKind, cents: int, key: str) -> None:
        asked, payment_id = self._asked, self._known.payment_id
        self._tx.ledger.append(
            team_id=asked.team_id,
            job_id=None,
            kind=kind,
            cents=cents,
            at=self._now,
            key=f"{kind.value}:{key}",
            payment_id=payment_id,
        )
        self._tx.audit.append(
            team_id=asked.team_id,
            at=self._now,
            actor="stripe",
            action=f"{kind.value}.booked",
            target=payment_id,
            detail={"cents": cents, "asked_by": asked.asked_by},
        )

    def _tell(self, notice: Notice, cents: int, key: str) -> None:
        asked = self._asked
        for place in dict.fromkeys(filter(None, (asked.channel_id, asked.asked_by))):
            self._tx.outbox.put_team(
                team_id=asked.team_id,
                channel_id=place,
                notice=notice,
                key=key,
                at=self._now,
                data=self._facts(cents),
            )

    def _limit(self) -> int:
        return budget_status(self._tx, team_id=self._asked.team_id, now=self._now).limit_cents

    def _facts(self, cents: int) -> NoticeData:
        """What every message says: how much, whose, and what is left now."""
        status = budget_status(self._tx, team_id=self._asked.team_id, now=self._now)
        return {
            "cents": abs(cents),
            "by": self._asked.asked_by,
            "remaining_cents": status.remaining_cents,
            "limit_cents": status.limit_cents,
            "period": period_words(status.period),
            "test_mode": int(self._known.test_mode),
            "payment": self._known.payment_id,
        }
