"""Voiding an invoice: the window that asks why; and what is shown when one was discarded or voided."""

from __future__ import annotations

import json

from blocks.invoices import ACTION_LINK, ACTION_REVIEW, DONE_CALLBACK, TITLE
from blocks.payments import test_note
from blocks.text import Block, View, actions, bold, button, context, modal, safe, section, text_input
from blocks.units import count, when
from functions.model.invoices import EndedInvoice, Invoice, StripeStatus, VoidForm
from functions.model.money import dollars

VOID_CALLBACK = "invoice_void_form"
VOID_TITLE = "Void an invoice"
REASON = "reason"


def void_form(form: VoidForm, *, least: int, most: int) -> View:
    """Why; or, of a paid invoice, what can be done instead."""
    invoice = form.invoice
    about = f"{_about(invoice)}\nInvoiced {when(invoice.created_at)}"
    paid = form.there is StripeStatus.PAID or form.paid_cents > 0
    if paid:
        blocks = [
            section(f"{about}\n\n⚠ *It is paid* ({dollars(form.paid_cents)}), so it cannot be voided any more."),
            section("To give the money back, make a refund or a credit note in Stripe's dashboard."),
            actions(_open(invoice)),
            *test_note(invoice.test_mode),
        ]
        return modal(VOID_TITLE, blocks, callback_id=DONE_CALLBACK)
    runs = count(form.runs, "run")
    what = f"Nobody has to pay it then, and its {runs} can be invoiced again. This cannot be undone."
    if form.there is StripeStatus.VOID:
        what = f"It was voided in Stripe's dashboard already. Say why, and its {runs} can be invoiced again here."
    blocks = [
        section(f"{about}\n{what}"),
        text_input(
            REASON,
            REASON,
            "Why?",
            multiline=True,
            min_length=least,
            max_length=most,
            initial_value=invoice.end_reason,
            hint="It stands in the audit log and in the thread of every run. The client is not told.",
        ),
        *test_note(invoice.test_mode),
    ]
    metadata = json.dumps({"invoice": str(invoice.id)})
    submit = f"Void {dollars(invoice.cents)}"
    return modal(VOID_TITLE, blocks, callback_id=VOID_CALLBACK, submit=submit, metadata=metadata)


def discarded_view(ended: EndedInvoice) -> View:
    """The draft is gone."""
    invoice = ended.invoice
    text = f"✓ The invoice of *{dollars(invoice.cents)}* to {bold(invoice.client_name, 80)} is discarded."
    return _done(ended, f"{text}\nThe client never saw it. {_again(ended)}")


def voided_view(ended: EndedInvoice) -> View:
    """Nobody has to pay it any more."""
    text = f"✓ {_about(ended.invoice)} is void: nobody has to pay it."
    note = context("If the client has got it already, tell them. The thread of every run says so.")
    return _done(ended, f"{text}\n{_again(ended)}", note)


def _done(ended: EndedInvoice, text: str, *more: Block) -> View:
    review = button("Review the invoice…", ACTION_REVIEW, value=str(ended.invoice.client_id))
    blocks = [section(text), *more, actions(review), *test_note(ended.invoice.test_mode)]
    return modal(TITLE, blocks, callback_id=DONE_CALLBACK)


def _again(ended: EndedInvoice) -> str:
    return f"Its {count(ended.runs, 'run')} can be invoiced again."


def _about(invoice: Invoice) -> str:
    return f"{safe(invoice.number or '', 60)}  ·  {bold(invoice.client_name, 80)}  ·  *{dollars(invoice.cents)}*"


def _open(invoice: Invoice) -> Block:
    return button("Open the invoice", ACTION_LINK, url=invoice.hosted_url or "", value=str(invoice.id))
