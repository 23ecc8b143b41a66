"""Try again: the window behind the buttons of a run that ended, its estimate at every change, its start."""

from __future__ import annotations

import json
import uuid
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import again as screens
from blocks.failure import ACTION_RETRY, ACTION_RETRY_FIX
from bot.commands import JOBS
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal, fill_or_explain
from bot.over_budget import answer_over_budget
from bot.request import Origin, origin
from bot.view_order import ViewOrder
from functions.access import require
from functions.again import again_view, start_again
from functions.errors import InvalidInput, OverBudget
from functions.model.again import AgainChoice, AgainView
from functions.model.people import Permission

View = dict[str, Any]
_FIELDS = {
    "epochs": screens.ACTION_EPOCHS,
    "batch_size": screens.ACTION_BATCH,
    "lr_scheduler": screens.ACTION_SCHEDULE,
    "tier": screens.ACTION_TIER,
}


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    again = Again(context)
    app.action(screens.ACTION_AGAIN)(again.open)
    app.action(ACTION_RETRY_FIX)(again.open)
    app.action(ACTION_RETRY)(again.confirm)
    for action in screens.CHANGES:
        app.action(action)(again.changed)
    app.view(screens.AGAIN_CALLBACK)(again.start)


class Again:
    """The listeners of trying a run again."""

    def __init__(self, context: BotContext) -> None:
        self._context = context
        self._order = ViewOrder()

    def open(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Try again with changes…", or the button of a suggestion: `<job>` or `<job>:<fix>`."""
        ack()
        job_id, _, fix_key = body["actions"][0]["value"].partition(":")
        choice = AgainChoice(job_id=UUID(job_id), fix_key=fix_key)

        def content(_: str) -> View:
            return self._form(origin(body), choice, uuid.uuid4().hex)

        answer_in_modal(self._context, body, client, title=screens.TITLE, command=JOBS, content=content)

    def confirm(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Try again…": the same once more, after a look at what it would be and cost."""
        ack()
        choice = AgainChoice(job_id=UUID(body["actions"][0]["value"]))

        def content(_: str) -> View:
            return screens.retry_confirmation(self._view(origin(body), choice), key=uuid.uuid4().hex)

        answer_in_modal(self._context, body, client, title=screens.TITLE, command=JOBS, content=content)

    def _form(self, asked: Origin, choice: AgainChoice, key: str) -> View:
        return screens.again_form(self._view(asked, choice), key=key)

    def _view(self, asked: Origin, choice: AgainChoice) -> AgainView:
        require(asked.person(self._context), Permission.START_JOBS)
        now, limits = self._context.clock(), self._context.limits
        with self._context.db.transaction() as tx:
            return again_view(tx, team_id=asked.team_id, choice=choice, now=now, limits=limits)

    def changed(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Any change: what differs and what it costs, anew."""
        ack()
        view, action_ts = body["view"], body["actions"][0]["action_ts"]

        def fill() -> None:
            kept = json.loads(view["private_metadata"])
            choice = screens.read_again_form(view["state"]["values"], kept)
            client.views_update(view_id=view["id"], view=self._form(origin(body), choice, kept["key"]))

        def draw() -> None:
            with self._order.turn(view["id"], action_ts) as newest:
                if newest:
                    fill_or_explain(client, view_id=view["id"], title=screens.TITLE, fill=fill)

        self._order.note(view["id"], action_ts)
        self._context.later(told(draw, body=body, client=client))

    def start(self, ack: Ack, body: dict[str, Any]) -> None:
        """Start it, once however often it is pressed."""
        view, asked = body["view"], origin(body)
        values, kept = view["state"]["values"], json.loads(view["private_metadata"])
        try:
            job = start_again(
                self._context.db,
                self._context.files,
                clock=self._context.clock,
                person=asked.person(self._context),
                choice=screens.read_again_form(values, kept),
                request_key=kept["key"],
                limits=self._context.limits,
            )
        except OverBudget as error:
            answer_over_budget(ack, view, error, job_id=kept["job"], channel_id=kept.get("channel", ""))
            return
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            if values:
                ack(response_action="errors", errors={_block_of(error, values): sentence(error)})
            else:  # the confirmation has no field to show it at
                ack(response_action="update", view=screens.not_started(sentence(error)))
            return
        ack(response_action="update", view=screens.again_started(job))


def _block_of(error: Exception, values: dict[str, Any]) -> str:
    """The block under which the error belongs: its field's, else the first."""
    wanted = _FIELDS.get(error.field, "") if isinstance(error, InvalidInput) else ""
    return next((block for block, elements in values.items() if wanted in elements), next(iter(values)))
