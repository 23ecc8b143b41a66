"""The ledger, and what Stripe has to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from functions.model.budget import DayForecast, JobCost, LimitChange
from functions.model.invoices import BillableRun, Client, Invoice, InvoiceLine, InvoiceStatus, StripeInvoice
from functions.model.money import BudgetRules, EntryKind, JobBooked
from functions.model.payments import CheckoutPage, Dispute, PaymentBooked, PaymentEvent, PaymentRecord, TopUp


class Ledger(Protocol):
    """`budgets` and the append-only `ledger`."""

    def lock_limit(self, team_id: str) -> int:
        """The monthly limit in cents, its row locked until the transaction ends."""
        ...

    def set_limit(self, team_id: str, cents: int) -> None:
        """Set the monthly limit; the row is locked by the caller."""
        ...

    def limit(self, team_id: str) -> int:
        """The monthly limit in cents."""
        ...

    def rules(self, team_id: str) -> BudgetRules:
        """The team's rules; of a team never seen, those that every team begins with."""
        ...

    def set_rules(self, team_id: str, rules: BudgetRules) -> None:
        """Replace the rules of a team whose row is there."""
        ...

    def add_limit_change(self, team_id: str, change: LimitChange) -> None:
        """Keep what the limit was before and is from now on."""
        ...

    def limit_changes(self, team_id: str) -> list[LimitChange]:
        """Every change of the limit, the oldest first."""
        ...

    def teams(self) -> list[str]:
        """Every team that has a budget or money in the ledger."""
        ...

    def sums(self, team_id: str, since: datetime) -> tuple[int, int]:
        """(spent since then, reserved now) in cents."""
        ...

    def top_ups(self, team_id: str) -> list[tuple[date, int]]:
        """What was paid in beforehand, by day, the oldest first.

        What is refunded or disputed is taken back from the day of its top-up.
        """
        ...

    def months(self, team_id: str, since: datetime) -> list[tuple[date, int]]:
        """Spending by calendar month (its first day) since then, the oldest first; months without any are left out."""
        ...

    def daily(self, team_id: str, since: datetime, until: datetime) -> list[tuple[date, int]]:
        """Spending by day from then and before the other; days without any are left out."""
        ...

    def job_costs(self, team_id: str, since: datetime) -> list[JobCost]:
        """The jobs of a period: made or settled since then, or holding money now."""
        ...

    def keep_forecast(self, team_id: str, made: DayForecast) -> bool:
        """Keep a day's forecast; False where the day has one already."""
        ...

    def forecasts(self, team_id: str, since: date, before: date) -> list[DayForecast]:
        """The forecasts from one day on and before another, the oldest first."""
        ...

    def booked_of(self, payment_id: str) -> PaymentBooked:
        """What was booked of one payment."""
        ...

    def booked_for(self, job_id: UUID) -> JobBooked:
        """What stands in the ledger for a job."""
        ...

    def append(
        self,
        *,
        team_id: str,
        job_id: UUID | None,
        kind: EntryKind,
        cents: int,
        at: datetime,
        key: str,
        payment_id: str | None = None,
    ) -> bool:
        """Append an entry; False where one with this key is there already. `payment_id`: Stripe's, of top-ups."""
        ...


class TopUps(Protocol):
    """`top_ups`, `stripe_payments`, `stripe_disputes` and `stripe_events`."""

    def begin(self, top_up: TopUp) -> TopUp:
        """Keep a wish to pay in; returns what is kept under its key, which may have been there before."""
        ...

    def get(self, team_id: str, request_key: str) -> TopUp | None:
        """One wish to pay in."""
        ...

    def set_page(self, team_id: str, request_key: str, page: CheckoutPage) -> None:
        """Remember where it can be paid."""
        ...

    def first_event(self, event: PaymentEvent, at: datetime) -> bool:
        """Record an event; False where it was there."""
        ...

    def lock_payment(self, event: PaymentEvent) -> PaymentRecord:
        """What is known of the event's payment, its row locked until the transaction ends.

        An event that says whose it is fills that in.
        """
        ...

    def set_payment(self, payment_id: str, *, paid_cents: int | None, refunded_cents: int) -> None:
        """Write down what is known now."""
        ...

    def disputes(self, payment_id: str) -> list[Dispute]:
        """What is known of the payment's disputes, the first heard of first."""
        ...

    def save_dispute(self, payment_id: str, dispute: Dispute, at: datetime) -> None:
        """Write down what is known of a dispute now; the payment's row is locked by the caller."""
        ...


class Invoices(Protocol):
    """`clients`, `invoices` and `invoice_lines`."""

    def clients(self, team_id: str, *, test_mode: bool) -> list[Client]:
        """All clients of the team, by name."""
        ...

    def client(self, team_id: str, client_id: UUID, *, lock: bool = False) -> Client | None:
        """One client; `lock` holds its row until the transaction ends."""
        ...

    def save_client(self, client: Client, *, by: str, at: datetime) -> Client:
        """Set a client up, or change the one of this name; returns it as it is kept."""
        ...

    def billable(self, team_id: str, *, test_mode: bool) -> list[BillableRun]:
        """Completed runs that name a client and are on no invoice that stands, the oldest first."""
        ...

    def begun(self, client_id: UUID) -> Invoice | None:
        """The client's invoice that was begun and neither finalised nor wholly discarded."""
        ...

    def ended(self, client_id: UUID) -> int:
        """How many of the client's invoices were discarded or voided."""
        ...

    def get(self, team_id: str, invoice_id: UUID) -> Invoice | None:
        """One invoice."""
        ...

    def recent(self, team_id: str, limit: int, *, test_mode: bool) -> list[Invoice]:
        """The last finalized invoices, those that were voided too, the newest first."""
        ...

    def begin(self, invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
        """Keep an invoice and bind its runs to it."""
        ...

    def lines(self, invoice_id: UUID) -> list[InvoiceLine]:
        """What is on an invoice, in the order in which the runs ended."""
        ...

    def set_stripe(self, invoice_id: UUID, *, stripe_id: str, customer_id: str) -> bool:
        """Remember which of Stripe's invoices it is; False where it is to be discarded meanwhile."""
        ...

    def finish(self, invoice_id: UUID, final: StripeInvoice, at: datetime) -> bool:
        """It is finalized; False where it was already."""
        ...

    def want_end(self, invoice_id: UUID, wanted: InvoiceStatus, *, by: str, reason: str = "") -> bool:
        """It is to be discarded (where it was begun) or voided (where it was finalized); False where it is neither."""
        ...

    def keep(self, invoice_id: UUID) -> bool:
        """It is not to be voided after all; False where that was not wanted any more."""
        ...

    def end(self, invoice_id: UUID, at: datetime) -> bool:
        """What was wanted is done: its runs can be invoiced again. False where it was done already."""
        ...
