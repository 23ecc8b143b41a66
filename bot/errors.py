"""Turns every error into what the person sees, and into a log line with the same reference."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from blocks.errors import error_blocks, unexpected_blocks
from blocks.text import safe, section
from bot import messages
from functions.errors import BrightRunError

log = logging.getLogger(__name__)

# The command may be typed where the bot is not, or where nobody may write any more.
_NOT_HERE = {"not_in_channel", "channel_not_found", "is_archived", "user_not_in_channel"}

Show = Callable[[str, list[dict[str, Any]]], None]


def new_reference() -> str:
    """Four letters and digits that a person can read out on the phone."""
    return "".join(secrets.choice("23456789ABCDEFGHJKMNPQRSTUVWXYZ") for _ in range(4))


def shown(action: Callable[[], None], show: Show) -> None:
    """Run the action; whatever it raises is shown to the person, never swallowed, never a traceback."""
    try:
        action()
    except BrightRunError as error:
        show(safe(str(error), 1000), error_blocks(error))
    except SlackApiError as error:
        if not _is_busy(error):
            _show_unexpected(error, show)
            return
        log.warning("Slack is busy: %s", error)
        show(messages.slack_busy(), [section(messages.slack_busy())])
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is logged in full and shown by its reference
        _show_unexpected(error, show)


def _is_busy(error: SlackApiError) -> bool:
    status: int = error.response.status_code
    return status == 429 or status >= 500


def _show_unexpected(error: Exception, show: Show) -> None:
    reference = logged(error)
    show(messages.unexpected(reference), unexpected_blocks(reference))


def logged(error: Exception) -> str:
    """Write the error down in full; returns the reference under which the log has it."""
    reference = new_reference()
    log.error("unexpected error, reference %s", reference, exc_info=error)
    return reference


def sentence(error: Exception) -> str:
    """What stands below a form's field: the error's own words, or a reference to the log."""
    return str(error) if isinstance(error, BrightRunError) else messages.unexpected(logged(error))


def ephemeral(client: WebClient, *, channel_id: str, user_id: str) -> Show:
    """Shows the error to one person, in the channel if the bot is there, else directly."""

    def show(text: str, blocks: list[dict[str, Any]]) -> None:
        try:
            client.chat_postEphemeral(channel=channel_id, user=user_id, text=text, blocks=blocks)
        except SlackApiError as error:
            if error.response.get("error") not in _NOT_HERE:
                raise
            direct = client.conversations_open(users=user_id)["channel"]["id"]
            client.chat_postMessage(channel=direct, text=text, blocks=blocks)

    return show
