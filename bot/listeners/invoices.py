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

from blocks import invoice_ends as ends
from blocks import invoices as screens
from bot import messages
from bot.commands import BRIGHTRUN
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal
from bot.request import first_time, origin
from bot.waiting import WaitingView
from functions import clients, invoice_ends, invoices
from functions.access import TO_INVOICE, require
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
    app.action(screens.ACTION_DISCARD)(listeners.discard)
    app.action(screens.ACTION_VOID)(listeners.ask_why)
    app.action(screens.ACTION_CLIENT)(listeners.ask_client)
    app.view(screens.REVIEW_CALLBACK)(listeners.finalise)
    app.view(screens.CLIENT_CALLBACK)(listeners.save_client)
    app.view(ends.VOID_CALLBACK)(listeners.void)
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

        self._show(body, client, title, filled)

    def _show(self, body: dict[str, Any], client: WebClient, title: str, content: Callable[[str], View]) -> None:
        """A window of its own from the list; what is pressed further up replaces its window: Slack stacks three."""
        view = body.get("view") or {}
        if view.get("root_view_id", view.get("id")) == view.get("id"):
            answer_in_modal(self._context, body, client, title=title, command=COMMAND, content=content)
            return

        def replace() -> None:
            if first_time(self._context, body):
                waiting = WaitingView(title, messages.asking_stripe())
                client.views_update(view_id=view["id"], view=waiting.view)
                waiting.finish(lambda: content(view["id"]), body=body, client=client)

        self._context.later(told(replace, body=body, client=client))

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

        self._show(body, client, screens.TITLE, filled)

    def discard(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Discard this invoice…", confirmed in Slack's own dialog."""
        ack()
        invoice_id = UUID(body["actions"][0]["value"])

        def filled(_: str) -> View:
            person = origin(body).person(self._context)
            ended = invoice_ends.discard_invoice(
                self._context.db,
                self._context.payments,
                clock=self._context.clock,
                person=person,
                invoice_id=invoice_id,
            )
            self._redraw_list(body, client, person, pressed_there=True)
            return ends.discarded_view(ended)

        self._show(body, client, screens.TITLE, filled)

    def ask_why(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Void…": why; of a paid invoice, what can be done instead."""
        ack()
        invoice_id = UUID(body["actions"][0]["value"])

        def filled(_: str) -> View:
            form = invoice_ends.void_form(
                self._context.db,
                self._context.payments,
                person=origin(body).person(self._context),
                invoice_id=invoice_id,
            )
            return ends.void_form(form, least=invoice_ends.REASON_MIN, most=invoice_ends.REASON_MAX)

        self._show(body, client, ends.VOID_TITLE, filled)

    def void(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The reason, submitted."""
        kept = json.loads(body["view"]["private_metadata"])
        reason = body["view"]["state"]["values"][ends.REASON][ends.REASON].get("value") or ""
        person = origin(body).person(self._context)
        try:
            require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
            invoice_ends.reason_typed(reason)
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={ends.REASON: sentence(error)})
            return

        def work() -> View:
            ended = invoice_ends.void_invoice(
                self._context.db,
                self._context.payments,
                clock=self._context.clock,
                person=person,
                invoice_id=UUID(kept["invoice"]),
                reason=reason,
            )
            self._redraw_list(body, client, person)
            return ends.voided_view(ended)

        self._wait(ack, body, client, ends.VOID_TITLE, work)

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
            require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
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

    def _redraw_list(
        self, body: dict[str, Any], client: WebClient, person: Person, *, pressed_there: bool = False
    ) -> None:
        """The list below, as it is now; it may have been closed meanwhile."""
        root = body["view"].get("root_view_id") or body["view"]["id"]
        if root == body["view"]["id"] and not pressed_there:
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
