"""Invoices that are not wanted: nothing is left at Stripe, and their runs are invoiced once, later."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege, UniqueViolation

from functions.errors import BrightRunError, Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from functions.invoice_ends import discard_invoice, void_form, void_invoice
from functions.model.invoices import EndedInvoice, Invoice, InvoiceStatus, StripeInvoice, StripeStatus
from functions.model.people import Person, Role
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.stripe_errors import told_apart
from infra.stripe_payments import StripePayments
from tests.logins import create_logins, url_as
from tests.scenario.house import ELENA
from tests.stripe.fake import FakeStripe, Refused
from tests.stripe.runs import MARCUS, Runs, runs_in
from tests.stripe.test_invoices import Desk


class Office(Desk):
    """A manager who has second thoughts."""

    def begun(self, client_id: UUID) -> Invoice:
        found = next(a.begun for a in self.view().accounts if a.client.id == client_id)
        assert found is not None
        return found

    def discard(self, invoice_id: UUID, person: Person = MARCUS) -> EndedInvoice:
        return discard_invoice(self.db, self.payments, clock=utc_now, person=person, invoice_id=invoice_id)

    def void(self, invoice_id: UUID, reason: str = "Wrong price", person: Person = MARCUS) -> EndedInvoice:
        return void_invoice(self.db, self.payments, clock=utc_now, person=person, invoice_id=invoice_id, reason=reason)

    def audit(self) -> list[str]:
        with self.db._pool.connection() as connection:
            rows = connection.execute(
                "select action from audit_log where action like 'invoice.%%' order by id"
            ).fetchall()
        return [row["action"] for row in rows]


@pytest.fixture
def office(db: PostgresDatabase, payments: StripePayments) -> Office:
    """The manager's desk."""
    return Office(db, payments)


