"""/brightrun help."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack, App, Respond
from slack_sdk import WebClient

from blocks.help import help_message
from blocks.text import section
from bot import messages
from bot.commands import BRIGHTRUN
from bot.context import BotContext
from bot.last_resort import told
from bot.request import first_time


def register(app: App, context: BotContext) -> None:
    """Hang the feature's listeners on the app."""

    def command(ack: Ack, body: dict[str, Any], respond: Respond, client: WebClient) -> None:
        """`/brightrun`, with anything behind it."""
        ack()
        context.later(told(lambda: answer(body, respond), body=body, client=client))

    def answer(body: dict[str, Any], respond: Respond) -> None:
        if not first_time(context, body):
            return
        asked = (body.get("text") or "").strip()
        text, blocks = help_message()
        if asked not in ("", "help"):
            text = messages.unknown_subcommand(asked)
            blocks = [section(text), *blocks]
        respond(text=text, blocks=blocks, response_type="ephemeral")

    app.command(BRIGHTRUN)(command)
