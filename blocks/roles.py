"""/brightrun roles: who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.text import Block, View, bounded, context, divider, input_block, mention, modal, option, plain, section
from functions.model.people import Role

TITLE = "Roles"
ROLES_CALLBACK = "roles"
PERSON, ROLE = "person", "role"
_WHAT = {
    Role.VIEWER: "Look at runs and the budget",
    Role.MEMBER: "Also add files, start, stop and download runs",
    Role.MANAGER: "Also change the budget, approve, and read the audit log",
    Role.ADMIN: "Also change roles",
}
_PLURAL = {
    Role.ADMIN: "Admins",
    Role.MANAGER: "Managers",
    Role.MEMBER: "Members",
    Role.VIEWER: "Viewers",
}
_SHOWN = 100


def roles_view(roles: Mapping[str, Role], *, default_role: Role, note: str = "") -> View:
    """Everybody with a role, and a form to change one. `note` tells what was changed last."""
    blocks: list[Block] = [section(note), divider()] if note else []
    for role, plural in _PLURAL.items():
        people = [mention(user_id) for user_id, had in roles.items() if had is role]
        if people:
            blocks.append(section(f"*{plural}*\n{_WHAT[role]}\n{bounded([', '.join(people[:_SHOWN])])}"))
    blocks.append(context(f"Everybody else is a {default_role.value}."))
    blocks += [divider(), _person(), _role()]
    return modal(TITLE, blocks, callback_id=ROLES_CALLBACK, submit="Change role", close="Close")


def closed(note: str) -> View:
    """What is left to see for somebody who is no admin any more."""
    return modal(TITLE, [section(note)], callback_id=ROLES_CALLBACK)


def _person() -> Block:
    element: Block = {"type": "users_select", "action_id": PERSON, "placeholder": plain("Choose a person", 150)}
    return input_block(PERSON, "Person", element)


def _role() -> Block:
    options = [option(role.value.capitalize(), role.value, description=_WHAT[role]) for role in Role]
    element: Block = {"type": "radio_buttons", "action_id": ROLE, "options": options}
    return input_block(ROLE, "New role", element)


def read_roles_form(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[str, Role]:
    """The chosen person, "" where there is none, and the role."""
    chosen = (values[ROLE][ROLE].get("selected_option") or {}).get("value") or Role.MEMBER
    return values[PERSON][PERSON].get("selected_user") or "", Role(chosen)


def changed_note(user_id: str, before: Role, after: Role) -> str:
    """What a change did."""
    if before is after:
        return f"{mention(user_id)} is a {after.value} already."
    return f"✓ {mention(user_id)} is now {_a(after)}; before: {before.value}."


def _a(role: Role) -> str:
    return f"an {role.value}" if role is Role.ADMIN else f"a {role.value}"
