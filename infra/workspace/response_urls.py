"""Response URLs: five answers within thirty minutes to one interaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.workspace.chat import bot_message, checked_content
from infra.workspace.files import FileStore
from infra.workspace.state import Channel, Json, SlackError, Workspace, random_id

USES = 5
LIFETIME_S = 30 * 60.0


@dataclass
class _ResponseUrl:
    channel: Channel
    user: str
    message_ts: str | None
    expires: float
    uses_left: int = USES


class ResponseUrls:
    """Issues response URLs and carries out what the bot posts to them."""

    def __init__(self, workspace: Workspace, files: FileStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace = workspace
        self._files = files
        self._clock = clock
        self._issued: dict[str, _ResponseUrl] = {}

    def issue(self, channel: Channel, user: str, message_ts: str | None = None) -> str:
        """A response URL for an interaction of this person; `message_ts` is the message they clicked."""
        key = random_id("", 24).lower()
        self._issued[key] = _ResponseUrl(channel, user, message_ts, self._clock() + LIFETIME_S)
        return f"{self._workspace.base_url}respond/{key}"

    def use(self, key: str, body: Json) -> None:
        """Carry out one answer.

        Raises:
            SlackError: `used_url`, `expired_url`, or what a message of this content is refused with.
        """
        issued = self._issued.get(key)
        if issued is None or issued.uses_left <= 0:
            raise SlackError("used_url")
        if self._clock() > issued.expires:
            raise SlackError("expired_url")
        issued.uses_left -= 1
        self.answer(issued.channel, issued.user, body, message_ts=issued.message_ts)

    def answer(self, channel: Channel, user: str, body: Json, *, message_ts: str | None = None) -> None:
        """Post, replace or delete as the body says; by default only the person sees a new message.

        Raises:
            SlackError: what Slack refuses the content with; `message_not_found` for a lost original.
        """
        if body.get("delete_original") and message_ts:
            self._workspace.remove(channel, self._workspace.find(channel, message_ts))
            return
        content = checked_content(body, self._files)
        if body.get("replace_original") and message_ts:
            content.pop("thread_ts", None)
            content.setdefault("blocks", None)
            self._workspace.edit(channel, self._workspace.find(channel, message_ts), content)
            return
        seen_by = None if body.get("response_type") == "in_channel" else user
        self._workspace.post(channel, bot_message(content), ephemeral_for=seen_by)
