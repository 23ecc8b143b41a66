"""Client invoices on a manager's phone: set up, reviewed, finalised; what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from blocks.audit import AUDIT_CALLBACK
from blocks.invoices import (
    ACTION_CLIENT,
    ACTION_FINISH,
    ACTION_LINK,
    ACTION_REVIEW,
    CLIENT_CALLBACK,
    CUSTOMER,
    DONE_CALLBACK,
    EMAIL,
    LIST_CALLBACK,
    MARGIN,
    NAME,
    PRICE,
    REVIEW_CALLBACK,
)
from blocks.payments import TEST_MODE
from functions.model.people import Role
from tests.browser.conftest import Arrangement
from tests.browser.hands import PATIENCE_MS, act, close, explained, fits, give_role, modal, on_screen, say, submit
from tests.scenario.stage import Stage
from tests.stripe.fake import FakeStripe
from tests.stripe.runs import Runs

CLIENT = "Acme Financial"


@pytest.fixture
def arranged(stripe_connected: Arrangement) -> Arrangement:
    return stripe_connected


@pytest.fixture
def runs(stage: Stage, demo_file: Path) -> Runs:
    return Runs(stage.db, stage.files, demo_file)


def invoices(page: Page, *said: str) -> Locator:
    """/brightrun invoices, once it says so."""
    say(page, "/brightrun invoices")
    listed = modal(page, LIST_CALLBACK)
    for words in said:
        expect(listed).to_contain_text(words, timeout=PATIENCE_MS)
    assert fits(listed.locator(".modal-body"))
    return listed


def set_up(page: Page) -> None:
    """The listed client gets a customer at Stripe, at cost + 30 %."""
    act(invoices(page, "not set up yet"), ACTION_CLIENT).click()
    form = modal(page, CLIENT_CALLBACK)
    act(form, EMAIL).fill("pay@acme.test")
    submit(page)
    saved = modal(page, DONE_CALLBACK)
    expect(saved).to_contain_text(f"{CLIENT} pays cost + 30 %", timeout=PATIENCE_MS)


def test_who_does_not_invoice(elena: Page, vic: Page) -> None:
    for page, role in ((elena, "member"), (vic, "viewer")):
        say(page, "/brightrun invoices")
        explained(page, f"Your role, {role}, may not invoice clients.", "An admin of Bright Run can change")


def test_practice_money_and_what_the_clients_form_does_not_take(
    stage: Stage, runs: Runs, marcus: Page, fake: FakeStripe
) -> None:
    runs.add(CLIENT, 3_00, tier="local")
    empty = invoices(marcus, "1 run on practice money: never invoiced.", "No client is set up. Runs that", TEST_MODE)
    expect(act(empty, ACTION_REVIEW)).to_have_count(0)
    act(empty, ACTION_CLIENT).click()
    form = modal(marcus, CLIENT_CALLBACK)
    assert fits(form.locator(".modal-body"))
    wrong = (
        ({NAME: ""}, ""),
        ({NAME: CLIENT}, "Give the customer's id at Stripe, or an address to make one for."),
        ({CUSTOMER: "acme"}, "A customer's id begins with cus_"),
        ({CUSTOMER: "", EMAIL: "pay@acme.test", PRICE: "75"}, "Either a margin or a fixed price."),
        ({PRICE: "", MARGIN: "a lot"}, "A margin from 0 to 1000 percent"),
        ({PRICE: "nothing", MARGIN: ""}, "A price in dollars, for example 75"),
    )
    for typed, sentence in wrong:
        for field, value in typed.items():
            act(form, field).fill(value)
        submit(marcus)
        expect(form.get_by_test_id("input-error")).to_contain_text(sentence, timeout=PATIENCE_MS)
    give_role(stage, "U0MARCUS", Role.MEMBER)
    submit(marcus)
    expect(form).to_contain_text("Your role, member, may not invoice clients.", timeout=PATIENCE_MS)
    give_role(stage, "U0MARCUS", Role.MANAGER)
    act(form, PRICE).fill("75")
    act(form, CUSTOMER).fill("cus_nobody")
    submit(marcus)
    explained(marcus, "Stripe refuses: No such customer: 'cus_nobody'", "Copy the customer's id from Stripe")
    assert fake.customers == {}


def test_reviewed_finalised_and_refused_on_the_way(stage: Stage, runs: Runs, marcus: Page, fake: FakeStripe) -> None:
    run = runs.add(CLIENT, 41_20)
    set_up(marcus)
    act(modal(marcus, DONE_CALLBACK), ACTION_REVIEW).click()
    review = modal(marcus, REVIEW_CALLBACK)
    expect(review).to_contain_text("cost $41.20 → $53.56")
    expect(review).to_contain_text(TEST_MODE)
    assert fits(review.locator(".modal-body"))
    assert on_screen(marcus, marcus.get_by_test_id("modal-submit"))
    runs.add(CLIENT, 10_00)
    submit(marcus)
    explained(marcus, "What can be invoiced has changed since you looked; nothing was invoiced.", "Review it again.")
    close(marcus)

    act(invoices(marcus, "2 runs to invoice"), ACTION_REVIEW).click()
    expect(modal(marcus, REVIEW_CALLBACK)).to_contain_text("$66.56")
    give_role(stage, "U0MARCUS", Role.MEMBER)
    submit(marcus)
    explained(marcus, "Your role, member, may not invoice clients.")
    close(marcus)
    assert fake.invoices == {}

    give_role(stage, "U0MARCUS", Role.MANAGER)
    act(invoices(marcus, "2 runs to invoice"), ACTION_REVIEW).click()
    modal(marcus, REVIEW_CALLBACK)
    fake.be_down = 3
    submit(marcus)
    explained(marcus, "Stripe does not answer", "Nothing is charged twice")
    close(marcus)

    act(invoices(marcus, "An invoice of $66.56 was begun and is not finished."), ACTION_FINISH).click()
    assert on_screen(marcus, marcus.get_by_test_id("confirm"))
    marcus.get_by_test_id("confirm-yes").click()
    done = modal(marcus, DONE_CALLBACK)
    expect(done).to_contain_text("is invoiced $66.56", timeout=PATIENCE_MS)
    (invoice,) = fake.invoices.values()
    expect(act(done, ACTION_LINK)).to_have_attribute("data-url", invoice["hosted_invoice_url"])
    marcus.get_by_test_id("modal-cancel").click()
    stage.post()
    marcus.locator("#main article", has_text=run.name).first.get_by_test_id("thread-link").click()
    thread = marcus.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("Invoiced to Acme Financial: $53.56", timeout=PATIENCE_MS)
    expect(thread.get_by_role("link", name="Invoice BR-0001")).to_be_visible()
    marcus.get_by_test_id("thread-close").click()
    expect(act(invoices(marcus, "Nothing to invoice.", "Invoiced last"), ACTION_REVIEW)).to_have_count(0)
    close(marcus)
    say(marcus, "/budget audit")
    log = modal(marcus, AUDIT_CALLBACK)
    for said in ("set up a client", "began an invoice", "finalised an invoice", "$66.56", "margin 30 %"):
        expect(log).to_contain_text(said, timeout=PATIENCE_MS)
    assert fits(log.locator(".modal-body"))


def test_two_managers_and_a_draft_that_somebody_changed(
    stage: Stage, runs: Runs, marcus: Page, ada: Page, fake: FakeStripe
) -> None:
    give_role(stage, "U0ADA", Role.ADMIN)
    runs.add(CLIENT, 10_00)
    set_up(marcus)
    act(modal(marcus, DONE_CALLBACK), ACTION_REVIEW).click()
    modal(marcus, REVIEW_CALLBACK)
    act(invoices(ada, "1 run to invoice"), ACTION_REVIEW).click()
    modal(ada, REVIEW_CALLBACK)

    def meddle(asked: str) -> None:
        if asked.startswith("/v1/invoiceitems"):
            (draft,) = fake.invoices.values()
            draft["lines"].append({"id": "ii_x", "object": "line_item", "amount": 1, "metadata": {}})
            draft["subtotal"] += 1

    fake.before = meddle
    submit(marcus)
    explained(marcus, "Stripe's invoice adds up to $13.01 and not to $13.00", "Mend the draft in Stripe's dashboard")
    submit(ada)
    explained(ada, "An invoice for this client was begun already.", "Finish or discard that one first.")
    assert [invoice["status"] for invoice in fake.invoices.values()] == ["draft"]
