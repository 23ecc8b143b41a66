"""A synchronous driver of the workspace for scenario tests and demonstrations: a person at the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import httpx

from infra.workspace.elements import STATE_FIELDS, complete_state, elements, find_element
from infra.workspace.state import Json

POLL_S = 0.02
REQUEST_TIMEOUT_S = 30.0


class PersonError(AssertionError):
    """What the person sees instead of what was wanted, e.g. an error notice or a field's message."""


class WorkspaceClient:
    """The workspace at an address; `as_user` gives one person's hands and eyes."""

    def __init__(self, base_url: str) -> None:
        # trust_env off: a proxy of the environment must not stand between two local programs.
        self._http = httpx.Client(base_url=base_url, timeout=REQUEST_TIMEOUT_S, trust_env=False)
        self._people: dict[str, Person] = {}

    def __enter__(self) -> WorkspaceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def as_user(self, user_id: str) -> Person:
        """The person with this id; always the same one, who remembers what they typed."""
        return self._people.setdefault(user_id, Person(self._http, user_id))

    def control(self, name: str, body: object = None) -> Json:
        """`POST /control/{name}`, e.g. `control("faults", [{"method": "chat.update", "kind": "error"}])`."""
        answer: Json = self._http.post(f"/control/{name}", json=body or {}).json()
        return answer

    def calls(self, method: str | None = None) -> list[Json]:
        """The Web API calls of the bot so far: `{time, method, args, answer}`."""
        params = {} if method is None else {"method": method}
        calls: list[Json] = self._http.get("/control/calls", params=params).json()["calls"]
        return calls

    def all_messages(self, channel: str) -> list[Json]:
        """Every message of a channel, whoever sees it; direct messages that nobody has opened yet hold none."""
        answer = self._http.get("/control/messages", params={"channel": channel})
        if answer.status_code == 404 and channel.startswith("D"):
            return []
        found: list[Json] = answer.raise_for_status().json()["messages"]
        return found