@pytest.fixture
def runs(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Runs:
    """The team's runs."""
    return runs_in(db, tmp_path, demo_file)


def nothing(_: str) -> None:
    """Nothing breaks."""


def break_at(step: int) -> Callable[[str], None]:
    """Break the n-th call to Stripe that changes something."""
    seen: list[str] = []

    def fail(asked: str) -> None:
        if asked not in seen:
            seen.append(asked)
        if asked == seen[-1] and len(seen) == step + 1:
            raise Refused(503, "down", kind="api_error")

    return fail


def half_made(office: Office, runs: Runs, fake: FakeStripe) -> Invoice:
    """An invoice that broke off with its draft and two of its three lines at Stripe."""
    for cents in (10_00, 20_00, 30_00):
        runs.add("Acme Financial", cents)
    client = office.client(margin="0")
    fake.before = break_at(3)
    with pytest.raises(Unavailable):
        office.invoice(client.id)
    fake.before = nothing
    (draft,) = (i for i in fake.invoices.values() if i["status"] == "draft")
    assert len(draft["lines"]) == 2
    return office.begun(client.id)


def unheard(office: Office, runs: Runs, fake: FakeStripe, *, answer: int) -> Invoice:
    """An invoice of one line, of which this answer of Stripe's never came."""
    runs.add("Acme Financial", 10_00)
    client = office.client()
    fake.after = break_at(answer)
    with pytest.raises(Unavailable):
        office.invoice(client.id)
    fake.after = nothing
    return office.begun(client.id)


def test_a_draft_is_discarded_with_its_items_and_its_runs_are_invoiced_anew(
    office: Office, runs: Runs, fake: FakeStripe
) -> None:
    begun = half_made(office, runs, fake)
    stale = office.review(begun.client_id).digest
    ended = office.discard(begun.id)
    assert (ended.invoice.status, ended.runs) == (InvoiceStatus.DISCARDED, 3)
    assert (fake.invoices, fake.items) == ({}, {})
    assert office.discard(begun.id) == ended
    assert office.audit() == ["invoice.begun", "invoice.discarding", "invoice.discarded"]
    # A review from before shows what is not so any more.
    with pytest.raises(Conflict, match="has changed since you looked"):
        office.invoice(begun.client_id, stale)
    anew = office.invoice(begun.client_id)
    assert anew.id != begun.id
    assert anew.cents == 60_00
    (there,) = fake.invoices.values()
    assert [line["amount"] for line in there["lines"]] == [10_00, 20_00, 30_00]
    with pytest.raises(Conflict, match="was discarded; it was not finalised"):
        office.finish(begun.id)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("step", range(3))
def test_whatever_breaks_discarding_is_taken_up_again(
    office: Office, runs: Runs, fake: FakeStripe, step: int, lost: bool
) -> None:
    """Three steps: two items, the draft. Stripe goes away before or after each."""
    begun = half_made(office, runs, fake)
    fails = break_at(step)

    def gone(asked: str) -> None:
        try:
            fails(asked)
        except Refused:
            # Also when the SDK tries again: what was deleted would not be found then, which is an answer.
            fake.be_down = 2
            raise

    fake.before, fake.after = (nothing, gone) if lost else (gone, nothing)
    with pytest.raises(Unavailable, match="does not answer"):
        office.discard(begun.id)
    fake.before = fake.after = nothing
    fake.be_down = 0
    fake.forget_keys()
    assert office.begun(begun.client_id).status is InvoiceStatus.DISCARDING
    with pytest.raises(Conflict, match="begun already"):
        office.invoice(begun.client_id)
    with pytest.raises(Conflict, match="was discarded"):
        office.finish(begun.id)
    assert office.discard(begun.id).invoice.status is InvoiceStatus.DISCARDED
    assert (fake.invoices, fake.items) == ({}, {})


def test_a_draft_that_we_never_heard_of_is_discarded_too(office: Office, runs: Runs, fake: FakeStripe) -> None:
    begun = unheard(office, runs, fake, answer=0)
    assert begun.stripe_id is None
    assert len(fake.invoices) == 1
    office.discard(begun.id)
    assert fake.invoices == {}


def test_other_drafts_and_items_of_the_customer_stay(office: Office, runs: Runs, fake: FakeStripe) -> None:
    begun = half_made(office, runs, fake)
    fake.items["ii_theirs"] = {"id": "ii_theirs", "customer": begun.customer_id, "invoice": None, "metadata": {}}
    other = {**next(iter(fake.invoices.values())), "id": "in_theirs", "metadata": {}, "lines": []}
    fake.invoices["in_theirs"] = other
    office.discard(begun.id)
    assert list(fake.items) == ["ii_theirs"]
    assert list(fake.invoices) == ["in_theirs"]


def test_items_of_a_draft_that_was_deleted_in_the_dashboard_are_not_left_over(
    office: Office, runs: Runs, fake: FakeStripe
) -> None:
    begun = half_made(office, runs, fake)
    fake.invoices.clear()
    for item in fake.items.values():
        item["invoice"] = None
    with pytest.raises(InvalidInput, match="somebody deleted it there"):
        office.finish(begun.id)
    office.discard(begun.id)
    assert fake.pending() == []
    assert office.invoice(begun.client_id).cents == 60_00


def test_what_was_finalised_meanwhile_is_kept_and_told(office: Office, runs: Runs, fake: FakeStripe) -> None:
    """The process died after Stripe had finalised it, and before that was written down."""
    begun = unheard(office, runs, fake, answer=2)
    with pytest.raises(Conflict, match="was finalised meanwhile: BR-0001") as refused:
        office.discard(begun.id)
    assert "Void it" in refused.value.fix
    (kept,) = office.view().recent
    assert (kept.status, kept.hosted_url is not None) == (InvoiceStatus.FINALIZED, True)
    with pytest.raises(Conflict, match="finalised meanwhile"):
        office.discard(begun.id)
    assert office.audit()[-2:] == ["invoice.discarding", "invoice.finalized"]


@pytest.mark.parametrize("step", range(5))
def test_one_discards_while_another_finishes(
    office: Office, runs: Runs, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Discarding comes before each step of finishing: the draft, three lines, the end. Nothing is left over."""
    for cents in (10_00, 20_00, 30_00):
        runs.add("Acme Financial", cents)
    client = office.client(margin="0")
    steps = iter(range(5))

    def interrupted(name: str) -> Callable[..., object]:
        carry_out = getattr(StripePayments, name)

        def meanwhile(self: StripePayments, *given: object) -> object:
            if next(steps) == step:
                office.discard(office.begun(client.id).id)
            return carry_out(self, *given)

        return meanwhile

    with monkeypatch.context() as patched:
        for name in ("draft_invoice", "add_line", "finalize_invoice"):
            patched.setattr(StripePayments, name, interrupted(name))
        with pytest.raises(Conflict, match="was discarded; it was not finalised"):
            office.invoice(client.id)
    assert (fake.invoices, fake.items) == ({}, {})
    assert office.invoice(client.id).cents == 60_00


def finalised(office: Office, runs: Runs) -> Invoice:
    runs.add("Acme Financial", 10_00)
    runs.add("Acme Financial", 20_00)
    return office.invoice(office.client(margin="0").id)


def test_an_unpaid_invoice_is_voided_and_its_runs_are_invoiced_anew(
    office: Office, runs: Runs, fake: FakeStripe
) -> None:
    invoice = finalised(office, runs)
    ended = office.void(invoice.id, "  Wrong price  ")
    assert (ended.invoice.status, ended.runs) == (InvoiceStatus.VOIDED, 2)
    assert (ended.invoice.ended_by, ended.invoice.end_reason) == ("U0MARCUS", "Wrong price")
    assert [i["status"] for i in fake.invoices.values()] == ["void"]
    assert office.void(invoice.id, "Once more") == ended
    assert office.audit()[-2:] == ["invoice.voiding", "invoice.voided"]
    with pytest.raises(Conflict, match="is void already"):
        void_form(office.db, office.payments, person=MARCUS, invoice_id=invoice.id)
    with office.db._pool.connection() as connection:
        told = connection.execute("select data from outbox where notice = 'invoice_voided'").fetchall()
    assert [row["data"]["why"] for row in told] == ["Wrong price"] * 2
    anew = office.invoice(invoice.client_id)
    assert (anew.number, anew.cents) == ("BR-0002", 30_00)
    assert office.view().accounts[0].lines == ()


@pytest.mark.parametrize("lost", [False, True])
def test_whatever_breaks_voiding_is_taken_up_again(office: Office, runs: Runs, fake: FakeStripe, lost: bool) -> None:
    invoice = finalised(office, runs)
    fake.before, fake.after = (nothing, break_at(0)) if lost else (break_at(0), nothing)
    with pytest.raises(Unavailable):
        office.void(invoice.id)
    fake.before = fake.after = nothing
    fake.forget_keys()
    assert office.view().recent[0].status is InvoiceStatus.VOIDING
    assert office.view().accounts[0].lines == ()
    ended = office.void(invoice.id, "Another reason")
    assert (ended.invoice.status, ended.invoice.end_reason) == (InvoiceStatus.VOIDED, "Wrong price")
    assert office.audit().count("invoice.voided") == 1


def test_a_paid_invoice_is_not_voided(office: Office, runs: Runs, fake: FakeStripe) -> None:
    invoice = finalised(office, runs)
    fake.pay_invoice(str(invoice.stripe_id))
    with pytest.raises(Conflict, match=r"BR-0001 was paid \(\$30\.00\)") as refused:
        office.void(invoice.id)
    assert "a refund or a credit note in Stripe's dashboard" in refused.value.fix
    assert office.view().recent[0].status is InvoiceStatus.FINALIZED
    assert void_form(office.db, office.payments, person=MARCUS, invoice_id=invoice.id).there is StripeStatus.PAID


def test_it_is_paid_at_the_moment_in_which_it_is_voided(office: Office, runs: Runs, fake: FakeStripe) -> None:
    invoice = finalised(office, runs)
    fake.before = lambda asked: fake.pay_invoice(str(invoice.stripe_id)) if "/void" in asked else None
    with pytest.raises(Conflict, match="was paid"):
        office.void(invoice.id)
    assert office.view().recent[0].status is InvoiceStatus.FINALIZED
    assert office.audit()[-1] == "invoice.kept"


def test_what_was_voided_in_the_dashboard_is_booked_here(office: Office, runs: Runs, fake: FakeStripe) -> None:
    invoice = finalised(office, runs)
    fake.invoices[str(invoice.stripe_id)]["status"] = "void"
    assert void_form(office.db, office.payments, person=MARCUS, invoice_id=invoice.id).there is StripeStatus.VOID
    assert office.void(invoice.id).invoice.status is InvoiceStatus.VOIDED


@pytest.mark.parametrize("which", ["discard", "void"])
def test_four_managers_at_the_same_moment_end_it_once(office: Office, runs: Runs, fake: FakeStripe, which: str) -> None:
    invoice = half_made(office, runs, fake) if which == "discard" else finalised(office, runs)
    together = Barrier(4)

    def press(_: int) -> InvoiceStatus:
        together.wait(10)
        return (office.discard(invoice.id) if which == "discard" else office.void(invoice.id)).invoice.status

    with ThreadPoolExecutor(4) as pool:
        came = set(pool.map(press, range(4)))
    assert came == {InvoiceStatus.DISCARDED if which == "discard" else InvoiceStatus.VOIDED}
    assert [action for action in office.audit() if action in ("invoice.discarded", "invoice.voided")] == [
        f"invoice.{next(iter(came)).value}"
    ]


def test_who_may_not_and_what_cannot_be(office: Office, runs: Runs, fake: FakeStripe) -> None:
    begun = half_made(office, runs, fake)
    elsewhere = Person(team_id="T0OTHER", user_id="U0OTHER", role=Role.ADMIN)
    for end in (office.discard, lambda one, person=MARCUS: office.void(one, person=person)):
        with pytest.raises(NotAllowed):
            end(begun.id, person=ELENA)
        with pytest.raises(NotFound):
            end(begun.id, person=elsewhere)
    with pytest.raises(NotAllowed):
        void_form(office.db, office.payments, person=ELENA, invoice_id=begun.id)
    with pytest.raises(Conflict, match="is not finalised"):
        office.void(begun.id)
    with pytest.raises(Conflict, match="is not finalised"):
        void_form(office.db, office.payments, person=MARCUS, invoice_id=begun.id)
    with pytest.raises(InvalidInput, match="Say why, in 5 to 300 characters"):
        office.void(begun.id, "   no ")
    assert office.begun(begun.client_id).status is InvoiceStatus.BEGUN


def test_the_fake_refuses_what_stripe_refuses(
    office: Office, runs: Runs, fake: FakeStripe, payments: StripePayments
) -> None:
    begun = half_made(office, runs, fake)
    stripe_id = str(begun.stripe_id)
    with pytest.raises(InvalidInput, match="this one is draft"):
        payments.void_invoice(stripe_id)
    office.finish(begun.id)
    client = payments._client.v1
    with pytest.raises(BrightRunError) as refused, told_apart():
        client.invoices.delete(stripe_id)
    assert "only delete draft invoices" in str(refused.value)
    fake.forget_keys()
    fake.pay_invoice(stripe_id)
    with pytest.raises(InvalidInput, match="this one is paid"):
        payments.void_invoice(stripe_id)
    assert isinstance(payments.invoice(stripe_id), StripeInvoice)
    assert payments.invoice("in_gone") is None


@pytest.mark.parametrize(
    "statement",
    [
        "update invoices set status = 'discarded', ended_at = now() where status = 'finalized'",
        "update invoices set status = 'voided', ended_at = now() where status = 'finalized'",
        "update invoice_lines set released = true",
    ],
)
def test_the_database_refuses_shortcuts(
    office: Office, runs: Runs, database_url: str, statement: LiteralString
) -> None:
    finalised(office, runs)
    create_logins(database_url)
    with psycopg.connect(url_as(database_url, "brightrun_bot")) as connection, pytest.raises(CheckViolation):
        connection.execute(statement)


def test_a_run_is_on_one_invoice_that_stands(office: Office, runs: Runs, fake: FakeStripe, database_url: str) -> None:
    voided = finalised(office, runs)
    office.void(voided.id)
    office.invoice(voided.client_id)
    create_logins(database_url)
    with psycopg.connect(url_as(database_url, "brightrun_bot"), autocommit=True) as connection:
        with pytest.raises(CheckViolation, match="stands"):
            connection.execute("update invoice_lines set released = false where released")
        with pytest.raises(InsufficientPrivilege):
            connection.execute("update invoice_lines set cents = 1")
        connection.execute(
            "insert into invoices (id, team_id, client_id, test_mode, status, cents, asked_by, created_at)"
            " select %s, team_id, client_id, test_mode, 'begun', 1, 'U0EVE', now() from invoices where id = %s",
            (second := uuid4(), voided.id),
        )
        with pytest.raises(UniqueViolation):
            connection.execute(
                "insert into invoice_lines (job_id, test_mode, invoice_id, description, cost_cents, cents)"
                " select job_id, test_mode, %s, 'x', 1, 1 from invoice_lines where not released",
                (second,),
            )
