"""Client invoices: at the right price, once, whatever breaks on the way; never practice money."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from threading import Barrier
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.clients import ClientChoice, check_client, set_up_client, terms_typed
from functions.errors import BrightRunError, Conflict, InvalidInput, NotAllowed, NotFound, Unavailable
from functions.invoices import MOST_LINES, finish_invoice, invoice_client, invoices_view, review_invoice
from functions.model.invoices import Client, Invoice, InvoiceReview, InvoiceStatus, InvoicesView, Terms
from functions.model.people import Person, Role
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.postgres.invoices import InvoicesTable
from infra.stripe_payments import StripePayments
from tests.scenario.house import ELENA
from tests.stripe.fake import FakeStripe, Refused
from tests.stripe.runs import MARCUS, Runs, runs_in


@pytest.fixture
def runs(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Runs:
    """The team's runs."""
    return runs_in(db, tmp_path, demo_file)


class Desk:
    """A manager at work."""

    def __init__(self, db: PostgresDatabase, payments: StripePayments) -> None:
        self.db = db
        self.payments = payments

    def client(self, name: str = "Acme Financial", **given: str) -> Client:
        choice = ClientChoice(name=name, **({"email": "pay@acme.test", "margin": "30"} | given))
        return set_up_client(
            self.db, self.payments, clock=utc_now, person=MARCUS, choice=choice, request_key=f"{name}:{given}"
        )

    def view(self) -> InvoicesView:
        with self.db.transaction() as tx:
            return invoices_view(tx, self.payments, person=MARCUS)

    def review(self, client_id: UUID) -> InvoiceReview:
        with self.db.transaction() as tx:
            return review_invoice(tx, self.payments, person=MARCUS, client_id=client_id)

    def invoice(self, client_id: UUID, digest: str = "", person: Person = MARCUS) -> Invoice:
        digest = digest or self.review(client_id).digest
        return invoice_client(self.db, self.payments, clock=utc_now, person=person, client_id=client_id, digest=digest)

    def finish(self, invoice_id: UUID) -> Invoice:
        return finish_invoice(self.db, self.payments, clock=utc_now, person=MARCUS, invoice_id=invoice_id)


@pytest.fixture
def desk(db: PostgresDatabase, payments: StripePayments) -> Desk:
    """A manager's desk."""
    return Desk(db, payments)


def the_only(fake: FakeStripe) -> tuple[str, list[int]]:
    """(status, amounts) of the only finalized invoice at Stripe."""
    final = [invoice for invoice in fake.invoices.values() if invoice["status"] == "open"]
    assert len(final) == 1
    return final[0]["status"], [line["amount"] for line in final[0]["lines"]]


