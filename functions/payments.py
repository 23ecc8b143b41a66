"""Topping up the month's budget: who may, how much, and the page on which it is paid."""

from __future__ import annotations

import re
from datetime import datetime

from functions.access import require
from functions.budget import budget_status
from functions.errors import Conflict, InvalidInput, Unavailable
from functions.model.catalog import PRACTICE_PROVIDER
from functions.model.money import dollars
from functions.model.payments import TopUp, TopUpView
from functions.model.people import Permission, Person
from functions.ports import Clock, Database, Payments, Transaction

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


def _listening(payments: Payments | None, provider: str) -> Payments:
    stripe = connected(payments)
    if stripe.test_mode and provider != PRACTICE_PROVIDER:
        raise Unavailable(
            "Stripe is in test mode, and runs cost real money here: a practice payment would raise a real budget.",
            fix="Whoever runs Bright Run sets a live key; practise where runs are practice too, on one computer.",
        )
    if not stripe.hears:
        raise Unavailable(
            "A payment would not be heard of: BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing.",
            fix="Whoever runs Bright Run sets it; .env.example says where it comes from.",
        )
    return stripe


def top_up_view(
    tx: Transaction, payments: Payments | None, *, provider: str, person: Person, now: datetime
) -> TopUpView:
    """What the window shows that asks how much.

    Raises:
        NotAllowed: the person may not change the budget.
        Unavailable: Stripe is not connected, or in test mode where runs cost real money.
    """
    require(person, Permission.MANAGE_BUDGET)
    stripe = _listening(payments, provider)
    return TopUpView(budget=budget_status(tx, team_id=person.team_id, now=now), test_mode=stripe.test_mode)


def start_top_up(
    db: Database,
    payments: Payments | None,
    *,
    clock: Clock,
    provider: str,
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
        Unavailable: Stripe is not connected, does not answer, or is in test mode where runs cost real money.
    """
    require(person, Permission.MANAGE_BUDGET)
    stripe = _listening(payments, provider)
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
