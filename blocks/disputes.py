"""What managers are told of a disputed top-up: what happened, what it means for the budget, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from blocks.payments import test_note
from blocks.text import Block, MessageParts, context, mention, safe, section
from blocks.units import money, when
from functions.model.money import dollars

Data = Mapping[str, float | int | str | None]

# Stripe's reasons in plain words. What is not listed is shown as Stripe says it.
_REASONS = {
    "fraudulent": "The cardholder says that somebody else made this payment.",
    "unrecognized": "The cardholder does not recognise this payment.",
    "duplicate": "The cardholder says that they were charged twice.",
    "product_not_received": "The cardholder says that they did not get what they paid for.",
    "product_unacceptable": "The cardholder says that what they got is not what was promised.",
    "subscription_canceled": "The cardholder says that they had cancelled.",
    "credit_not_processed": "The cardholder says that a refund was promised and never came.",
    "insufficient_funds": "The account that paid had too little money.",
    "debit_not_authorized": "The account's owner says that they did not allow this payment.",
}


def asked(data: Data) -> MessageParts:
    """A bank asks, and has taken nothing."""
    text = f"A bank asks about a top-up of {_disputed(data)}. No money was taken."
    what = f"{_origin(data)}\nThe training budget stays as it is."
    todo = f"{_answer(data)} Without an answer, the bank may take the money back."
    return text, _message("⚠", text, what, todo, data)


def taken(data: Data) -> MessageParts:
    """A bank has taken money back."""
    text = f"A bank took back {_taken(data)} of a top-up."
    if _cents(data, "cents"):
        then = "If the bank accepts the answer, the money comes back by itself; without one, it stays gone."
    else:
        then = "Show the refund there; without an answer, the cardholder keeps the money twice."
    blocks = _message("⚠", text, f"{_origin(data)}\n{_meaning(data)}", f"{_answer(data)} {then}", data)
    return text, [blocks[0], context("Runs under way go on."), *blocks[1:]]


def returned(data: Data) -> MessageParts:
    """A bank has given money back."""
    cents = _cents(data, "cents")
    text = f"{dollars(cents)} of a disputed top-up came back."
    again = "The bank gave it back"
    if -_cents(data, "fell_cents") >= cents:
        again += ", and it is in the training budget again"
    return text, _message("✓", text, f"{again}: {_left(data)}", "", data)


def lost(data: Data) -> MessageParts:
    """The bank has decided for the cardholder."""
    text = f"The dispute about a top-up of {_disputed(data)} is lost."
    now = _meaning(data) if _cents(data, "cents") else f"It is off the training budget already. {_left(data)}"
    what = f"{_origin(data)}\nThe bank decided for the cardholder, who keeps the money. {now}"
    return text, _message("✗", text, what, "", data)


def _message(icon: str, text: str, what: str, todo: str, data: Data) -> list[Block]:
    said = f"{icon} *{text}*\n{what}"
    said += f"\n*What to do:* {todo}" if todo else ""
    return [section(said), *test_note(bool(data.get("test_mode")))]


def _origin(data: Data) -> str:
    """Who topped up when, and why it is disputed."""
    at = _moment(data, "paid_at")
    day = f" on {when(at, '{date_short}')}" if at else ""
    reason = str(data.get("reason") or "")
    why = _REASONS.get(reason, f"The reason at Stripe: {safe(reason.replace('_', ' '), 60)}." if reason else "")
    return f"{mention(str(data.get('by') or ''))} topped up{day}. {why}".rstrip()


def _meaning(data: Data) -> str:
    """What the money that was taken does to the budget: what was used up before cannot be taken off it."""
    cents, fell = _cents(data, "cents"), _cents(data, "fell_cents")
    if not cents:
        return f"It had been refunded before, so the training budget stays as it is: {_left(data)}"
    if fell >= cents:
        return f"The training budget is {money(fell)} smaller: {_left(data)}"
    used = f"{money(cents - fell)} of it was used up before"
    change = f"is only {money(fell)} smaller" if fell > 0 else "stays as it is"
    return f"{used}, so the training budget {change}: {_left(data)}"


def _answer(data: Data) -> str:
    place = "test/" if data.get("test_mode") else ""
    link = f"<https://dashboard.stripe.com/{place}payments/{safe(str(data.get('payment') or ''), 80)}|"
    due = _moment(data, "due")
    return f"{link}Answer in Stripe's dashboard>{f' before {when(due)}' if due else ' soon'}."


def _left(data: Data) -> str:
    left, limit = money(_cents(data, "remaining_cents")), money(_cents(data, "limit_cents"))
    return f"{left} of {limit} is left {safe(str(data.get('period') or ''), 40)}."


def _taken(data: Data) -> str:
    """What left the budget now; where it had been refunded before, what the bank says."""
    return dollars(_cents(data, "cents") or _cents(data, "disputed_cents"))


def _disputed(data: Data) -> str:
    return dollars(_cents(data, "disputed_cents"))


def _moment(data: Data, name: str) -> datetime | None:
    value = data.get(name)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def _cents(data: Data, name: str) -> int:
    value = data.get(name)
    return int(value) if isinstance(value, int | float) else 0
