"""Asking for what somebody else decides, and deciding it: each by the buttons that people press."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from blocks.approvals import (
    ACTION_APPROVAL_DETAILS,
    ACTION_APPROVE,
    ACTION_ASK_LIMIT,
    ACTION_ASK_START,
    ACTION_REJECT,
    ACTION_WITHDRAW,
    ASK_CALLBACK,
    ASK_LIMIT_CALLBACK,
    ASKED_CALLBACK,
    DETAILS_CALLBACK,
    LIMIT_ACTION,
    REASON_ACTION,
    REJECT_CALLBACK,
)
from blocks.budget import BUDGET_CALLBACK
from blocks.lifecycle import ACTION_PROMOTE
from blocks.review import REVIEW_CALLBACK
from functions import approvals
from functions.model.approval import Approval, ApprovalState
from functions.model.training_file import TrainingFile
from infra.clock import utc_now
from tests.browser.hands import PATIENCE_MS, act, close, modal, on_screen, say, submit
from tests.scenario.house import TEAM, SetClock, add_demo_file, start
from tests.scenario.stage import ClockAhead, Stage

WHY = "The client sees it on Friday, and the smaller run fell short on tax questions."
WHY_NOT = "Not this month."


@dataclass
class Asking:
    """Somebody who asks and somebody who decides, each before a screen."""

    stage: Stage
    asker: Page
    decider: Page
    clock: ClockAhead

    def limit(self, dollars: int) -> None:
        """/budget → Ask for a higher limit…"""
        say(self.asker, "/budget")
        act(modal(self.asker, BUDGET_CALLBACK), ACTION_ASK_LIMIT).click()
        form = modal(self.asker, ASK_LIMIT_CALLBACK)
        act(form, LIMIT_ACTION).fill(str(dollars))
        act(form, REASON_ACTION).fill(WHY)
        self._asked()

    def draft(self, **given: Any) -> Locator:
        """The review of a run that may not start by itself → Ask for approval…"""
        self.stage.open_review(**given)
        act(modal(self.asker, REVIEW_CALLBACK), ACTION_ASK_START).click()
        form = modal(self.asker, ASK_CALLBACK)
        act(form, REASON_ACTION).fill(WHY)
        return form

    def start(self, **given: Any) -> None:
        """A draft that is put before the managers."""
        self.draft(**given)
        self._asked()

    def promotion(self) -> None:
        """Move to front on the newest card that has it, pressed by a member, who says why."""
        self.promotion_draft(self.asker.locator(f'[data-action-id="{ACTION_PROMOTE}"]').last)
        self._asked()

    def promotion_draft(self, button: Locator) -> Locator:
        """The form behind Move to front, filled in."""
        button.click()
        self.asker.get_by_test_id("confirm-yes").click()
        form = modal(self.asker, ASK_CALLBACK)
        act(form, REASON_ACTION).fill(WHY)
        return form

    def _asked(self) -> None:
        submit(self.asker)
        expect(modal(self.asker, ASKED_CALLBACK)).to_contain_text("It waits for a decision", timeout=PATIENCE_MS)
        close(self.asker)
        self.stage.post()

    def approve(self) -> None:
        """Approve…, confirmed."""
        press_approve(self.decider)

    def decline(self) -> None:
        """Decline…, with a reason."""
        act(request(self.decider), ACTION_REJECT).click()
        form = modal(self.decider, REJECT_CALLBACK)
        act(form, REASON_ACTION).fill(WHY_NOT)
        submit(self.decider)
        expect(modal(self.decider, DETAILS_CALLBACK)).to_contain_text("Declined", timeout=PATIENCE_MS)
        close(self.decider)

    def withdraw(self) -> None:
        """Details → Withdraw, by the one who asked; the window says at once what became of it."""
        act(request(self.asker), ACTION_APPROVAL_DETAILS).click()
        details = modal(self.asker, DETAILS_CALLBACK)
        act(details, ACTION_WITHDRAW).click()
        expect(details).to_contain_text("Withdrawn", timeout=PATIENCE_MS)
        expect(act(details, ACTION_WITHDRAW)).to_have_count(0)
        close(self.asker)

    def wait(self, hours: float) -> None:
        """Nobody does anything for so long, and the reconciler looks after what has expired."""
        self.pass_hours(hours)
        approvals.sweep(self.stage.db, clock=self.clock)

    def pass_hours(self, hours: float) -> None:
        """For the bot and for what sends its messages."""
        self.clock.forward(hours=hours)
        self.stage.ahead.forward(hours=hours)

    def became(self, state: ApprovalState, said: str) -> None:
        """Every copy says it and has lost its buttons, and it is true."""
        self.stage.post()
        for page in (self.asker, self.decider):
            expect(request(page)).to_contain_text(said, timeout=PATIENCE_MS)
            expect(act(request(page), ACTION_APPROVE)).to_have_count(0)
            expect(act(request(page), ACTION_REJECT)).to_have_count(0)
        assert self.newest().state is state

    def newest(self) -> Approval:
        """The last request that was made."""
        with self.stage.db.transaction() as tx:
            return max(tx.approvals.open_before(tuple(ApprovalState)), key=lambda made: made.created_at)

    def limit_is(self, cents: int, **rules: Any) -> None:
        """Somebody changes the budget meanwhile."""
        with self.stage.db.transaction() as tx:
            tx.ledger.lock_limit(TEAM)
            tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"limit_cents": cents, **rules}))


def line_up(stage: Stage, demo_file: Path, folder: Path, *names: str) -> None:
    """Runs on files of their own: the first one trains, the others wait."""
    for number, name in enumerate(names):
        start(stage.db, stage.files, another_file(stage, demo_file, folder, number), SetClock(utc_now()), name=name)
        stage.reconciler.step()
        stage.post()


def another_file(stage: Stage, demo_file: Path, folder: Path, number: int) -> TrainingFile:
    """The demo's file with some blanks, which is another file."""
    path = folder / f"copy-{number}.json"
    path.write_bytes(demo_file.read_bytes() + b" " * number)
    return add_demo_file(stage.db, stage.files, path, SetClock(utc_now()))


def request(page: Page) -> Locator:
    """The newest copy of a request in the conversation that is open."""
    return page.locator("#main article", has=page.locator(f'[data-action-id="{ACTION_APPROVAL_DETAILS}"]')).last


def press_approve(page: Page) -> Locator:
    """Approve…, confirmed; what is told in private then."""
    return confirmed(page, act(request(page), ACTION_APPROVE))


def confirmed(page: Page, button: Locator) -> Locator:
    """A press that asks back; what is told in private then."""
    private = page.locator("#main article", has_text="Only visible to you")
    before = private.count()
    button.click()
    assert on_screen(page, page.get_by_test_id("confirm"))
    page.get_by_test_id("confirm-yes").click()
    expect(private).to_have_count(before + 1, timeout=PATIENCE_MS)
    return private.last
