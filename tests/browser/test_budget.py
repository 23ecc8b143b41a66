"""The budget as a manager clicks it on a phone: the window, the form with its refusals, what people are told."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from blocks.audit import ACTION_CSV, AUDIT_CALLBACK
from blocks.budget import ACTION_AUDIT, ACTION_EXPORT, BUDGET_CALLBACK, EXPORT_CALLBACK
from blocks.budget_form import CHANGED_CALLBACK, FORM_CALLBACK, GRACE, LIMIT, REASON
from blocks.budget_notices import ACTION_CHANGE
from blocks.payments import ACTION_TOP_UP
from functions.budget_watch import watch_budgets
from functions.model.money import EntryKind
from functions.model.people import Role
from infra.clock import utc_now
from tests.browser.hands import PATIENCE_MS, act, choose, close, fits, give_role, modal, say, submit
from tests.scenario.house import TEAM
from tests.scenario.stage import CHANNEL, Stage

WHY = "Two more clients began this month; both have paid."


def test_a_manager_raises_the_limit_on_a_phone(stage: Stage, marcus: Page) -> None:
    say(marcus, "/budget")
    budget = modal(marcus, BUDGET_CALLBACK)
    expect(budget).to_contain_text("$500 of $500 left this month")
    expect(budget.locator("img.block-image")).to_have_count(1)
    assert fits(budget.locator(".modal-body"))
    act(budget, ACTION_CHANGE).click()
    form = modal(marcus, FORM_CALLBACK)
    assert fits(form.locator(".modal-body"))
    act(form, LIMIT).fill("750")
    marcus.get_by_test_id("modal-submit").click()
    expect(form).to_contain_text("A new limit needs a reason of at least 10 characters")
    act(form, REASON).fill(WHY)
    marcus.get_by_test_id("modal-submit").click()
    expect(modal(marcus, CHANGED_CALLBACK)).to_contain_text("The limit is $750 now")
    marcus.get_by_test_id("modal-close").click()
    expect(marcus.get_by_test_id("modal")).to_have_count(0)
    stage.post()
    expect(marcus.locator("#main article").last).to_contain_text("raised the training budget from $500 to $750")
    with stage.db.transaction() as tx:
        assert tx.ledger.rules(TEAM).limit_cents == 750_00


def refused(page: Page, sentence: str) -> None:
    """A window that says why not, and nothing to submit in it."""
    window = page.get_by_test_id("modal")
    expect(window).to_contain_text(sentence, timeout=PATIENCE_MS)
    expect(window).to_contain_text("An admin of Bright Run can change your role.")
    expect(page.get_by_test_id("modal-submit")).to_have_count(0)


def test_what_the_form_does_not_take(stage: Stage, marcus: Page) -> None:
    say(marcus, "/budget")
    act(modal(marcus, BUDGET_CALLBACK), ACTION_CHANGE).click()
    form = modal(marcus, FORM_CALLBACK)
    wrong = (
        ({LIMIT: "20000000", REASON: WHY}, "Between $0 and $10,000,000."),
        ({LIMIT: "7.505"}, "Whole cents"),
        ({LIMIT: "750", REASON: "More."}, "A new limit needs a reason of at least 10 characters"),
        ({GRACE: "101"}, "100"),
    )
    for typed, sentence in wrong:
        for field, value in typed.items():
            act(form, field).fill(value)
        submit(marcus)
        expect(form.get_by_test_id("input-error")).to_contain_text(sentence, timeout=PATIENCE_MS)
    act(form, LIMIT).fill("9000")
    act(form, GRACE).fill("10")
    act(form, REASON).fill(WHY)
    give_role(stage, "U0MARCUS", Role.MEMBER)
    submit(marcus)
    expect(form).to_contain_text("Your role, member, may not change the budget", timeout=PATIENCE_MS)
    give_role(stage, "U0MARCUS", Role.MANAGER)
    act(form, LIMIT).fill("500")
    submit(marcus)
    expect(modal(marcus, CHANGED_CALLBACK)).to_contain_text("Nothing was changed", timeout=PATIENCE_MS)
    with stage.db.transaction() as tx:
        assert tx.ledger.rules(TEAM).limit_cents == 500_00


def test_members_and_viewers_look_and_have_no_controls(stage: Stage, elena: Page, vic: Page) -> None:
    for page, offered, role in ((elena, "Ask for a higher limit…", "member"), (vic, "A budget manager can", "viewer")):
        say(page, "/budget")
        budget = modal(page, BUDGET_CALLBACK)
        expect(budget).to_contain_text(offered, timeout=PATIENCE_MS)
        assert fits(budget.locator(".modal-body"))
        for action in (ACTION_CHANGE, ACTION_EXPORT, ACTION_AUDIT, ACTION_TOP_UP):
            expect(act(budget, action)).to_have_count(0)
        close(page)
        say(page, "/budget audit")
        refused(page, f"Your role, {role}, may not read the audit log.")
        close(page)
        say(page, "/budget nonsense")
        expect(page.locator("#main")).to_contain_text("I don't know /budget nonsense", timeout=PATIENCE_MS)


def test_a_message_about_the_budget_leads_only_managers_to_the_form(stage: Stage, elena: Page, marcus: Page) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.append(team_id=TEAM, job_id=None, kind=EntryKind.ADJUST, cents=480_00, at=utc_now(), key="spent")
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"channel_id": CHANNEL}))
    watch_budgets(stage.logins.functions, clock=utc_now)
    stage.post()
    alert = "95 % of the training budget is used"
    act(elena.locator("#main article", has_text=alert), ACTION_CHANGE).click()
    refused(elena, "Your role, member, may not change the budget.")
    act(marcus.locator("#main article", has_text=alert), ACTION_CHANGE).click()
    expect(modal(marcus, FORM_CALLBACK)).to_contain_text("$480 is spent")


def test_the_role_is_asked_again_at_every_button(stage: Stage, marcus: Page) -> None:
    say(marcus, "/budget audit")
    log = modal(marcus, AUDIT_CALLBACK)
    expect(log).to_contain_text("Nothing matches")
    close(marcus)
    say(marcus, "/budget")
    budget = modal(marcus, BUDGET_CALLBACK)
    act(budget, ACTION_AUDIT).click()
    marcus.get_by_test_id("modal-back").click()
    give_role(stage, "U0MARCUS", Role.MEMBER)
    presses = (
        (ACTION_CHANGE, "Your role, member, may not change the budget."),
        (ACTION_EXPORT, "Your role, member, may not change the budget."),
        (ACTION_AUDIT, "Your role, member, may not read the audit log."),
        (ACTION_TOP_UP, "Your role, member, may not change the budget."),
    )
    for action, sentence in presses:
        act(budget, action).click()
        refused(marcus, sentence)
        marcus.get_by_test_id("modal-back").click()
    close(marcus)
    give_role(stage, "U0MARCUS", Role.MANAGER)
    say(marcus, "/budget")
    act(budget, ACTION_EXPORT).click()
    expect(modal(marcus, EXPORT_CALLBACK)).to_contain_text("in your direct messages")
    marcus.get_by_test_id("modal-back").click()
    act(budget, ACTION_AUDIT).click()
    expect(log).to_contain_text("exported the budget")
    choose(marcus, log, "audit_filters", "vic")
    expect(log).to_contain_text("Nothing matches", timeout=PATIENCE_MS)
    choose(marcus, log, "audit_filters", "marcus")
    expect(log).to_contain_text("exported the budget", timeout=PATIENCE_MS)
    act(log, ACTION_CSV).click()
    expect(modal(marcus, EXPORT_CALLBACK)).to_contain_text("bright-run-audit-", timeout=PATIENCE_MS)
    marcus.get_by_test_id("modal-back").click()
    give_role(stage, "U0MARCUS", Role.VIEWER)
    act(log, ACTION_CSV).click()
    refused(marcus, "Your role, viewer, may not read the audit log.")
