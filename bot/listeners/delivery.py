"""Download and report buttons: a fresh link to the one who pressed, counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from slack_bolt import Ack, App
from slack_sdk import WebClient

from blocks.card import ACTION_DOWNLOAD, ACTION_REPORT
from blocks.download import ACTION_LINK, download_message, report_message
from blocks.text import MessageParts
from bot.context import BotContext
from bot.presses import answer_privately
from functions.deliver import download, report_link
from functions.model.people import Person


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""

    def adapter(person: Person, value: str) -> MessageParts:
        link = download(context.db, context.files, clock=context.clock, person=person, artifact_id=UUID(value))
        return download_message(link.artifact, url=link.url, expires_at=link.expires_at, downloads=link.downloads)

    def report(person: Person, value: str) -> MessageParts:
        link = report_link(
            context.db, context.files, context.pictures, clock=context.clock, person=person, job_id=UUID(value)
        )
        return report_message(link.job_name, url=link.url, size_bytes=link.size_bytes, expires_at=link.expires_at)

    def follow(ack: Ack) -> None:
        """The link itself was opened: the browser does the rest, Slack only wants to be heard."""
        ack()

    app.action(ACTION_DOWNLOAD)(_press(context, adapter))
    app.action(ACTION_REPORT)(_press(context, report))
    app.action(ACTION_LINK)(follow)


def _press(context: BotContext, link: Callable[[Person, str], MessageParts]) -> Callable[..., None]:
    """The listener of a button, on a card or in the details, whose value names what is wanted."""

    def press(ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        ack()
        answer_privately(context, body, client, lambda person: link(person, body["actions"][0]["value"]))

    return press
