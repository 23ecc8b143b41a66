"""Clients, and what they are invoiced for. Amounts in cents of US dollars."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

# Hundredths of a percent in a whole.
_WHOLE = 10_000


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Terms(_Record):
    """What a run costs a client: its cost plus a margin in hundredths of a percent, or a fixed price."""

    margin_basis_points: int | None = None
    fixed_price_cents: int | None = None

    def price_cents(self, cost_cents: int) -> int:
        """What a run of this cost is invoiced at; half a cent is rounded up."""
        if self.fixed_price_cents is not None:
            return self.fixed_price_cents
        return (cost_cents * (_WHOLE + (self.margin_basis_points or 0)) + _WHOLE // 2) // _WHOLE


class Client(_Record):
    """Somebody who pays for runs. `customer_id` is Stripe's, of its test mode or of the real one."""

    id: UUID
    team_id: str
    name: str
    test_mode: bool
    customer_id: str
    terms: Terms


class BillableRun(_Record):
    """A completed run that names a client and was not invoiced yet. `cost_cents` is what was billed for it."""

    job_id: UUID
    job_name: str
    client: str
    tier: str
    preset: str
    cost_cents: int
    ended_at: datetime


class InvoiceLine(_Record):
    """A run on an invoice."""

    job_id: UUID
    description: str
    cost_cents: int
    cents: int


class InvoiceStatus(StrEnum):
    """`begun`: its runs are bound to it, and Stripe may not have all of it yet.

    `discarding` and `voiding` were asked for, and Stripe may not have done it yet.
    """

    BEGUN = "begun"
    DISCARDING = "discarding"
    DISCARDED = "discarded"
    FINALIZED = "finalized"
    VOIDING = "voiding"
    VOIDED = "voided"


class Invoice(_Record):
    """An invoice of ours. What Stripe says of it is there once it was finalized."""

    id: UUID
    team_id: str
    client_id: UUID
    client_name: str
    test_mode: bool
    status: InvoiceStatus
    cents: int
    asked_by: str
    created_at: datetime
    stripe_id: str | None = None
    customer_id: str | None = None
    number: str | None = None
    hosted_url: str | None = None
    ended_by: str = ""
    end_reason: str = ""


class StripeStatus(StrEnum):
    """How an invoice stands at Stripe. `uncollectible` was given up there; it can still be paid or voided."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


class StripeInvoice(_Record):
    """Stripe's side of an invoice. `jobs` are the runs that it has a line of; `total_cents` is before taxes."""

    stripe_id: str
    status: StripeStatus
    total_cents: int
    paid_cents: int = 0
    jobs: frozenset[str]
    number: str = ""
    hosted_url: str = ""

    @property
    def draft(self) -> bool:
        """Whether it can still be changed."""
        return self.status is StripeStatus.DRAFT

    @property
    def paid(self) -> bool:
        """Whether any of it was paid; it cannot be voided then."""
        return self.status is StripeStatus.PAID or self.paid_cents > 0


class ClientAccount(_Record):
    """A client with what can be invoiced now, and the invoice that was begun. `more` runs do not fit on one invoice.

    `ended` counts the invoices of before that were discarded or voided.
    """

    client: Client
    lines: tuple[InvoiceLine, ...]
    more: int = 0
    begun: Invoice | None = None
    ended: int = 0

    @property
    def cents(self) -> int:
        """The sum of the lines."""
        return sum(line.cents for line in self.lines)

    @property
    def cost_cents(self) -> int:
        """What the runs have cost."""
        return sum(line.cost_cents for line in self.lines)


class UnknownClient(_Record):
    """A name that runs carry and that nobody has set up to be invoiced."""

    name: str
    runs: int
    cost_cents: int


class InvoicesView(_Record):
    """`/brightrun invoices`. `practice_runs` name a client but cost practice money, which nobody is invoiced."""

    accounts: tuple[ClientAccount, ...]
    unknown: tuple[UnknownClient, ...]
    practice_runs: int
    recent: tuple[Invoice, ...]
    test_mode: bool


class InvoiceReview(_Record):
    """What would be invoiced. `digest` stands for just these lines at these prices.

    `begun_lines` are those of the invoice that was begun, where there is one: it comes first.
    """

    account: ClientAccount
    begun_lines: tuple[InvoiceLine, ...] = ()
    digest: str
    test_mode: bool


class VoidForm(_Record):
    """The window that asks why an invoice is voided. `there` is how it stands at Stripe now."""

    invoice: Invoice
    runs: int
    there: StripeStatus
    paid_cents: int = 0


class EndedInvoice(_Record):
    """An invoice that was discarded or voided, and how many runs can be invoiced again."""

    invoice: Invoice
    runs: int


class ClientForm(_Record):
    """The window in which a client is set up; `client` is None for a new one."""

    name: str
    client: Client | None
    test_mode: bool
