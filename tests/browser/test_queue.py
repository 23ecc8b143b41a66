"""The queue: when it is full, and who may move what to its front."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from blocks.approvals import ASKED_CALLBACK
from blocks.lifecycle import ACTION_CANCEL, ACTION_PROMOTE, CANCEL_CALLBACK, REASON_BLOCK, STOPPED_CALLBACK
from tests.browser.asking import Asking, another_file, confirmed, line_up
from tests.browser.hands import PATIENCE_MS, act, choose, close, explained, modal, open_review, start, submit
from tests.scenario.stage import ClockAhead, Stage


@pytest.fixture
def lined_up(stage: Stage, demo_file: Path, tmp_path: Path) -> None:
    line_up(stage, demo_file, tmp_path, "Training", "Waiting 1", "Waiting 2", "Waiting 3")


def move_to_front(page: Page, name: str) -> Locator:
    """Pressed on the run's card."""
    return act(page.locator("#main article", has_text=name).first, ACTION_PROMOTE)


def refused(page: Page, button: Locator, sentence: str) -> None:
    """A press that asks back, and then opens the reason why not instead of a form."""
    button.click()
    page.get_by_test_id("confirm-yes").click()
    explained(page, sentence)
    close(page)


@pytest.mark.usefixtures("lined_up")
def test_a_full_queue_says_how_full_and_what_to_do(stage: Stage, elena: Page, demo_file: Path, tmp_path: Path) -> None:
    another_file(stage, demo_file, tmp_path, 9)
    review = open_review(elena)
    start(elena, review)
    for said in ("Queue full: 3 of 3 runs are waiting and 1 is training.", "cancel one in /jobs"):
        expect(review.get_by_test_id("input-error")).to_contain_text(said, timeout=PATIENCE_MS)
    close(elena)
    assert stage.jobs() == 4


@pytest.mark.usefixtures("lined_up")
def test_who_moves_what_to_the_front(stage: Stage, elena: Page, marcus: Page, vic: Page) -> None:
    said = confirmed(vic, move_to_front(vic, "Waiting 2"))
    expect(said).to_contain_text("Your role, viewer, may not move runs to the front of the queue.")
    asking = Asking(stage, elena, marcus, ClockAhead())
    form = asking.promotion_draft(move_to_front(elena, "Waiting 3"))
    expect(form).to_contain_text("Start at the front")
    submit(elena)
    expect(modal(elena, ASKED_CALLBACK)).to_contain_text("It waits for a decision", timeout=PATIENCE_MS)
    close(elena)
    refused(elena, move_to_front(elena, "Waiting 3"), "You have asked for this already")
    expect(confirmed(marcus, move_to_front(marcus, "Waiting 2"))).to_contain_text("is the next one to start")
    # The cards of the others are not drawn anew yet.
    refused(elena, move_to_front(elena, "Waiting 2"), "Waiting 2 is the next one already")
    act(elena.locator("#main article", has_text="Waiting 3").first, ACTION_CANCEL).click()
    form = modal(elena, CANCEL_CALLBACK)
    choose(elena, form, REASON_BLOCK, "Too expensive")
    form.get_by_text("I understand that this cannot be undone").click()
    submit(elena)
    expect(modal(elena, STOPPED_CALLBACK)).to_contain_text("is cancelled", timeout=PATIENCE_MS)
    close(elena)
    said = confirmed(marcus, move_to_front(marcus, "Waiting 3"))
    expect(said).to_contain_text("Waiting 3 does not wait any more: it is cancelled.")
