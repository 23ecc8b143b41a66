"""/train: the form, its estimate at every change, the review, the start."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks import train_form as form
from blocks.over_budget import override_block, read_override
from blocks.review import CHECKLIST_BLOCK, REVIEW_CALLBACK, checklist_complete, review, started
from blocks.train_state import read_train_form
from bot.commands import TRAIN
from bot.context import BotContext
from bot.errors import sentence
from bot.last_resort import told
from bot.modals import answer_in_modal, fill_or_explain
from bot.request import Origin, origin
from bot.view_order import ViewOrder
from functions import configure
from functions.access import require
from functions.errors import InvalidInput, NotFound
from functions.file_options import find_files
from functions.model.job import JobChoice
from functions.model.people import Permission
from functions.start import start_job

log = logging.getLogger(__name__)

TITLE = "New training run"
_OPTIONS = 50
_UNTICKED = "Please tick all three before the run starts."


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""
    train = Train(context)
    app.command(TRAIN)(train.command)
    app.action(form.ACTION_NEW_RUN)(train.command)
    app.options(form.ACTION_FILE)(train.options)
    for action in form.CHANGES:
        app.action(action)(train.changed)
    app.view(form.TRAIN_CALLBACK)(train.to_review)
    app.view(REVIEW_CALLBACK)(train.start)


class Train:
    """The listeners of /train."""

    def __init__(self, context: BotContext) -> None:
        self._context = context
        self._order = ViewOrder()

    def command(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """`/train`, and the button for a new run in App Home."""
        ack()
        asked = origin(body)

        def content(_: str) -> dict[str, Any]:
            require(asked.person(self._context), Permission.START_JOBS)
            where = asked.channel_id or str(client.conversations_open(users=asked.user_id)["channel"]["id"])
            return self._form(asked, JobChoice(), {"key": uuid.uuid4().hex, "channel": where})

        answer_in_modal(self._context, body, client, title=TITLE, command=TRAIN, content=content)

    def _form(self, asked: Origin, choice: JobChoice, metadata: dict[str, Any]) -> dict[str, Any]:
        with self._context.db.transaction() as tx:
            view = configure.train_form(
                tx,
                self._context.files,
                team_id=asked.team_id,
                choice=choice,
                provider=self._context.provider,
                now=self._context.clock(),
                previous_cents=metadata.get("cents"),
            )
        kept = {**metadata, "cents": view.estimate.cents_expected if view.estimate else None}
        return form.train_form(view, metadata=json.dumps(kept))

    def options(self, ack: Ack, body: dict[str, Any]) -> None:
        """Training files for the searchable select."""
        asked = origin(body)
        with self._context.db.transaction() as tx:
            found = find_files(tx, team_id=asked.team_id, text=body.get("value", ""), limit=_OPTIONS)
        ack(form.file_options(found))

    def changed(self, ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        """Any choice that changes the estimate: show the form anew."""
        ack()
        view = body["view"]

        def fill() -> None:
            choice = read_train_form(view["state"]["values"])
            fresh = self._form(origin(body), choice, json.loads(view["private_metadata"]))
            client.views_update(view_id=view["id"], view=fresh)

        def draw() -> None:
            with self._order.turn(view["id"], action_ts) as newest:
                if newest:
                    fill_or_explain(client, view_id=view["id"], title=TITLE, fill=fill)

        action_ts = body["actions"][0]["action_ts"]
        self._order.note(view["id"], action_ts)
        self._context.later(told(draw, body=body, client=client))

    def to_review(self, ack: Ack, body: dict[str, Any]) -> None:
        """To the review: push everything chosen, or show what is wrong at its field."""
        view, asked = body["view"], origin(body)
        values = view["state"]["values"]
        try:
            person = asked.person(self._context)
            require(person, Permission.START_JOBS)
            with self._context.db.transaction() as tx:
                key = json.loads(view["private_metadata"])["key"]
                chosen = configure.review(
                    tx,
                    self._context.files,
                    team_id=asked.team_id,
                    choice=read_train_form(values),
                    provider=self._context.provider,
                    now=self._context.clock(),
                    may_override=person.may(Permission.MANAGE_BUDGET),
                )
                # Notes alone may fill what Slack lets a view carry, so the choice waits here.
                tx.jobs.keep_draft(asked.team_id, key, chosen.choice)
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={_block_of(error, values): sentence(error)})
            return
        ack(response_action="push", view=review(chosen, metadata=view["private_metadata"]))

    def start(self, ack: Ack, body: dict[str, Any]) -> None:
        """Start: queue the job, once however often it is pressed."""
        view, asked = body["view"], origin(body)
        if not checklist_complete(view["state"]["values"]):
            ack(response_action="errors", errors={CHECKLIST_BLOCK: _UNTICKED})
            return
        kept = json.loads(view["private_metadata"])
        try:
            job = start_job(
                self._context.db,
                self._context.files,
                clock=self._context.clock,
                provider=self._context.provider,
                person=asked.person(self._context),
                choice=self._draft(asked.team_id, kept["key"]),
                request_key=kept["key"],
                channel_id=kept["channel"],
                limits=self._context.limits,
                override=read_override(view["state"]["values"]),
            )
        except Exception as error:  # noqa: BLE001 - shown at the field, by its reference where nobody foresaw it
            ack(response_action="errors", errors={override_block(error, view) or CHECKLIST_BLOCK: sentence(error)})
            return
        ack(response_action="update", view=started(job))

    def _draft(self, team_id: str, key: str) -> JobChoice:
        with self._context.db.transaction() as tx:
            choice = tx.jobs.draft(team_id, key)
        if choice is None:
            raise NotFound("This form is too old.", fix="Open /train again.")
        return choice


def _block_of(error: Exception, values: dict[str, Any]) -> str:
    """The block under which the error belongs: its field's, else the training file's."""
    wanted = error.field if isinstance(error, InvalidInput) and error.field else form.ACTION_FILE
    for block_id, elements in values.items():
        if wanted in elements:
            return block_id
    return next(block_id for block_id, elements in values.items() if form.ACTION_FILE in elements)
