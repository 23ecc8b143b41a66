"""Asking for approval, deciding, declining, withdrawing: the buttons of a request and the windows behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import approvals as screens
from blocks.text import MessageParts
from bot import messages
from bot.commands import TRAIN
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal, fill_or_explain
from bot.presses import answer_privately
from bot.request import first_time, origin
from functions import approvals
from functions.access import require
from functions.approval_quotes import Asked
from functions.approvals import checked_reason
from functions.errors import InvalidInput, NotFound
from functions.limit_request import limit_wanted
from functions.model.approval import Approval, ApprovalKind
from functions.model.people import Permission, Person, Role

View = dict[str, Any]


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    listeners = Approvals(context)
    app.action(screens.ACTION_ASK_START)(listeners.ask_start)
    app.action(screens.ACTION_ASK_LIMIT)(listeners.ask_limit)
    app.action(screens.ACTION_APPROVE)(listeners.approve)
    app.action(screens.ACTION_REJECT)(listeners.ask_why_not)
    app.action(screens.ACTION_APPROVAL_DETAILS)(listeners.details)
    app.action(screens.ACTION_WITHDRAW)(listeners.withdraw)
    app.action(screens.ACTION_BREAK_GLASS)(listeners.ask_justification)
    app.view(screens.ASK_CALLBACK)(listeners.submit)
    app.view(screens.ASK_LIMIT_CALLBACK)(listeners.submit_limit)
    app.view(screens.REJECT_CALLBACK)(listeners.reject)
    app.view(screens.BREAK_GLASS_CALLBACK)(listeners.break_glass)


class Approvals:
    """The listeners of requests."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def ask_start(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The review's button where the budget is short: why it should start all the same."""
        kept = json.loads(body["view"]["private_metadata"])

        def content(person: Person) -> View:
            with self._context.db.transaction() as tx:
                choice = tx.jobs.draft(person.team_id, kept["key"])
            if choice is None:
                raise NotFound("This form is too old.", fix=f"Open {TRAIN} again.")
            asked = Asked(
                kind=ApprovalKind(body["actions"][0]["value"]),
                choice=choice,
                request_key=kept["key"],
                channel_id=kept["channel"],
            )
            return screens.ask_form(self._open(person, asked, kept["channel"]))

        self._window(ack, body, client, "Ask for approval", content)

    def ask_limit(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """A higher limit."""

        def content(person: Person) -> View:
            require(person, Permission.START_JOBS)
            kept = json.loads((body.get("view") or {}).get("private_metadata") or "{}")
            # Of a run that did not fit, the button says what it may cost.
            cents, now = int(body["actions"][0].get("value") or 0), self._context.clock()
            with self._context.db.transaction() as tx:
                wanted = limit_wanted(tx, team_id=person.team_id, cents=cents, now=now)
            return screens.ask_limit_form(
                wanted,
                channel_id=kept.get("channel") or origin(body).channel_id,
                key=kept.get("key", ""),
                job_id=kept.get("job", ""),
            )

        self._window(ack, body, client, "Ask for a higher limit", content)

    def ask_why_not(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Decline…": who may not, or too late, hears it before they write why."""
        self._window(ack, body, client, "Decline", lambda person: screens.reject_form(self._to_decide(person, body)))

    def ask_justification(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Break the glass…"."""

        def content(person: Person) -> View:
            return screens.break_glass_form(self._to_decide(person, body, break_glass=True))

        self._window(ack, body, client, "Break the glass", content)

    def _to_decide(self, person: Person, body: dict[str, Any], *, break_glass: bool = False) -> Approval:
        now = self._context.clock()
        with self._context.db.transaction() as tx:
            return approvals.to_decide(tx, person=person, request_id=_pressed(body), now=now, break_glass=break_glass)

    def details(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Everything about a request."""

        def content(person: Person) -> View:
            require(person, Permission.VIEW)
            return self._details(person, _pressed(body))

        self._window(ack, body, client, screens.DETAILS_TITLE, content)

    def _details(self, person: Person, request_id: UUID, *, ends: bool = False) -> View:
        with self._context.db.transaction() as tx:
            request, history = approvals.get_request(tx, team_id=person.team_id, request_id=request_id)
        is_admin = person.role is Role.ADMIN
        return screens.details_view(request, history, viewer=person.user_id, is_admin=is_admin, ends=ends)

    def _window(
        self, ack: Ack, body: dict[str, Any], client: WebClient, title: str, content: Callable[[Person], View]
    ) -> None:
        ack()
        answer_in_modal(
            self._context,
            body,
            client,
            title=title,
            command=TRAIN,
            content=lambda _: content(origin(body).person(self._context)),
        )

    def _open(self, person: Person, asked: Asked, channel_id: str) -> Approval:
        return approvals.open_request(
            self._context.db,
            self._context.files,
            clock=self._context.clock,
            provider=self._context.provider,
            person=person,
            asked=asked,
            channel_id=channel_id,
            limits=self._context.limits,
        )

    def submit(self, ack: Ack, body: dict[str, Any]) -> None:
        """The request goes to the managers."""
        person = origin(body).person(self._context)

        def act() -> View:
            request = approvals.submit_request(
                self._context.db, clock=self._context.clock, person=person, request_id=_kept(body), reason=_reason(body)
            )
            return screens.asked_view(request)

        _submitted(ack, act)

    def submit_limit(self, ack: Ack, body: dict[str, Any]) -> None:
        """The same for a limit: drafted and put in one go."""
        person = origin(body).person(self._context)
        kept = json.loads(body["view"]["private_metadata"])
        channel_id = kept["channel"]

        def act() -> View:
            typed = body["view"]["state"]["values"][screens.LIMIT_BLOCK][screens.LIMIT_ACTION].get("value") or ""
            if not typed.isdecimal() or len(typed) > 9:
                raise InvalidInput("Whole dollars, please.", field="limit")
            reason = checked_reason(ApprovalKind.LIMIT_INCREASE, _reason(body))
            # What it is needed for, so that whoever asked comes back to it from the decision.
            with self._context.db.transaction() as tx:
                choice = tx.jobs.draft(person.team_id, kept["key"]) if kept.get("key") else None
            asked = Asked(
                kind=ApprovalKind.LIMIT_INCREASE,
                limit_cents=int(typed) * 100,
                choice=choice,
                job_id=UUID(kept["job"]) if kept.get("job") else None,
            )
            draft = self._open(person, asked, channel_id)
            request = approvals.submit_request(
                self._context.db, clock=self._context.clock, person=person, request_id=draft.id, reason=reason
            )
            return screens.asked_view(request)

        _submitted(ack, act)

    def approve(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Approve…", confirmed in Slack's own dialog. Who may not, or too late, hears why in private."""
        ack()

        def act(person: Person) -> MessageParts:
            return messages.decided(self._decide(person, _pressed(body), approve=True)), []

        answer_privately(self._context, body, client, act)

    def withdraw(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """One's own request: the window in which it was pressed says what became of it."""
        ack()
        view_id = body["view"]["id"]

        def fill() -> None:
            person = origin(body).person(self._context)
            request = approvals.cancel_request(
                self._context.db, clock=self._context.clock, person=person, request_id=_pressed(body)
            )
            client.views_update(view_id=view_id, view=self._details(person, request.id))

        def draw() -> None:
            if first_time(self._context, body):
                fill_or_explain(client, view_id=view_id, title=screens.DETAILS_TITLE, fill=fill)

        self._context.later(told(draw, body=body, client=client))

    def reject(self, ack: Ack, body: dict[str, Any]) -> None:
        """Declined, with its reason."""
        self._decided_in_form(ack, body, approve=False, break_glass=False)

    def break_glass(self, ack: Ack, body: dict[str, Any]) -> None:
        """An admin's own request, with its justification."""
        self._decided_in_form(ack, body, approve=True, break_glass=True)

    def _decided_in_form(self, ack: Ack, body: dict[str, Any], *, approve: bool, break_glass: bool) -> None:
        person = origin(body).person(self._context)

        def act() -> View:
            request = self._decide(person, _kept(body), approve=approve, note=_reason(body), break_glass=break_glass)
            return self._details(person, request.id, ends=True)

        _submitted(ack, act)

    def _decide(
        self, person: Person, request_id: UUID, *, approve: bool, note: str = "", break_glass: bool = False
    ) -> Approval:
        return approvals.decide(
            self._context.db,
            self._context.files,
            clock=self._context.clock,
            provider=self._context.provider,
            limits=self._context.limits,
            person=person,
            request_id=request_id,
            approve=approve,
            note=note,
            break_glass=break_glass,
        )


def _submitted(ack: Ack, act: Callable[[], View]) -> None:
    try:
        view = act()
    except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
        at_limit = isinstance(error, InvalidInput) and error.field == "limit"
        block = screens.LIMIT_BLOCK if at_limit else screens.REASON_BLOCK
        ack(response_action="errors", errors={block: sentence(error)})
        return
    ack(response_action="update", view=view)


def _pressed(body: dict[str, Any]) -> UUID:
    return UUID(body["actions"][0]["value"])


def _kept(body: dict[str, Any]) -> UUID:
    return UUID(json.loads(body["view"]["private_metadata"])["request"])


def _reason(body: dict[str, Any]) -> str:
    values = body["view"]["state"]["values"]
    return values[screens.REASON_BLOCK][screens.REASON_ACTION].get("value") or ""
