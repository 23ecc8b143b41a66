"""What the webhook hears: which of Stripe's events, and what each of them says of a top-up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import stripe
from pydantic import BaseModel, ConfigDict

from functions.model.payments import CURRENCY, Dispute, PaymentEvent, PaymentNews

log = logging.getLogger(__name__)

# What a payment is marked with when it is asked for, and read back from its events.
TEAM, REQUEST = "brightrun_team", "brightrun_request"
# A card pays at once; what pays later (a bank debit) is told by the second.
_PAID = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
_REFUNDED = "charge.refunded"
# `created` may be an inquiry, which takes nothing. Money was taken with `funds_withdrawn`, given back with
# `funds_reinstated`; `closed` says how it ended. They come in any order.
_WITHDRAWN, _REINSTATED = "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"
_DISPUTED = ("charge.dispute.created", _WITHDRAWN, _REINSTATED, "charge.dispute.closed")
_INQUIRY = ("warning_needs_response", "warning_under_review")
# What the webhook in Stripe's dashboard has to send.
EVENTS = (*_PAID, _REFUNDED, *_DISPUTED)


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Payment(_Said):
    """The few fields of a Checkout session or a charge that are looked at."""

    payment_intent: str | None = None
    metadata: dict[str, str] | None = None
    currency: str | None = None
    payment_status: str | None = None
    amount_total: int | None = None
    amount_refunded: int | None = None


class _Moved(_Said):
    """A balance transaction: what a dispute took (negative) or gave back, without Stripe's fee."""

    amount: int
    currency: str


class _Deadline(_Said):
    due_by: int | None = None


class _Dispute(_Said):
    id: str
    payment_intent: str | None = None
    amount: int
    currency: str
    reason: str = ""
    status: str = ""
    balance_transactions: tuple[_Moved, ...] = ()
    evidence_details: _Deadline | None = None


def told(event: stripe.Event, *, test_mode: bool) -> PaymentEvent:
    """What a verified event says; of the other mode's, and of what is not about top-ups, nothing.

    Raises:
        ValueError, KeyError, AttributeError: it is no event of Stripe's.
    """
    other = PaymentEvent(id=event.id, kind=event.type, news=PaymentNews.OTHER, test_mode=not event.livemode)
    if event.livemode == test_mode:
        log.warning("event %s is of Stripe's other mode and changes nothing", event.id)
        return other
    thing = event.data.object.to_dict()
    if event.type in _DISPUTED:
        return _disputed(other, _Dispute.model_validate(thing))
    if event.type in (*_PAID, _REFUNDED):
        return _paid(other, _Payment.model_validate(thing))
    return other


def _paid(event: PaymentEvent, said: _Payment) -> PaymentEvent:
    marks = said.metadata or {}
    refund = event.kind == _REFUNDED
    cents = said.amount_refunded if refund else said.amount_total
    if not refund and said.payment_status != "paid":
        return event
    if said.currency != CURRENCY or cents is None or not said.payment_intent or not {TEAM, REQUEST} <= marks.keys():
        return event
    return event.model_copy(
        update={
            "news": PaymentNews.REFUNDED if refund else PaymentNews.PAID,
            "payment_id": said.payment_intent,
            "team_id": marks[TEAM],
            "request_key": marks[REQUEST],
            "cents": cents,
        }
    )


def _disputed(event: PaymentEvent, said: _Dispute) -> PaymentEvent:
    if said.currency != CURRENCY or not said.payment_intent:
        return event
    due = said.evidence_details.due_by if said.evidence_details else None
    withdrawn = _sum(said, sign=-1) or (said.amount if event.kind == _WITHDRAWN else 0)
    dispute = Dispute(
        dispute_id=said.id,
        cents=said.amount,
        withdrawn_cents=withdrawn,
        reinstated_cents=_sum(said, sign=1) or (said.amount if event.kind == _REINSTATED else 0),
        reason=said.reason,
        due_by=datetime.fromtimestamp(due, UTC) if due else None,
        inquiry=said.status in _INQUIRY,
        lost=said.status == "lost",
    )
    return event.model_copy(
        update={"news": PaymentNews.DISPUTED, "payment_id": said.payment_intent, "dispute": dispute}
    )


def _sum(said: _Dispute, *, sign: int) -> int:
    """All that was taken (-1) or given back (1) so far, in cents.

    An account that is kept in another currency moves that one; the disputed amount is what counts here then.
    """
    moved: Sequence[_Moved] = [one for one in said.balance_transactions if one.amount * sign > 0]
    return sum(abs(one.amount) if one.currency == said.currency else said.amount for one in moved)
