"""Stopping a run and deciding a request, as people click it in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from blocks.approvals import (
    ACTION_APPROVE,
    ACTION_ASK_START,
    ACTION_REJECT,
    ASK_CALLBACK,
    ASKED_CALLBACK,
    DETAILS_CALLBACK,
    REASON_ACTION,
    REJECT_CALLBACK,
)
from blocks.lifecycle import (
    ACTION_CANCEL,
    ACTION_PAUSE,
    ACTION_RESUME,
    CANCEL_CALLBACK,
    NOTES_ACTION,
    REASON_BLOCK,
    RESUME_CALLBACK,
    STOPPED_CALLBACK,
)
from blocks.review import REVIEW_CALLBACK
from functions.model.events import Interrupted
from functions.model.states import JobState
from tests.browser.hands import PATIENCE_MS, act, card, choose, modal
from tests.scenario.house import TEAM
from tests.scenario.paper import TRAINED
from tests.scenario.stage import Stage

pytestmark = pytest.mark.usefixtures("training_file")


def training(stage: Stage) -> None:
    stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()


def test_paused_resumed_and_cancelled(stage: Stage, elena: Page) -> None:
    training(stage)
    act(card(elena), ACTION_PAUSE).click()
    expect(elena.get_by_test_id("confirm-yes")).to_be_visible()
    elena.get_by_test_id("confirm-no").click()
    assert stage.job().stop is None
    act(card(elena), ACTION_PAUSE).click()
    elena.get_by_test_id("confirm-yes").click()
    expect(elena.locator("#main")).to_contain_text("saves where it is and frees its machine", timeout=PATIENCE_MS)
    stage.tell(Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    stage.post()
    expect(card(elena)).to_contain_text("costs nothing until it is resumed", timeout=PATIENCE_MS)

    act(card(elena), ACTION_RESUME).click()
    expect(modal(elena, RESUME_CALLBACK)).to_contain_text("goes on from the checkpoint of step 5")
    elena.get_by_test_id("modal-submit").click()
    expect(modal(elena, STOPPED_CALLBACK)).to_contain_text("in the queue again", timeout=PATIENCE_MS)
    elena.get_by_test_id("modal-cancel").click()
    stage.post()

    act(card(elena), ACTION_CANCEL).click()
    form = modal(elena, CANCEL_CALLBACK)
    act(form, NOTES_ACTION).fill("The client left.")
    choose(elena, form, REASON_BLOCK, "Too expensive")
    form.get_by_text("I understand that this cannot be undone").click()
    elena.get_by_test_id("modal-submit").click()
    expect(modal(elena, STOPPED_CALLBACK)).to_contain_text("is cancelled", timeout=PATIENCE_MS)
    stage.post()
    expect(card(elena)).to_contain_text("Too expensive", timeout=PATIENCE_MS)
    assert stage.job().state is JobState.CANCELLED


def ask(stage: Stage, elena: Page) -> None:
    """Over budget in the review, within the grace; asked with a reason."""
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_limit(TEAM, 53)
    stage.open_review()
    act(modal(elena, REVIEW_CALLBACK), ACTION_ASK_START).click()
    form = modal(elena, ASK_CALLBACK)
    act(form, REASON_ACTION).fill("The client sees it on Friday.")
    elena.get_by_test_id("modal-submit").click()
    expect(modal(elena, ASKED_CALLBACK)).to_contain_text("It waits for a decision", timeout=PATIENCE_MS)
    elena.get_by_test_id("modal-cancel").click()
    stage.post()


def request(page: Page) -> Locator:
    return page.locator("#main article", has_text="Approval needed").last


def test_approved_on_a_phone(stage: Stage, elena: Page, marcus: Page) -> None:
    ask(stage, elena)
    act(request(elena), ACTION_APPROVE).click()
    elena.get_by_test_id("confirm-yes").click()
    expect(elena.locator("#main")).to_contain_text("may not decide this", timeout=PATIENCE_MS)
    waiting = request(marcus)
    expect(waiting).to_contain_text("The client sees it on Friday.")
    expect(waiting).to_contain_text("grace covers")
    act(waiting, ACTION_APPROVE).click()
    marcus.get_by_test_id("confirm-yes").click()
    expect(marcus.locator("#main")).to_contain_text(": approved.", timeout=PATIENCE_MS)
    stage.post()
    for page in (elena, marcus):
        expect(request(page)).to_contain_text("✓ Approved", timeout=PATIENCE_MS)
        expect(act(request(page), ACTION_APPROVE)).to_have_count(0)
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()
    expect(request(elena)).to_contain_text("Approved and launched", timeout=PATIENCE_MS)


def test_declined_with_a_reason(stage: Stage, elena: Page, marcus: Page) -> None:
    ask(stage, elena)
    act(request(marcus), ACTION_REJECT).click()
    form = modal(marcus, REJECT_CALLBACK)
    act(form, REASON_ACTION).fill("Not this month.")
    marcus.get_by_test_id("modal-submit").click()
    expect(modal(marcus, DETAILS_CALLBACK)).to_contain_text("Declined", timeout=PATIENCE_MS)
    stage.post()
    expect(request(elena)).to_contain_text("Not this month.", timeout=PATIENCE_MS)
    expect(request(elena)).to_contain_text("Declined")
