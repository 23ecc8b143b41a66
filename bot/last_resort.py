"""What a listener could not tell by itself: the person still reads of it, by a reference to the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot.errors import ephemeral, shown
from bot.request import origin

log = logging.getLogger(__name__)


def tell_of(error: Exception, *, body: dict[str, Any], client: WebClient) -> None:
    """Log the error and tell the person who caused it; if Slack cannot be reached, log that too."""

    def again() -> None:
        raise error

    asked = origin(body)
    tell = ephemeral(client, channel_id=asked.channel_id or asked.user_id, user_id=asked.user_id)
    try:
        shown(again, tell)
    except (SlackClientError, OSError):
        log.exception("%s could not be told", asked.user_id)


def told(task: Callable[[], None], *, body: dict[str, Any], client: WebClient) -> Callable[[], None]:
    """The task, whose errors reach the person also when it runs outside the listener."""

    def run() -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 - logged and shown
            tell_of(error, body=body, client=client)

    return run
