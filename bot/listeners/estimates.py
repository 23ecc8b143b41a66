"""`Download estimate`: the quote as a PDF, to the one who pressed and nobody else."""

from __future__ import annotations

import json
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks.errors import error_blocks, failure_view
from blocks.review import ACTION_QUOTE, review
from bot import messages
from bot.context import BotContext
from bot.presses import answer_privately
from functions.errors import BrightRunError
from functions.model.people import Person
from functions.model.views import QuoteView
from functions.quoting import draw_quote, quote_view

_TITLE = "Download estimate"
# The review was started, closed or drawn anew meanwhile: what stands there now must stay.
_MOVED_ON = {"hash_conflict", "not_found", "view_not_found", "expired"}


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""

    def press(ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        ack()
        answer_privately(context, body, client, lambda person: _send_or_explain(context, person, body, client))

    app.action(ACTION_QUOTE)(press)


def _send_or_explain(context: BotContext, person: Person, body: dict[str, Any], client: WebClient) -> None:
    try:
        quote = _quote(context, person, body["view"], client)
    except BrightRunError as refused:
        # A message would lie behind the window, where nobody looks for it.
        view = failure_view(_TITLE, str(refused), error_blocks(refused))
        try:
            client.views_push(trigger_id=body["trigger_id"], view=view)
        except SlackApiError:
            raise refused from None
        return
    _send(context, person, quote, body["view"], client)


def _quote(context: BotContext, person: Person, shown_view: dict[str, Any], client: WebClient) -> QuoteView:
    return quote_view(
        context.db,
        context.files,
        clock=context.clock,
        provider=context.provider,
        person=person,
        person_name=_name(client, person.user_id),
        request_key=json.loads(shown_view["private_metadata"])["key"],
    )


def _send(context: BotContext, person: Person, quote: QuoteView, shown_view: dict[str, Any], client: WebClient) -> None:
    note = _Note(client, shown_view, quote)
    note.write(messages.drawing_quote())
    try:
        file = draw_quote(context.db, context.pictures, person=person, quote=quote)
        direct = str(client.conversations_open(users=person.user_id)["channel"]["id"])
        client.files_upload_v2(
            channel=direct,
            content=file.pdf,
            filename=file.name,
            title=file.name,
            initial_comment=messages.quote_comment(quote.review.choice.name),
        )
    except Exception:
        note.write(messages.quote_not_sent())
        raise
    note.write(messages.quote_sent())


def _name(client: WebClient, user_id: str) -> str:
    """The person's name as Slack has it, for a document that leaves Slack."""
    user = client.users_info(user=user_id)["user"]
    return str((user.get("profile") or {}).get("real_name") or user.get("real_name") or user.get("name") or user_id)


class _Note:
    """A line in the review that tells how the download goes, as long as the review stands there unchanged."""

    def __init__(self, client: WebClient, shown_view: dict[str, Any], quote: QuoteView) -> None:
        self._client = client
        self._view = shown_view
        self._hash = str(shown_view["hash"])
        self._quote = quote

    def write(self, text: str) -> None:
        """Show the text; nothing where the person went on meanwhile."""
        if not self._hash:
            return
        fresh = review(self._quote.review, metadata=self._view["private_metadata"], note=text)
        try:
            answer = self._client.views_update(view_id=self._view["id"], hash=self._hash, view=fresh)
        except SlackApiError as error:
            if error.response.get("error") not in _MOVED_ON:
                raise
            self._hash = ""
        else:
            self._hash = str(answer["view"]["hash"])
