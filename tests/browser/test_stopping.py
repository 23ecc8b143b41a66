"""Pausing, resuming and cancelling a run, and taking it up again with too little money, as people click it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from blocks.again import ACTION_AGAIN, AGAIN_CALLBACK
from blocks.approvals import ACTION_ASK_LIMIT, ASK_LIMIT_CALLBACK
from blocks.failure import ACTION_RETRY
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
from blocks.over_budget import REFUSAL_CALLBACK
from functions.model.events import Failed, Interrupted
from functions.model.states import JobState
from tests.browser.hands import PATIENCE_MS, act, card, choose, close, modal
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
    form = modal(elena, RESUME_CALLBACK)
    expect(form).to_contain_text("goes on from the checkpoint of step 5")
    limit_is(stage, 0)
    elena.get_by_test_id("modal-submit").click()
    refusal = modal(elena, REFUSAL_CALLBACK)
    expect(refusal).to_contain_text("too little")
    expect(act(refusal, ACTION_ASK_LIMIT)).to_be_visible()
    elena.get_by_test_id("modal-back").click()
    expect(form).to_be_visible()
    limit_is(stage, 500_00)
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


def test_a_failed_run_that_does_not_fit_in_the_budget_any_more(stage: Stage, elena: Page) -> None:
    training(stage)
    stage.tell(Failed(code="disk_full", what="The disk is full.", step=10), first=len(TRAINED) + 1)
    stage.post()
    limit_is(stage, 0)
    for press in (ACTION_RETRY, ACTION_AGAIN):
        act(card(elena), press).click()
        form = modal(elena, AGAIN_CALLBACK)
        expect(form).to_contain_text("A budget manager can raise the limit.", timeout=PATIENCE_MS)
        elena.get_by_test_id("modal-submit").click()
        act(modal(elena, REFUSAL_CALLBACK), ACTION_ASK_LIMIT).click()
        expect(modal(elena, ASK_LIMIT_CALLBACK)).to_contain_text("For this run", timeout=PATIENCE_MS)
        close(elena)
    assert stage.jobs() == 1
    assert stage.job().state is JobState.FAILED


def limit_is(stage: Stage, cents: int) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_limit(TEAM, cents)
