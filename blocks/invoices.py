"""What clients can be invoiced for, the review before it, and the window that sets a client up."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks.payments import test_note
from blocks.text import (
    Block,
    View,
    actions,
    bold,
    bounded,
    button,
    clip,
    context,
    divider,
    header,
    mention,
    modal,
    plain,
    safe,
    section,
    text_input,
)
from blocks.units import count, when
from functions.model.invoices import (
    Client,
    ClientAccount,
    ClientForm,
    Invoice,
    InvoiceLine,
    InvoiceReview,
    InvoiceStatus,
    InvoicesView,
    Terms,
    UnknownClient,
)
from functions.model.money import dollars

ACTION_REVIEW = "invoice_review"
ACTION_FINISH = "invoice_finish"
ACTION_CLIENT = "invoice_client"
ACTION_LINK = "invoice_link"
ACTION_DISCARD = "invoice_discard"
ACTION_VOID = "invoice_void"
LIST_CALLBACK = "invoice_list"
REVIEW_CALLBACK = "invoice_review_form"
CLIENT_CALLBACK = "invoice_client_form"
DONE_CALLBACK = "invoice_done"
TITLE = "Client invoices"
REVIEW_TITLE = "Review the invoice"
CLIENT_TITLE = "Client"
# Block and action ids of the client's form are the names of its fields.
NAME, CUSTOMER, EMAIL, MARGIN, PRICE = "name", "customer_id", "email", "margin", "price"
_SHOWN = 15


def invoices_list(view: InvoicesView) -> View:
    """By client: what can be invoiced, what was begun, and who is not set up."""
    blocks = [*test_note(view.test_mode)]
    for account in view.accounts[:_SHOWN]:
        blocks += _account(account)
    for unknown in view.unknown[:_SHOWN]:
        blocks += _unknown(unknown)
    hidden = max(0, len(view.accounts) - _SHOWN) + max(0, len(view.unknown) - _SHOWN)
    if hidden:
        blocks.append(context(f"… and {count(hidden, 'more client')}."))
    if not view.accounts and not view.unknown:
        blocks.append(
            section("No client is set up. Runs that name a client in `/train` appear here once they are done.")
        )
    if view.practice_runs:
        blocks.append(context(f"{count(view.practice_runs, 'run')} on practice money: never invoiced."))
    blocks += [actions(button("New client…", ACTION_CLIENT, value="-"))]
    if view.recent:
        blocks += [divider(), header("Invoiced last")]
        for invoice in view.recent:
            blocks += _recent(invoice)
    return modal(TITLE, blocks, callback_id=LIST_CALLBACK)


def _account(account: ClientAccount) -> list[Block]:
    client = account.client
    name = f"{bold(client.name, 80)}  ·  {terms_words(client.terms)}"
    change = button("Terms…", ACTION_CLIENT, value=client.name)
    if account.begun is not None:
        text = f"{name}\n{_begun_words(account.begun)}"
        look = button("Review…", ACTION_REVIEW, value=str(client.id))
        return [section(text), actions(*begun_buttons(account.begun), look, change)]
    if not account.lines:
        return [section(f"{name}\nNothing to invoice."), actions(change)]
    runs = count(len(account.lines) + account.more, "run")
    text = f"{name}\n{runs} to invoice, cost {dollars(account.cost_cents)} → *{dollars(account.cents)}*"
    if account.more:
        text += f" for the oldest {len(account.lines)}"
    return [section(text), actions(button("Review…", ACTION_REVIEW, value=str(client.id), style="primary"), change)]


def _unknown(unknown: UnknownClient) -> list[Block]:
    text = f"{bold(unknown.name, 80)}\n{count(unknown.runs, 'run')}, cost {dollars(unknown.cost_cents)}: not set up yet"
    return [section(text, accessory=button("Set up…", ACTION_CLIENT, value=clip(unknown.name, 80)))]


def _begun_words(begun: Invoice) -> str:
    amount = dollars(begun.cents)
    if begun.status is InvoiceStatus.DISCARDING:
        return f"⚠ Discarding an invoice of {amount} was not finished. Press it again; nothing is sent."
    return f"⚠ An invoice of {amount} was begun and is not finished."


def begun_buttons(begun: Invoice) -> list[Block]:
    """What may become of an invoice that was begun."""
    value = str(begun.id)
    discard = button("Discard this invoice…", ACTION_DISCARD, value=value, style="danger")
    discard |= {"confirm": _confirm_discard()}
    if begun.status is InvoiceStatus.DISCARDING:
        return [discard]
    return [button("Finish", ACTION_FINISH, value=value, style="primary") | {"confirm": _confirm_finish()}, discard]


def _recent(invoice: Invoice) -> list[Block]:
    number, amount = safe(invoice.number or "", 60), dollars(invoice.cents)
    text = f"{number}  ·  {bold(invoice.client_name, 80)}  ·  {amount}\n{when(invoice.created_at)}"
    if invoice.status is InvoiceStatus.VOIDED:
        why = f"Voided by {mention(invoice.ended_by)}: “{safe(invoice.end_reason, 300)}”"
        return [section(f"{text}\n✗ {why}", accessory=_link("Open", invoice))]
    if invoice.status is InvoiceStatus.VOIDING:
        text += "\n⚠ Voiding it was not finished. Press “Void…” again."
    return [section(text), actions(_link("Open", invoice), button("Void…", ACTION_VOID, value=str(invoice.id)))]


def _link(text: str, invoice: Invoice) -> Block:
    return button(text, ACTION_LINK, url=invoice.hosted_url or "", value=str(invoice.id))


def terms_words(terms: Terms) -> str:
    """`cost + 30 %`, `$75.00 a run`."""
    if terms.fixed_price_cents is not None:
        return f"{dollars(terms.fixed_price_cents)} a run"
    return f"cost + {_percent(terms)} %" if terms.margin_basis_points else "at cost"


def _percent(terms: Terms) -> str:
    return f"{(terms.margin_basis_points or 0) / 100:g}"


def review_view(review: InvoiceReview) -> View:
    """Every line, the sum, and the button that makes it real; what was begun comes before what is new."""
    account = review.account
    if account.begun is not None:
        return _begun_view(review, account.begun)
    about = section(f"{bold(account.client.name, 80)}  ·  {terms_words(account.client.terms)}")
    if not account.lines:
        blocks = [about, section("Nothing to invoice."), *test_note(review.test_mode)]
        return modal(REVIEW_TITLE, blocks, callback_id=REVIEW_CALLBACK)
    blocks = [
        about,
        *_line_blocks(account.lines, account.cents),
        context(
            "Stripe makes the invoice, due in 30 days. It cannot be changed afterwards, only voided while it is "
            "unpaid. The client sees the runs and their prices, not your cost."
        ),
        *test_note(review.test_mode),
    ]
    if account.more:
        blocks.append(context(f"{count(account.more, 'more run')} come with the next invoice."))
    metadata = json.dumps({"client": str(account.client.id), "digest": review.digest})
    submit = f"Finalise {dollars(account.cents)}"
    return modal(REVIEW_TITLE, blocks, callback_id=REVIEW_CALLBACK, submit=submit, metadata=metadata)


def _begun_view(review: InvoiceReview, begun: Invoice) -> View:
    blocks = [
        section(f"{bold(review.account.client.name, 80)}\n{_begun_words(begun)}"),
        *_line_blocks(review.begun_lines, begun.cents),
        context("Finish it as it stands, or discard it: then its runs can be invoiced again."),
        actions(*begun_buttons(begun)),
        *test_note(review.test_mode),
    ]
    return modal(REVIEW_TITLE, blocks, callback_id=REVIEW_CALLBACK)


def _line_blocks(lines: Sequence[InvoiceLine], cents: int) -> list[Block]:
    said = [
        f"• {safe(line.description, 150)}\n   cost {dollars(line.cost_cents)} → *{dollars(line.cents)}*"
        for line in lines
    ]
    return [*_paragraphs(said), divider(), section(f"*{dollars(cents)}* for {count(len(lines), 'run')}")]


def _paragraphs(lines: list[str]) -> list[Block]:
    return [section(bounded(lines[at : at + 10])) for at in range(0, len(lines), 10)]


def invoiced_view(invoice: Invoice) -> View:
    """It is done."""
    text = (
        f"✓ {bold(invoice.client_name, 80)} is invoiced *{dollars(invoice.cents)}*: {safe(invoice.number or '', 60)}."
    )
    blocks = [
        section(f"{text}\nThe thread of every run has the link."),
        actions(_link("Open the invoice", invoice)),
        *test_note(invoice.test_mode),
    ]
    return modal(TITLE, blocks, callback_id=DONE_CALLBACK, ends=True)


def client_form(form: ClientForm, *, request_key: str) -> View:
    """Who pays, and how much."""
    client, terms = form.client, form.client.terms if form.client else Terms(margin_basis_points=30_00)
    fixed = terms.fixed_price_cents
    blocks = [
        text_input(NAME, NAME, "Name", initial_value=client.name if client else form.name, max_length=80,
                   hint="As runs name it: the field “Client” of /train."),
        text_input(CUSTOMER, CUSTOMER, "Customer at Stripe", initial_value=client.customer_id if client else "",
                   placeholder="cus_…", max_length=80, optional=True),
        text_input(EMAIL, EMAIL, "Or make a customer for this address", placeholder="billing@example.com",
                   max_length=200, optional=True),
        text_input(MARGIN, MARGIN, "Margin on the cost, in percent", max_length=8, optional=True,
                   initial_value="" if fixed is not None else _percent(terms)),
        text_input(PRICE, PRICE, "Or a fixed price a run, in dollars", max_length=12, optional=True,
                   initial_value=f"{fixed / 100:.2f}" if fixed is not None else ""),
        *test_note(form.test_mode),
    ]  # fmt: skip
    metadata = json.dumps({"key": request_key, "known": client is not None})
    return modal(CLIENT_TITLE, blocks, callback_id=CLIENT_CALLBACK, submit="Save", metadata=metadata)


def client_saved(client: Client) -> View:
    """What the client's form turns into."""
    text = f"✓ {bold(client.name, 80)} pays {terms_words(client.terms)}."
    customer = f"Customer {safe(client.customer_id, 80)} at Stripe."
    review = button("Review the invoice…", ACTION_REVIEW, value=str(client.id))
    blocks = [section(text), context(customer), actions(review), *test_note(client.test_mode)]
    return modal(CLIENT_TITLE, blocks, callback_id=DONE_CALLBACK)


def _confirm_finish() -> Block:
    """Slack's own question before an invoice that was begun is finished."""
    return {
        "title": plain("Finish this invoice?", 100),
        "text": plain("It is finalised at Stripe as it was reviewed. Nothing is invoiced twice.", 300),
        "confirm": plain("Finish", 30),
        "deny": plain("Not now", 30),
    }


def _confirm_discard() -> Block:
    """Slack's own question before a draft is deleted."""
    return {
        "title": plain("Discard this invoice?", 100),
        "text": plain(
            "The draft is deleted at Stripe. The client never sees it, and its runs can be invoiced again.", 300
        ),
        "confirm": plain("Discard", 30),
        "deny": plain("Keep it", 30),
        "style": "danger",
    }
