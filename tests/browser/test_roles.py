"""Roles as an admin changes them on a phone, and what everybody else is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from blocks.roles import PERSON, ROLE, ROLES_CALLBACK
from functions.model.people import Role
from tests.browser.hands import PATIENCE_MS, choose, close, fits, give_role, modal, say, submit
from tests.scenario.house import TEAM
from tests.scenario.stage import Stage


@pytest.fixture
def roles(stage: Stage, ada: Page) -> Locator:
    """The admin's window."""
    give_role(stage, "U0ADA", Role.ADMIN)
    say(ada, "/brightrun roles")
    return modal(ada, ROLES_CALLBACK)


def role_of(stage: Stage, user_id: str) -> Role | None:
    with stage.db.transaction() as tx:
        return tx.people.role(TEAM, user_id)


def change(page: Page, window: Locator, person: str, role: str) -> None:
    choose(page, window, PERSON, person)
    window.locator(f'[data-block-id="{ROLE}"]').get_by_label(role).check()
    submit(page)


def test_who_is_no_admin_is_told_so(stage: Stage, marcus: Page, elena: Page, vic: Page) -> None:
    for page, role in ((marcus, "manager"), (elena, "member"), (vic, "viewer")):
        say(page, "/brightrun roles")
        refused = page.get_by_test_id("modal")
        expect(refused).to_contain_text(f"Your role, {role}, may not change roles.", timeout=PATIENCE_MS)
        expect(refused).to_contain_text("An admin of Bright Run can change your role.")
        expect(page.get_by_test_id("modal-submit")).to_have_count(0)
        close(page)


def test_an_admin_changes_roles_and_never_the_last_admins(stage: Stage, ada: Page, roles: Locator) -> None:
    assert fits(roles.locator(".modal-body"))
    submit(ada)
    expect(roles.get_by_test_id("input-error").first).to_be_visible()
    change(ada, roles, "ada", "Member")
    expect(roles).to_contain_text("This is the last admin. Make somebody else an admin first.", timeout=PATIENCE_MS)
    assert role_of(stage, "U0ADA") is Role.ADMIN
    give_role(stage, "U0ADA", Role.MANAGER)
    change(ada, roles, "ada", "Admin")
    expect(roles).to_contain_text("Your role, manager, may not change roles.", timeout=PATIENCE_MS)
    give_role(stage, "U0ADA", Role.ADMIN)
    change(ada, roles, "priya", "Manager")
    expect(roles).to_contain_text("is now a manager; before: member.", timeout=PATIENCE_MS)
    change(ada, roles, "priya", "Manager")
    expect(roles).to_contain_text("is a manager already.", timeout=PATIENCE_MS)
    change(ada, roles, "priya", "Admin")
    expect(roles).to_contain_text("is now an admin; before: manager.", timeout=PATIENCE_MS)
    change(ada, roles, "ada", "Viewer")
    expect(roles).to_contain_text("is now a viewer; before: admin.", timeout=PATIENCE_MS)
    expect(ada.get_by_test_id("modal-submit")).to_have_count(0)
    assert role_of(stage, "U0PRIYA") is Role.ADMIN
