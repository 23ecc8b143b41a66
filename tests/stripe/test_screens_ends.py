"""Second thoughts about invoices and disputed top-ups, clicked and read by people in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from blocks.invoice_ends import REASON, VOID_CALLBACK
from blocks.invoices import (
    ACTION_DISCARD,
    ACTION_FINISH,
    ACTION_REVIEW,
    ACTION_VOID,
    DONE_CALLBACK,
    LIST_CALLBACK,
    REVIEW_CALLBACK,
)
from blocks.payments import TEST_MODE
from functions.clients import ClientChoice, set_up_client
from functions.model.people import Role
from functions.payments import start_top_up
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.stripe_payments import StripePayments
from infra.workspace.client import Person
from tests.scenario.house import TEAM
from tests.scenario.stage import CHANNEL, Json, Stage, staged, words
from tests.stripe.fake import FakeStripe, signed
from tests.stripe.runs import MARCUS, Runs


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, payments: StripePayments) -> Iterator[Stage]:
    """Everything, with Stripe connected; each process with no more than its rights."""
    with staged(db, tmp_path, change=lambda context: replace(context, payments=payments), as_roles=True) as ready:
        yield ready


@pytest.fixture
def runs(stage: Stage, payments: StripePayments, demo_file: Path) -> Runs:
    """Two runs for a client who is set up."""
    made = Runs(stage.db, stage.files, demo_file)
    made.add("Acme Financial", 10_00)
    made.add("Acme Financial", 20_00)
    choice = ClientChoice(name="Acme Financial", email="pay@acme.test", margin="0")
    set_up_client(stage.db, payments, clock=utc_now, person=MARCUS, choice=choice, request_key="acme")
    return made


def marcus(stage: Stage) -> Person:
    return stage.client.as_user("U0MARCUS")


def invoices(person: Person, text: str) -> Json:
    """`/brightrun invoices`, once it says so."""
    assert person.command(CHANNEL, "/brightrun invoices") == {"ok": True}
    return person.wait_view(LIST_CALLBACK, when=lambda view: text in words(view))


def says(person: Person, text: str) -> str:
    return words(person.wait_view(None, when=lambda view: text in words(view)))


def break_off(stage: Stage, fake: FakeStripe) -> Person:
    """A manager whose invoice was begun when Stripe went away."""
    manager = marcus(stage)
    manager.click(invoices(manager, "2 runs to invoice"), ACTION_REVIEW)
    review = manager.wait_view(REVIEW_CALLBACK)
    fake.be_down = 3
    manager.submit(review, {})
    says(manager, "Stripe does not answer")
    manager.close(manager.views()[-1], whole_stack=True)
    return manager


def finalise(stage: Stage) -> Person:
    """A manager who has invoiced the two runs."""
    manager = marcus(stage)
    manager.click(invoices(manager, "2 runs to invoice"), ACTION_REVIEW)
    manager.submit(manager.wait_view(REVIEW_CALLBACK), {})
    done = manager.wait_view(DONE_CALLBACK)
    manager.close(done, whole_stack=True)
    return manager


def test_a_begun_invoice_is_reviewed_and_discarded(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = break_off(stage, fake)
    listed = invoices(manager, "is not finished")
    assert "An invoice of $30.00 was begun and is not finished." in words(listed)
    manager.click(listed, ACTION_REVIEW)
    review = manager.wait_view(REVIEW_CALLBACK)
    assert "*$30.00* for 2 runs" in words(review)
    assert "discard it: then its runs can be invoiced again" in words(review)
    assert not review["submit"]
    assert ACTION_FINISH in str(review)
    assert "The draft is deleted at Stripe. The client never sees it" in str(review)
    manager.click(review, ACTION_DISCARD)
    done = manager.wait_view(DONE_CALLBACK)
    assert "The invoice of *$30.00* to *Acme Financial* is discarded." in words(done)
    assert "Its 2 runs can be invoiced again." in words(done)
    assert TEST_MODE in words(done)
    assert (fake.invoices, fake.items) == ({}, {})
    manager.click(done, ACTION_REVIEW)
    again = manager.wait_view(REVIEW_CALLBACK, when=lambda view: bool(view["submit"]))
    manager.submit(again, {})
    assert "is invoiced *$30.00*" in words(manager.wait_view(DONE_CALLBACK, when=lambda v: "is invoiced" in words(v)))


def test_from_the_list_the_list_below_knows_it(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = break_off(stage, fake)
    manager.click(invoices(manager, "is not finished"), ACTION_DISCARD)
    manager.close(manager.wait_view(DONE_CALLBACK))
    below = manager.wait_view(LIST_CALLBACK)
    assert "2 runs to invoice, cost $30.00" in words(below)


def test_discarding_that_broke_off_says_so_and_goes_on(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = break_off(stage, fake)
    fake.be_down = 3
    manager.click(invoices(manager, "is not finished"), ACTION_DISCARD)
    assert "try again in a minute" in says(manager, "Stripe does not answer")
    manager.close(manager.views()[-1], whole_stack=True)
    listed = invoices(manager, "Discarding an invoice of $30.00 was not finished. Press it again; nothing is sent.")
    assert ACTION_FINISH not in str(listed)
    manager.click(listed, ACTION_DISCARD)
    assert "is discarded" in words(manager.wait_view(DONE_CALLBACK))


def test_an_unpaid_invoice_is_voided_with_a_reason(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = finalise(stage)
    manager.click(invoices(manager, "Invoiced last"), ACTION_VOID)
    form = manager.wait_view(VOID_CALLBACK)
    assert "BR-0001  ·  *Acme Financial*  ·  *$30.00*" in words(form)
    assert "Nobody has to pay it then, and its 2 runs can be invoiced again. This cannot be undone." in words(form)
    assert form["submit"]["text"] == "Void $30.00"
    assert "Say why" in str(manager.submit(form, {REASON: "no      "}))
    assert manager.submit(form, {REASON: "The margin was wrong"}) == {"ok": True}
    done = manager.wait_view(DONE_CALLBACK)
    assert "is void: nobody has to pay it." in words(done)
    manager.close(done)
    below = words(manager.wait_view(LIST_CALLBACK))
    assert "2 runs to invoice" in below
    assert "Voided by <@U0MARCUS>: “The margin was wrong”" in below
    stage.post()
    told = [m for m in stage.client.all_messages(CHANNEL) if "voided by" in words(m)]
    assert len(told) == 2
    assert "Invoice BR-0001 to *Acme Financial*: voided by <@U0MARCUS>, nobody has to pay it." in words(told[0])
    assert "This run can be invoiced again." in words(told[0])
    (invoice,) = fake.invoices.values()
    assert invoice["status"] == "void"


def test_a_paid_invoice_says_what_can_be_done_instead(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = finalise(stage)
    (invoice_id,) = fake.invoices
    listed = invoices(manager, "Invoiced last")
    manager.click(listed, ACTION_VOID)
    form = manager.wait_view(VOID_CALLBACK)
    fake.pay_invoice(invoice_id)
    manager.submit(form, {REASON: "The margin was wrong"})
    assert "a refund or a credit note in Stripe's dashboard" in says(manager, "BR-0001 was paid ($30.00)")
    manager.close(manager.views()[-1], whole_stack=True)
    manager.click(invoices(manager, "Invoiced last"), ACTION_VOID)
    shown = manager.wait_view(DONE_CALLBACK)
    assert "*It is paid* ($30.00), so it cannot be voided any more." in words(shown)
    assert "make a refund or a credit note in Stripe's dashboard" in words(shown)
    assert not shown["submit"]


def test_a_member_may_not_end_an_invoice_neither_on_the_click_nor_on_the_submit(
    stage: Stage, runs: Runs, fake: FakeStripe
) -> None:
    manager = finalise(stage)
    manager.click(invoices(manager, "Invoiced last"), ACTION_VOID)
    form = manager.wait_view(VOID_CALLBACK)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MEMBER)
    assert "Your role, member, may not" in str(manager.submit(form, {REASON: "The margin was wrong"}))
    manager.close(form)
    manager.click(manager.wait_view(LIST_CALLBACK), ACTION_VOID)
    assert "Your role, member, may not" in says(manager, "may not")
    (invoice,) = fake.invoices.values()
    assert invoice["status"] == "open"


def test_a_member_may_not_discard(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    manager = break_off(stage, fake)
    listed = invoices(manager, "is not finished")
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MEMBER)
    manager.click(listed, ACTION_DISCARD)
    assert "Your role, member, may not" in says(manager, "may not")


def webhook(stage: Stage, event: Json) -> int:
    body, headers = signed(event)
    return httpx.post(f"{stage.url}/stripe/webhook", content=body, headers=headers, trust_env=False).status_code


def test_managers_are_told_of_a_dispute_once_and_of_its_end(
    stage: Stage, payments: StripePayments, fake: FakeStripe
) -> None:
    asked = start_top_up(
        stage.db,
        payments,
        provider="local",
        clock=utc_now,
        person=MARCUS,
        amount="200",
        request_key="k",
        channel_id=CHANNEL,
    )
    paid = fake.pay(str(asked.session_id))
    payment = str(paid["data"]["object"]["payment_intent"])
    opened = fake.dispute(payment, 200_00)
    for event in (*reversed(opened), paid, *opened):
        assert webhook(stage, event) == 200
    stage.post()
    manager = marcus(stage)
    (told,) = [m for m in manager.messages(manager.im()) if "bank" in m["text"]]
    assert told["text"] == "A bank took back $200.00 of a top-up."
    said = words(told)
    assert "The training budget is $200 smaller: $500 of $500 is left this month." in said
    assert "*What to do:*" in said
    assert f"/test/payments/{payment}|Answer in Stripe's dashboard> before <!date^" in said
    assert TEST_MODE in said
    for event in fake.decide(next(iter(fake.disputes)), won=200_00):
        assert webhook(stage, event) == 200
    stage.post()
    last = manager.messages(manager.im())[-1]
    assert last["text"] == "$200.00 of a disputed top-up came back."
    assert "The bank gave it back, and it is in the training budget again: $700 of $700 is left this month." in words(
        last
    )
    assert [m for m in stage.elena.messages(CHANNEL) if "bank" in m["text"]] == []
