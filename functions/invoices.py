"""Invoicing clients for their runs: what could be invoiced, a manager's review, and bringing it to Stripe.

An invoice is begun in one transaction that binds its runs to it, and then brought to Stripe step by step. Each
step looks at what Stripe has already, so that it may be taken up again at any point, however late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from functions.access import TO_INVOICE, require
from functions.errors import Conflict, InvalidInput, NotFound
from functions.model.catalog import PRACTICE_TIER
from functions.model.ids import derived_id
from functions.model.invoices import (
    BillableRun,
    Client,
    ClientAccount,
    Invoice,
    InvoiceLine,
    InvoiceReview,
    InvoiceStatus,
    InvoicesView,
    StripeInvoice,
    UnknownClient,
)
from functions.model.money import dollars
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.payments import connected
from functions.ports import Clock, Database, Payments, Transaction

# More would neither fit into a window nor be read; what is left over comes with the next invoice.
MOST_LINES = 50
_RECENT = 5
# Stripe has finalised it, whatever became of it then.
_FINALIZED = (InvoiceStatus.FINALIZED, InvoiceStatus.VOIDING, InvoiceStatus.VOIDED)


def invoices_view(tx: Transaction, payments: Payments | None, *, person: Person) -> InvoicesView:
    """What can be invoiced, by client.

    Raises:
        NotAllowed: the person may not change the budget.
        Unavailable: Stripe is not connected.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    mode = connected(payments).test_mode
    runs, practice = _billable(tx, person.team_id, mode)
    clients = tx.invoices.clients(person.team_id, test_mode=mode)
    known = {_key(client.name) for client in clients}
    unknown: dict[str, list[BillableRun]] = {}
    for run in runs:
        if _key(run.client) not in known:
            unknown.setdefault(_key(run.client), []).append(run)
    return InvoicesView(
        accounts=tuple(_account(tx, client, runs) for client in clients),
        unknown=tuple(
            UnknownClient(name=found[-1].client, runs=len(found), cost_cents=sum(run.cost_cents for run in found))
            for found in unknown.values()
        ),
        practice_runs=practice,
        recent=tuple(tx.invoices.recent(person.team_id, _RECENT, test_mode=mode)),
        test_mode=mode,
    )


def review_invoice(
    tx: Transaction, payments: Payments | None, *, person: Person, client_id: UUID, lock: bool = False
) -> InvoiceReview:
    """What a client would be invoiced for now; `lock` keeps it so until the transaction ends.

    Raises:
        NotAllowed: the person may not change the budget.
        NotFound: no such client in the team.
        Unavailable: Stripe is not connected.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    mode = connected(payments).test_mode
    client = tx.invoices.client(person.team_id, client_id, lock=lock)
    if client is None or client.test_mode != mode:
        raise NotFound("There is no such client.")
    runs, _ = _billable(tx, person.team_id, mode)
    account = _account(tx, client, runs)
    return InvoiceReview(
        account=account,
        begun_lines=tuple(tx.invoices.lines(account.begun.id)) if account.begun else (),
        digest=_digest(account),
        test_mode=mode,
    )


def invoice_client(
    db: Database, payments: Payments | None, *, clock: Clock, person: Person, client_id: UUID, digest: str
) -> Invoice:
    """Invoice a client for what was reviewed: just these runs at these prices.

    Raises:
        NotAllowed, NotFound: as they say.
        Conflict: it is not what was reviewed any more, or an earlier invoice has to be brought to its end first.
        InvalidInput, Unavailable: Stripe refuses or does not answer; the invoice is begun and can be finished.
    """
    with db.transaction() as tx:
        review = review_invoice(tx, payments, person=person, client_id=client_id, lock=True)
        account = review.account
        if account.begun is not None:
            raise Conflict("An invoice for this client was begun already.", fix="Finish or discard that one first.")
        if digest != review.digest or not account.lines:
            raise Conflict(
                "What can be invoiced has changed since you looked; nothing was invoiced.", fix="Review it again."
            )
        invoice = Invoice(
            # The same runs at the same prices are the same invoice, until it is discarded or voided.
            id=derived_id("invoice", str(client_id), digest),
            team_id=person.team_id,
            client_id=client_id,
            client_name=account.client.name,
            test_mode=review.test_mode,
            status=InvoiceStatus.BEGUN,
            cents=account.cents,
            asked_by=person.user_id,
            created_at=clock(),
        )
        tx.invoices.begin(invoice, account.lines)
        audit_invoice(tx, person, invoice, "invoice.begun", clock())
    return finish_invoice(db, payments, clock=clock, person=person, invoice_id=invoice.id)


def finish_invoice(
    db: Database, payments: Payments | None, *, clock: Clock, person: Person, invoice_id: UUID
) -> Invoice:
    """Bring an invoice that was begun to its end. Safe to repeat, and by two people at once.

    Raises:
        NotAllowed, NotFound: as they say.
        Conflict: somebody discards it, or has changed or deleted it at Stripe.
        InvalidInput, Unavailable: Stripe refuses or does not answer.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    stripe = connected(payments)
    with db.transaction() as tx:
        invoice = tx.invoices.get(person.team_id, invoice_id)
        client = tx.invoices.client(person.team_id, invoice.client_id) if invoice else None
        lines = tx.invoices.lines(invoice_id)
    if invoice is None or client is None or invoice.test_mode != stripe.test_mode:
        raise NotFound("There is no such invoice.")
    if invoice.status in _FINALIZED:
        return invoice
    if invoice.status is not InvoiceStatus.BEGUN:
        raise _discarded()
    try:
        final = _to_stripe(db, stripe, invoice, client, lines)
    except InvalidInput as refused:
        # What Stripe refuses may be gone, as somebody discards it at this moment.
        with db.transaction() as tx:
            now = tx.invoices.get(person.team_id, invoice_id)
        if now is not None and now.status in (InvoiceStatus.DISCARDING, InvoiceStatus.DISCARDED):
            raise _discarded() from refused
        raise
    with db.transaction() as tx:
        book_final(tx, person, invoice, final, clock())
        return tx.invoices.get(person.team_id, invoice_id) or invoice


