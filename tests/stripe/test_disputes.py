"""Disputed top-ups: what a bank takes leaves the budget once, what it gives back returns once, and managers know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.budget_notices import team_notice
from functions.budget import budget_status
from functions.model.money import EntryKind
from functions.model.outbox import Notice
from functions.model.payments import Heard
from functions.model.people import Role
from functions.payment_news import hear
from functions.payments import start_top_up
from infra.postgres.database import PostgresDatabase
from infra.stripe_events import EVENTS
from infra.stripe_payments import StripePayments
from tests.scenario.house import TEAM, SetClock
from tests.stripe.fake import FakeStripe, Json, signed
from tests.stripe.runs import MARCUS


class Till:
    """A budget with a top-up button, and Stripe's events as they arrive."""

    def __init__(self, db: PostgresDatabase, payments: StripePayments, fake: FakeStripe) -> None:
        self.db = db
        self.payments = payments
        self.fake = fake
        self.clock = SetClock()

    def pay(self, cents: int) -> Json:
        """The event of a top-up that was asked for and paid."""
        asked = start_top_up(
            self.db,
            self.payments,
            provider="local",
            clock=self.clock,
            person=MARCUS,
            amount=f"{cents / 100:.2f}",
            request_key=str(uuid4()),
            channel_id="C0TRAINING",
        )
        return self.fake.pay(str(asked.session_id))

    def paid(self, cents: int) -> str:
        """The payment of a top-up that was credited."""
        event = self.pay(cents)
        assert self.deliver(event) is Heard.BOOKED
        return payment_of(event)

    def deliver(self, event: Json) -> Heard:
        body, headers = signed(event)
        told = self.payments.read_event(body, headers["stripe-signature"])
        return hear(self.db, clock=self.clock, event=told)

    @property
    def prepaid(self) -> int:
        with self.db.transaction() as tx:
            return budget_status(tx, team_id=TEAM, now=self.clock()).prepaid_cents

    def told(self, place: str = "U0MARCUS") -> list[str]:
        """What was said of disputes, with its blocks, as one text each."""
        with self.db._pool.connection() as connection:
            rows = connection.execute(
                "select notice, data from outbox where channel_id = %s and notice like 'dispute%%' order by id",
                (place,),
            ).fetchall()
        said = [team_notice(Notice(row["notice"]), row["data"]) for row in rows]
        return ["\n".join([text, *(str(block) for block in blocks)]) for text, blocks in said]


def payment_of(event: Json) -> str:
    return str(event["data"]["object"]["payment_intent"])


@pytest.fixture
def till(db: PostgresDatabase, payments: StripePayments, fake: FakeStripe) -> Till:
    """The budget; Marcus and Priya are its managers."""
    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MANAGER)
        tx.people.set_role(TEAM, "U0PRIYA", Role.MANAGER)
    return Till(db, payments, fake)


def test_what_a_bank_takes_leaves_the_budget_and_comes_back_when_it_is_won(till: Till) -> None:
    payment = till.paid(200_00)
    created, withdrawn = till.fake.dispute(payment, 200_00)
    assert [till.deliver(created), till.deliver(withdrawn), till.deliver(withdrawn)] == [
        Heard.BOOKED,
        Heard.NOTHING_NEW,
        Heard.REPEAT,
    ]
    assert till.prepaid == 0
    for event in till.fake.decide(created["data"]["object"]["id"], won=200_00):
        till.deliver(event)
    assert till.prepaid == 200_00
    taken, returned = till.told()
    assert "A bank took back $200.00 of a top-up." in taken
    assert "$200.00 of a disputed top-up came back." in returned
    assert till.told("U0PRIYA") == till.told()


