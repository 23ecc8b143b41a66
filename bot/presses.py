"""What follows a button that opens no window: the deed once, and a word to the one who pressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient

from blocks.text import MessageParts
from bot.context import BotContext
from bot.errors import ephemeral, shown
from bot.last_resort import told
from bot.request import first_time, origin
from functions.model.people import Person


def answer_privately(
    context: BotContext, body: dict[str, Any], client: WebClient, act: Callable[[Person], MessageParts | None]
) -> None:
    """After the ack: act, once however often the press is delivered; what `act` returns or raises only they see."""

    def answer() -> None:
        if not first_time(context, body):
            return
        asked = origin(body)
        tell = ephemeral(client, channel_id=asked.channel_id or asked.user_id, user_id=asked.user_id)

        def deed() -> None:
            said = act(asked.person(context))
            if said is not None:
                tell(*said)

        shown(deed, tell)

    context.later(told(answer, body=body, client=client))
