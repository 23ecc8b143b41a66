"""Where a person can act: a message, a modal or the App Home, with its state and its part of the payload."""

from __future__ import annotations

from dataclasses import dataclass

from infra.workspace.elements import STATE_FIELDS, complete_state, find_element
from infra.workspace.files import FileStore
from infra.workspace.state import Channel, Json, SlackError, Workspace
from infra.workspace.views import Views

CHOICES = (
    "value",
    "selected_option",
    "selected_options",
    "selected_date",
    "selected_time",
    "selected_date_time",
    "selected_user",
    "selected_users",
    "selected_channel",
    "selected_channels",
    "selected_conversation",
    "selected_conversations",
    "rich_text_value",
)
BUTTON_FIELDS = ("text", "value", "style", "url")


@dataclass(frozen=True)
class Place:
    """The blocks acted on, their `state.values`, the payload's fields; channel and ts if it is a message."""

    blocks: list[Json]
    values: Json
    fields: Json
    channel: Channel | None = None
    message_ts: str | None = None


class Places:
    """Finds places, and checks that a person may act there."""

    def __init__(self, workspace: Workspace, views: Views, files: FileStore) -> None:
        self._workspace = workspace
        self._views = views
        self._files = files

    def state(self, blocks: list[Json], given: Json | None) -> Json:
        """`state.values` of all elements, with full file objects in place of file ids.

        Raises:
            SlackError: `file_not_found`.
        """
        values = complete_state(blocks, (given or {}).get("values") or {})
        for entries in values.values():
            for entry in entries.values():
                if entry["type"] == "file_input":
                    entry["files"] = [self._files.describe(file["id"]) for file in entry["files"]]
        return values

    def at(self, user: str, container: Json, given: Json | None) -> Place:
        """The place of an interaction, as the page names it; `given` is the state there.

        Raises:
            SlackError: `not_found`, `message_not_found`, `channel_not_found`, `file_not_found`.
        """
        if container["type"] == "message":
            return self._message(user, container, given)
        if container["type"] == "home":
            view = self._workspace.homes.get(user)
            if view is None:
                raise SlackError("not_found")
        else:
            view = self._views.get(container.get("view_id"), user)
        # Without a state the page has changed nothing since the last interaction.
        view["state"] = {"values": self.state(view["blocks"], given or view["state"])}
        fields = {"container": {"type": "view", "view_id": view["id"]}, "view": view}
        return Place(view["blocks"], view["state"]["values"], fields)

    def act(self, place: Place, body: Json) -> Json:
        """The entry of `actions` for a click or choice; the choice goes into the state as well.

        Raises:
            SlackError: `not_found`, when the element is no longer there.
        """
        found = find_element(place.blocks, body["action_id"], body["block_id"])
        if found is None:
            raise SlackError("not_found")
        block, element = found
        given = body.get("payload") or {}
        kind = element["type"]
        action = {"type": kind, "action_id": element["action_id"], "block_id": block["block_id"]}
        if kind == "button":
            action |= {name: element[name] for name in BUTTON_FIELDS if name in element}
        else:
            action |= {name: given[name] for name in CHOICES if name in given}
        if kind in STATE_FIELDS:
            field = STATE_FIELDS[kind][0]
            entry = place.values[block["block_id"]][element["action_id"]]
            entry[field] = given.get(field, entry[field])
            action[field] = entry[field]
        if "placeholder" in element:
            action["placeholder"] = element["placeholder"]
        return {**action, "action_ts": self._workspace.next_ts()}

    def _message(self, user: str, container: Json, given: Json | None) -> Place:
        channel = self._workspace.channel(container.get("channel"))
        message = self._workspace.find(channel, container.get("ts"))
        is_ephemeral = "ephemeral_for" in message
        if not self._workspace.may_see(user, channel) or message.get("ephemeral_for", user) != user:
            raise SlackError("message_not_found")
        values = self.state(message.get("blocks", []), given)
        name = channel.name if channel.kind == "channel" else "directmessage"
        place = {"message_ts": message["ts"], "channel_id": channel.id, "is_ephemeral": is_ephemeral}
        fields: Json = {
            "container": {"type": "message", **place},
            "channel": {"id": channel.id, "name": name},
            "state": {"values": values},
        }
        if not is_ephemeral:  # Slack does not repeat an ephemeral message in the payload
            fields["message"] = message
        return Place(message.get("blocks", []), values, fields, channel, message["ts"])
