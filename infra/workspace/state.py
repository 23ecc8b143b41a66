"""People, channels and messages of the local workspace, and the events that its open pages receive.

Everything here is plain data, touched only from the server's event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]

TEAM_ID = "T0BRIGHT"
TEAM_NAME = "Bright Run"
TEAM_DOMAIN = "brightrun"
APP_ID = "A0BRIGHT"
BOT_USER_ID = "UBRIGHTRUN"
BOT_ID = "BBRIGHTRUN"
BOT_NAME = "Bright Run"
DEFAULT_LOCAL_URL = "http://127.0.0.1/"


class SlackError(Exception):
    """A refusal, worded as Slack words it: an error code and, for payloads, what is wrong with them."""

    def __init__(self, code: str, messages: Collection[str] = ()) -> None:
        super().__init__(code, *messages)
        self.code = code
        self.messages = list(messages)

    def answer(self) -> Json:
        """The Web API's answer: `{ok: false, error, response_metadata?}`."""
        answer: Json = {"ok": False, "error": self.code}
        if self.messages:
            answer["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return answer


@dataclass(frozen=True)
class WorkspaceUser:
    """A person of the workspace; `id` starts with U, `name` is the handle without the at sign."""

    id: str
    name: str
    title: str


DEFAULT_USERS = (
    WorkspaceUser("U0ELENA", "elena", "AI engineer"),
    WorkspaceUser("U0MARCUS", "marcus", "Budget manager"),
    WorkspaceUser("U0PRIYA", "priya", "Quality analyst"),
    WorkspaceUser("U0VIEWER", "vic", "Viewer"),
    WorkspaceUser("U0ADA", "ada", "Admin"),
)
# User groups by id, as @finance would be one.
USER_GROUPS = {"S0MANAGERS": ("U0MARCUS",)}


@dataclass
class Channel:
    """A public channel, or the direct-message channel of one person (`user`) with the bot."""

    id: str
    name: str
    kind: str = "channel"
    user: str | None = None
    bot_is_member: bool = True


class PageHub:
    """The open browser pages: one queue of events for each, filled without ever waiting for a page."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[Json], str] = {}

    def connect(self, user: str) -> asyncio.Queue[Json]:
        """A queue that receives every event meant for `user`, until `disconnect`."""
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self._queues[queue] = user
        return queue

    def disconnect(self, queue: asyncio.Queue[Json]) -> None:
        """Stop filling the queue."""
        self._queues.pop(queue, None)

    def push(self, event: Json, *, user: str | None = None) -> None:
        """Hand an event to the pages of one person, or of everybody."""
        for queue, owner in self._queues.items():
            if user is None or user == owner:
                queue.put_nowait(event)

    def toast(self, user: str, text: str, level: str = "error") -> None:
        """Show one person a passing notice, as Slack's client would."""
        self.push({"type": "toast", "text": text, "level": level}, user=user)


class Workspace:
    """The channels and messages; every change is pushed to the pages that may see it."""

    def __init__(self, users: Collection[WorkspaceUser]) -> None:
        self.users = {user.id: user for user in users or DEFAULT_USERS}
        self.pages = PageHub()
        self.base_url = DEFAULT_LOCAL_URL
        self.dirty = False
        self._last_ts = 0
        self.clear()

    def clear(self) -> None:
        """Back to the two empty public channels."""
        first = (Channel("C0TRAINING", "training-runs"), Channel("C0GENERAL", "general"))
        self.channels = {channel.id: channel for channel in first}
        self.messages: dict[str, dict[str, Json]] = {channel.id: {} for channel in first}
        self.homes: dict[str, Json] = {}
        self.dirty = True

    def next_ts(self) -> str:
        """A message's time stamp and identity: unix seconds with 6 digits, unique and increasing."""
        self._last_ts = max(self._last_ts + 1, time.time_ns() // 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def open_im(self, user: str) -> Channel:
        """The direct-message channel of a person with the bot, made on first use.

        Raises:
            SlackError: `user_not_found`.
        """
        if user not in self.users:
            raise SlackError("user_not_found")
        channel_id = "D" + user[1:]
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(channel_id, BOT_NAME, "im", user)
            self.messages[channel_id] = {}
            self.dirty = True
            self.pages.push({"type": "channels", "channels": self.channels_of(user)}, user=user)
        return self.channels[channel_id]

    def channel(self, channel_id: object) -> Channel:
        """The channel with this id; a person's id stands for the direct-message channel.

        Raises:
            SlackError: `channel_not_found`.
        """
        if isinstance(channel_id, str) and channel_id in self.users:
            return self.open_im(channel_id)
        channel = self.channels.get(str(channel_id))
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def channels_of(self, user: str) -> list[Json]:
        """What a person's side bar lists: public channels, the talk with the bot, the app's home."""
        self_im = "D" + user[1:]
        shown = [c for c in self.channels.values() if c.kind == "channel" or c.id == self_im]
        listed: list[Json] = [{"id": c.id, "name": c.name, "kind": c.kind} for c in shown]
        return [*listed, {"id": APP_ID, "name": BOT_NAME, "kind": "app_home"}]

    def may_see(self, user: str, channel: Channel) -> bool:
        """Whether the channel is public or the person's own."""
        return channel.kind == "channel" or channel.user == user

    def messages_for(self, user: str, channel: Channel) -> list[Json]:
        """The messages of a channel that this person sees, oldest first."""
        shown = self.messages[channel.id].values()
        return [m for m in shown if m.get("ephemeral_for") in (None, user)]

    def find(self, channel: Channel, ts: object) -> Json:
        """The message with this time stamp.

        Raises:
            SlackError: `message_not_found`.
        """
        message = self.messages[channel.id].get(str(ts))
        if message is None:
            raise SlackError("message_not_found")
        return message

    def post(self, channel: Channel, fields: Json, *, ephemeral_for: str | None = None) -> Json:
        """Store a message under a new time stamp and show it; the parent of a reply counts it.

        Raises:
            SlackError: `thread_not_found`.
        """
        parent = self._parent(channel, fields.get("thread_ts"))
        message: Json = {"type": "message", "ts": self.next_ts(), **fields}
        if ephemeral_for is not None:
            message["ephemeral_for"] = ephemeral_for
        self.messages[channel.id][message["ts"]] = message
        self._announce("message", channel, message)
        if parent is not None and ephemeral_for is None:
            parent.setdefault("thread_ts", parent["ts"])
            parent["reply_count"] = parent.get("reply_count", 0) + 1
            parent["latest_reply"] = message["ts"]
            self._announce("message_changed", channel, parent)
        return message

    def edit(self, channel: Channel, message: Json, fields: Json) -> None:
        """Change fields of a message in place; a field set to None goes away."""
        message.update(fields)
        for gone in [name for name, value in message.items() if value is None]:
            del message[gone]
        self._announce("message_changed", channel, message)

    def remove(self, channel: Channel, message: Json) -> None:
        """Take a message out of its channel."""
        del self.messages[channel.id][message["ts"]]
        parent = self.messages[channel.id].get(message.get("thread_ts", ""))
        if parent is not None and "ephemeral_for" not in message:
            parent["reply_count"] = max(0, parent.get("reply_count", 0) - 1)
            self._announce("message_changed", channel, parent)
        self.dirty = True
        event = {"type": "message_deleted", "channel": channel.id, "ts": message["ts"]}
        self.pages.push(event, user=message.get("ephemeral_for") or channel.user)

    def user_object(self, user_id: object) -> Json:
        """Slack's user object for a person or the bot.

        Raises:
            SlackError: `user_not_found`.
        """
        if user_id == BOT_USER_ID:
            user, is_bot = WorkspaceUser(BOT_USER_ID, "brightrun", "App"), True
        elif user_id in self.users:
            user, is_bot = self.users[str(user_id)], False
        else:
            raise SlackError("user_not_found")
        real_name = BOT_NAME if is_bot else user.name.capitalize()
        profile = {"real_name": real_name, "display_name": user.name, "title": user.title}
        flags = {"is_bot": is_bot, "deleted": False, "is_admin": False, "is_owner": False}
        place = {"tz": "Etc/UTC", "tz_label": "Coordinated Universal Time", "tz_offset": 0}
        names = {"name": user.name, "real_name": real_name, "profile": profile}
        return {"id": user.id, "team_id": TEAM_ID, **names, **flags, **place}

    def snapshot(self) -> Json:
        """Everything that survives a restart."""
        channels = [asdict(channel) for channel in self.channels.values()]
        messages = {channel: list(found.values()) for channel, found in self.messages.items()}
        return {"channels": channels, "messages": messages, "homes": self.homes}

    def restore(self, saved: Json) -> None:
        """Take over what `snapshot` gave."""
        self.channels = {entry["id"]: Channel(**entry) for entry in saved["channels"]}
        stored: dict[str, list[Json]] = saved["messages"]
        self.messages = {channel: {m["ts"]: m for m in found} for channel, found in stored.items()}
        self.homes = saved["homes"]
        stamps = [int(ts.replace(".", "")) for found in self.messages.values() for ts in found]
        self._last_ts = max([self._last_ts, *stamps])

    def _parent(self, channel: Channel, thread_ts: object) -> Json | None:
        if thread_ts is None:
            return None
        parent = self.messages[channel.id].get(str(thread_ts))
        if parent is None:
            raise SlackError("thread_not_found")
        return parent

    def _announce(self, kind: str, channel: Channel, message: Json) -> None:
        self.dirty = True
        event = {"type": kind, "channel": channel.id, "message": dict(message)}
        self.pages.push(event, user=message.get("ephemeral_for") or channel.user)


def random_id(prefix: str, length: int = 8) -> str:
    """A fresh id such as `V7Q…`: a prefix and random upper-case hexadecimal digits."""
    return prefix + secrets.token_hex(length)[:length].upper()
