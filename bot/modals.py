"""Opening a modal within Slack's three seconds: a loading view first, then its content."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks.errors import failure_view
from blocks.text import loading_view
from bot import messages
from bot.context import BotContext
from bot.errors import ephemeral, shown
from bot.last_resort import told
from bot.request import first_time, origin

log = logging.getLogger(__name__)

View = dict[str, Any]
_EXPIRED = {"expired_trigger_id", "exchanged_trigger_id", "trigger_expired", "invalid_trigger_id"}


def answer_in_modal(
    context: BotContext,
    body: dict[str, Any],
    client: WebClient,
    *,
    title: str,
    command: str,
    content: Callable[[str], View],
) -> None:
    """After the ack: open a modal with `content(view_id)`, once however often the click is delivered.

    It is pushed on top where the press was in a modal itself.
    `command` is what the person types again if Slack's three seconds had passed.
    """

    def answer() -> None:
        if not first_time(context, body):
            return
        asked = origin(body)
        tell = ephemeral(client, channel_id=asked.channel_id or asked.user_id, user_id=asked.user_id)
        shown(
            lambda: open_modal(
                client,
                trigger_id=asked.trigger_id,
                title=title,
                content=content,
                expired=lambda: tell(messages.trigger_expired(command), []),
                push=(body.get("view") or {}).get("type") == "modal",
            ),
            tell,
        )

    context.later(told(answer, body=body, client=client))


def open_modal(
    client: WebClient,
    *,
    trigger_id: str,
    title: str,
    content: Callable[[str], View],
    expired: Callable[[], None],
    push: bool = False,
) -> None:
    """Open (or push) a loading view and replace it by `content(view_id)`; errors show in the modal.

    `expired` is called where Slack's three seconds had passed before we got to it.
    """
    try:
        opened = (client.views_push if push else client.views_open)(trigger_id=trigger_id, view=loading_view(title))
    except SlackApiError as error:
        if error.response.get("error") not in _EXPIRED:
            raise
        expired()
        return
    view_id = str(opened["view"]["id"])

    def fill() -> None:
        client.views_update(view_id=view_id, view=content(view_id))

    fill_or_explain(client, view_id=view_id, title=title, fill=fill)


def fill_or_explain(client: WebClient, *, view_id: str, title: str, fill: Callable[[], None]) -> None:
    """Run `fill`; what it raises is shown in the view itself."""

    def show(text: str, blocks: list[dict[str, Any]]) -> None:
        client.views_update(view_id=view_id, view=failure_view(title, text, blocks))

    shown(fill, show)