class Person:
    """One person at the page. `click`, `fill` and `submit` behave as the browser page does."""

    def __init__(self, http: httpx.Client, user_id: str) -> None:
        self._http = http
        self.user = user_id
        self._typed: dict[str, Json] = {}
        self._channels: dict[str, str] = {}

    def state(self) -> Json:
        """All that the page shows: channels, messages, home, views."""
        state: Json = self._http.get("/page/state", params={"user": self.user}).json()
        return state

    def views(self) -> list[Json]:
        """The open modals, the top one last."""
        views: list[Json] = self.state()["views"]
        return views

    def home(self) -> Json | None:
        """The App Home as the bot published it."""
        home: Json | None = self.state()["home"]
        return home

    def messages(self, channel: str) -> list[Json]:
        """The messages that this person sees in a channel, oldest first."""
        messages: list[Json] = self.state()["messages"].get(channel, [])
        self._channels |= {message["ts"]: channel for message in messages}
        return messages

    def im(self) -> str:
        """The id of this person's direct-message channel with the bot."""
        return "D" + self.user[1:]

    def wait_view(
        self, callback_id: str | None, timeout: float = 5.0, when: Callable[[Json], bool] = lambda _: True
    ) -> Json:
        """The top modal once it has this callback id (None: any) and satisfies `when`.

        Raises:
            PersonError: it does not come within `timeout` seconds.
        """
        return self._wait(
            lambda: next((v for v in self.views()[-1:] if callback_id in (None, v["callback_id"]) and when(v)), None),
            timeout,
            lambda: f"no view {callback_id!r}; open: {[v['callback_id'] for v in self.views()]}",
        )

    def wait_message(self, channel: str, predicate: Callable[[Json], bool], timeout: float = 5.0) -> Json:
        """The newest message in the channel that satisfies the predicate.

        Raises:
            PersonError: there is none within `timeout` seconds.
        """
        return self._wait(
            lambda: next((m for m in reversed(self.messages(channel)) if predicate(m)), None),
            timeout,
            lambda: f"no such message; texts: {[m['text'] for m in self.messages(channel)]}",
        )

    def wait_home(self, predicate: Callable[[Json], bool] = lambda _: True, timeout: float = 5.0) -> Json:
        """The App Home once it satisfies the predicate.

        Raises:
            PersonError: it does not within `timeout` seconds.
        """

        def look() -> Json | None:
            home = self.home()
            return home if home is not None and predicate(home) else None

        return self._wait(look, timeout, lambda: f"no such home: {self.home()}")

    def command(self, channel: str, text: str) -> Json:
        """Type a slash command; `{ok, error?}`."""
        return self._post("command", {"channel": channel, "text": text})

    def say(self, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Write a message; `{ok, ts}`."""
        return self._post("message", {"channel": channel, "text": text, "thread_ts": thread_ts})

    def open_home(self) -> Json:
        """Open the App Home."""
        return self._post("home", {})

    def click(self, place: Json, action_id: str, *, block_id: str | None = None, **choice: Any) -> Json:
        """Press a button or choose in an element of a message, modal or home.

        Args:
            place: the message (as `messages` gives it) or view.
            action_id: of the element.
            block_id: of its block, where several elements share the action id.
            choice: the state field, e.g. `selected_option={…}`; an option may be named by its value alone.
                For a button `value` picks one among several with the same action id.

        Returns:
            `{ok, error?}`.

        Raises:
            PersonError: there is no such element or option.
        """
        wanted = choice.get("value") if "value" in choice else None
        block, element = self._find(place, action_id, block_id, wanted)
        payload = {"type": element["type"], **_full_choice(element, choice)}
        if element["type"] in STATE_FIELDS:
            self._type_into(place, block, element, payload)
        body = {
            "container": self._container(place),
            "block_id": block["block_id"],
            "action_id": element["action_id"],
            "payload": payload,
            "state": {"values": self._values(place)},
        }
        return self._post("action", body)

    def fill(self, view: Json, given: Mapping[str, Any]) -> Json:
        """Enter values by action id; elements with `dispatch_action` tell the bot, as Slack's do.

        A value is text, an option's value, a list of option values, a date, or a list of files.

        Returns:
            The state `{values}` of the view with everything entered so far.
        """
        for action_id, value in given.items():
            current = self._current(view)
            block, element = self._find(current, action_id)
            field = STATE_FIELDS[element["type"]][0]
            if element["type"] == "external_select" and isinstance(value, str):
                value = self._look_up(current, action_id, value)
            choice = _full_choice(element, {field: value})
            self._type_into(current, block, element, choice)
            if block["type"] != "input" or block.get("dispatch_action"):
                self.click(current, action_id, block_id=block["block_id"], **choice)
        return {"values": self._values(self._current(view))}

    def submit(self, view: Json, values: Mapping[str, Any] | None = None) -> Json:
        """Fill what is given, then press the submit button; `{ok, errors?, error?}`."""
        state = self.fill(view, values or {})
        answer = self._post("submit", {"view_id": view["id"], "state": state})
        if answer["ok"]:
            self._typed.pop(view["id"], None)
        return answer

    def close(self, view: Json, *, whole_stack: bool = False) -> Json:
        """Close a modal (or all of them); `{ok, error?}`."""
        return self._post("close", {"view_id": view["id"], "all": whole_stack})

    def options(self, place: Json, action_id: str, query: str) -> list[Json]:
        """What an external select offers for a query.

        Raises:
            PersonError: the options could not be loaded.
        """
        block, element = self._find(place, action_id)
        body = {
            "container": self._container(place),
            "block_id": block["block_id"],
            "action_id": element["action_id"],
            "value": query,
        }
        answer = self._post("options", body)
        if not answer["ok"]:
            raise PersonError(answer["error"])
        grouped = [option for group in answer.get("option_groups", []) for option in group["options"]]
        return [*answer.get("options", []), *grouped]

    def upload(self, name: str, data: bytes) -> Json:
        """Upload a file for a file input; the file object."""
        params = {"user": self.user, "name": name}
        answer = self._http.post("/page/upload", params=params, content=data).json()
        file: Json = answer["file"]
        return file

    def download(self, file_id: str) -> bytes:
        """The bytes of a file, as the page shows or saves it."""
        return self._http.get(f"/page/file/{file_id}").raise_for_status().content

    def _post(self, name: str, body: Json) -> Json:
        answer: Json = self._http.post(f"/page/{name}", json={"user": self.user, **body}).json()
        return answer

    def _wait(self, look: Callable[[], Json | None], timeout: float, complaint: Callable[[], str]) -> Json:
        deadline = time.monotonic() + timeout
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise PersonError(complaint())
            time.sleep(POLL_S)
        return found

    def _container(self, place: Json) -> Json:
        if "hash" not in place:
            return {"type": "message", "channel": self._channel_of(place), "ts": place["ts"]}
        return {"type": "home"} if place["type"] == "home" else {"type": "view", "view_id": place["id"]}

    def _channel_of(self, message: Json) -> str:
        if message["ts"] not in self._channels:
            found = self.state()["messages"]
            self._channels |= {m["ts"]: channel for channel, messages in found.items() for m in messages}
        if message["ts"] in self._channels:
            return self._channels[message["ts"]]
        raise PersonError(f"the message is no longer there: {message['text']!r}")

    def _find(
        self, place: Json, action_id: str, block_id: str | None = None, value: object = None
    ) -> tuple[Json, Json]:
        blocks = place.get("blocks", [])
        if value is not None:
            for block, element in elements(blocks):
                if element["action_id"] == action_id and element.get("value") == value:
                    return block, element
        found = find_element(blocks, action_id, block_id)
        if found is None:
            there = [element["action_id"] for _, element in elements(blocks)]
            raise PersonError(f"no element {action_id!r}; there are {there}")
        return found

    def _current(self, view: Json) -> Json:
        return next((found for found in self.views() if found["id"] == view["id"]), view)

    def _values(self, place: Json) -> Json:
        stored = place.get("state", {}).get("values", {})
        typed = self._typed.get(_key(place), {})
        blocks = {name: {**stored.get(name, {}), **typed.get(name, {})} for name in {*stored, *typed}}
        return complete_state(place.get("blocks", []), blocks)

    def _type_into(self, place: Json, block: Json, element: Json, entry: Json) -> None:
        field = STATE_FIELDS[element["type"]][0]
        typed = {"type": element["type"], field: entry.get(field)}
        self._typed.setdefault(_key(place), {}).setdefault(block["block_id"], {})[element["action_id"]] = typed

    def _look_up(self, view: Json, action_id: str, value: str) -> Json:
        offered = self.options(view, action_id, value)
        for option in offered:
            if value in (option["value"], option["text"]["text"]):
                return option
        raise PersonError(f"{action_id!r} offers no {value!r} but {[option['value'] for option in offered]}")


def _key(place: Json) -> str:
    return str(place["id"] if "hash" in place else place["ts"])


def _full_choice(element: Json, choice: Mapping[str, Any]) -> Json:
    """The choice with option objects in place of option values."""
    full = dict(choice)
    if isinstance(full.get("selected_option"), str):
        full["selected_option"] = _option(element, full["selected_option"])
    if "selected_options" in full:
        given = full["selected_options"] or []
        full["selected_options"] = [_option(element, o) if isinstance(o, str) else o for o in given]
    return full


def _option(element: Json, value: str) -> Json:
    grouped = [option for group in element.get("option_groups", []) for option in group["options"]]
    offered: list[Json] = [*element.get("options", []), *grouped]
    for option in offered:
        if option["value"] == value:
            return option
    raise PersonError(f"{element['action_id']!r} offers no {value!r} but {[o['value'] for o in offered]}")
