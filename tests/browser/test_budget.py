"""The budget as a manager clicks it on a phone: the window, the form with its refusals, what people are told."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from blocks.audit import AUDIT_CALLBACK
from blocks.budget import ACTION_AUDIT, ACTION_EXPORT, BUDGET_CALLBACK, EXPORT_CALLBACK
from blocks.budget_form import CHANGED_CALLBACK, FORM_CALLBACK, LIMIT, REASON
from blocks.budget_notices import ACTION_CHANGE
from functions.model.people import Role
from tests.browser.hands import act, fits, modal, say
from tests.scenario.house import TEAM
from tests.scenario.stage import Stage

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
    expect(marcus.locator("#main article").last).to_contain_text("raised the monthly training budget from $500 to $750")
    with stage.db.transaction() as tx:
        assert tx.ledger.rules(TEAM).limit_cents == 750_00


def test_exports_and_the_audit_log_open_on_top_and_lead_back(stage: Stage, marcus: Page) -> None:
    say(marcus, "/budget")
    act(modal(marcus, BUDGET_CALLBACK), ACTION_EXPORT).click()
    expect(modal(marcus, EXPORT_CALLBACK)).to_contain_text("in your direct messages with Bright Run")
    marcus.get_by_test_id("modal-back").click()
    act(modal(marcus, BUDGET_CALLBACK), ACTION_AUDIT).click()
    log = modal(marcus, AUDIT_CALLBACK)
    expect(log).to_contain_text("exported the budget")
    assert fits(log.locator(".modal-body"))


def test_somebody_who_lost_the_role_is_told_so_at_the_form(stage: Stage, marcus: Page) -> None:
    say(marcus, "/budget")
    act(modal(marcus, BUDGET_CALLBACK), ACTION_CHANGE).click()
    form = modal(marcus, FORM_CALLBACK)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MEMBER)
    act(form, LIMIT).fill("9000")
    act(form, REASON).fill(WHY)
    marcus.get_by_test_id("modal-submit").click()
    expect(form).to_contain_text("Your role, member, may not change the budget")
    with stage.db.transaction() as tx:
        assert tx.ledger.rules(TEAM).limit_cents == 500_00
