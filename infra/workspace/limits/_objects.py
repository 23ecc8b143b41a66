"""Composition objects: text, option, option group, confirmation, dispatch configuration, files, URLs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from infra.workspace.limits._core import (
    Check,
    Shape,
    array,
    at_least_one,
    boolean,
    by_type,
    exactly_one,
    one_of,
    string,
)

URL_MAX = 3000
OPTION_TEXT_MAX = 75
OPTION_VALUE_MAX = 150
ID_MAX = 255

identifier = string(ID_MAX)
style = one_of("primary", "danger")

_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+")


def text(maximum: int = 3000, *, plain_only: bool = False) -> Check:
    """Check a text object of 1 to `maximum` characters; `plain_only` refuses `mrkdwn`."""
    content = string(maximum)
    plain = Shape(
        "a plain_text object",
        {"type": one_of("plain_text"), "text": content},
        {"emoji": boolean},
    )
    mrkdwn = Shape(
        "a mrkdwn object",
        {"type": one_of("mrkdwn"), "text": content},
        {"verbatim": boolean},
    )
    if plain_only:
        return by_type({"plain_text": plain}, "text here: only plain_text is allowed")
    return by_type({"plain_text": plain, "mrkdwn": mrkdwn}, "a text object")


def plain(maximum: int) -> Check:
    """Check a `plain_text` object of 1 to `maximum` characters."""
    return text(maximum, plain_only=True)


placeholder = plain(150)


def link(maximum: int = URL_MAX) -> Check:
    """Check a URL that a person opens: any scheme, no blanks, http(s) with a host."""
    length = string(maximum)

    def check(value: object, path: str) -> Iterator[str]:
        problems = [*length(value, path)]
        yield from problems
        if not problems and not _is_url(str(value)):
            yield f"{path} must be a valid URL, not {str(value)[:60]!r}."

    return check


def fetched_url(maximum: int = URL_MAX, *, schemes: tuple[str, ...] = ("http", "https")) -> Check:
    """Check a URL that Slack's own servers load: http(s) and not a host of a private network."""
    well_formed = link(maximum)

    def check(value: object, path: str) -> Iterator[str]:
        problems = [*well_formed(value, path)]
        yield from problems
        if problems:
            return
        parts = urlsplit(str(value))
        if parts.scheme.lower() not in schemes:
            yield f"{path} must start with {' or '.join(schemes)}, not {parts.scheme!r}."
        elif not _is_public(parts.hostname or ""):
            yield f"{path} is loaded by Slack, which cannot reach the private host {parts.hostname!r}."

    return check


def _is_url(value: str) -> bool:
    if not _LINK.fullmatch(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme.lower() not in {"http", "https"} or bool(parts.hostname)


def _is_public(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host


def option(*, plain_only: bool, with_url: bool = False) -> Shape:
    """Describe an option: menus take `plain_text` only, radio buttons and checkboxes `mrkdwn` too."""
    wording = text(OPTION_TEXT_MAX, plain_only=plain_only)
    optional: dict[str, Check] = {"description": wording}
    if with_url:
        optional["url"] = link()
    return Shape("an option", {"text": wording, "value": string(OPTION_VALUE_MAX)}, optional)


menu_option = option(plain_only=True)
choice_option = option(plain_only=False)
overflow_option = option(plain_only=True, with_url=True)

option_group = Shape(
    "an option group",
    {"label": plain(75), "options": array(menu_option, 1, 100)},
)

confirm = Shape(
    "a confirmation dialog",
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": style},
)

dispatch_action_config = Shape(
    "a dispatch action configuration",
    {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 1, 2)},
)

conversation_filter = Shape(
    "a conversation filter",
    {},
    {
        "include": array(one_of("im", "mpim", "private", "public"), 1),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
    (at_least_one("include", "exclude_external_shared_channels", "exclude_bot_users"),),
)

slack_file = Shape(
    "a Slack file",
    {},
    {
        "id": string(pattern=re.compile(r"F[A-Z0-9]+"), means="a file id (F…)"),
        "url": link(),
    },
    (exactly_one("id", "url"),),
)

workflow = Shape(
    "a workflow",
    {
        "trigger": Shape(
            "a workflow trigger",
            {"url": link()},
            {
                "customizable_input_parameters": array(
                    Shape("an input parameter", {"name": string(), "value": string(minimum=0)})
                )
            },
        )
    },
)
