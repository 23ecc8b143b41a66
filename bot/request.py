"""What a listener needs from Slack's payload, whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.context import BotContext
from functions.model.people import Person

Payload = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """Who did it, and where. `channel_id` is empty in modals and App Home."""

    team_id: str
    user_id: str
    channel_id: str
    trigger_id: str
    delivery_key: str

    def person(self, context: BotContext) -> Person:
        """Who it was, with their role."""
        with context.db.transaction() as tx:
            return context.person(tx, team_id=self.team_id, user_id=self.user_id)


def origin(body: Payload) -> Origin:
    """Read who and where from a command's, an action's, a submission's or an event's payload."""
    user = body.get("user") or {}
    event = body.get("event") or {}
    team_id = body.get("team_id") or (body.get("team") or {}).get("id") or user.get("team_id", "")
    channel = body.get("channel_id") or (body.get("channel") or {}).get("id", "")
    return Origin(
        team_id=team_id,
        user_id=body.get("user_id") or user.get("id") or event.get("user", ""),
        channel_id=channel,
        trigger_id=body.get("trigger_id", ""),
        delivery_key=delivery_key(body),
    )


def delivery_key(body: Payload) -> str:
    """The same for every delivery of one click, command or event; "" where a repeat does no harm.

    Submissions have none: Slack sends the same view id and hash again after a field's error was mended, and
    what a submission does is bound to the key that its form carries.
    """
    if "event_id" in body:
        return f"event:{body['event_id']}"
    if body.get("actions"):
        action = body["actions"][0]
        return f"action:{action.get('action_ts')}:{action.get('action_id')}:{body['user']['id']}"
    if "command" in body:
        return f"command:{body['trigger_id']}"
    return ""


def first_time(context: BotContext, body: Payload) -> bool:
    """Whether this delivery is new; Slack repeats what it thinks was not heard."""
    key = delivery_key(body)
    if not key:
        return True
    with context.db.transaction() as tx:
        return tx.deliveries.first_time(key)