def book_final(tx: Transaction, person: Person, invoice: Invoice, final: StripeInvoice, now: datetime) -> None:
    """Stripe has finalised it: keep that and tell every run's thread. A repeat changes nothing."""
    if tx.invoices.finish(invoice.id, final, now):
        audit_invoice(tx, person, invoice, "invoice.finalized", now)
        _tell(tx, invoice, tx.invoices.lines(invoice.id), final, now)


def _discarded() -> Conflict:
    return Conflict("This invoice was discarded; it was not finalised.", fix="Review its runs again.")


def _to_stripe(
    db: Database, stripe: Payments, invoice: Invoice, client: Client, lines: Sequence[InvoiceLine]
) -> StripeInvoice:
    there = stripe.invoice(invoice.stripe_id) if invoice.stripe_id else None
    if there is None and invoice.stripe_id:
        raise _deleted_there()
    # The client may have got another customer at Stripe meanwhile; a draft stays with the one it was made for.
    if there is None or (there.draft and invoice.customer_id != client.customer_id):
        there = stripe.draft_invoice(invoice, client.customer_id)
        with db.transaction() as tx:
            kept = tx.invoices.set_stripe(invoice.id, stripe_id=there.stripe_id, customer_id=client.customer_id)
            now = tx.invoices.get(invoice.team_id, invoice.id)
        if not kept and now is not None and now.status not in _FINALIZED:
            # It was made while somebody discarded all that there was.
            stripe.discard_drafts(invoice, customer_ids=(client.customer_id,), jobs=[line.job_id for line in lines])
            raise _discarded()
        # Made anew or found by its key: what is on it already is seen only now.
        there = _standing(stripe, there.stripe_id)
    if not there.draft:
        return there
    for line in lines:
        if str(line.job_id) not in there.jobs:
            stripe.add_line(there.stripe_id, client.customer_id, line)
    there = _standing(stripe, there.stripe_id)
    if there.draft and there.total_cents != invoice.cents:
        raise Conflict(
            f"Stripe's invoice adds up to {dollars(there.total_cents)} and not to {dollars(invoice.cents)}: "
            "somebody changed it there. It was not finalised.",
            fix="Mend the draft in Stripe's dashboard, then finish it here.",
        )
    return stripe.finalize_invoice(there.stripe_id) if there.draft else there


def _standing(stripe: Payments, stripe_id: str) -> StripeInvoice:
    found = stripe.invoice(stripe_id)
    if found is None:
        raise _deleted_there()
    return found


def _deleted_there() -> InvalidInput:
    return InvalidInput(
        "The draft is not at Stripe any more: somebody deleted it there.",
        fix="Discard this invoice here, then its runs can be invoiced anew.",
    )


def _tell(tx: Transaction, invoice: Invoice, lines: Sequence[InvoiceLine], final: StripeInvoice, now: datetime) -> None:
    """Into the thread of every run: what it was invoiced at, with the link."""
    for line in lines:
        job = tx.jobs.get(line.job_id)
        if job is not None:
            data: dict[str, float | int | str | None] = {
                "client": invoice.client_name,
                "cents": line.cents,
                "number": final.number,
                "url": final.hosted_url,
                "test_mode": int(invoice.test_mode),
            }
            tx.outbox.put(job=job, notice=Notice.INVOICED, key=str(invoice.id), at=now, data=data)


def audit_invoice(
    tx: Transaction, person: Person, invoice: Invoice, action: str, now: datetime, *, reason: str = ""
) -> None:
    """Note in the audit log who did what with an invoice."""
    tx.audit.append(
        team_id=person.team_id,
        at=now,
        actor=person.user_id,
        action=action,
        target=str(invoice.id),
        detail={
            "cents": invoice.cents,
            "client": invoice.client_name,
            "test_mode": int(invoice.test_mode),
            **({"reason": reason} if reason else {}),
        },
    )


def _billable(tx: Transaction, team_id: str, test_mode: bool) -> tuple[list[BillableRun], int]:
    """(runs that can be invoiced, how many cost practice money)."""
    runs = tx.invoices.billable(team_id, test_mode=test_mode)
    real = [run for run in runs if run.tier != PRACTICE_TIER]
    return real, len(runs) - len(real)


def _account(tx: Transaction, client: Client, runs: Sequence[BillableRun]) -> ClientAccount:
    own = [_line(client, run) for run in runs if _key(run.client) == _key(client.name)]
    billed = [line for line in own if line.cents > 0]
    return ClientAccount(
        client=client,
        lines=tuple(billed[:MOST_LINES]),
        more=max(0, len(billed) - MOST_LINES),
        begun=tx.invoices.begun(client.id),
        ended=tx.invoices.ended(client.id),
    )


def _line(client: Client, run: BillableRun) -> InvoiceLine:
    return InvoiceLine(
        job_id=run.job_id,
        description=f"Training run {run.job_name}, {run.ended_at:%Y-%m-%d}",
        cost_cents=run.cost_cents,
        cents=client.terms.price_cents(run.cost_cents),
    )


def _digest(account: ClientAccount) -> str:
    parts = [account.client.customer_id, str(account.ended), *(f"{line.job_id}:{line.cents}" for line in account.lines)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _key(name: str) -> str:
    return " ".join(name.split()).lower()