def test_one_message_says_what_happened_what_it_means_and_what_to_do(till: Till) -> None:
    payment = till.paid(200_00)
    for event in reversed(till.fake.dispute(payment, 200_00)):
        till.deliver(event)
    (said,) = till.told()
    assert "<@U0MARCUS> topped up on <!date^" in said
    assert "The cardholder says that somebody else made this payment." in said
    assert "The training budget is $200 smaller: $500 of $500 is left this month." in said
    assert f"<https://dashboard.stripe.com/test/payments/{payment}|Answer in Stripe's dashboard> before <!date^" in said
    assert "the money comes back by itself; without one, it stays gone." in said
    assert "Stripe is in test mode" in said


def test_an_inquiry_takes_nothing_until_it_becomes_a_chargeback(till: Till) -> None:
    payment = till.paid(200_00)
    (created,) = till.fake.dispute(payment, 200_00, inquiry=True)
    assert till.deliver(created) is Heard.NOTHING_NEW
    assert till.prepaid == 200_00
    (asked,) = till.told()
    assert "A bank asks about a top-up of $200.00. No money was taken." in asked
    assert "The training budget stays as it is." in asked
    assert "before <!date^" in asked
    assert till.deliver(till.fake.escalate(created["data"]["object"]["id"])) is Heard.BOOKED
    assert till.prepaid == 0
    assert "A bank took back $200.00" in till.told()[1]


def test_an_inquiry_that_is_over_is_not_told(till: Till) -> None:
    (created,) = till.fake.dispute(till.paid(200_00), 200_00, inquiry=True)
    (closed,) = till.fake.decide(created["data"]["object"]["id"], won=None)
    for event in (closed, created):
        assert till.deliver(event) is Heard.NOTHING_NEW
    assert till.told() == []


def test_a_lost_dispute_changes_nothing_more_and_is_told(till: Till) -> None:
    created, _ = till.fake.dispute(till.paid(200_00), 150_00)
    till.deliver(created)
    (closed,) = till.fake.decide(created["data"]["object"]["id"], won=None)
    assert till.deliver(closed) is Heard.NOTHING_NEW
    assert till.prepaid == 50_00
    assert "The dispute about a top-up of $150.00 is lost." in till.told()[1]
    assert "It is off the training budget already. $550 of $550 is left this month." in till.told()[1]


def test_a_dispute_that_is_only_heard_of_when_it_is_lost_is_one_message(till: Till) -> None:
    created, withdrawn = till.fake.dispute(till.paid(200_00), 200_00)
    (closed,) = till.fake.decide(created["data"]["object"]["id"], won=None)
    for event in (closed, withdrawn, created):
        till.deliver(event)
    (said,) = till.told()
    assert "is lost" in said
    assert "The training budget is $200 smaller:" in said
    assert "What to do" not in said


def test_refund_and_dispute_together_never_take_more_than_was_paid(till: Till) -> None:
    payment = till.paid(200_00)
    till.deliver(till.fake.refund(payment, 50_00))
    created, _ = till.fake.dispute(payment, 200_00)
    till.deliver(created)
    assert till.prepaid == 0
    assert "A bank took back $150.00 of a top-up." in till.told()[0]
    for event in till.fake.decide(created["data"]["object"]["id"], won=200_00):
        till.deliver(event)
    assert till.prepaid == 150_00
    with till.db.transaction() as tx:
        booked = tx.ledger.booked_of(payment)
    assert (booked.credited_cents, booked.refunded_cents, booked.disputed_cents) == (200_00, 50_00, 0)


def test_what_was_refunded_before_is_told_although_nothing_leaves_the_budget(till: Till) -> None:
    payment = till.paid(200_00)
    till.deliver(till.fake.refund(payment, 200_00))
    for event in till.fake.dispute(payment, 200_00):
        till.deliver(event)
    assert till.prepaid == 0
    (said,) = till.told()
    assert "It had been refunded before, so the training budget stays as it is:" in said
    assert "Show the refund there; without an answer, the cardholder keeps the money twice." in said


