"""/brightrun invoices: what clients can be invoiced for, the review, and the window that sets a client up."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks import invoices as screens
from bot import messages
from bot.commands import BRIGHTRUN
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal
from bot.request import origin
from bot.waiting import WaitingView
from functions import clients, invoices
from functions.access import require
from functions.errors import InvalidInput
from functions.model.people import Permission, Person
from functions.ports import Transaction

View = dict[str, Any]
COMMAND = f"{BRIGHTRUN} invoices"


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app; before those of `/brightrun`, which answer whatever is left."""
    listeners = Invoicing(context)
    app.command(BRIGHTRUN, matchers=[_is_about_invoices])(listeners.list)
    app.action(screens.ACTION_REVIEW)(listeners.review)
    app.action(screens.ACTION_FINISH)(listeners.finish)
    app.action(screens.ACTION_CLIENT)(listeners.ask_client)
    app.view(screens.REVIEW_CALLBACK)(listeners.finalise)
    app.view(screens.CLIENT_CALLBACK)(listeners.save_client)
    # A link opens by itself; Slack tells of the click all the same and wants an answer.
    app.action(screens.ACTION_LINK)(lambda ack: ack())


def _is_about_invoices(body: dict[str, Any]) -> bool:
    return (body.get("text") or "").strip().lower() == "invoices"


class Invoicing:
    """The listeners of client invoices."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def list(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/brightrun invoices`."""
        ack()
        self._open(body, client, screens.TITLE, lambda tx, person: self._list_view(tx, person))

    def review(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Review…": every line and the sum."""
        ack()
        client_id = UUID(body["actions"][0]["value"])

        def content(tx: Transaction, person: Person) -> View:
            found = invoices.review_invoice(tx, self._context.payments, person=person, client_id=client_id)
            return screens.review_view(found)

        self._open(body, client, screens.REVIEW_TITLE, content)

    def ask_client(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Set up…", "Terms…" and "New client…"."""
        ack()
        value = body["actions"][0]["value"]
        name = "" if value == "-" else value

        def content(tx: Transaction, person: Person) -> View:
            form = clients.client_form(tx, self._context.payments, person=person, name=name)
            return screens.client_form(form, request_key=str(uuid.uuid4()))

        self._open(body, client, screens.CLIENT_TITLE, content)

    def _open(
        self,
        body: dict[str, Any],
        client: WebClient,
        title: str,
        content: Callable[[Transaction, Person], View],
    ) -> None:
        def filled(_: str) -> View:
            person = origin(body).person(self._context)
            with self._context.db.transaction() as tx:
                return content(tx, person)

        answer_in_modal(self._context, body, client, title=title, command=COMMAND, content=filled)

    def _list_view(self, tx: Transaction, person: Person) -> View:
        return screens.invoices_list(invoices.invoices_view(tx, self._context.payments, person=person))

    def finish(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Finish", of an invoice that was begun, confirmed in Slack's own dialog."""
        ack()
        invoice_id = UUID(body["actions"][0]["value"])

        def filled(_: str) -> View:
            person = origin(body).person(self._context)
            invoice = invoices.finish_invoice(
                self._context.db,
                self._context.payments,
                clock=self._context.clock,
                person=person,
                invoice_id=invoice_id,
            )
            return screens.invoiced_view(invoice)

        answer_in_modal(self._context, body, client, title=screens.TITLE, command=COMMAND, content=filled)

    def finalise(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The review, submitted."""
        kept = json.loads(body["view"]["private_metadata"])

        def work() -> View:
            invoice = invoices.invoice_client(
                self._context.db,
                self._context.payments,
                clock=self._context.clock,
                # Asked again: a role may have changed since the window was opened.
                person=origin(body).person(self._context),
                client_id=UUID(kept["client"]),
                digest=kept["digest"],
            )
            return screens.invoiced_view(invoice)

        self._wait(ack, body, client, screens.REVIEW_TITLE, work)

    def save_client(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The client's form: what can be said without Stripe is said at its fields."""
        values = body["view"]["state"]["values"]
        kept = json.loads(body["view"]["private_metadata"])
        typed = {
            name: values[name][name].get("value") or ""
            for name in (screens.NAME, screens.CUSTOMER, screens.EMAIL, screens.MARGIN, screens.PRICE)
        }
        choice = clients.ClientChoice(**typed)
        person = origin(body).person(self._context)
        try:
            require(person, Permission.MANAGE_BUDGET)
            clients.check_client(choice, known=kept["known"])
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            field = error.field if isinstance(error, InvalidInput) and error.field else screens.NAME
            ack(response_action="errors", errors={field: sentence(error)})
            return

        def work() -> View:
            saved = clients.set_up_client(
                self._context.db,
                self._context.payments,
                clock=self._context.clock,
                person=person,
                choice=choice,
                request_key=kept["key"],
            )
            self._redraw_list(body, client, person)
            return screens.client_saved(saved)

        self._wait(ack, body, client, screens.CLIENT_TITLE, work)

    def _redraw_list(self, body: dict[str, Any], client: WebClient, person: Person) -> None:
        """The list below, as it is now; it may have been closed meanwhile."""
        root = body["view"].get("root_view_id")
        if not root or root == body["view"]["id"]:
            return
        with self._context.db.transaction() as tx:
            view = self._list_view(tx, person)
        try:
            client.views_update(view_id=root, view=view)
        except SlackApiError as error:
            if error.response.get("error") != "not_found":
                raise

    def _wait(self, ack: Ack, body: dict[str, Any], client: WebClient, title: str, work: Callable[[], View]) -> None:
        waiting = WaitingView(title, messages.asking_stripe())
        ack(response_action="update", view=waiting.view)
        self._context.later(told(lambda: waiting.finish(work, body=body, client=client), body=body, client=client))
