"""From what was asked back to its review: what it costs now, and the ways on."""

from __future__ import annotations

import json
import uuid
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks.approval_news import ACTION_REVIEW_AGAIN
from blocks.review import TITLE, review
from bot.commands import TRAIN
from bot.context import BotContext
from bot.modals import answer_in_modal
from bot.request import origin
from functions import configure
from functions.access import require
from functions.approval_quotes import asked_of
from functions.approvals import get_request
from functions.errors import NotFound
from functions.model.people import Permission

View = dict[str, Any]


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""

    def press(ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        ack()
        answer_in_modal(context, body, client, title=TITLE, command=TRAIN, content=lambda _: _review(context, body))

    app.action(ACTION_REVIEW_AGAIN)(press)


def _review(context: BotContext, body: dict[str, Any]) -> View:
    asked = origin(body)
    person = asked.person(context)
    require(person, Permission.START_JOBS)
    with context.db.transaction() as tx:
        request, _ = get_request(tx, team_id=person.team_id, request_id=UUID(body["actions"][0]["value"]))
        choice = asked_of(request.kind, request.subject).choice
        if choice is None:
            raise NotFound("This request was not about a run.", fix=f"Type {TRAIN}.")
        view = configure.review(
            tx,
            context.files,
            team_id=person.team_id,
            choice=choice,
            provider=context.provider,
            now=context.clock(),
            may_override=person.may(Permission.MANAGE_BUDGET),
        )
        key = uuid.uuid4().hex
        tx.jobs.keep_draft(person.team_id, key, view.choice)
    return review(view, metadata=json.dumps({"key": key, "channel": request.channel_id or asked.channel_id}))
