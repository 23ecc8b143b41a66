"""/budget: the month's money, its controls, its export, and the audit log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from blocks import audit as audit_screen
from blocks import budget as screen
from blocks import budget_form as form
from blocks.budget_notices import ACTION_CHANGE
from blocks.home import ACTION_BUDGET
from blocks.text import Block
from bot import messages
from bot.commands import BUDGET
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.listeners.payments import budget_buttons
from bot.modals import answer_in_modal, fill_or_explain
from bot.pictures import send_file, upload_picture
from bot.request import origin
from bot.view_order import ViewOrder
from functions.access import require
from functions.audit import audit_view, export_audit
from functions.budget_rules import change_budget
from functions.budget_view import budget_view, export_budget
from functions.errors import InvalidInput
from functions.model.budget import AuditFilter, BudgetView
from functions.model.people import Permission, Person

log = logging.getLogger(__name__)

View = dict[str, Any]
# Buttons of other features that belong beside ours, for one person.
MoreButtons = Callable[[Person], Sequence[Block]]


def register(app: App, context: BotContext, more_buttons: MoreButtons = budget_buttons) -> None:
    """Hang the feature's listeners on the app."""
    budget = Budget(context, more_buttons)
    app.command(BUDGET)(budget.command)
    app.action(ACTION_BUDGET)(budget.open)
    app.action(ACTION_CHANGE)(budget.ask_change)
    app.action(screen.ACTION_EXPORT)(budget.export)
    app.action(screen.ACTION_AUDIT)(budget.audit)
    app.view(form.FORM_CALLBACK)(budget.change)
    for action in audit_screen.CHANGES:
        app.action(action)(budget.filter_audit)
    app.action(audit_screen.ACTION_CSV)(budget.export_audit)


class Budget:
    """The listeners of /budget."""

    def __init__(self, context: BotContext, more_buttons: MoreButtons) -> None:
        self._context = context
        self._more_buttons = more_buttons
        self._order = ViewOrder()

    def command(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/budget`, and `/budget audit`."""
        asked = (body.get("text") or "").strip().lower()
        if asked == "audit":
            self.audit(ack, body, client)
        elif asked:
            ack(messages.unknown_budget_subcommand(asked))
        else:
            self.open(ack, body, client)

    def open(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The window, by the command or by a message's button."""
        ack()

        def content(_: str) -> View:
            asked = origin(body)
            person = asked.person(self._context)
            view = self._view(person)
            extra = self._more_buttons(person)
            return screen.budget_view(
                view, picture=self._picture(client, view), extra=extra, channel_id=asked.channel_id
            )

        self._answer(body, client, screen.TITLE, content)

    def _answer(self, body: dict[str, Any], client: WebClient, title: str, content: Callable[[str], View]) -> None:
        answer_in_modal(self._context, body, client, title=title, command=BUDGET, content=content)

    def _view(self, person: Person) -> BudgetView:
        with self._context.db.transaction() as tx:
            return budget_view(tx, person=person, now=self._context.clock())

    def _picture(self, client: WebClient, view: BudgetView) -> str:
        """The figure's id; the numbers are shown without it where Slack does not take it."""
        png = self._context.pictures.budget(view)
        try:
            return upload_picture(client, png, "budget.png")
        except SlackClientError as error:
            log.warning("the budget's figure was not taken: %s", error)
            return ""

    def ask_change(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Change budget…"."""
        ack()

        def content(_: str) -> View:
            asked = origin(body)
            person = asked.person(self._context)
            require(person, Permission.MANAGE_BUDGET)
            kept = json.loads((body.get("view") or {}).get("private_metadata") or "{}")
            return form.budget_form(self._view(person), channel_id=asked.channel_id or kept.get("channel", ""))

        self._answer(body, client, form.FORM_TITLE, content)

    def change(self, ack: Ack, body: dict[str, Any]) -> None:
        """The form, submitted."""
        view = body["view"]
        try:
            rules, reason = form.read_budget_form(view["state"]["values"])
            names = change_budget(
                self._context.db,
                clock=self._context.clock,
                person=origin(body).person(self._context),
                rules=rules,
                reason=reason,
                channel_id=json.loads(view["private_metadata"]).get("channel", ""),
            )
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            field = error.field if isinstance(error, InvalidInput) else ""
            ack(response_action="errors", errors={field if field in form.FIELDS else form.LIMIT: sentence(error)})
            return
        ack(response_action="update", view=form.budget_changed(names, rules))

    def export(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Export CSV" of the budget: to the person's direct messages."""
        ack()

        def content(_: str) -> View:
            asked, context = origin(body), self._context
            person = asked.person(context)
            name, data = export_budget(context.db, context.pictures, clock=context.clock, person=person)
            send_file(client, user_id=asked.user_id, data=data, name=name, comment=messages.budget_export())
            return screen.exported(name)

        self._answer(body, client, "Export", content)

    def audit(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/budget audit`, and the button."""
        ack()
        self._answer(body, client, audit_screen.TITLE, lambda _: self._audit(body, AuditFilter()))

    def _audit(self, body: dict[str, Any], chosen: AuditFilter) -> View:
        person = origin(body).person(self._context)
        with self._context.db.transaction() as tx:
            return audit_screen.audit_log(audit_view(tx, person=person, chosen=chosen, now=self._context.clock()))

    def filter_audit(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Another person, kind or span."""
        ack()
        view, action_ts = body["view"], body["actions"][0]["action_ts"]

        def fill() -> None:
            chosen = audit_screen.read_filter(view["state"]["values"])
            client.views_update(view_id=view["id"], view=self._audit(body, chosen))

        def draw() -> None:
            with self._order.turn(view["id"], action_ts) as newest:
                if newest:
                    fill_or_explain(client, view_id=view["id"], title=audit_screen.TITLE, fill=fill)

        self._order.note(view["id"], action_ts)
        self._context.later(told(draw, body=body, client=client))

    def export_audit(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Export CSV" of the audit log, as it is filtered."""
        ack()

        def content(_: str) -> View:
            asked, context = origin(body), self._context
            person = asked.person(context)
            chosen = audit_screen.read_filter(body["view"]["state"]["values"])
            name, data = export_audit(context.db, context.pictures, clock=context.clock, person=person, chosen=chosen)
            send_file(client, user_id=asked.user_id, data=data, name=name, comment=messages.audit_export())
            return screen.exported(name)

        self._answer(body, client, "Export", content)
