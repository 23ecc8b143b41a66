"""A run that may not start by itself: what is refused to whom, and what is offered instead."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from blocks.approvals import ACTION_ASK_LIMIT, ACTION_ASK_START, LIMIT_ACTION, REASON_ACTION
from blocks.over_budget import OVERRIDE_ACTION
from blocks.review import ACTION_QUOTE, STARTED_CALLBACK
from functions.model.people import Role
from tests.browser.asking import WHY, Asking
from tests.browser.hands import PATIENCE_MS, act, close, fits, give_role, modal, open_review, start, submit
from tests.scenario.stage import ClockAhead, Stage

pytestmark = pytest.mark.usefixtures("training_file")
REASON = "The client's contract ends tonight, and the money comes back with the next one."


@pytest.fixture
def asking(stage: Stage, elena: Page, marcus: Page, clock: ClockAhead) -> Asking:
    return Asking(stage, elena, marcus, clock)


def refused(page: Page, place: Locator, *sentences: str) -> None:
    """Submitted, and told why not at a field."""
    submit(page)
    for sentence in sentences:
        expect(place.get_by_test_id("input-error")).to_contain_text(sentence, timeout=PATIENCE_MS)


def explained(page: Page, review: Locator, action: str, *sentences: str) -> None:
    """A press in the review that opens the reason why not, and the way back to the review."""
    act(review, action).click()
    for sentence in sentences:
        expect(page.get_by_test_id("modal")).to_contain_text(sentence, timeout=PATIENCE_MS)
    expect(page.get_by_test_id("modal-submit")).to_have_count(0)
    page.get_by_test_id("modal-back").click()
    expect(review).to_be_visible()


def test_what_cannot_be_asked(asking: Asking) -> None:
    page, stage = asking.asker, asking.stage
    asking.limit_is(1)
    review = open_review(page)
    explained(page, review, ACTION_ASK_START, "an approval covers $0.00 at most", "Ask for a higher limit")
    act(review, ACTION_ASK_LIMIT).click()
    form = page.get_by_test_id("modal")
    act(form, LIMIT_ACTION).fill("0")
    act(form, REASON_ACTION).fill(WHY)
    refused(page, form, "Ask for more than the $0.01 of now")
    act(form, LIMIT_ACTION).fill("700")
    give_role(stage, "U0MARCUS", Role.MEMBER)
    refused(page, form, "Nobody here could decide this. An admin makes somebody a manager first.")
    give_role(stage, "U0MARCUS", Role.MANAGER)
    give_role(stage, "U0ELENA", Role.VIEWER)
    refused(page, form, "Your role, viewer, may not start training runs.")
    give_role(stage, "U0ELENA", Role.MEMBER)
    submit(page)
    expect(page.get_by_test_id("modal")).to_contain_text("It waits for a decision", timeout=PATIENCE_MS)
    close(page)
    review = open_review(page)
    act(review, ACTION_ASK_LIMIT).click()
    act(form, LIMIT_ACTION).fill("700")
    act(form, REASON_ACTION).fill(WHY)
    refused(page, form, "You have asked for this already; it waits for a decision.")
    close(page)

    asking.limit_is(53)
    review = open_review(page)
    act(review, ACTION_ASK_START).click()
    form = page.get_by_test_id("modal")
    act(form, REASON_ACTION).fill(WHY)
    give_role(stage, "U0ELENA", Role.VIEWER)
    refused(page, form, "Your role, viewer, may not start training runs.")
    give_role(stage, "U0ELENA", Role.MEMBER)
    asking.wait(hours=3)
    refused(page, form, "This form has lain open for too long. Go back and ask anew.")
    page.get_by_test_id("modal-back").click()
    asking.limit_is(500_00)
    explained(page, review, ACTION_ASK_START, "This fits in the budget now.", "Go back and start it.")
    start(page, review)
    expect(modal(page, STARTED_CALLBACK)).to_contain_text("is queued", timeout=PATIENCE_MS)


def test_a_manager_passes_the_limit_on_a_phone_and_nobody_passes_a_hard_stop(asking: Asking) -> None:
    page, stage = asking.decider, asking.stage
    asking.limit_is(1)
    review = open_review(page)
    assert fits(review.locator(".modal-body"))
    expect(review).to_contain_text("Over budget: up to")
    start(page, review)
    expect(review.get_by_test_id("input-error")).to_contain_text("too little", timeout=PATIENCE_MS)
    act(review, OVERRIDE_ACTION).fill("Urgent.")
    refused(page, review, "At least 50 characters; this has 7. Say why it cannot wait.")
    act(review, OVERRIDE_ACTION).fill(REASON)
    give_role(stage, "U0MARCUS", Role.MEMBER)
    refused(page, review, "Your role, member, may not pass the budget's limit.")
    give_role(stage, "U0MARCUS", Role.MANAGER)
    asking.limit_is(1, hard_stop=True)
    refused(page, review, "Nothing may pass the limit here.")
    assert stage.jobs() == 0
    asking.limit_is(1, hard_stop=False)
    submit(page)
    expect(modal(page, STARTED_CALLBACK)).to_contain_text("is queued", timeout=PATIENCE_MS)
    assert stage.jobs() == 1


def test_a_member_over_a_hard_stop_and_without_a_budget(asking: Asking) -> None:
    page, stage = asking.asker, asking.stage
    asking.limit_is(1, hard_stop=True)
    review = open_review(page)
    expect(review).to_contain_text("not even with an approval")
    expect(act(review, ACTION_ASK_START)).to_have_count(0)
    start(page, review)
    expect(review.get_by_test_id("input-error")).to_contain_text("Nothing may pass the limit here", timeout=PATIENCE_MS)
    asking.limit_is(1, hard_stop=False)
    refused(page, review, "too little", "ask a budget manager to raise the limit")
    act(review, ACTION_QUOTE).click()
    expect(review).to_contain_text("✓ The estimate is in your direct messages", timeout=PATIENCE_MS)
    stage.client.control("faults", {"method": "files.getUploadURLExternal", "kind": "error", "error": "fatal_error"})
    act(review, ACTION_QUOTE).click()
    expect(review).to_contain_text("⚠ The PDF could not be sent. A message to you says why.", timeout=PATIENCE_MS)
    give_role(stage, "U0ELENA", Role.VIEWER)
    refused(page, review, "Your role, viewer, may not start training runs.")
    explained(page, review, ACTION_QUOTE, "Your role, viewer, may not start training runs.")
    assert stage.jobs() == 0
