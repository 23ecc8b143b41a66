"""/brightrun roles: admins see and change who may do what."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import roles as screen
from bot.commands import BRIGHTRUN
from bot.context import BotContext
from bot.errors import sentence
from bot.modals import answer_in_modal
from bot.request import origin
from functions.model.people import Person, Role
from functions.roles import change_role, team_roles

View = dict[str, Any]


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app; before those of `/brightrun`, which answer whatever is left."""
    roles = Roles(context)
    app.command(BRIGHTRUN, matchers=[_is_about_roles])(roles.command)
    app.view(screen.ROLES_CALLBACK)(roles.change)


def _is_about_roles(body: dict[str, Any]) -> bool:
    return (body.get("text") or "").strip().lower() == "roles"


class Roles:
    """The listeners of /brightrun roles."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def command(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The list and the form."""
        ack()

        def content(_: str) -> View:
            return self._view(origin(body).person(self._context))

        answer_in_modal(self._context, body, client, title=screen.TITLE, command=f"{BRIGHTRUN} roles", content=content)

    def _view(self, person: Person, note: str = "") -> View:
        with self._context.db.transaction() as tx:
            roles = team_roles(tx, person=person)
        return screen.roles_view(roles, default_role=self._context.default_role, note=note)

    def change(self, ack: Ack, body: dict[str, Any]) -> None:
        """The form, submitted: the list again, with what was changed; who is no admin any more sees only that."""
        try:
            user_id, role = screen.read_roles_form(body["view"]["state"]["values"])
            before = self._change(origin(body).person(self._context), user_id, role)
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={screen.PERSON: sentence(error)})
            return
        note = screen.changed_note(user_id, before, role)
        person = origin(body).person(self._context)
        if person.role is not Role.ADMIN:
            ack(response_action="update", view=screen.closed(note))
            return
        ack(response_action="update", view=self._view(person, note))

    def _change(self, person: Person, user_id: str, role: Role) -> Role:
        return change_role(
            self._context.db,
            clock=self._context.clock,
            person=person,
            user_id=user_id,
            role=role,
            default_role=self._context.default_role,
        )
