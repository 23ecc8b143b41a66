"""The mark that a message carries in its metadata, by which a post whose end nobody saw is found again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from slack_sdk import WebClient

_EVENT_TYPE = "brightrun_message"
# Slack's clock and ours may differ.
_CLOCKS_APART = timedelta(minutes=1)


def mark(name: str) -> dict[str, Any]:
    """The metadata for `chat.postMessage`; `name` is unique to the message."""
    return {"event_type": _EVENT_TYPE, "event_payload": {"id": name}}


def marked_as(message: Mapping[str, Any]) -> str | None:
    """The name in the mark of a message as Slack returns it; None where it has no mark of ours."""
    metadata = message.get("metadata") or {}
    return str(metadata["event_payload"]["id"]) if metadata.get("event_type") == _EVENT_TYPE else None


def find_marked(
    client: WebClient, name: str, *, channel_id: str, thread_ts: str | None = None, since: datetime
) -> str | None:
    """The ts of the message with this mark, posted after `since` into the channel or the thread, if there is one.

    Raises:
        SlackApiError: Slack refused.
    """
    window: dict[str, Any] = {
        "channel": channel_id,
        "oldest": str((since - _CLOCKS_APART).timestamp()),
        "include_all_metadata": True,
        "limit": 200,
    }
    if thread_ts is None:
        pages = client.conversations_history(**window)
    else:
        pages = client.conversations_replies(ts=thread_ts, **window)
    for page in pages:  # iterating over an answer fetches the next pages
        for posted in page["messages"]:
            if marked_as(posted) == name:
                return str(posted["ts"])
    return None
