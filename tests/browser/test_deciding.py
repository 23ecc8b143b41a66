"""Who may not decide, or too late, or without saying why: each refusal as they meet it on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from blocks.approvals import (
    ACTION_APPROVAL_DETAILS,
    ACTION_APPROVE,
    ACTION_BREAK_GLASS,
    ACTION_REJECT,
    ACTION_WITHDRAW,
    BREAK_GLASS_CALLBACK,
    DETAILS_CALLBACK,
    REASON_ACTION,
    REJECT_CALLBACK,
)
from functions.model.approval import ApprovalState
from functions.model.people import Role
from tests.browser.asking import WHY_NOT, Asking, press_approve, request
from tests.browser.chromium import tab
from tests.browser.conftest import HEIGHT, PHONE_WIDTH
from tests.browser.hands import PATIENCE_MS, act, close, fits, give_role, modal, submit
from tests.scenario.stage import ClockAhead, Stage

EMERGENCY = "Marcus is on a plane, and the client's demo begins in an hour."


@pytest.fixture
def asking(stage: Stage, elena: Page, marcus: Page, clock: ClockAhead) -> Asking:
    return Asking(stage, elena, marcus, clock)


def refused_window(page: Page, action: str, text: str) -> None:
    """A press that would open a form opens the reason why not."""
    act(request(page), action).click()
    window = page.get_by_test_id("modal")
    expect(window).to_contain_text(text, timeout=PATIENCE_MS)
    expect(page.get_by_test_id("modal-submit")).to_have_count(0)
    assert fits(window.locator(".modal-body"))
    close(page)


def test_viewers_and_members_are_told_who_may_also_after_a_role_was_lost(asking: Asking, vic: Page) -> None:
    asking.limit(600)
    for page, role in ((vic, "viewer"), (asking.asker, "member")):
        refusal = f"Your role, {role}, may not decide this."
        for said in (refusal, "A budget manager or an admin can"):
            expect(press_approve(page)).to_contain_text(said)
        refused_window(page, ACTION_REJECT, refusal)
    act(request(vic), ACTION_APPROVAL_DETAILS).click()
    details = modal(vic, DETAILS_CALLBACK)
    expect(act(details, ACTION_WITHDRAW)).to_have_count(0)
    expect(act(details, ACTION_BREAK_GLASS)).to_have_count(0)

    act(request(asking.decider), ACTION_REJECT).click()
    form = modal(asking.decider, REJECT_CALLBACK)
    submit(asking.decider)
    expect(form.get_by_test_id("input-error")).to_be_visible()
    act(form, REASON_ACTION).fill(WHY_NOT)
    give_role(asking.stage, "U0MARCUS", Role.MEMBER)
    submit(asking.decider)
    expect(form).to_contain_text("Your role, member, may not decide this", timeout=PATIENCE_MS)
    close(asking.decider)
    give_role(asking.stage, "U0MARCUS", Role.MANAGER)
    act(request(asking.decider), ACTION_APPROVE).click()
    expect(asking.decider.get_by_test_id("confirm-yes")).to_be_visible()
    give_role(asking.stage, "U0MARCUS", Role.VIEWER)
    asking.decider.get_by_test_id("confirm-yes").click()
    expect(asking.decider.locator("#main")).to_contain_text("Your role, viewer, may not decide", timeout=PATIENCE_MS)
    assert asking.newest().state is ApprovalState.PENDING


def test_nobody_decides_their_own_request_and_an_admin_breaks_the_glass(asking: Asking) -> None:
    asker = asking.asker
    asking.limit(600)
    give_role(asking.stage, "U0ELENA", Role.MANAGER)
    expect(press_approve(asker)).to_contain_text("Another manager has to.")
    refused_window(asker, ACTION_REJECT, "Nobody decides their own request")
    give_role(asking.stage, "U0ELENA", Role.ADMIN)
    expect(press_approve(asker)).to_contain_text("an admin can break the glass")
    act(request(asker), ACTION_APPROVAL_DETAILS).click()
    act(modal(asker, DETAILS_CALLBACK), ACTION_BREAK_GLASS).click()
    form = modal(asker, BREAK_GLASS_CALLBACK)
    act(form, REASON_ACTION).fill("Urgent.")
    submit(asker)
    expect(form.get_by_test_id("input-error")).to_contain_text("50")
    act(form, REASON_ACTION).fill(" " * 50 + "Urgent.")
    submit(asker)
    expect(form.get_by_test_id("input-error")).to_contain_text("Justify it in at least 50 characters")
    act(form, REASON_ACTION).fill(EMERGENCY)
    give_role(asking.stage, "U0ELENA", Role.MANAGER)
    submit(asker)
    expect(form).to_contain_text("Only an admin can break the glass", timeout=PATIENCE_MS)
    give_role(asking.stage, "U0ELENA", Role.ADMIN)
    submit(asker)
    expect(modal(asker, DETAILS_CALLBACK)).to_contain_text("Break-glass: Marcus is on a plane", timeout=PATIENCE_MS)
    asker.get_by_test_id("modal-cancel").click()
    expect(asker.get_by_test_id("modal")).to_have_count(0)
    asking.became(ApprovalState.APPROVED, "Break-glass: Marcus is on a plane")


def approved(asking: Asking) -> None:
    asking.approve()


def outdated(asking: Asking) -> None:
    """The limit has changed since, so what Marcus approves is not what was asked."""
    asking.limit_is(590_00)
    asking.approve()


def sleep(asking: Asking) -> None:
    """Its time is over, and nobody has swept yet."""
    asking.pass_hours(25)


TOO_LATE: tuple[tuple[Callable[[Asking], None], str], ...] = (
    (Asking.decline, "This request is declined already."),
    (Asking.withdraw, "This request was withdrawn by the person who asked."),
    (sleep, "This request has expired."),
    (outdated, "This request is superseded already."),
    (approved, "This request is approved already."),
)


def test_too_late(asking: Asking, ada: Page) -> None:
    """Another manager's phone still shows the buttons: nothing is posted between the two presses."""
    give_role(asking.stage, "U0ADA", Role.ADMIN)
    for number, (first, refusal) in enumerate(TOO_LATE):
        asking.limit(600 + number)
        first(asking)
        expect(press_approve(ada)).to_contain_text(refusal)
        refused_window(ada, ACTION_REJECT, refusal)
        asking.stage.post()

    # The same in windows that were open before.
    asking.limit(700)
    act(request(ada), ACTION_REJECT).click()
    form = modal(ada, REJECT_CALLBACK)
    act(form, REASON_ACTION).fill(WHY_NOT)
    act(request(asking.asker), ACTION_APPROVAL_DETAILS).click()
    details = modal(asking.asker, DETAILS_CALLBACK)
    asking.approve()
    submit(ada)
    expect(form).to_contain_text("This request is approved already. Its Details say who did that", timeout=PATIENCE_MS)
    act(details, ACTION_WITHDRAW).click()
    window = asking.asker.get_by_test_id("modal")
    expect(window).to_contain_text("This request is approved already", timeout=PATIENCE_MS)


def test_reminded_escalated_and_decided_in_a_direct_message(asking: Asking, browser: Browser) -> None:
    """An admin who was not asked at first finds the request in their own conversation with the bot."""
    asking.limit(600)
    give_role(asking.stage, "U0ADA", Role.ADMIN)
    asking.wait(hours=13)
    asking.stage.post()
    expect(request(asking.decider)).to_contain_text("Reminder", timeout=PATIENCE_MS)
    asking.wait(hours=9)
    asking.stage.post()
    expect(request(asking.decider)).to_contain_text("The admins have been asked as well", timeout=PATIENCE_MS)
    address = f"{asking.stage.workspace.base_url}/?user=U0ADA&channel=D0ADA"
    with tab(browser, address, width=PHONE_WIDTH, height=HEIGHT) as ada:
        expect(press_approve(ada)).to_contain_text("The limit is $600.00 now.")
        asking.became(ApprovalState.APPROVED, "✓ Approved")
        expect(request(ada)).to_contain_text("✓ Approved", timeout=PATIENCE_MS)
        expect(act(request(ada), ACTION_APPROVE)).to_have_count(0)
        assert fits(ada.locator("#main"))
