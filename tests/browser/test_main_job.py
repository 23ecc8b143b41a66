"""The main job as people click it: real browser, real bot, real Postgres; only the machine is on paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from blocks.card import ACTION_DETAILS, ACTION_DOWNLOAD
from blocks.datasets import ACTION_ADD, ADD_CALLBACK, ADD_FILE_ACTION, CONFIRM_CALLBACK
from blocks.datasets import LIST_CALLBACK as FILES_CALLBACK
from blocks.download import ACTION_LINK
from blocks.home import ACTION_ALL_JOBS
from blocks.jobs import DETAILS_CALLBACK, LIST_CALLBACK
from blocks.review import CHECKLIST_BLOCK, REVIEW_CALLBACK, STARTED_CALLBACK
from blocks.train_form import (
    ACTION_FILE,
    ACTION_KNOWN_TAGS,
    ACTION_NEW_RUN,
    ACTION_NOTES,
    ACTION_STEPS,
    ACTION_TAGS,
    TRAIN_CALLBACK,
)
from functions.model.events import ArtifactStored, Failed
from functions.ports import MODEL_ARTIFACTS
from tests.browser.chromium import tab
from tests.browser.hands import PATIENCE_MS, act, card, fits, modal, say
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, Stage

FILE_NAME = "Nell Harrow, money mentor"
NOTES = "Does one more epoch help?\nAgainst last week's run."


def add_file(page: Page, path: Path) -> None:
    """/datasets → Add → the file → what its check found → confirmed."""
    say(page, "/datasets")
    expect(modal(page, FILES_CALLBACK)).to_contain_text("No training file yet")
    act(page, ACTION_ADD).click()
    act(modal(page, ADD_CALLBACK), ADD_FILE_ACTION).locator("input").set_input_files(path)
    expect(act(page, ADD_FILE_ACTION)).to_contain_text(path.name)
    page.get_by_test_id("modal-submit").click()
    report = modal(page, CONFIRM_CALLBACK)
    expect(report).to_contain_text("Ready for training")
    expect(report).to_contain_text("66 conversations")
    page.get_by_test_id("modal-submit").click()
    expect(modal(page, FILES_CALLBACK)).to_contain_text(f"{FILE_NAME} is one of the team's training files now")
    page.get_by_test_id("modal-cancel").click()
    expect(page.get_by_test_id("modal")).to_have_count(0)


def open_form(page: Page) -> Locator:
    """/train typed with its completion; the file searched and picked."""
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("/tr")
    expect(page.get_by_test_id("command-list").locator("[role=option]")).to_have_count(1)
    composer.press("Tab")
    expect(composer).to_have_value("/train ")
    composer.press("Enter")
    form = modal(page, TRAIN_CALLBACK)
    act(form, ACTION_FILE).click()
    page.keyboard.type("harrow")
    expect(page.get_by_test_id("options").locator("[role=option]")).to_contain_text([FILE_NAME])
    page.keyboard.press("Enter")
    expect(form).to_contain_text("219 training pairs", timeout=PATIENCE_MS)
    expect(form).to_contain_text("No finished runs like this one yet")
    return form


def fill_in(page: Page, form: Locator) -> None:
    """Notes and tags first, then what has the form drawn anew: both must still be there."""
    act(form, ACTION_NOTES).fill(NOTES)
    act(form, ACTION_KNOWN_TAGS).click()
    page.keyboard.type("poc")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    act(form, ACTION_TAGS).fill("nell")
    form.get_by_label("Balanced").check()
    expect(form).to_contain_text("from your last choice", timeout=PATIENCE_MS)
    expect(form).to_contain_text("Rank 16")
    act(form, ACTION_STEPS).fill("10")
    expect(form).to_contain_text("↓ $", timeout=PATIENCE_MS)
    expect(act(form, ACTION_NOTES)).to_have_value(NOTES)
    expect(act(form, ACTION_TAGS)).to_have_value("nell")
    expect(act(form, ACTION_KNOWN_TAGS)).to_contain_text("poc")


def start(page: Page, stage: Stage) -> None:
    """Review; not before all three ticks."""
    page.get_by_test_id("modal-submit").click()
    review = modal(page, REVIEW_CALLBACK)
    for expected in ("Balanced, medium risk", "stops after 10 steps", "poc, nell", "Does one more epoch help?"):
        expect(review).to_contain_text(expected)
    boxes = review.locator(f'[data-block-id="{CHECKLIST_BLOCK}"]').get_by_role("checkbox")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("input-error")).to_be_visible()
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("input-error")).to_contain_text("tick all three")
    assert stage.jobs() == 0
    boxes.nth(2).check()
    page.get_by_test_id("modal-submit").click()
    expect(modal(page, STARTED_CALLBACK)).to_contain_text("is queued")
    page.get_by_test_id("modal-close").click()
    assert stage.jobs() == 1


def watch(page: Page, stage: Stage) -> None:
    """The card stands in the channel once and changes in place while the machine speaks."""
    stage.post()
    expect(card(page)).to_contain_text("Queued")
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()
    expect(card(page)).to_contain_text("step 10 of 10")
    expect(card(page)).to_contain_text("Held-out 2.600")
    stored = ArtifactStored(name="adapters.zip", path="p/a.zip", bytes=7, sha256="0" * 64)
    stage.files.put(MODEL_ARTIFACTS, "p/a.zip", b"adapter")
    ended = [stored if isinstance(body, ArtifactStored) else body for body in ENDED]
    stage.tell(*ended, first=len(TRAINED) + 1)
    stage.post()
    expect(card(page)).to_contain_text("✓ Production ready")
    expect(card(page)).to_contain_text("20.0 → 13.0")
    expect(page.locator("#main article", has_text="Production ready")).to_have_count(1)


def read_thread(page: Page) -> None:
    """Milestones in their order, and pictures that are really there."""
    card(page).get_by_test_id("thread-link").click()
    thread = page.get_by_test_id("thread-panel")
    replies = thread.get_by_role("log").get_by_test_id("message")
    expect(replies).to_have_count(3)
    expect(replies).to_contain_text(["Training has started", "held-out loss 2.600", "35.0 % lower"])
    pictures = thread.locator("img.block-image")
    expect(pictures).to_have_count(2)
    for number in range(2):
        pictures.nth(number).scroll_into_view_if_needed()
        expect(pictures.nth(number)).to_have_js_property("complete", True)
        assert pictures.nth(number).evaluate("image => image.naturalWidth") >= 1000
    page.get_by_test_id("thread-close").click()


def fetch(page: Page) -> None:
    """Download → the link that only she sees → the file."""
    act(card(page), ACTION_DOWNLOAD).click()
    link = page.locator("#main article", has_text="Only visible to you")
    expect(link).to_contain_text("adapters.zip", timeout=PATIENCE_MS)
    # The link opens in a tab of its own, as links of an app do; the browser makes a download of it.
    with page.context.expect_event("page") as opened, page.context.expect_event("download") as started:
        act(link, ACTION_LINK).click()
    assert opened.value
    assert Path(started.value.path()).read_bytes() == b"adapter"


def test_the_main_job_clicked_through(stage: Stage, elena: Page, demo_file: Path) -> None:
    add_file(elena, demo_file)
    fill_in(elena, open_form(elena))
    start(elena, stage)
    watch(elena, stage)
    read_thread(elena)
    fetch(elena)
    with stage.db.transaction() as tx:
        assert tx.jobs.artifacts(stage.job().id)[0].downloads == 1
    assert stage.job().notes == NOTES


def test_a_viewer_watches_and_is_told_why_not(stage: Stage, elena: Page, browser: Browser, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    with tab(browser, f"{stage.workspace.base_url}/?user=U0VIEWER") as vic:
        stage.post()
        expect(card(vic)).to_contain_text("Queued")
        stage.reconciler.step()
        stage.tell(*TRAINED)
        stage.post()
        for page in (vic, elena):
            expect(card(page)).to_contain_text("step 10 of 10")
        say(vic, "/train")
        expect(vic.get_by_test_id("modal")).to_contain_text("Your role, viewer, may not start training runs")
        expect(vic.get_by_test_id("modal-submit")).to_have_count(0)
        vic.get_by_test_id("modal-close").click()
        vic.get_by_test_id("app-home").click()
        home = vic.get_by_test_id("app-home-view")
        expect(home).to_contain_text("Under way")
        expect(act(home, ACTION_NEW_RUN)).to_have_count(0)
    expect(elena.get_by_test_id("modal")).to_have_count(0)
    assert stage.jobs() == 1


def test_home_and_lists_lead_to_the_details_and_back(stage: Stage, elena: Page, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    job = stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.reconciler.step()
    stage.tell(*TRAINED, Failed(code="disk_full", what="The disk is full.", fixes=("Free 40 MB.",), step=10))
    say(elena, "/jobs")
    listed = modal(elena, LIST_CALLBACK)
    expect(listed).to_contain_text("✗ Failed")
    act(listed, ACTION_DETAILS).click()
    details = modal(elena, DETAILS_CALLBACK)
    for expected in (
        job.name,
        "The disk is full.",
        "Free some space, then try again",
        "Loss by step",
        "66 conversations",
    ):
        expect(details).to_contain_text(expected)
    elena.get_by_test_id("modal-back").click()
    expect(modal(elena, LIST_CALLBACK)).to_contain_text(job.name)
    elena.get_by_test_id("modal-close").click()
    elena.get_by_test_id("app-home").click()
    home = elena.get_by_test_id("app-home-view")
    expect(home).to_contain_text("of $500 left")
    expect(home).to_contain_text("✗ Failed")
    act(home, ACTION_ALL_JOBS).click()
    expect(modal(elena, LIST_CALLBACK)).to_contain_text(job.name)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(stage: Stage, browser: Browser, demo_file: Path, width: int) -> None:
    stage.add_demo_file(demo_file)
    stage.start()
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    stage.post()
    address = f"{stage.workspace.base_url}/?user=U0ELENA&channel={CHANNEL}&thread={stage.card()['ts']}"
    with tab(browser, address, width=width, height=844) as page:
        expect(page.get_by_test_id("thread-panel").locator("img.block-image")).to_have_count(2)
        assert fits(page.get_by_test_id("thread-panel").locator(".scroller"))
        page.get_by_test_id("thread-close").click()
        act(card(page), ACTION_DETAILS).click()
        assert fits(modal(page, DETAILS_CALLBACK).locator(".modal-body"))