def test_what_earlier_months_used_up_cannot_be_taken_off_the_budget(till: Till) -> None:
    payment = till.paid(200_00)
    with till.db.transaction() as tx:
        tx.ledger.append(
            team_id=TEAM, job_id=None, kind=EntryKind.SETTLE, cents=620_00, at=till.clock(), key="a busy month"
        )
    till.clock.now += timedelta(days=31)
    assert till.prepaid == 80_00
    till.deliver(till.fake.dispute(payment, 200_00)[0])
    assert till.prepaid == 0
    expected = "$120 of it was used up before, so the training budget is only $80 smaller: $500 of $500"
    assert expected in till.told()[0]


def test_a_dispute_of_a_payment_that_is_not_ours_changes_nothing(till: Till) -> None:
    till.fake.charges["pi_other"] = {"id": "ch_other", "amount": 900, "amount_refunded": 0, "currency": "usd"}
    for event in till.fake.dispute("pi_other", 900):
        assert till.deliver(event) is Heard.NOT_OURS
    payment = till.paid(200_00)
    created, _ = till.fake.dispute(payment, 200_00)
    for change in ({"currency": "eur"}, {"payment_intent": None}):
        thing = {**created["data"]["object"], **change}
        strange = {**created, "id": f"evt_{change}", "data": {"object": thing}}
        assert till.deliver(strange) is Heard.NOT_OURS
    assert till.deliver({**created, "livemode": True}) is Heard.NOT_OURS
    assert till.prepaid == 200_00
    assert till.told() == []


def test_an_account_in_another_currency_moves_what_was_disputed(till: Till) -> None:
    payment = till.paid(200_00)
    created, withdrawn = till.fake.dispute(payment, 120_00)
    euros = withdrawn["data"]["object"]["balance_transactions"][0]
    euros |= {"amount": -110_37, "currency": "eur"}
    till.deliver(withdrawn)
    assert till.prepaid == 80_00
    assert created["type"] in EVENTS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_and_number_of_events_leaves_the_same_balance(till: Till, data: st.DataObject) -> None:
    before = till.prepaid
    events: list[Json] = []
    expected = total = 0
    for cents in data.draw(st.lists(st.integers(5_00, 5_000_00), min_size=1, max_size=2)):
        paid = till.pay(cents)
        mine, left = _life(till.fake, payment_of(paid), cents, data)
        events += [paid, *mine]
        expected += left
        total += cents
    again = data.draw(st.lists(st.sampled_from(events), max_size=6))
    for event in data.draw(st.permutations(events + again)):
        till.deliver(event)
        assert 0 <= till.prepaid - before <= total
    assert till.prepaid - before == expected


def _life(fake: FakeStripe, payment: str, cents: int, data: st.DataObject) -> tuple[list[Json], int]:
    """What may come of a payment at Stripe, and what is left of it in the end."""
    events: list[Json] = []
    refunded = kept = 0
    for step in data.draw(st.lists(st.sampled_from(["refund", "dispute", "inquiry"]), max_size=3)):
        amount = data.draw(st.integers(1, cents))
        if (
            step == "refund"
            and amount <= cents - refunded
            and all(d["is_charge_refundable"] for d in fake.disputes.values() if d["payment_intent"] == payment)
        ):
            events.append(fake.refund(payment, amount))
            refunded += amount
        elif step != "refund":
            opened = fake.dispute(payment, amount, inquiry=step == "inquiry")
            events += opened
            dispute_id = opened[0]["data"]["object"]["id"]
            if step == "inquiry" and data.draw(st.booleans()):
                events.append(fake.escalate(dispute_id))
            won = data.draw(st.none() | st.integers(1, amount))
            if data.draw(st.booleans()):
                events += fake.decide(dispute_id, won=won)
            moved = [one["amount"] for one in fake.disputes[dispute_id]["balance_transactions"]]
            kept -= sum(moved)
    return events, max(0, cents - refunded - kept)


def test_paid_and_disputed_at_the_same_moment_is_booked_whole(till: Till) -> None:
    """A dispute that is heard of while its payment is: whichever is first, nothing is left out."""
    for _ in range(4):
        paid = till.pay(100_00)
        events = [paid, *till.fake.dispute(payment_of(paid), 100_00)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(till.deliver, events))
        assert till.prepaid == 0
