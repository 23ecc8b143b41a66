"""Invoices that are not wanted: a draft is discarded, a finalised one voided; their runs can be invoiced again.

What is wanted is written down first, then done at Stripe, then booked. Each step looks at what Stripe has, so
that it may be taken up again at any point; what Stripe says of an invoice (finalised, paid) goes before our wish.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions.access import TO_INVOICE, require
from functions.errors import Conflict, InvalidInput, NotFound
from functions.invoices import audit_invoice, book_final
from functions.model.invoices import EndedInvoice, Invoice, InvoiceStatus, StripeInvoice, StripeStatus, VoidForm
from functions.model.money import dollars
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.payments import connected
from functions.ports import Clock, Database, Payments, Transaction

REASON_MIN, REASON_MAX = 5, 300
_DRAFTS = (InvoiceStatus.BEGUN, InvoiceStatus.DISCARDING, InvoiceStatus.DISCARDED)


def discard_invoice(
    db: Database, payments: Payments | None, *, clock: Clock, person: Person, invoice_id: UUID
) -> EndedInvoice:
    """Delete an invoice that was begun and not finalised. Safe to repeat, and by two people at once.

    Raises:
        NotAllowed, NotFound: as they say.
        Conflict: it was finalised meanwhile.
        InvalidInput, Unavailable: Stripe refuses or does not answer; discarding can be taken up again.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    stripe = connected(payments)
    invoice = _want(db, stripe, person, invoice_id, InvoiceStatus.DISCARDING, "", clock())
    if invoice.status not in _DRAFTS:
        raise _finalised(invoice.number)
    if invoice.status is InvoiceStatus.DISCARDING:
        final = _discard_there(db, stripe, invoice)
        if final is not None:
            with db.transaction() as tx:
                book_final(tx, person, invoice, final, clock())
            raise _finalised(final.number)
    return _booked(db, person, invoice, "invoice.discarded", clock())


def _discard_there(db: Database, stripe: Payments, invoice: Invoice) -> StripeInvoice | None:
    """Leave nothing of it at Stripe; returns what was finalised there meanwhile instead."""
    with db.transaction() as tx:
        client = tx.invoices.client(invoice.team_id, invoice.client_id)
        jobs = [line.job_id for line in tx.invoices.lines(invoice.id)]
    customers = {invoice.customer_id, client.customer_id if client else None} - {None}
    if (final := _final_there(stripe, invoice)) is not None:
        return final
    try:
        stripe.discard_drafts(invoice, customer_ids=[str(each) for each in customers], jobs=jobs)
    except InvalidInput:
        # Somebody may have finished it between the look and the deletion.
        if (final := _final_there(stripe, invoice)) is not None:
            return final
        raise
    return None


def _final_there(stripe: Payments, invoice: Invoice) -> StripeInvoice | None:
    there = stripe.invoice(invoice.stripe_id) if invoice.stripe_id else None
    return None if there is None or there.draft else there


def void_form(db: Database, payments: Payments | None, *, person: Person, invoice_id: UUID) -> VoidForm:
    """What the window shows that asks why: the invoice, and how it stands at Stripe now.

    Raises:
        NotAllowed, NotFound: as they say.
        Conflict: it is void already, or was never finalised.
        Unavailable: Stripe does not answer.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    stripe = connected(payments)
    with db.transaction() as tx:
        invoice = _get(tx, stripe, person, invoice_id)
        runs = len(tx.invoices.lines(invoice_id))
    if invoice.status is InvoiceStatus.VOIDED:
        raise Conflict(f"{invoice.number} is void already; its runs can be invoiced again.")
    there = _there(stripe, invoice)
    return VoidForm(invoice=invoice, runs=runs, there=there.status, paid_cents=there.paid_cents)


def reason_typed(text: str) -> str:
    """Why an invoice is voided.

    Raises:
        InvalidInput: too little, or too much.
    """
    said = text.strip()
    if not REASON_MIN <= len(said) <= REASON_MAX:
        raise InvalidInput(f"Say why, in {REASON_MIN} to {REASON_MAX} characters.", field="reason")
    return said


def void_invoice(
    db: Database, payments: Payments | None, *, clock: Clock, person: Person, invoice_id: UUID, reason: str
) -> EndedInvoice:
    """Void an invoice that was finalised and not paid. Safe to repeat, and by two people at once.

    Raises:
        NotAllowed, NotFound: as they say.
        InvalidInput: no reason, or Stripe refuses.
        Conflict: it was paid, or never finalised.
        Unavailable: Stripe does not answer; voiding can be taken up again.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    stripe = connected(payments)
    invoice = _want(db, stripe, person, invoice_id, InvoiceStatus.VOIDING, reason_typed(reason), clock())
    if invoice.status is not InvoiceStatus.VOIDED:
        paid = _void_there(stripe, invoice)
        if paid is not None:
            with db.transaction() as tx:
                if tx.invoices.keep(invoice.id):
                    audit_invoice(tx, person, invoice, "invoice.kept", clock(), reason="it is paid")
            raise _paid(invoice, paid)
    return _booked(db, person, invoice, "invoice.voided", clock())


