"""Stripe's side of client invoices: customers, drafts and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from uuid import UUID

import stripe
from stripe.params import InvoiceItemListParams

from functions.errors import InvalidInput
from functions.model.invoices import Invoice, InvoiceLine, StripeInvoice, StripeStatus
from functions.model.payments import CURRENCY
from infra.stripe_errors import told_apart
from infra.stripe_events import TEAM

DAYS_TO_PAY = 30
# What is noted at an invoice and at its items, to find them by.
_INVOICE, _JOB = "brightrun_invoice", "brightrun_job"
_MISSING = "resource_missing"
# The most that Stripe gives at once.
_PAGE = 100


class StripeInvoices:
    """The half of the `Payments` port that is about clients; whoever inherits it has the client of Stripe."""

    _client: stripe.StripeClient

    def check_customer(self, customer_id: str) -> None:
        """Make sure that Stripe knows a customer by this id.

        Raises:
            InvalidInput: it does not, or they were deleted.
            Unavailable: it does not answer.
        """
        with told_apart():
            found = self._client.v1.customers.retrieve(customer_id)
        if getattr(found, "deleted", False):
            raise InvalidInput("This customer was deleted at Stripe.", fix="Choose another one.", field="customer_id")

    def add_customer(self, *, name: str, email: str, key: str) -> str:
        """Make a customer; returns their id.

        Raises:
            InvalidInput: Stripe refuses, for example the address.
            Unavailable: it does not answer.
        """
        with told_apart():
            made = self._client.v1.customers.create(
                {"name": name, "email": email}, {"idempotency_key": f"customer:{key}"}
            )
        return made.id

    def draft_invoice(self, invoice: Invoice, customer_id: str) -> StripeInvoice:
        """An empty draft for a customer; the same invoice and customer again are the same draft.

        Raises:
            InvalidInput: Stripe knows no such customer any more.
            Unavailable: it does not answer.
        """
        with told_apart():
            made = self._client.v1.invoices.create(
                {
                    "customer": customer_id,
                    "collection_method": "send_invoice",
                    "days_until_due": DAYS_TO_PAY,
                    "currency": CURRENCY,
                    "auto_advance": False,
                    # Nothing but what was reviewed.
                    "pending_invoice_items_behavior": "exclude",
                    "metadata": {TEAM: invoice.team_id, _INVOICE: str(invoice.id)},
                },
                {"idempotency_key": f"invoice:{invoice.id}:{customer_id}"},
            )
        return StripeInvoice(stripe_id=made.id, status=StripeStatus.DRAFT, total_cents=0, jobs=frozenset())

    def invoice(self, stripe_id: str) -> StripeInvoice | None:
        """An invoice as it stands at Stripe; None where there is none, as it was deleted.

        Raises:
            Unavailable: Stripe does not answer.
        """
        with told_apart():
            try:
                found = self._client.v1.invoices.retrieve(stripe_id)
                # The invoice itself shows its first ten lines only.
                lines = self._client.v1.invoices.line_items.list(stripe_id, {"limit": _PAGE}).auto_paging_iter()
                jobs = frozenset(line.metadata.to_dict().get(_JOB, "") for line in lines)
            except stripe.InvalidRequestError as error:
                if error.code == _MISSING:
                    return None
                raise
        return _invoice(found, jobs)

    def add_line(self, stripe_id: str, customer_id: str, line: InvoiceLine) -> None:
        """Put a run on a draft.

        Raises:
            InvalidInput: the invoice is no draft any more.
            Unavailable: Stripe does not answer.
        """
        with told_apart():
            self._client.v1.invoice_items.create(
                {
                    "invoice": stripe_id,
                    "customer": customer_id,
                    "amount": line.cents,
                    "currency": CURRENCY,
                    "description": line.description,
                    "metadata": {_JOB: str(line.job_id)},
                },
                {"idempotency_key": f"line:{stripe_id}:{line.job_id}"},
            )

    def finalize_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a draft an invoice that can be paid.

        Raises:
            InvalidInput: it was finalized already.
            Unavailable: Stripe does not answer.
        """
        with told_apart():
            final = self._client.v1.invoices.finalize_invoice(
                stripe_id, {"auto_advance": False}, {"idempotency_key": f"finalize:{stripe_id}"}
            )
        return _invoice(final, frozenset())

    def discard_drafts(self, invoice: Invoice, *, customer_ids: Collection[str], jobs: Collection[UUID]) -> None:
        """Delete every draft of an invoice, and every item of its runs. Done before, it changes nothing.

        A draft that is deleted leaves its items with the customer, and Stripe would put them on the next invoice:
        they are deleted first, and what came in between afterwards.

        Args:
            invoice: whose drafts; they carry its id.
            customer_ids: whose items are looked at that hang on no invoice any more.
            jobs: its runs.

        Raises:
            InvalidInput: a draft was finalised at this moment.
            Unavailable: Stripe does not answer; what is left is deleted by the next call.
        """
        ours = {str(job_id) for job_id in jobs}
        customers = set(customer_ids)
        with told_apart():
            for draft in self._drafts_of(invoice):
                customers.add(str(draft.customer))
                for item in self._items({"invoice": draft.id}):
                    _unless_gone(self._client.v1.invoice_items.delete, item.id)
                _unless_gone(self._client.v1.invoices.delete, draft.id)
            for customer_id in sorted(customers):
                for item in self._items({"customer": customer_id, "pending": True}):
                    if item.metadata is not None and item.metadata.to_dict().get(_JOB) in ours:
                        _unless_gone(self._client.v1.invoice_items.delete, item.id)

    def _drafts_of(self, invoice: Invoice) -> list[stripe.Invoice]:
        """Also those that we never heard of, as we were gone before Stripe answered."""
        # A day to spare for clocks that differ.
        since = int((invoice.created_at - timedelta(days=1)).timestamp())
        drafts = self._client.v1.invoices.list({"status": "draft", "created": {"gte": since}, "limit": _PAGE})
        return [
            draft
            for draft in drafts.auto_paging_iter()
            if draft.metadata is not None and draft.metadata.to_dict().get(_INVOICE) == str(invoice.id)
        ]

    def _items(self, asked: InvoiceItemListParams) -> list[stripe.InvoiceItem]:
        return list(self._client.v1.invoice_items.list({**asked, "limit": _PAGE}).auto_paging_iter())

    def void_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a finalised invoice one that nobody has to pay.

        Raises:
            InvalidInput: it is a draft, paid or void.
            Unavailable: Stripe does not answer.
        """
        with told_apart():
            void = self._client.v1.invoices.void_invoice(stripe_id, None, {"idempotency_key": f"void:{stripe_id}"})
        return _invoice(void, frozenset())


def _unless_gone(delete: Callable[[str], object], thing_id: str) -> None:
    """Delete what may have been deleted already: by an earlier call, or by one whose answer was lost."""
    try:
        delete(thing_id)
    except stripe.InvalidRequestError as error:
        if error.code != _MISSING:
            raise


def _invoice(found: stripe.Invoice, jobs: frozenset[str]) -> StripeInvoice:
    return StripeInvoice(
        stripe_id=found.id,
        status=StripeStatus(found.status or "draft"),
        total_cents=found.subtotal,
        paid_cents=found.amount_paid,
        jobs=jobs,
        number=found.number or "",
        hosted_url=found.hosted_invoice_url or "",
    )
