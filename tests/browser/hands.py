"""What people's hands do at the page: type, press, choose, and wait for what comes of it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from blocks.card import ACTION_DETAILS
from blocks.review import CHECKLIST_BLOCK, REVIEW_CALLBACK
from blocks.train_form import ACTION_FILE, TRAIN_CALLBACK
from functions.model.people import Role
from tests.scenario.house import TEAM
from tests.scenario.stage import Stage

# The first check of a file loads the tokenizer; on a busy machine that takes long.
PATIENCE_MS = 40_000


def act(place: Page | Locator, action_id: str) -> Locator:
    """The first element with this action."""
    return place.locator(f'[data-action-id="{action_id}"]').first


def modal(page: Page, callback_id: str) -> Locator:
    """The open modal of this kind; waits until it is there."""
    found = page.locator(f'[data-view-callback="{callback_id}"]')
    expect(found).to_be_visible(timeout=PATIENCE_MS)
    return found


def say(page: Page, text: str) -> None:
    """Type it below the channel and send it."""
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("composer").press("Enter")


def choose(page: Page, place: Locator, block_id: str, option: str) -> None:
    """Open a select and take an option."""
    place.locator(f'[data-block-id="{block_id}"] [role=combobox], [data-block-id="{block_id}"] button').first.click()
    page.get_by_role("option", name=option).click()


def card(page: Page) -> Locator:
    """The newest message of the channel that carries a run."""
    return page.locator("#main article", has=page.locator(f'[data-action-id="{ACTION_DETAILS}"]')).last


def fits(place: Locator) -> Any:
    """Whether nothing has to be scrolled sideways."""
    return place.evaluate("node => node.scrollWidth <= node.clientWidth && document.body.scrollWidth <= innerWidth")


def on_screen(page: Page, place: Locator) -> bool:
    """Whether it is wholly between the screen's sides."""
    box, screen = place.bounding_box(), page.viewport_size
    assert box is not None
    assert screen is not None
    return box["x"] >= 0 and box["x"] + box["width"] <= screen["width"]


def submit(page: Page) -> None:
    """The window's own button."""
    page.get_by_test_id("modal-submit").click()


def close(page: Page) -> None:
    """The window and all below it."""
    page.get_by_test_id("modal-close").click()
    expect(page.get_by_test_id("modal")).to_have_count(0)


def explained(page: Page, *sentences: str) -> None:
    """The window says why not, and has nothing to submit."""
    window = page.get_by_test_id("modal")
    for sentence in sentences:
        expect(window).to_contain_text(sentence, timeout=PATIENCE_MS)
    expect(page.get_by_test_id("modal-submit")).to_have_count(0)
    assert fits(window.locator(".modal-body"))


def give_role(stage: Stage, user_id: str, role: Role) -> None:
    """An admin has changed it meanwhile."""
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, user_id, role)


def open_train(page: Page) -> Locator:
    """/train with the first training file chosen."""
    say(page, "/train")
    form = modal(page, TRAIN_CALLBACK)
    act(form, ACTION_FILE).click()
    expect(page.get_by_test_id("options").locator("[role=option]").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(form).to_contain_text("training pairs", timeout=PATIENCE_MS)
    return form


def open_review(page: Page) -> Locator:
    """The same, and on to the review."""
    open_train(page)
    submit(page)
    return modal(page, REVIEW_CALLBACK)


def start(page: Page, review: Locator) -> None:
    """All three ticks, and Start training."""
    boxes = review.locator(f'[data-block-id="{CHECKLIST_BLOCK}"]').get_by_role("checkbox")
    for number in range(3):
        boxes.nth(number).check()
    submit(page)
