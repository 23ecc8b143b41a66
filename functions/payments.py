"""Topping up the month's budget: asking for it, crediting it when Stripe says that it was paid, taking refunds back.

The ledger follows from what is known of a payment, and not from the order in which it was heard: a refund that
is heard of first is written down and booked together with its payment.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime

from functions.access import require
from functions.budget import budget_status, period_words
from functions.errors import Conflict, InvalidInput, Unavailable
from functions.model.money import EntryKind, dollars
from functions.model.outbox import Notice
from functions.model.payments import Heard, PaymentEvent, PaymentNews, PaymentRecord, TopUp, TopUpView
from functions.model.people import Permission, Person
from functions.ports import Clock, Database, Payments, Transaction

log = logging.getLogger(__name__)

LEAST_CENTS = 5_00
MOST_CENTS = 5_000_00
_AMOUNT = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)


def dollars_typed(text: str) -> int:
    """Cents of an amount as people type it: `200`, `$1,250.50`.

    Raises:
        InvalidInput: it is no amount, or none that may be topped up.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise InvalidInput("Type an amount in dollars, for example 200 or 1,250.50.", field="amount")
    cents = int(found[1].replace(",", "")) * 100 + int((found[2] or "0").ljust(2, "0"))
    if not LEAST_CENTS <= cents <= MOST_CENTS:
        raise InvalidInput(f"Between {dollars(LEAST_CENTS)} and {dollars(MOST_CENTS)} at once.", field="amount")
    return cents


def connected(payments: Payments | None) -> Payments:
    """Stripe, where it is connected.

    Raises:
        Unavailable: no key is set; says which setting is missing.
    """
    if payments is None:
        raise Unavailable(
            "Stripe is not connected: BRIGHTRUN_STRIPE_KEY is missing.",
            fix="Whoever runs Bright Run sets it; .env.example says where it comes from.",
        )
    return payments


def _listening(payments: Payments | None) -> Payments:
    stripe = connected(payments)
    if not stripe.hears:
        raise Unavailable(
            "A payment would not be heard of: BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing.",
            fix="Whoever runs Bright Run sets it; .env.example says where it comes from.",
        )
    return stripe


def top_up_view(tx: Transaction, payments: Payments | None, *, person: Person, now: datetime) -> TopUpView:
    """What the window shows that asks how much.

    Raises:
        NotAllowed: the person may not change the budget.
        Unavailable: Stripe is not connected.
    """
    require(person, Permission.MANAGE_BUDGET)
    stripe = _listening(payments)
    return TopUpView(budget=budget_status(tx, team_id=person.team_id, now=now), test_mode=stripe.test_mode)


def start_top_up(
    db: Database,
    payments: Payments | None,
    *,
    clock: Clock,
    person: Person,
    amount: str,
    request_key: str,
    channel_id: str,
) -> TopUp:
    """Make the page on which a manager pays. Asked again with the same key, it is the same page.

    Raises:
        NotAllowed: the person may not change the budget.
        InvalidInput: no amount between $5 and $5,000, or Stripe refuses.
        Conflict: this very request asked for another amount.
        Unavailable: Stripe is not connected, or does not answer.
    """
    require(person, Permission.MANAGE_BUDGET)
    stripe = _listening(payments)
    wanted = TopUp(
        team_id=person.team_id,
        request_key=request_key,
        asked_by=person.user_id,
        channel_id=channel_id,
        cents=dollars_typed(amount),
        created_at=clock(),
    )
    # Kept before Stripe hears of it: what is paid must find its request, however fast it is paid.
    with db.transaction() as tx:
        kept = tx.top_ups.begin(wanted)
    if kept.cents != wanted.cents:
        raise Conflict(f"This window has asked for {dollars(kept.cents)} already.", fix="Open it anew.")
    if kept.session_url is not None:
        return kept
    page = stripe.checkout(kept)
    with db.transaction() as tx:
        tx.top_ups.set_page(kept.team_id, kept.request_key, page)
        tx.audit.append(
            team_id=person.team_id,
            at=clock(),
            actor=person.user_id,
            action="top_up.asked",
            target=request_key,
            detail={"cents": kept.cents, "session": page.session_id},
        )
    return kept.model_copy(update={"session_id": page.session_id, "session_url": page.url})


def hear(db: Database, *, clock: Clock, event: PaymentEvent) -> Heard:
    """Book what a verified event tells, in one transaction; a repeat changes nothing."""
    if event.news is PaymentNews.OTHER:
        return Heard.NOT_OURS
    with db.transaction() as tx:
        asked = tx.top_ups.get(event.team_id, event.request_key)
        if asked is None:
            # Another installation may use the same Stripe account.
            log.warning("payment %s belongs to no top-up that was asked for here", event.payment_id)
            return Heard.NOT_OURS
        now = clock()
        if not tx.top_ups.first_event(event, now):
            return Heard.REPEAT
        known = _with(tx.top_ups.lock_payment(event), event)
        tx.top_ups.set_payment(known.payment_id, paid_cents=known.paid_cents, refunded_cents=known.refunded_cents)
        return Heard.BOOKED if _book(tx, asked, known, now) else Heard.NOTHING_NEW


def _with(known: PaymentRecord, event: PaymentEvent) -> PaymentRecord:
    if event.news is PaymentNews.PAID:
        return known if known.paid_cents is not None else known.model_copy(update={"paid_cents": event.cents})
    return known.model_copy(update={"refunded_cents": max(known.refunded_cents, event.cents)})


def _book(tx: Transaction, asked: TopUp, known: PaymentRecord, now: datetime) -> bool:
    """Bring the ledger to what is known of the payment, whose row is locked; whether that changed anything."""
    if known.paid_cents is None:
        return False
    credited, taken_back = tx.ledger.booked_of(known.payment_id)
    changed = False
    if not credited:
        changed = _append(tx, asked, known, EntryKind.TOP_UP, known.paid_cents, "", now)
    due = min(known.refunded_cents, known.paid_cents) - taken_back
    if due > 0:
        changed |= _append(tx, asked, known, EntryKind.REFUND, -due, f":{known.refunded_cents}", now)
    return changed


def _append(
    tx: Transaction, asked: TopUp, known: PaymentRecord, kind: EntryKind, cents: int, suffix: str, now: datetime
) -> bool:
    key = f"{kind.value}:{known.payment_id}{suffix}"
    new = tx.ledger.append(
        team_id=asked.team_id, job_id=None, kind=kind, cents=cents, at=now, key=key, payment_id=known.payment_id
    )
    if not new:
        return False
    tx.audit.append(
        team_id=asked.team_id,
        at=now,
        actor="stripe",
        action=f"{kind.value}.booked",
        target=known.payment_id,
        detail={"cents": cents, "asked_by": asked.asked_by},
    )
    status = budget_status(tx, team_id=asked.team_id, now=now)
    data: dict[str, float | int | str | None] = {
        "cents": abs(cents),
        "by": asked.asked_by,
        "remaining_cents": status.remaining_cents,
        "limit_cents": status.limit_cents,
        "period": period_words(status.period),
        "test_mode": int(known.test_mode),
    }
    notice = Notice.TOPPED_UP if kind is EntryKind.TOP_UP else Notice.REFUNDED
    for place in dict.fromkeys(filter(None, (asked.channel_id, asked.asked_by))):
        tx.outbox.put_team(team_id=asked.team_id, channel_id=place, notice=notice, key=key, at=now, data=data)
    return True
