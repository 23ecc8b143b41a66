"""Topping up the budget: the button, the form behind it, and the way to Stripe's page."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import payments as screens
from blocks.text import Block, channel
from bot import messages
from bot.commands import BUDGET
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal
from bot.request import origin
from bot.waiting import WaitingView
from functions import payments
from functions.access import require
from functions.model.people import Permission, Person

View = dict[str, Any]


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    listeners = TopUps(context)
    app.action(screens.ACTION_TOP_UP)(listeners.ask)
    app.view(screens.TOP_UP_CALLBACK)(listeners.submit)
    # A link opens by itself; Slack tells of the click all the same and wants an answer.
    app.action(screens.ACTION_PAY)(lambda ack: ack())


def budget_buttons(person: Person) -> Sequence[Block]:
    """What `/budget` shows beside its own buttons."""
    return [screens.top_up_button()] if person.may(Permission.MANAGE_BUDGET) else []


def _where(body: dict[str, Any]) -> str:
    """The channel to be told: of the message, or that in which the window below was asked for."""
    below = json.loads((body.get("view") or {}).get("private_metadata") or "{}").get("channel", "")
    # A private conversation is told anyhow, as its person is.
    return next(filter(channel, (origin(body).channel_id, below)), "")


class TopUps:
    """The listeners of a top-up."""

    def __init__(self, context: BotContext) -> None:
        self._context = context

    def ask(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """ "Top up…", wherever the budget is shown."""
        ack()
        asked = origin(body)
        where = _where(body)

        def content(_: str) -> View:
            person = asked.person(self._context)
            with self._context.db.transaction() as tx:
                now = self._context.clock()
                view = payments.top_up_view(
                    tx, self._context.payments, provider=self._context.provider, person=person, now=now
                )
            metadata = json.dumps({"key": str(uuid.uuid4()), "channel": where})
            return screens.top_up_form(view, metadata=metadata)

        answer_in_modal(self._context, body, client, title=screens.TOP_UP_TITLE, command=BUDGET, content=content)

    def submit(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """The form: its amount is looked at now, Stripe is called after the ack."""
        amount = body["view"]["state"]["values"][screens.AMOUNT_BLOCK][screens.AMOUNT_ACTION].get("value") or ""
        person = origin(body).person(self._context)
        try:
            require(person, Permission.MANAGE_BUDGET)
            payments.dollars_typed(amount)
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={screens.AMOUNT_BLOCK: sentence(error)})
            return
        waiting = WaitingView(screens.TOP_UP_TITLE, messages.asking_stripe())
        ack(response_action="update", view=waiting.view)
        kept = json.loads(body["view"]["private_metadata"])

        def work() -> View:
            top_up = payments.start_top_up(
                self._context.db,
                self._context.payments,
                provider=self._context.provider,
                clock=self._context.clock,
                person=person,
                amount=amount,
                request_key=kept["key"],
                channel_id=kept["channel"],
            )
            return screens.pay_view(top_up, test_mode=payments.connected(self._context.payments).test_mode)

        self._context.later(told(lambda: waiting.finish(work, body=body, client=client), body=body, client=client))
