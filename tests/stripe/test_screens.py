"""Money in and invoices out, clicked by people in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from slack_sdk import WebClient

from blocks.budget import BUDGET_CALLBACK
from blocks.invoices import (
    ACTION_CLIENT,
    ACTION_FINISH,
    ACTION_REVIEW,
    CLIENT_CALLBACK,
    DONE_CALLBACK,
    EMAIL,
    LIST_CALLBACK,
    MARGIN,
    PRICE,
    REVIEW_CALLBACK,
)
from blocks.payments import (
    ACTION_PAY,
    ACTION_TOP_UP,
    AMOUNT_ACTION,
    PAY_CALLBACK,
    TEST_MODE,
    TOP_UP_CALLBACK,
    top_up_button,
)
from blocks.review import CHECKLIST_ACTION
from blocks.review import REVIEW_CALLBACK as REVIEW_CALLBACK_OF_RUN
from blocks.text import actions
from blocks.train_form import ACTION_KNOWN_CLIENT
from blocks.train_state import read_train_form
from functions.model.people import Role
from infra.postgres.database import PostgresDatabase
from infra.stripe_payments import StripePayments
from infra.workspace.client import Person
from tests.scenario.bot_house import BOT_TOKEN
from tests.scenario.house import TEAM
from tests.scenario.stage import CHANNEL, CHECKS, Json, Stage, staged, words
from tests.stripe.fake import FakeStripe, signed
from tests.stripe.runs import Runs


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, payments: StripePayments) -> Iterator[Stage]:
    """Everything, with Stripe connected; each process with no more than its rights."""
    with staged(db, tmp_path, change=lambda context: replace(context, payments=payments), as_roles=True) as ready:
        yield ready


def marcus(stage: Stage) -> Person:
    return stage.client.as_user("U0MARCUS")


def make(stage: Stage, user_id: str, role: Role) -> None:
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, user_id, role)


def budget_message(stage: Stage, person: Person) -> Json:
    """A message that has the button, as /budget shows it."""
    slack = WebClient(token=BOT_TOKEN, base_url=stage.workspace.api_url)
    slack.chat_postMessage(channel=CHANNEL, text="The budget", blocks=[actions(top_up_button())])
    return person.wait_message(CHANNEL, lambda m: m["text"] == "The budget")


def refusal(person: Person, text: str) -> str:
    return words(person.wait_view(None, when=lambda view: text in words(view)))


def webhook(stage: Stage, event: Json) -> int:
    body, headers = signed(event)
    return httpx.post(f"{stage.url}/stripe/webhook", content=body, headers=headers, trust_env=False).status_code


def test_a_manager_tops_up_and_everybody_hears_of_it(stage: Stage, fake: FakeStripe) -> None:
    manager = marcus(stage)
    assert manager.command(CHANNEL, "/budget") == {"ok": True}
    manager.click(manager.wait_view(BUDGET_CALLBACK, 10), ACTION_TOP_UP)
    form = manager.wait_view(TOP_UP_CALLBACK)
    assert "$500 of $500 is left this month" in words(form)
    assert TEST_MODE in words(form)
    assert "Between $5.00 and $5,000.00" in str(manager.submit(form, {AMOUNT_ACTION: "1"}))
    assert "Type an amount" in str(manager.submit(form, {AMOUNT_ACTION: "a lot"}))
    assert manager.submit(form, {AMOUNT_ACTION: "$200"}) == {"ok": True}
    page = manager.wait_view(PAY_CALLBACK)
    assert "Pay $200.00 on Stripe" in words(page)
    assert TEST_MODE in words(page)
    assert manager.click(page, ACTION_PAY)["ok"]
    (session,) = fake.sessions.values()
    assert session["url"] in str(page)
    event = fake.pay(session["id"])
    assert [webhook(stage, event), webhook(stage, event)] == [200, 200]
    stage.post()
    for person, place in ((stage.elena, CHANNEL), (manager, manager.im())):
        told = [m for m in person.messages(place) if "was added" in m["text"]]
        assert [m["text"] for m in told] == ["$200.00 was added to the training budget."]
        assert "topped up by <@U0MARCUS>.\n$700 of $700 is left this month." in words(told[0])
        assert TEST_MODE in words(told[0])
    assert webhook(stage, fake.refund(fake.sessions[session["id"]]["payment_intent"], 50_00)) == 200
    stage.post()
    last = manager.messages(CHANNEL)[-1]
    assert last["text"] == "$50.00 of a top-up was refunded and is gone from the training budget."
    assert "$650 of $650 is left this month." in words(last)


def test_a_member_may_not_top_up_neither_on_the_click_nor_on_the_submit(stage: Stage, fake: FakeStripe) -> None:
    assert stage.elena.command(CHANNEL, "/budget") == {"ok": True}
    shown = stage.elena.wait_view(BUDGET_CALLBACK, 10)
    assert ACTION_TOP_UP not in str(shown)
    stage.elena.close(shown)
    stage.elena.click(budget_message(stage, stage.elena), ACTION_TOP_UP)
    assert "Your role, member, may not change the budget." in refusal(stage.elena, "may not")
    manager = marcus(stage)
    manager.click(budget_message(stage, manager), ACTION_TOP_UP)
    form = manager.wait_view(TOP_UP_CALLBACK)
    make(stage, "U0MARCUS", Role.MEMBER)
    assert "Your role, member, may not change the budget." in str(manager.submit(form, {AMOUNT_ACTION: "200"}))
    assert fake.sessions == {}


def test_without_a_key_the_button_says_what_is_missing(db: PostgresDatabase, tmp_path: Path) -> None:
    with staged(db, tmp_path) as stage:
        manager = marcus(stage)
        manager.click(budget_message(stage, manager), ACTION_TOP_UP)
        assert "BRIGHTRUN_STRIPE_KEY is missing" in refusal(manager, "Stripe is not connected")
        manager.command(CHANNEL, "/brightrun invoices")
        assert "BRIGHTRUN_STRIPE_KEY is missing" in refusal(manager, "Stripe is not connected")


def test_stripe_is_away_while_a_page_is_asked_for(stage: Stage, fake: FakeStripe) -> None:
    manager = marcus(stage)
    manager.click(budget_message(stage, manager), ACTION_TOP_UP)
    form = manager.wait_view(TOP_UP_CALLBACK)
    fake.be_down = 3
    manager.submit(form, {AMOUNT_ACTION: "200"})
    assert "try again in a minute" in refusal(manager, "Stripe does not answer")


@pytest.fixture
def runs(stage: Stage, demo_file: Path) -> Runs:
    """The team's runs."""
    return Runs(stage.db, stage.files, demo_file)


