"""`clients`, `invoices` and `invoice_lines`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from functions.model.invoices import BillableRun, Client, Invoice, InvoiceLine, InvoiceStatus, StripeInvoice, Terms
from infra.postgres.rows import Row, Table

_INVOICE = "select i.*, c.name as client_name from invoices i join clients c on c.id = i.client_id "


def _client(row: Row) -> Client:
    return Client.model_validate({**row, "terms": Terms.model_validate(row)})


class InvoicesTable(Table):
    """Statements over who is invoiced for what."""

    def clients(self, team_id: str, *, test_mode: bool) -> list[Client]:
        """All clients of the team, by name."""
        rows = self._all(
            "select * from clients where team_id = %s and test_mode = %s order by lower(name)", team_id, test_mode
        )
        return [_client(row) for row in rows]

    def client(self, team_id: str, client_id: UUID, *, lock: bool = False) -> Client | None:
        """One client; `lock` holds its row until the transaction ends."""
        row = (
            self._one("select * from clients where team_id = %s and id = %s for update", team_id, client_id)
            if lock
            else self._one("select * from clients where team_id = %s and id = %s", team_id, client_id)
        )
        return None if row is None else _client(row)

    def save_client(self, client: Client, *, by: str, at: datetime) -> Client:
        """Set a client up, or change the one of this name; returns it as it is kept."""
        row = self._one(
            "insert into clients (id, team_id, name, test_mode, customer_id, margin_basis_points, fixed_price_cents,"
            " changed_by, changed_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (team_id, test_mode, lower(name)) do update set customer_id = excluded.customer_id,"
            " margin_basis_points = excluded.margin_basis_points, fixed_price_cents = excluded.fixed_price_cents,"
            " changed_by = excluded.changed_by, changed_at = excluded.changed_at returning *",
            client.id,
            client.team_id,
            client.name,
            client.test_mode,
            client.customer_id,
            client.terms.margin_basis_points,
            client.terms.fixed_price_cents,
            by,
            at,
        )
        return client if row is None else _client(row)

    def billable(self, team_id: str, *, test_mode: bool) -> list[BillableRun]:
        """Completed runs that name a client and are on no invoice that stands, the oldest first."""
        rows = self._all(
            "select j.id as job_id, j.name as job_name, j.client, j.tier, j.preset,"
            " j.actual_cost_cents as cost_cents, j.ended_at from training_jobs j"
            " where j.team_id = %s and j.status = 'completed' and j.client <> '' and not exists"
            " (select from invoice_lines l where l.job_id = j.id and l.test_mode = %s and not l.released)"
            " order by j.ended_at, j.id",
            team_id,
            test_mode,
        )
        return [BillableRun.model_validate(row) for row in rows]

    def begun(self, client_id: UUID) -> Invoice | None:
        """The client's invoice that was begun and neither finalised nor wholly discarded."""
        row = self._one(_INVOICE + "where i.client_id = %s and i.status in ('begun', 'discarding')", client_id)
        return None if row is None else Invoice.model_validate(row)

    def ended(self, client_id: UUID) -> int:
        """How many of the client's invoices were discarded or voided."""
        return int(
            self._value(
                "select count(*) from invoices where client_id = %s and status in ('discarded', 'voided')", client_id
            )
        )

    def get(self, team_id: str, invoice_id: UUID) -> Invoice | None:
        """One invoice."""
        row = self._one(_INVOICE + "where i.team_id = %s and i.id = %s", team_id, invoice_id)
        return None if row is None else Invoice.model_validate(row)

    def recent(self, team_id: str, limit: int, *, test_mode: bool) -> list[Invoice]:
        """The last finalized invoices, those that were voided too, the newest first."""
        rows = self._all(
            _INVOICE + "where i.team_id = %s and i.test_mode = %s and i.finalized_at is not null"
            " order by i.created_at desc, i.id limit %s",
            team_id,
            test_mode,
            limit,
        )
        return [Invoice.model_validate(row) for row in rows]

    def begin(self, invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
        """Keep an invoice and bind its runs to it."""
        self._run(
            "insert into invoices (id, team_id, client_id, test_mode, status, cents, asked_by, created_at)"
            " values (%s, %s, %s, %s, 'begun', %s, %s, %s)",
            invoice.id,
            invoice.team_id,
            invoice.client_id,
            invoice.test_mode,
            invoice.cents,
            invoice.asked_by,
            invoice.created_at,
        )
        for line in lines:
            self._run(
                "insert into invoice_lines (job_id, test_mode, invoice_id, description, cost_cents, cents)"
                " values (%s, %s, %s, %s, %s, %s)",
                line.job_id,
                invoice.test_mode,
                invoice.id,
                line.description,
                line.cost_cents,
                line.cents,
            )

    def lines(self, invoice_id: UUID) -> list[InvoiceLine]:
        """What is on an invoice, in the order in which the runs ended."""
        rows = self._all(
            "select l.* from invoice_lines l join training_jobs j on j.id = l.job_id where l.invoice_id = %s"
            " order by j.ended_at, j.id",
            invoice_id,
        )
        return [InvoiceLine.model_validate(row) for row in rows]

    def set_stripe(self, invoice_id: UUID, *, stripe_id: str, customer_id: str) -> bool:
        """Remember which of Stripe's invoices it is; False where it is to be discarded meanwhile."""
        done = self._run(
            "update invoices set stripe_id = %s, customer_id = %s where id = %s and status = 'begun'",
            stripe_id,
            customer_id,
            invoice_id,
        )
        return done.rowcount == 1

    def finish(self, invoice_id: UUID, final: StripeInvoice, at: datetime) -> bool:
        """It is finalized; False where it was already."""
        done = self._run(
            "update invoices set status = 'finalized', number = %s, hosted_url = %s, finalized_at = %s, ended_by = ''"
            " where id = %s and status in ('begun', 'discarding')",
            final.number,
            final.hosted_url,
            at,
            invoice_id,
        )
        return done.rowcount == 1

    def want_end(self, invoice_id: UUID, wanted: InvoiceStatus, *, by: str, reason: str = "") -> bool:
        """It is to be discarded (where it was begun) or voided (where it was finalized); False where it is neither."""
        done = self._run(
            "update invoices set status = %s, ended_by = %s, end_reason = %s where id = %s and status = %s",
            wanted.value,
            by,
            reason,
            invoice_id,
            "begun" if wanted is InvoiceStatus.DISCARDING else "finalized",
        )
        return done.rowcount == 1

    def keep(self, invoice_id: UUID) -> bool:
        """It is not to be voided after all; False where that was not wanted any more."""
        done = self._run(
            "update invoices set status = 'finalized', ended_by = '', end_reason = '' where id = %s"
            " and status = 'voiding'",
            invoice_id,
        )
        return done.rowcount == 1

    def end(self, invoice_id: UUID, at: datetime) -> bool:
        """What was wanted is done: its runs can be invoiced again. False where it was done already."""
        done = self._run(
            "update invoices set status = case status when 'voiding' then 'voided' else 'discarded' end, ended_at = %s"
            " where id = %s and status in ('discarding', 'voiding')",
            at,
            invoice_id,
        )
        if done.rowcount != 1:
            return False
        self._run("update invoice_lines set released = true where invoice_id = %s", invoice_id)
        return True
