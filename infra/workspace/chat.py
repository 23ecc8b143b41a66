"""The Web API methods about messages, channels and people."""

from __future__ import annotations

import time
from collections.abc import Callable

from infra.workspace.elements import with_ids
from infra.workspace.files import FileStore
from infra.workspace.limits import message_problems
from infra.workspace.state import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    TEAM_NAME,
    USER_GROUPS,
    Channel,
    Json,
    SlackError,
    Workspace,
)

CONTENT = ("text", "blocks", "attachments", "markdown_text")


def bot_message(fields: Json) -> Json:
    """The fields of a message that the bot sends, without those that are not set."""
    sender = {"user": BOT_USER_ID, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID}
    return {**sender, **{name: value for name, value in fields.items() if value is not None}}


def checked_content(args: Json, files: FileStore) -> Json:
    """The content of a message after Slack's checks: text, blocks (with ids), attachments, metadata.

    Raises:
        SlackError: `no_text`, `invalid_blocks`, `invalid_arguments`, `invalid_metadata_format`.
    """
    if not any(args.get(name) for name in CONTENT):
        raise SlackError("no_text")
    blocks = args.get("blocks")
    problems = list(message_problems(args)) + files.check_images(blocks)
    if problems:
        raise SlackError("invalid_blocks" if blocks else "invalid_arguments", problems)
    content: Json = {"text": args.get("text") or args.get("markdown_text") or ""}
    if args.get("markdown_text"):
        blocks = [{"type": "markdown", "text": args["markdown_text"]}]
    if blocks is not None:
        content["blocks"] = with_ids(blocks)
    for name in ("attachments", "metadata", "thread_ts", "username"):
        if args.get(name):
            content[name] = args[name]
    _check_metadata(content.get("metadata"))
    return content


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not {"event_type", "event_payload"} <= metadata.keys():
        raise SlackError("invalid_metadata_format")


class Chat:
    """`chat.*`, `conversations.*`, `users.*` and `auth.test` over one workspace."""

    def __init__(self, workspace: Workspace, files: FileStore) -> None:
        self._workspace = workspace
        self._files = files
        self.methods: dict[str, Callable[[Json], Json]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post_message,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "conversations.open": self._open,
            "conversations.info": lambda args: {"channel": self._describe(self._channel(args))},
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "users.info": lambda args: {"user": workspace.user_object(args.get("user"))},
            "users.list": self._users,
            "usergroups.users.list": _group_members,
        }

    def _auth_test(self, _args: Json) -> Json:
        bot = {"user": "brightrun", "user_id": BOT_USER_ID, "bot_id": BOT_ID}
        team = {"team": TEAM_NAME, "team_id": TEAM_ID, "url": self._workspace.base_url}
        return {**team, **bot, "is_enterprise_install": False}

    def _channel(self, args: Json, *, member: bool = False) -> Channel:
        channel = self._workspace.channel(args.get("channel"))
        if member and not channel.bot_is_member:
            raise SlackError("not_in_channel")
        return channel

    def _post_message(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        message = self._workspace.post(channel, bot_message(checked_content(args, self._files)))
        return {"channel": channel.id, "ts": message["ts"], "message": dict(message)}

    def _post_ephemeral(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        user = args.get("user")
        if not isinstance(user, str) or user not in self._workspace.users:
            raise SlackError("user_not_found")
        if not self._workspace.may_see(user, channel):
            raise SlackError("user_not_in_channel")
        content = bot_message(checked_content(args, self._files))
        return {"message_ts": self._workspace.post(channel, content, ephemeral_for=user)["ts"]}

    def _own_message(self, args: Json, refusal: str) -> tuple[Channel, Json]:
        channel = self._channel(args)
        message = self._workspace.find(channel, args.get("ts"))
        if "ephemeral_for" in message:
            raise SlackError("message_not_found")
        if message.get("bot_id") != BOT_ID:
            raise SlackError(refusal)
        return channel, message

    def _update(self, args: Json) -> Json:
        channel, message = self._own_message(args, "cant_update_message")
        # Slack keeps the blocks, attachments and metadata that an update does not name.
        content = checked_content({"text": message["text"], **args}, self._files)
        if args.get("blocks") == [] or args.get("markdown_text") == "":
            content["blocks"] = None
        if args.get("metadata") == {}:
            content["metadata"] = None
        content.pop("thread_ts", None)
        edited = {"user": BOT_USER_ID, "ts": f"{int(time.time())}.000000"}
        self._workspace.edit(channel, message, {**content, "edited": edited})
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"], "message": dict(message)}

    def _delete(self, args: Json) -> Json:
        channel, message = self._own_message(args, "cant_delete_message")
        self._workspace.remove(channel, message)
        return {"channel": channel.id, "ts": message["ts"]}

    def _permalink(self, args: Json) -> Json:
        channel = self._channel(args)
        ts = self._workspace.find(channel, args.get("message_ts"))["ts"]
        link = f"{self._workspace.base_url}archives/{channel.id}/p{ts.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def _open(self, args: Json) -> Json:
        if args.get("channel"):
            return {"channel": self._describe(self._channel(args))}
        users = [user for user in str(args.get("users", "")).split(",") if user]
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) > 1:
            raise SlackError("not_enough_users", ["the local workspace opens talks with one person only"])
        already = "D" + users[0][1:] in self._workspace.channels
        channel = self._workspace.open_im(users[0])
        return {"channel": self._describe(channel), "already_open": already, "no_op": already}

    def _describe(self, channel: Channel) -> Json:
        if channel.kind == "im":
            return {"id": channel.id, "is_im": True, "is_channel": False, "user": channel.user}
        named = {"id": channel.id, "name": channel.name, "name_normalized": channel.name}
        return {**named, "is_channel": True, "is_im": False, "is_member": channel.bot_is_member}

    def _history(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        found = [
            message
            for message in self._workspace.messages[channel.id].values()
            if message.get("thread_ts", message["ts"]) == message["ts"]
        ]
        return _page_of(found[::-1], args)

    def _replies(self, args: Json) -> Json:
        channel = self._channel(args, member=True)
        messages = self._workspace.messages[channel.id]
        ts = str(args.get("ts"))
        if ts not in messages:
            raise SlackError("thread_not_found")
        thread_ts = messages[ts].get("thread_ts", ts)
        return _page_of([m for m in messages.values() if thread_ts in (m["ts"], m.get("thread_ts"))], args)

    def _users(self, _args: Json) -> Json:
        ids = [*self._workspace.users, BOT_USER_ID]
        return {"members": [self._workspace.user_object(user) for user in ids]}


def _group_members(args: Json) -> Json:
    members = USER_GROUPS.get(str(args.get("usergroup")))
    if members is None:
        raise SlackError("no_such_subteam")
    return {"users": list(members)}


def _page_of(messages: list[Json], args: Json) -> Json:
    """One page of messages within oldest/latest, cut by limit and cursor as Slack does it."""
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    inclusive = _is_true(args.get("inclusive"))
    within = [
        message
        for message in messages
        if "ephemeral_for" not in message
        and (oldest < float(message["ts"]) < latest or (inclusive and float(message["ts"]) in (oldest, latest)))
    ]
    start, limit = int(args.get("cursor") or 0), int(args.get("limit") or 100)
    hidden = set() if _is_true(args.get("include_all_metadata")) else {"metadata"}
    page = [{k: v for k, v in m.items() if k not in hidden} for m in within[start : start + limit]]
    more = start + limit < len(within)
    cursor = str(start + limit) if more else ""
    return {"messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}}


def _is_true(value: object) -> bool:
    return str(value).lower() in {"1", "true"}