def invoices(person: Person, text: str) -> Json:
    """`/brightrun invoices`, once it says so."""
    assert person.command(CHANNEL, "/brightrun invoices") == {"ok": True}
    return person.wait_view(LIST_CALLBACK, when=lambda view: text in words(view))


def test_a_client_is_set_up_reviewed_and_invoiced(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    run = runs.add("Acme Financial", 41_20)
    runs.add("Acme Financial", 3_00, tier="local")
    manager = marcus(stage)
    listed = invoices(manager, "not set up yet")
    said = words(listed)
    assert "1 run, cost $41.20: not set up yet" in said
    assert "1 run on practice money: never invoiced." in said
    assert TEST_MODE in said
    manager.click(listed, ACTION_CLIENT, value="Acme Financial")
    form = manager.wait_view(CLIENT_CALLBACK)
    both = manager.submit(form, {EMAIL: "pay@acme.test", PRICE: "75"})
    assert both["errors"] == {MARGIN: "Either a margin or a fixed price."}
    assert manager.submit(form, {PRICE: ""}) == {"ok": True}
    saved = manager.wait_view(DONE_CALLBACK)
    assert "pays cost + 30 %" in words(saved)
    manager.click(saved, ACTION_REVIEW)
    review = manager.wait_view(REVIEW_CALLBACK)
    assert "cost $41.20 → *$53.56*" in words(review)
    assert review["submit"]["text"] == "Finalise $53.56"
    assert TEST_MODE in words(review)
    assert manager.submit(review, {}) == {"ok": True}
    done = manager.wait_view(DONE_CALLBACK, when=lambda view: "is invoiced" in words(view))
    (invoice,) = fake.invoices.values()
    assert invoice["hosted_invoice_url"] in str(done)
    manager.close(done, whole_stack=True)
    stage.post()
    (told,) = [m for m in stage.client.all_messages(CHANNEL) if "Invoiced to" in m["text"]]
    assert told["thread_ts"] != told["ts"]
    assert f"Invoiced to *Acme Financial*: $53.56. <{invoice['hosted_invoice_url']}|Invoice BR-0001>" in words(told)
    assert TEST_MODE in words(told)
    listed = invoices(manager, "Invoiced last")
    assert "Nothing to invoice." in words(listed)
    assert run.name in invoice["lines"][0]["description"]


def test_a_client_that_is_known_is_chosen_in_the_form_and_a_new_one_typed(
    stage: Stage, runs: Runs, demo_file: Path
) -> None:
    form = stage.open_form()
    assert ACTION_KNOWN_CLIENT not in str(form)
    stage.elena.close(form, whole_stack=True)
    runs.add("Acme Financial", 10_00)
    form = stage.open_form(known_client="Acme Financial")
    assert stage.elena.submit(form) == {"ok": True}
    review = stage.elena.wait_view(REVIEW_CALLBACK_OF_RUN)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    assert stage.job().client == "Acme Financial"
    chosen = {"known_client": {"known_client": {"selected_option": {"value": "Acme Financial"}}}}
    assert read_train_form(chosen).client == "Acme Financial"
    assert read_train_form({**chosen, "client": {"client": {"value": " New "}}}).client == "New"


def test_an_invoice_that_broke_off_is_finished(stage: Stage, runs: Runs, fake: FakeStripe) -> None:
    runs.add("Acme Financial", 10_00)
    manager = marcus(stage)
    manager.click(invoices(manager, "not set up"), ACTION_CLIENT, value="Acme Financial")
    form = manager.wait_view(CLIENT_CALLBACK)
    manager.submit(form, {EMAIL: "pay@acme.test", MARGIN: "", PRICE: "75"})
    manager.click(manager.wait_view(DONE_CALLBACK), ACTION_REVIEW)
    review = manager.wait_view(REVIEW_CALLBACK)
    fake.be_down = 3
    manager.submit(review, {})
    assert "Nothing is charged twice" in refusal(manager, "Stripe does not answer")
    manager.close(manager.views()[-1], whole_stack=True)
    listed = invoices(manager, "is not finished")
    assert "An invoice of $75.00 was begun" in words(listed)
    manager.click(listed, ACTION_FINISH)
    assert "is invoiced *$75.00*" in words(manager.wait_view(DONE_CALLBACK))
    assert [i["subtotal"] for i in fake.invoices.values()] == [75_00]


def test_a_member_may_not_invoice_neither_on_the_click_nor_on_the_submit(
    stage: Stage, runs: Runs, fake: FakeStripe
) -> None:
    runs.add("Acme Financial", 10_00)
    stage.elena.command(CHANNEL, "/brightrun invoices")
    assert "Your role, member, may not" in refusal(stage.elena, "may not")
    manager = marcus(stage)
    manager.click(invoices(manager, "not set up"), ACTION_CLIENT, value="Acme Financial")
    manager.submit(manager.wait_view(CLIENT_CALLBACK), {EMAIL: "pay@acme.test"})
    manager.click(manager.wait_view(DONE_CALLBACK), ACTION_REVIEW)
    review = manager.wait_view(REVIEW_CALLBACK)
    make(stage, "U0MARCUS", Role.MEMBER)
    manager.submit(review, {})
    assert "Your role, member, may not" in refusal(manager, "may not")
    assert fake.invoices == {}