def _void_there(stripe: Payments, invoice: Invoice) -> StripeInvoice | None:
    """Void it at Stripe, where that was not done already; returns it where it is paid instead."""
    there = _there(stripe, invoice)
    if there.status is StripeStatus.VOID:
        return None
    if there.paid:
        return there
    try:
        stripe.void_invoice(there.stripe_id)
    except InvalidInput:
        # Paid, or voided by somebody else, between the look and now.
        there = _there(stripe, invoice)
        if there.paid:
            return there
        if there.status is not StripeStatus.VOID:
            raise
    return None


def _there(stripe: Payments, invoice: Invoice) -> StripeInvoice:
    if invoice.status in _DRAFTS:
        raise Conflict("This invoice is not finalised.", fix="Discard it instead.")
    there = stripe.invoice(invoice.stripe_id) if invoice.stripe_id else None
    if there is None:
        raise InvalidInput(f"Stripe does not know {invoice.number} any more.", fix="Look for it in Stripe's dashboard.")
    return there


def _want(
    db: Database,
    stripe: Payments,
    person: Person,
    invoice_id: UUID,
    wanted: InvoiceStatus,
    reason: str,
    now: datetime,
) -> Invoice:
    """Write down what is wanted, where it can be, before Stripe hears of it; returns the invoice as it stands."""
    with db.transaction() as tx:
        before = _get(tx, stripe, person, invoice_id)
        if tx.invoices.want_end(invoice_id, wanted, by=person.user_id, reason=reason):
            audit_invoice(tx, person, before, f"invoice.{wanted.value}", now, reason=reason)
        return _get(tx, stripe, person, invoice_id)


def _get(tx: Transaction, stripe: Payments, person: Person, invoice_id: UUID) -> Invoice:
    invoice = tx.invoices.get(person.team_id, invoice_id)
    if invoice is None or invoice.test_mode != stripe.test_mode:
        raise NotFound("There is no such invoice.")
    return invoice


def _booked(db: Database, person: Person, invoice: Invoice, action: str, now: datetime) -> EndedInvoice:
    """It is done at Stripe: let its runs go, and tell their threads of what they were told is there."""
    with db.transaction() as tx:
        lines = tx.invoices.lines(invoice.id)
        if tx.invoices.end(invoice.id, now):
            audit_invoice(tx, person, invoice, action, now, reason=invoice.end_reason)
            if invoice.number:
                _tell(tx, invoice, [line.job_id for line in lines], now)
        ended = tx.invoices.get(person.team_id, invoice.id) or invoice
    return EndedInvoice(invoice=ended, runs=len(lines))


def _tell(tx: Transaction, invoice: Invoice, jobs: list[UUID], now: datetime) -> None:
    for job_id in jobs:
        job = tx.jobs.get(job_id)
        if job is not None:
            data: dict[str, float | int | str | None] = {
                "client": invoice.client_name,
                "number": invoice.number,
                "by": invoice.ended_by,
                "why": invoice.end_reason,
                "test_mode": int(invoice.test_mode),
            }
            tx.outbox.put(job=job, notice=Notice.INVOICE_VOIDED, key=str(invoice.id), at=now, data=data)


def _finalised(number: str | None) -> Conflict:
    return Conflict(
        f"The invoice was finalised meanwhile: {number}. It was not discarded.",
        fix="Void it, where it stands under “Invoiced last”.",
    )


def _paid(invoice: Invoice, there: StripeInvoice) -> Conflict:
    return Conflict(
        f"{invoice.number} was paid ({dollars(there.paid_cents)}), so it cannot be voided any more.",
        fix="Give the money back by a refund or a credit note in Stripe's dashboard.",
    )
