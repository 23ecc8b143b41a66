"""Topping up the budget: the button, the window that asks how much, the way to Stripe's page, what is told then."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.estimate_panel import left_words
from blocks.text import (
    Block,
    MessageParts,
    View,
    actions,
    bold,
    button,
    context,
    mention,
    modal,
    safe,
    safe_lines,
    section,
    text_input,
)
from blocks.units import money
from functions.model.money import dollars
from functions.model.payments import TopUp, TopUpView

ACTION_TOP_UP = "budget_top_up"
ACTION_PAY = "top_up_pay"
TOP_UP_CALLBACK = "top_up_form"
TOP_UP_TITLE = "Top up the budget"
PAY_CALLBACK = "top_up_page"
AMOUNT_BLOCK, AMOUNT_ACTION = "top_up_amount", "amount"

Data = Mapping[str, float | int | str | None]

TEST_MODE = "Stripe is in test mode: no real money moves."


def top_up_button() -> Block:
    """The button "Top up…"."""
    return button("Top up…", ACTION_TOP_UP)


def test_note(test_mode: bool) -> list[Block]:
    """Said wherever Stripe's money is shown, while it is none."""
    return [context(f"⚠ {TEST_MODE}")] if test_mode else []


def top_up_form(view: TopUpView, *, metadata: str) -> View:
    """How much."""
    budget = view.budget
    paid = f" {money(budget.prepaid_cents)} of it was paid in." if budget.prepaid_cents else ""
    left = f"*{left_words(budget)}*."
    blocks = [
        section(left + paid),
        text_input(
            AMOUNT_BLOCK,
            AMOUNT_ACTION,
            "Amount in dollars",
            placeholder="200",
            max_length=12,
            hint="Between $5 and $5,000. It may be spent besides the limit, until it is used up.",
        ),
        *test_note(view.test_mode),
    ]
    return modal(TOP_UP_TITLE, blocks, callback_id=TOP_UP_CALLBACK, submit="Continue", metadata=metadata)


def pay_view(top_up: TopUp, *, test_mode: bool) -> View:
    """The way to Stripe's page."""
    amount = dollars(top_up.cents)
    pay = button(f"Pay {amount} on Stripe", ACTION_PAY, style="primary", url=top_up.session_url or "")
    blocks = [
        section(f"Stripe takes the payment of *{amount}* on a page of its own, open for 24 hours."),
        actions(pay),
        context("Nothing is added before it is paid. Bright Run tells you when it is there."),
        *test_note(test_mode),
    ]
    return modal(TOP_UP_TITLE, blocks, callback_id=PAY_CALLBACK, close="Done", ends=True)


def topped_up(data: Data) -> MessageParts:
    """Money has come in."""
    text = f"{_amount(data)} was added to the training budget"
    return f"{text}.", _notice(f"✓ {bold(text)}, topped up by {_payer(data)}.", data)


def refunded(data: Data) -> MessageParts:
    """Money went back."""
    text = f"{_amount(data)} of a top-up was refunded and is gone from the training budget"
    return f"{text}.", _notice(f"↩ {bold(text)}. It had been topped up by {_payer(data)}.", data)


def invoiced(data: Data) -> str:
    """Into a run's thread: what its client was invoiced at."""
    number, url = safe(str(data.get("number") or ""), 60), str(data.get("url") or "")
    where = f"<{url}|Invoice {number}>" if url.startswith("https://") else f"Invoice {number}"
    test = f"\n⚠ {TEST_MODE}" if data.get("test_mode") else ""
    return f"Invoiced to {bold(str(data.get('client') or ''), 100)}: {_amount(data)}. {where}{test}"


def invoice_voided(data: Data) -> str:
    """Into a run's thread: its invoice does not count any more."""
    number, why = safe(str(data.get("number") or ""), 60), safe_lines(str(data.get("why") or ""), 400)
    test = f"\n⚠ {TEST_MODE}" if data.get("test_mode") else ""
    who = f"{bold(str(data.get('client') or ''), 100)}: voided by {_payer(data)}"
    return f"Invoice {number} to {who}, nobody has to pay it.\n“{why}”\nThis run can be invoiced again.{test}"


def _notice(said: str, data: Data) -> list[Block]:
    period = safe(str(data.get("period") or ""), 40)
    left = f"{money(_cents(data, 'remaining_cents'))} of {money(_cents(data, 'limit_cents'))} is left {period}."
    return [section(f"{said}\n{left}"), *test_note(bool(data.get("test_mode")))]


def _amount(data: Data) -> str:
    return dollars(_cents(data, "cents"))


def _payer(data: Data) -> str:
    return mention(str(data.get("by") or ""))


def _cents(data: Data, name: str) -> int:
    value = data.get(name)
    return int(value) if isinstance(value, int | float) else 0
