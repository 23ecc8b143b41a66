"""Topping up on a manager's phone. Stripe's few endpoints are stood in for; its SDK and its signatures are real."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Page, expect

from blocks.budget import BUDGET_CALLBACK
from blocks.payments import ACTION_PAY, ACTION_TOP_UP, AMOUNT_ACTION, PAY_CALLBACK, TEST_MODE, TOP_UP_CALLBACK
from bot.context import BotContext
from functions.model.people import Role
from infra.stripe_payments import StripePayments
from tests.browser.conftest import SERVICE, Arrangement
from tests.browser.hands import PATIENCE_MS, act, close, explained, give_role, modal, say, submit
from tests.scenario.stage import Json, Stage
from tests.stripe.fake import KEY, WEBHOOK_SECRET, FakeStripe, signed


@pytest.fixture
def arranged(stripe_connected: Arrangement) -> Arrangement:
    return stripe_connected


def deaf(context: BotContext) -> BotContext:
    return replace(context, payments=StripePayments(KEY, webhook_secret="", service_url=SERVICE))


def not_connected(context: BotContext) -> BotContext:
    return context


def ask_top_up(page: Page) -> None:
    say(page, "/budget")
    act(modal(page, BUDGET_CALLBACK), ACTION_TOP_UP).click()


@pytest.mark.parametrize(
    ("arranged", "missing"),
    [(not_connected, "BRIGHTRUN_STRIPE_KEY is missing"), (deaf, "BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing")],
    ids=["no key", "no webhook secret"],
)
def test_what_is_missing_is_said_by_its_name(marcus: Page, missing: str) -> None:
    ask_top_up(marcus)
    explained(marcus, missing, "Whoever runs Bright Run sets it")
    close(marcus)
    if "KEY" in missing:
        say(marcus, "/brightrun invoices")
        explained(marcus, missing)


def heard(stage: Stage, event: Json, *, secret: str = WEBHOOK_SECRET) -> int:
    body, headers = signed(event, secret=secret)
    answer = httpx.post(f"{stage.url}/stripe/webhook", content=body, headers=headers, trust_env=False)
    stage.post()
    return answer.status_code


def test_a_top_up_is_refused_then_paid_credited_once_and_refunded(
    stage: Stage, elena: Page, marcus: Page, fake: FakeStripe
) -> None:
    ask_top_up(marcus)
    form = modal(marcus, TOP_UP_CALLBACK)
    expect(form).to_contain_text(TEST_MODE)
    for typed, sentence in (
        ("", ""),
        ("1", "Between $5.00 and $5,000.00 at once."),
        ("5000.01", "Between $5.00 and $5,000.00 at once."),
        ("a lot", "Type an amount in dollars, for example 200 or 1,250.50."),
    ):
        act(form, AMOUNT_ACTION).fill(typed)
        submit(marcus)
        expect(form.get_by_test_id("input-error")).to_contain_text(sentence, timeout=PATIENCE_MS)
    act(form, AMOUNT_ACTION).fill("200")
    give_role(stage, "U0MARCUS", Role.MEMBER)
    submit(marcus)
    expect(form).to_contain_text("Your role, member, may not change the budget.", timeout=PATIENCE_MS)
    give_role(stage, "U0MARCUS", Role.MANAGER)
    fake.be_down = 3
    submit(marcus)
    explained(marcus, "Stripe does not answer", "try again in a minute")
    close(marcus)
    ask_top_up(marcus)
    act(modal(marcus, TOP_UP_CALLBACK), AMOUNT_ACTION).fill("200")
    fake.key = "sk_test_renewed"
    submit(marcus)
    explained(marcus, "Stripe refuses our key.", "Whoever runs Bright Run renews BRIGHTRUN_STRIPE_KEY.")
    assert fake.sessions == {}
    close(marcus)
    fake.key = KEY
    ask_top_up(marcus)
    expect(form).to_contain_text("$500 of $500 is left this month")
    act(form, AMOUNT_ACTION).fill("$200")
    submit(marcus)
    window = modal(marcus, PAY_CALLBACK)
    explained(marcus, "Nothing is added before it is paid", TEST_MODE)
    # Nothing beyond this machine is asked for.
    marcus.context.route("https://**", lambda route: route.abort())
    with marcus.context.expect_event("page") as opened:
        act(window, ACTION_PAY).click()
    opened.value.close()
    (session,) = fake.sessions.values()
    expect(act(window, ACTION_PAY)).to_have_attribute("data-url", session["url"])
    marcus.get_by_test_id("modal-cancel").click()
    expect(marcus.get_by_test_id("modal")).to_have_count(0)
    paid = fake.pay(session["id"])
    assert heard(stage, paid, secret="whsec_of_somebody_else") == 400
    expect(marcus.locator("#main article")).to_have_count(0)
    assert [heard(stage, paid), heard(stage, paid)] == [200, 200]
    for page in (elena, marcus):
        told = page.locator("#main article", has_text="was added to the training budget")
        expect(told).to_have_count(1, timeout=PATIENCE_MS)
        expect(told).to_contain_text("$700 of $700 is left this month.")
        expect(told).to_contain_text(TEST_MODE)
    assert heard(stage, fake.refund(session["payment_intent"], 50_00)) == 200
    back = marcus.locator("#main article", has_text="of a top-up was refunded")
    expect(back).to_contain_text("$650 of $650 is left this month.", timeout=PATIENCE_MS)
    say(marcus, "/budget")
    expect(modal(marcus, BUDGET_CALLBACK)).to_contain_text("$150 of the limit was paid in")
