"""Modals and App Home: trigger ids, each person's stack of views, and the `views.*` methods."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.workspace.elements import kept_state, with_ids
from infra.workspace.limits import view_problems
from infra.workspace.state import APP_ID, BOT_ID, TEAM_ID, Json, SlackError, Workspace, random_id

TRIGGER_SECONDS = 3.0
STACK_LIMIT = 3


@dataclass
class _Trigger:
    user: str
    expires: float
    used: bool = False


class Views:
    """Every open view by id, and for each person the stack of them (the last one is on top)."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspace = workspace
        self._clock = clock
        self.clear()
        self.methods: dict[str, Callable[[Json], Json]] = {
            "views.open": self._open,
            "views.push": self._push,
            "views.update": self._update,
            "views.publish": self._publish,
        }

    def clear(self) -> None:
        """Close everything."""
        self._open_views: dict[str, Json] = {}
        self._stacks: dict[str, list[str]] = {}
        self._triggers: dict[str, _Trigger] = {}

    def issue_trigger(self, user: str) -> str:
        """A trigger id for an interaction of this person: good once, for three seconds."""
        trigger_id = f"{time.time_ns() // 1000}.{TEAM_ID}.{random_id('', 12).lower()}"
        self._triggers[trigger_id] = _Trigger(user, self._clock() + TRIGGER_SECONDS)
        return trigger_id

    def stack(self, user: str) -> list[Json]:
        """Copies of the person's open views, bottom first."""
        return [copy.deepcopy(self._open_views[view_id]) for view_id in self._stacks.get(user, [])]

    def get(self, view_id: object, user: str | None = None) -> Json:
        """The stored view itself, a modal or the person's home.

        Raises:
            SlackError: `not_found`, also when the view belongs to somebody else than `user`.
        """
        view = self._open_views.get(str(view_id)) or next(
            (home for home in self._workspace.homes.values() if home["id"] == view_id), None
        )
        if view is None or (user is not None and self.owner(view) != user):
            raise SlackError("not_found")
        return view

    def owner(self, view: Json) -> str | None:
        """The person who has this view before them."""
        for user, home in self._workspace.homes.items():
            if home["id"] == view["id"]:
                return user
        return next((user for user, ids in self._stacks.items() if view["id"] in ids), None)

    def push_view(self, user: str, payload: Json) -> Json:
        """Put a checked view on top of the person's stack.

        Raises:
            SlackError: `invalid_arguments`, `push_limit_reached`, `duplicate_external_id`.
        """
        if len(self._stacks.get(user, [])) >= STACK_LIMIT:
            raise SlackError("push_limit_reached")
        view = self._new_view(payload, "modal")
        self._put_on_top(user, view)
        return view

    def _put_on_top(self, user: str, view: Json) -> None:
        stack = self._stacks.setdefault(user, [])
        view["previous_view_id"] = stack[-1] if stack else None
        view["root_view_id"] = stack[0] if stack else view["id"]
        self._open_views[view["id"]] = view
        stack.append(view["id"])
        self._show_stack(user)

    def replace(self, view: Json, payload: Json) -> Json:
        """Give an open view new content under the same id and a new hash.

        Raises:
            SlackError: `invalid_arguments`, `duplicate_external_id`.
        """
        fresh = self._new_view(payload, view["type"], replacing=view)
        kept = ("id", "root_view_id", "previous_view_id")
        fresh["state"] = {"values": kept_state(fresh["blocks"], view["state"]["values"])}
        view.update({**fresh, **{name: view[name] for name in kept}})
        owner = self.owner(view)
        if owner is not None and view["type"] == "home":
            self._show_home(owner, view)
        elif owner is not None:
            self._show_stack(owner)
        return view

    def close(self, user: str, view_id: str | None) -> list[Json]:
        """Take a view off the person's stack (None: the whole stack); the views that went, top first."""
        stack = self._stacks.get(user, [])
        gone = list(reversed(stack)) if view_id is None else [found for found in stack if found == view_id]
        self._stacks[user] = [found for found in stack if found not in gone]
        closed = [self._open_views.pop(found) for found in gone]
        self._show_stack(user)
        return closed

    def _new_view(self, payload: object, kind: str, replacing: Json | None = None) -> Json:
        if not isinstance(payload, dict):
            raise SlackError("invalid_arguments", ["missing required field: view"])
        problems = list(view_problems(payload))
        if payload.get("type") != kind:
            problems.append(f"view.type: expected {kind!r}, got {payload.get('type')!r}")
        if problems:
            raise SlackError("invalid_arguments", problems)
        self._check_external_id(payload.get("external_id"), replacing)
        view_id = random_id("V", 10)
        defaults: Json = {
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "title": {"type": "plain_text", "text": "View Title", "emoji": True},
            "close": None,
            "submit": None,
            "clear_on_close": False,
            "notify_on_close": False,
        }
        owned = {"app_id": APP_ID, "bot_id": BOT_ID, "team_id": TEAM_ID, "app_installed_team_id": TEAM_ID}
        place = {"id": view_id, "root_view_id": view_id, "previous_view_id": None}
        content = {"blocks": with_ids(payload["blocks"]), "state": {"values": {}}, "hash": _new_hash()}
        return {**defaults, **payload, **owned, **place, **content}

    def _check_external_id(self, external_id: object, replacing: Json | None) -> None:
        if not external_id:
            return
        others = [*self._open_views.values(), *self._workspace.homes.values()]
        if any(view["external_id"] == external_id and view is not replacing for view in others):
            raise SlackError("duplicate_external_id")

    def _exchange(self, trigger_id: object) -> str:
        trigger = self._triggers.get(str(trigger_id))
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() > trigger.expires:
            raise SlackError("expired_trigger_id")
        return trigger.user

    def _open(self, args: Json) -> Json:
        user = self._exchange(args.get("trigger_id"))
        view = self._new_view(args.get("view"), "modal")
        self.close(user, None)
        self._put_on_top(user, view)
        self._triggers[args["trigger_id"]].used = True
        return {"view": copy.deepcopy(view)}

    def _push(self, args: Json) -> Json:
        user = self._exchange(args.get("trigger_id"))
        if not self._stacks.get(user):
            raise SlackError("not_found")
        view = self.push_view(user, args.get("view") or {})
        self._triggers[args["trigger_id"]].used = True
        return {"view": copy.deepcopy(view)}

    def _update(self, args: Json) -> Json:
        if args.get("external_id"):
            candidates = [*self._open_views.values(), *self._workspace.homes.values()]
            found = [view for view in candidates if view["external_id"] == args["external_id"]]
            view = self.get(found[0]["id"] if found else None)
        else:
            view = self.get(args.get("view_id"))
        _check_hash(view, args.get("hash"))
        return {"view": copy.deepcopy(self.replace(view, args.get("view") or {}))}

    def _publish(self, args: Json) -> Json:
        user = args.get("user_id")
        if not isinstance(user, str) or user not in self._workspace.users:
            raise SlackError("user_not_found")
        home = self._workspace.homes.get(user)
        if home is not None:
            _check_hash(home, args.get("hash"))
            return {"view": copy.deepcopy(self.replace(home, args.get("view") or {}))}
        home = self._new_view(args.get("view"), "home")
        self._workspace.homes[user] = home
        self._show_home(user, home)
        return {"view": copy.deepcopy(home)}

    def _show_stack(self, user: str) -> None:
        self._workspace.pages.push({"type": "views", "views": self.stack(user)}, user=user)

    def _show_home(self, user: str, view: Json) -> None:
        self._workspace.dirty = True
        self._workspace.pages.push({"type": "home", "view": copy.deepcopy(view)}, user=user)


def _check_hash(view: Json, given: object) -> None:
    if given and given != view["hash"]:
        raise SlackError("hash_conflict")


def _new_hash() -> str:
    return f"{int(time.time())}.{random_id('', 8).lower()}"
