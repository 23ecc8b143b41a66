"""What a person does in the page becomes the payload that Slack sends; the ack becomes what they see."""

from __future__ import annotations

import copy
import time
from typing import Any

from infra.workspace.delivery import Delivery, DeliveryError
from infra.workspace.elements import find_element, input_errors
from infra.workspace.files import FileStore
from infra.workspace.limits import options_problems
from infra.workspace.places import Places
from infra.workspace.response_urls import ResponseUrls
from infra.workspace.state import (
    APP_ID,
    BOT_USER_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    Json,
    SlackError,
    Workspace,
    random_id,
)
from infra.workspace.views import Views

VERIFICATION_TOKEN = "local-verification-token"  # noqa: S105 - obsolete field of Slack's payloads, checked by nobody
TROUBLE = "We had some trouble connecting. Try again?"


class Interactions:
    """Commands, actions, option look-ups, submissions, closing and the App Home of the people."""

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        files: FileStore,
        delivery: Delivery,
        responses: ResponseUrls,
        commands: tuple[str, ...],
    ) -> None:
        self._workspace = workspace
        self._views = views
        self._places = Places(workspace, views, files)
        self._delivery = delivery
        self._responses = responses
        self._commands = commands

    async def command(self, user: str, channel_id: str, text: str) -> Json:
        """Run a slash command, `"/train x"`; what the ack carries is posted as a message."""
        word, _, rest = text.strip().partition(" ")
        if word not in self._commands:
            hint = 'In Slack, all messages that start with the "/" character are interpreted as commands.'
            return self._refused(user, f"{word} is not a valid command. {hint}")
        channel = self._workspace.channel(channel_id)
        payload = {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "team_domain": TEAM_DOMAIN,
            "channel_id": channel.id,
            "channel_name": channel.name if channel.kind == "channel" else "directmessage",
            "user_id": user,
            "user_name": self._workspace.users[user].name,
            "command": word,
            "text": rest.strip(),
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._responses.issue(channel, user),
            "trigger_id": self._views.issue_trigger(user),
        }
        try:
            answer = await self._delivery.send("slash_commands", payload)
            if answer:
                self._responses.answer(channel, user, answer)
        except DeliveryError as error:
            return self._refused(user, f'{word} failed with the error "{error.code}"')
        except SlackError as error:
            detail = "; ".join([error.code, *error.messages])
            return self._refused(user, f'{word} failed with the error "invalid_command_response" ({detail})')
        return {"ok": True}

    async def action(self, user: str, body: Json) -> Json:
        """A click or choice on an element of a message, a modal or the home."""
        try:
            place = self._places.at(user, body["container"], body.get("state"))
            action = self._places.act(place, body)
        except SlackError as error:
            return self._refused(user, _gone(error))
        payload = {
            **self._common("block_actions", user),
            **place.fields,
            "trigger_id": self._views.issue_trigger(user),
            "actions": [action],
        }
        if place.channel is not None:
            payload["response_url"] = self._responses.issue(place.channel, user, place.message_ts)
        try:
            await self._delivery.send("interactive", payload)
        except DeliveryError:
            return self._refused(user, TROUBLE)
        return {"ok": True}

    async def options(self, user: str, body: Json) -> Json:
        """The options of an external select for what the person typed so far."""
        try:
            place = self._places.at(user, body["container"], body.get("state"))
        except SlackError as error:
            return self._refused(user, _gone(error))
        if find_element(place.blocks, body["action_id"], body["block_id"]) is None:
            return self._refused(user, "This element is no longer there.")
        asked = {name: body[name] for name in ("action_id", "block_id")} | {"value": body.get("value") or ""}
        payload = {**self._common("block_suggestion", user), **place.fields, **asked}
        try:
            answer = await self._delivery.send("interactive", payload)
        except DeliveryError:
            return self._refused(user, "Couldn’t load results. Try again?")
        problems = options_problems(answer)
        if problems:
            return self._refused(user, "Couldn’t load results: " + "; ".join(problems))
        return {"ok": True, **{name: answer[name] for name in ("options", "option_groups") if name in answer}}

    async def submit(self, user: str, view_id: str, given: Json) -> Json:
        """Submit a modal; `given` is `{values: {block_id: {action_id: entry}}}`."""
        try:
            view = self._modal(user, view_id)
            values = self._places.state(view["blocks"], given)
        except SlackError as error:
            return self._refused(user, _gone(error))
        view["state"] = {"values": values}
        errors = input_errors(view["blocks"], values)
        if errors:
            return {"ok": False, "errors": errors}
        payload = {
            **self._common("view_submission", user),
            "trigger_id": self._views.issue_trigger(user),
            "view": view,
            "response_urls": [],
        }
        try:
            answer = await self._delivery.send("interactive", payload)
            return self._carry_out(user, view, answer)
        except DeliveryError:
            return self._refused(user, TROUBLE)
        except SlackError as error:
            detail = "; ".join([error.code, *error.messages])
            return {**self._refused(user, TROUBLE), "detail": detail}

    async def close(self, user: str, view_id: str, *, whole_stack: bool) -> Json:
        """Close a modal, or the whole stack of them; the bot hears of those that asked for it."""
        try:
            view = self._modal(user, view_id)
        except SlackError as error:
            return self._refused(user, _gone(error))
        everything = whole_stack or bool(view["clear_on_close"])
        for closed in self._views.close(user, None if everything else view_id):
            if closed["notify_on_close"]:
                payload = {**self._common("view_closed", user), "view": closed, "is_cleared": everything}
                try:
                    await self._delivery.send("interactive", payload)
                except DeliveryError as error:
                    self._workspace.pages.toast(user, f"{TROUBLE} ({error.code})")
        return {"ok": True}

    def open_home(self, user: str) -> Json:
        """The person opens the App Home; the bot hears of it as an event."""
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": self._workspace.open_im(user).id,
            "tab": "home",
            "event_ts": self._workspace.next_ts(),
        }
        if user in self._workspace.homes:
            event["view"] = copy.deepcopy(self._workspace.homes[user])
        authorization = {"team_id": TEAM_ID, "user_id": BOT_USER_ID, "is_bot": True, "enterprise_id": None}
        self._delivery.send_event(
            {
                "token": VERIFICATION_TOKEN,
                "team_id": TEAM_ID,
                "api_app_id": APP_ID,
                "event": event,
                "type": "event_callback",
                "event_id": random_id("Ev", 10),
                "event_time": int(time.time()),
                "authorizations": [{**authorization, "is_enterprise_install": False}],
                "is_ext_shared_channel": False,
            }
        )
        return {"ok": True}

    def _modal(self, user: str, view_id: str) -> Json:
        view = self._views.get(view_id, user)
        if view["type"] != "modal":
            raise SlackError("not_found")
        return view

    def _common(self, kind: str, user: str) -> Json:
        name = self._workspace.users[user].name
        return {
            "type": kind,
            "user": {"id": user, "username": name, "name": name, "team_id": TEAM_ID},
            "api_app_id": APP_ID,
            "token": VERIFICATION_TOKEN,
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _carry_out(self, user: str, view: Json, answer: Json) -> Json:
        wish = answer.get("response_action")
        if wish is None:
            if answer:
                raise SlackError("invalid_arguments", ["the ack carries no response_action"])
            self._views.close(user, view["id"])
        elif wish == "errors":
            return {"ok": False, "errors": _checked_errors(view, answer.get("errors"))}
        elif wish == "update":
            self._views.replace(view, answer.get("view") or {})
        elif wish == "push":
            self._views.push_view(user, answer.get("view") or {})
        elif wish == "clear":
            self._views.close(user, None)
        else:
            raise SlackError("invalid_arguments", [f"unknown response_action {wish!r}"])
        return {"ok": True}

    def _refused(self, user: str, text: str) -> Json:
        self._workspace.pages.toast(user, text)
        return {"ok": False, "error": text}


def _checked_errors(view: Json, errors: Any) -> Json:
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise SlackError("invalid_arguments", ["errors must name at least one block"])
    unknown = sorted(errors.keys() - inputs)
    if unknown:
        raise SlackError("invalid_arguments", [f"errors.{name}: no such input block" for name in unknown])
    return errors


def _gone(error: SlackError) -> str:
    return f"This is no longer there ({error.code})."