def test_runs_become_an_invoice_once(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    first, second = runs.add("Acme Financial", 41_20), runs.add("  acme  FINANCIAL ", 10_01)
    runs.add("Acme Financial", 5_00, tier="local")
    runs.add("Somebody else", 7_00)
    client = desk.client()
    view = desk.view()
    assert view.practice_runs == 1
    assert [(u.name, u.runs, u.cost_cents) for u in view.unknown] == [("Somebody else", 1, 7_00)]
    review = desk.review(client.id)
    assert [line.cents for line in review.account.lines] == [53_56, 13_01]
    invoice = desk.invoice(client.id)
    assert invoice.status is InvoiceStatus.FINALIZED
    assert (invoice.cents, invoice.number) == (66_57, "BR-0001")
    assert invoice.hosted_url == f"https://invoice.stripe.com/i/{invoice.stripe_id}"
    assert the_only(fake) == ("open", [53_56, 13_01])
    assert desk.view().accounts[0].lines == ()
    with pytest.raises(Conflict, match="nothing was invoiced"):
        desk.invoice(client.id, review.digest)
    with pytest.raises(Conflict, match="nothing was invoiced"):
        desk.invoice(client.id)
    assert desk.finish(invoice.id) == invoice
    with desk.db._pool.connection() as connection:
        told = connection.execute("select job_id from outbox where notice = 'invoiced' order by id").fetchall()
    assert [row["job_id"] for row in told] == [first.id, second.id]


def test_what_has_changed_since_the_review_is_not_invoiced(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    runs.add("Acme Financial", 10_00)
    client = desk.client()
    digest = desk.review(client.id).digest
    runs.add("Acme Financial", 20_00)
    with pytest.raises(Conflict, match="has changed since you looked"):
        desk.invoice(client.id, digest)
    digest = desk.review(client.id).digest
    desk.client(margin="", price="99")
    with pytest.raises(Conflict, match="has changed since you looked"):
        desk.invoice(client.id, digest)
    assert fake.invoices == {}
    assert desk.invoice(client.id).cents == 198_00


@pytest.mark.parametrize("lost", [False, True])
def test_whatever_breaks_it_is_finished_later_and_nothing_is_there_twice(
    desk: Desk, runs: Runs, fake: FakeStripe, lost: bool
) -> None:
    """Five steps: the draft, three lines, the end. Each fails once, before or after its work."""
    for step in range(5):
        runs.add("Acme Financial", 10_00), runs.add("Acme Financial", 20_00), runs.add("Acme Financial", 30_00)
        client = desk.client(margin="0")
        seen: set[str] = set()

        def fail(asked: str, step: int = step, seen: set[str] = seen) -> None:
            seen.add(asked)
            if len(seen) == step + 1:
                raise Refused(503, "down", kind="api_error")

        fake.before, fake.after = (lambda _: None, fail) if lost else (fail, lambda _: None)
        with pytest.raises(Unavailable, match="does not answer"):
            desk.invoice(client.id)
        fake.before = fake.after = lambda _: None
        begun = desk.view().accounts[0].begun
        assert begun is not None
        with pytest.raises(Conflict, match="begun already"):
            desk.invoice(client.id)
        # A day later Stripe has forgotten the keys.
        fake.forget_keys()
        assert desk.finish(begun.id).cents == 60_00
        final = [i for i in fake.invoices.values() if i["status"] == "open"]
        assert len(final) == step + 1
        assert [line["amount"] for line in final[-1]["lines"]] == [10_00, 20_00, 30_00]


def test_two_managers_at_the_same_moment_make_one_invoice(
    desk: Desk, runs: Runs, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = InvoicesTable.begun

    def slowly(self: InvoicesTable, client_id: UUID) -> Invoice | None:
        found = look(self, client_id)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(InvoicesTable, "begun", slowly)
    for _ in range(3):
        runs.add("Acme Financial", 10_00)
    client = desk.client()
    digest = desk.review(client.id).digest
    together = Barrier(4)

    def press(_: int) -> str:
        together.wait(10)
        try:
            return desk.invoice(client.id, digest).status.value
        except BrightRunError as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        came = sorted(pool.map(press, range(4)))
    assert came == ["Conflict", "Conflict", "Conflict", "finalized"]
    assert the_only(fake) == ("open", [13_00] * 3)


def test_somebody_changed_the_draft_at_stripe(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    runs.add("Acme Financial", 10_00)
    client = desk.client()

    def meddle(asked: str) -> None:
        if asked.startswith("/v1/invoiceitems"):
            invoice = next(iter(fake.invoices.values()))
            invoice["lines"].append({"id": "ii_x", "object": "line_item", "amount": 1, "metadata": {}})
            invoice["subtotal"] += 1

    fake.before = meddle
    with pytest.raises(Conflict, match=r"adds up to \$13\.01 and not to \$13\.00"):
        desk.invoice(client.id)
    invoice = next(iter(fake.invoices.values()))
    assert invoice["status"] == "draft"
    invoice["lines"].pop(0)
    invoice["subtotal"] -= 1
    begun = desk.view().accounts[0].begun
    assert begun is not None
    assert desk.finish(begun.id).status is InvoiceStatus.FINALIZED


def test_a_customer_who_is_gone_can_be_replaced(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    runs.add("Acme Financial", 10_00)
    client = desk.client()
    fake.customers[client.customer_id]["deleted"] = True
    with pytest.raises(InvalidInput, match="No such customer"):
        desk.invoice(client.id)
    begun = desk.view().accounts[0].begun
    assert begun is not None
    with pytest.raises(InvalidInput, match="was deleted at Stripe"):
        desk.client(customer_id=client.customer_id)
    other = desk.client(email="new@acme.test")
    assert other.id == client.id
    assert other.customer_id != client.customer_id
    assert desk.finish(begun.id).customer_id == other.customer_id


def test_more_runs_than_an_invoice_takes(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    for _ in range(MOST_LINES + 2):
        runs.add("Acme Financial", 1_00)
    client = desk.client()
    assert desk.review(client.id).account.more == 2
    assert desk.invoice(client.id).cents == MOST_LINES * 1_30
    assert desk.invoice(client.id).cents == 2_60


def test_who_may_not_and_what_is_missing(desk: Desk, runs: Runs, fake: FakeStripe) -> None:
    runs.add("Acme Financial", 10_00)
    client = desk.client()
    admin = Person(team_id="T0OTHER", user_id="U0OTHER", role=Role.ADMIN)
    with pytest.raises(NotAllowed):
        desk.invoice(client.id, person=ELENA)
    with pytest.raises(NotFound):
        desk.invoice(client.id, person=admin)
    choice = ClientChoice(name="A", email="a@b.c", margin="1")
    with pytest.raises(NotAllowed):
        set_up_client(desk.db, desk.payments, clock=utc_now, person=ELENA, choice=choice, request_key="k")
    with desk.db.transaction() as tx:
        with pytest.raises(NotAllowed):
            invoices_view(tx, desk.payments, person=ELENA)
        with pytest.raises(Unavailable, match="BRIGHTRUN_STRIPE_KEY is missing"):
            invoices_view(tx, None, person=MARCUS)
    with pytest.raises(InvalidInput, match="Invalid email"):
        desk.client("B", email="nobody")
    with pytest.raises(InvalidInput, match="No such customer: 'cus_gone'"):
        desk.client("B", email="", customer_id="cus_gone")
    assert fake.invoices == {}


def test_what_was_tried_in_test_mode_can_be_invoiced_for_real(
    desk: Desk, runs: Runs, fake: FakeStripe, stripe_url: str
) -> None:
    runs.add("Acme Financial", 10_00)
    assert desk.invoice(desk.client().id).test_mode
    fake.key, fake.livemode = "sk_live_fake", True
    live = StripePayments("sk_live_fake", webhook_secret="w", service_url="https://x", api_url=stripe_url)
    real = Desk(desk.db, live)
    assert [u.name for u in real.view().unknown] == ["Acme Financial"]
    invoice = real.invoice(real.client(email="real@acme.test").id)
    assert (invoice.test_mode, invoice.cents) == (False, 13_00)


@given(st.integers(0, 10**9), st.integers(0, 100_000))
def test_the_margin_is_exact_to_half_a_cent(cost: int, points: int) -> None:
    exact = Fraction(cost) * (10_000 + points) / 10_000
    assert abs(Terms(margin_basis_points=points).price_cents(cost) - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("margin", "price", "terms"),
    [
        ("30", "", Terms(margin_basis_points=3000)),
        ("12.5 %", "", Terms(margin_basis_points=1250)),
        ("0", "", Terms(margin_basis_points=0)),
        ("", "$1,250.50", Terms(fixed_price_cents=1250_50)),
        ("30", "75", None),
        ("", "", None),
        ("-1", "", None),
        ("1001", "", None),
        ("", "0", None),
        ("", "abc", None),
    ],
)
def test_terms_as_people_type_them(margin: str, price: str, terms: Terms | None) -> None:
    choice = ClientChoice(name="A", margin=margin, price=price)
    if terms is not None:
        assert terms_typed(choice) == terms
        return
    with pytest.raises(InvalidInput):
        terms_typed(choice)


def test_a_client_needs_a_name_and_a_customer() -> None:
    good = ClientChoice(name="A", margin="1", email="a@b.c")
    check_client(good, known=False)
    check_client(ClientChoice(name="A", margin="1"), known=True)
    for bad, field in (
        (ClientChoice(name=" ", margin="1", email="a@b.c"), "name"),
        (ClientChoice(name="A", margin="1"), "customer_id"),
        (ClientChoice(name="A", margin="1", customer_id="acct_1"), "customer_id"),
        (ClientChoice(name="A", email="a@b.c"), "margin"),
    ):
        with pytest.raises(InvalidInput) as refused:
            check_client(bad, known=False)
        assert refused.value.field == field
