"""Money in: asked for once, credited once whatever is delivered how often, taken back by refunds."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege

from functions.budget import budget_status, reserve
from functions.errors import Conflict, InvalidInput, NotAllowed, OverBudget, Unavailable
from functions.model.money import BudgetStatus
from functions.model.payments import Heard, TopUp
from functions.model.people import Person, Role
from functions.payment_news import hear
from functions.payments import dollars_typed, start_top_up
from infra.http.app import create_http_app
from infra.http.stripe import StripeRoutes
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from infra.stripe_payments import StripePayments
from tests.conftest import BUDGET_CENTS
from tests.logins import create_logins, logged_in, url_as
from tests.scenario.house import ELENA, TEAM, SetClock
from tests.serving import served
from tests.stripe.fake import KEY, FakeStripe, Json, signed

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)
CLOCK = SetClock()


def ask(
    db: PostgresDatabase,
    payments: StripePayments | None,
    amount: str = "200",
    *,
    person: Person = MARCUS,
    provider: str = "local",
    **given: str,
) -> TopUp:
    asked = {"request_key": str(uuid4()), "channel_id": "C0TRAINING"} | given
    return start_top_up(db, payments, clock=CLOCK, provider=provider, person=person, amount=amount, **asked)


def budget(db: PostgresDatabase, clock: SetClock = CLOCK) -> BudgetStatus:
    with db.transaction() as tx:
        return budget_status(tx, team_id=TEAM, now=clock())


def deliver(db: PostgresDatabase, payments: StripePayments, event: Json, clock: SetClock = CLOCK) -> Heard:
    body, headers = signed(event)
    return hear(db, clock=clock, event=payments.read_event(body, headers["stripe-signature"]))


def test_a_paid_top_up_may_be_spent_besides_the_limit(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments
) -> None:
    top_up = ask(db, payments, "$200.00")
    assert top_up.session_url == f"https://checkout.stripe.com/c/pay/{top_up.session_id}"
    assert budget(db).limit_cents == BUDGET_CENTS
    assert fake.sessions[str(top_up.session_id)]["amount_total"] == 200_00
    assert deliver(db, payments, fake.pay(str(top_up.session_id))) is Heard.BOOKED
    assert (budget(db).prepaid_cents, budget(db).remaining_cents) == (200_00, BUDGET_CENTS + 200_00)
    with db.transaction() as tx, pytest.raises(OverBudget):
        reserve(tx, team_id=TEAM, job_id=uuid4(), cents=BUDGET_CENTS + 200_01, now=CLOCK())
    assert budget(db).remaining_cents == BUDGET_CENTS + 200_00


def test_the_same_request_is_one_page_also_when_the_answer_was_lost(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments
) -> None:
    fake.lose_answers = 1
    first = ask(db, payments, request_key="one")
    assert ask(db, payments, request_key="one").session_id == first.session_id
    assert [key for _, key in fake.calls] == [f"top_up:{TEAM}:one"]
    with pytest.raises(Conflict, match=r"has asked for \$200\.00 already"):
        ask(db, payments, "300", request_key="one")


def test_a_payment_that_the_bank_thinks_about_is_credited_when_it_clears(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments
) -> None:
    session = str(ask(db, payments).session_id)
    assert deliver(db, payments, fake.pay(session, paid=False)) is Heard.NOT_OURS
    assert budget(db).prepaid_cents == 0
    assert deliver(db, payments, fake.clear(session)) is Heard.BOOKED
    assert budget(db).prepaid_cents == 200_00


def test_what_was_not_used_up_stays_for_the_next_month_until_it_is_refunded(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments
) -> None:
    top_up = ask(db, payments)
    event = fake.pay(str(top_up.session_id))
    deliver(db, payments, event)
    december = SetClock(CLOCK() + timedelta(days=30))
    assert budget(db, december).limit_cents == BUDGET_CENTS + 200_00
    deliver(db, payments, fake.refund(event["data"]["object"]["payment_intent"], 200_00), december)
    assert budget(db, december).limit_cents == BUDGET_CENTS
    assert budget(db).limit_cents == BUDGET_CENTS


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_and_number_of_deliveries_leaves_the_same_balance(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments, data: st.DataObject
) -> None:
    before = budget(db).prepaid_cents
    events, expected = [], 0
    for cents in data.draw(st.lists(st.integers(500, 500_000), min_size=1, max_size=3)):
        paid = fake.pay(str(ask(db, payments, f"{cents / 100:.2f}").session_id))
        payment = paid["data"]["object"]["payment_intent"]
        left = cents
        events.append(paid)
        for part in data.draw(st.lists(st.integers(1, cents), max_size=3)):
            if part <= left:
                events.append(fake.refund(payment, part))
                left -= part
        expected += left
    again = data.draw(st.lists(st.sampled_from(events), max_size=6))
    for event in data.draw(st.permutations(events + again)):
        deliver(db, payments, event)
        # Never more than all payments together, nor less than nothing.
        assert budget(db).prepaid_cents - before >= 0
    assert budget(db).prepaid_cents - before == expected


def test_what_is_not_ours_changes_nothing(db: PostgresDatabase, fake: FakeStripe, payments: StripePayments) -> None:
    session = str(ask(db, payments).session_id)
    event = fake.pay(session)
    thing = event["data"]["object"]
    strange: dict[str, Json] = {
        "of another installation": {"metadata": {"brightrun_team": TEAM, "brightrun_request": "unknown"}},
        "of something else": {"metadata": {}},
        "in another currency": {"currency": "eur"},
        "unpaid": {"payment_status": "unpaid"},
        "without a payment": {"payment_intent": None},
    }
    for name, change in strange.items():
        changed = {**event, "id": f"evt_{name}", "data": {"object": {**thing, **change}}}
        assert deliver(db, payments, changed) is Heard.NOT_OURS, name
    assert deliver(db, payments, {**event, "livemode": True}) is Heard.NOT_OURS
    assert deliver(db, payments, {**event, "type": "customer.created"}) is Heard.NOT_OURS
    assert budget(db).prepaid_cents == 0
    assert deliver(db, payments, event) is Heard.BOOKED


def test_who_may_not_and_what_cannot_be_is_refused(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments, stripe_url: str
) -> None:
    with pytest.raises(NotAllowed):
        ask(db, payments, person=ELENA)
    with pytest.raises(Unavailable, match="a practice payment would raise a real budget"):
        ask(db, payments, provider="modal")
    with pytest.raises(Unavailable, match="BRIGHTRUN_STRIPE_KEY is missing"):
        ask(db, None)
    with pytest.raises(Unavailable, match="BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing"):
        ask(db, StripePayments(KEY, webhook_secret="", service_url="https://x"))
    with pytest.raises(InvalidInput, match="no secret key"):
        StripePayments("pk_test_1", webhook_secret="", service_url="")
    other = StripePayments("sk_test_other", webhook_secret="whsec", service_url="https://x", api_url=stripe_url)
    with pytest.raises(Unavailable, match="refuses our key"):
        ask(db, other)
    fake.be_down = 3
    with pytest.raises(Unavailable, match="does not answer"):
        ask(db, payments)
    assert fake.calls == []


@pytest.mark.parametrize(
    ("typed", "cents"), [("200", 200_00), (" $1,250.5 ", 1250_50), ("5", 5_00), ("5000.00", 5000_00)]
)
def test_amounts_as_people_type_them(typed: str, cents: int) -> None:
    assert dollars_typed(typed) == cents


@pytest.mark.parametrize("typed", ["", "abc", "-5", "4.99", "5000.01", "1,00", "10.001", "1e3", "٢٠٠"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput):
        dollars_typed(typed)


def test_the_webhook_over_http_as_its_own_login(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments, tmp_path: Path
) -> None:
    event = fake.pay(str(ask(db, payments).session_id))
    files = LocalFiles(tmp_path, secret="s", base_url="http://x", clock=CLOCK)
    with logged_in(db, limit_cents=BUDGET_CENTS) as logins:
        app = create_http_app(
            logins.ingest, files, secret="s", clock=CLOCK, stripe=StripeRoutes(logins.bot, payments, clock=CLOCK)
        )
        with served(app) as url, httpx.Client(base_url=url) as http:

            def post(body: bytes, headers: dict[str, str]) -> int:
                return http.post("/stripe/webhook", content=body, headers=headers).status_code

            body, headers = signed(event)
            assert post(body + b" ", headers) == 400
            assert post(body, {}) == 400
            assert post(*signed(event, secret="whsec_of_somebody")) == 400
            assert post(*signed(event, at=time.time() - 600)) == 400
            assert post(*signed({"id": "evt_1", "object": "event"})) == 400
            assert post(b"\xff", headers) == 400
            assert post(b"x" * (2 << 20), headers) == 413
            assert budget(db).prepaid_cents == 0
            assert post(body, headers) == 200
            assert post(body, headers) == 200
            assert post(*signed(event)) == 200
            assert budget(db).prepaid_cents == 200_00
            assert http.get("/stripe/paid").status_code == 200
        missing = StripeRoutes(logins.bot, None, clock=CLOCK)
        with served(create_http_app(logins.ingest, files, secret="s", clock=CLOCK, stripe=missing)) as url:
            assert httpx.post(f"{url}/stripe/webhook", content=body, headers=headers).status_code == 503


def test_the_same_event_delivered_at_once_is_credited_once(
    db: PostgresDatabase, fake: FakeStripe, payments: StripePayments
) -> None:
    session = str(ask(db, payments).session_id)
    first = fake.pay(session)
    # Two events that tell of the same payment, each delivered several times at the same moment.
    second = {**first, "id": "evt_second"}
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda event: deliver(db, payments, event), [first, second] * 4))
    assert heard.count(Heard.BOOKED) == 1
    assert heard.count(Heard.NOTHING_NEW) == 1
    assert budget(db).prepaid_cents == 200_00


@pytest.mark.parametrize("group", ["brightrun_functions", "brightrun_ingest"])
@pytest.mark.parametrize("table", ["top_ups", "stripe_payments", "stripe_events", "clients", "invoices"])
def test_what_gpu_jobs_reach_sees_nothing_of_payments(database_url: str, group: str, table: str) -> None:
    create_logins(database_url)
    with psycopg.connect(url_as(database_url, group)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))


@pytest.mark.parametrize(
    "entry",
    ["'top_up', -1, 'pi_1'", "'refund', 1, 'pi_1'", "'refund', -1, null", "'gift', 1, 'pi_1'"],
)
def test_the_ledger_refuses_what_makes_no_sense(database_url: str, entry: LiteralString) -> None:
    with psycopg.connect(database_url) as connection, pytest.raises(CheckViolation):
        connection.execute(
            sql.SQL(
                "insert into ledger (team_id, kind, cents, payment_id, at, entry_key) values ('T', {}, now(), 'k')"
            ).format(sql.SQL(entry))
        )
