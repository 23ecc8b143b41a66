"""Layout blocks, each as the shape that Slack's reference publishes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from infra.workspace.limits._core import (
    Check,
    Rule,
    Shape,
    array,
    as_array,
    as_object,
    at_least_one,
    boolean,
    by_type,
    exactly_one,
    one_of,
    string,
)
from infra.workspace.limits._data_blocks import data_table, data_visualization, table
from infra.workspace.limits._elements import (
    ELEMENTS,
    IN_ACTIONS,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    image,
)
from infra.workspace.limits._objects import fetched_url, identifier, link, plain, slack_file, text
from infra.workspace.limits._rich_text import rich_text

MARKDOWN_CHARACTERS = 12_000

# fmt: off
_ICONS = (
    "archive", "book", "bookmark", "bot", "bug", "calendar", "call", "caret-left", "caret-right", "check",
    "clipboard", "code", "comment", "compass", "copy", "cube", "download", "edit", "email", "eye-closed",
    "eye-open", "file", "flag", "folder", "gear", "globe", "heart", "help", "image", "info", "key",
    "lightbulb", "link", "map", "mobile", "new-window", "pin", "plus", "refine", "refresh", "rocket",
    "save", "screen", "share", "sparkle", "star", "star-filled", "tag", "thumbs-down", "thumbs-up",
    "trash", "upload", "user", "warning",
)
# fmt: on


def _block(
    kind: str,
    required: Mapping[str, Check],
    optional: Mapping[str, Check] | None = None,
    *rules: Rule,
) -> tuple[str, Shape]:
    article = "an" if kind[0] in "aeiou" else "a"
    return kind, Shape(
        f"{article} {kind} block",
        {"type": one_of(kind), **required},
        {"block_id": identifier, **(optional or {})},
        rules,
    )


def _element(allowed: Collection[str], place: str) -> Check:
    return by_type({kind: ELEMENTS[kind] for kind in sorted(allowed)}, place)


def _no_file_dispatch(block: Mapping[str, object], path: str) -> Iterator[str]:
    if block.get("dispatch_action") is True and as_object(block["element"]).get("type") == "file_input":
        yield f"{path}.dispatch_action cannot be used with a file_input."


_BASIC = (
    _block(
        "section",
        {},
        {
            "text": text(3000),
            "fields": array(text(2000), 1, 10),
            "accessory": _element(IN_SECTION, "the accessory of a section"),
            "expand": boolean,
        },
        at_least_one("text", "fields"),
    ),
    _block(
        "actions",
        {"elements": array(_element(IN_ACTIONS, "an element of an actions block"), 1, 25)},
    ),
    _block(
        "context",
        {
            "elements": array(
                by_type(
                    {"image": image, "mrkdwn": text(), "plain_text": text()},
                    "an element of a context block: only text and images are",
                ),
                1,
                10,
            )
        },
    ),
    _block(
        "context_actions",
        {"elements": array(_element(IN_CONTEXT_ACTIONS, "an element of a context_actions block"), 1, 5)},
    ),
    _block("divider", {}),
    _block("header", {"text": plain(150)}),
    _block(
        "image",
        {"alt_text": string(2000)},
        {"image_url": fetched_url(), "slack_file": slack_file, "title": plain(2000)},
        exactly_one("image_url", "slack_file"),
    ),
    _block(
        "input",
        {"label": plain(2000), "element": _element(IN_INPUT, "the element of an input block")},
        {"hint": plain(2000), "optional": boolean, "dispatch_action": boolean},
        _no_file_dispatch,
    ),
    _block("file", {"external_id": string(), "source": one_of("remote")}),
    _block("markdown", {"text": string(MARKDOWN_CHARACTERS)}),
    _block(
        "video",
        {
            "alt_text": string(2000),
            "title": plain(200),
            "thumbnail_url": fetched_url(),
            "video_url": fetched_url(schemes=("https",)),
        },
        {
            "author_name": string(50),
            "description": plain(200),
            "provider_icon_url": fetched_url(2000),
            "provider_name": string(50),
            "title_url": link(2000),
        },
    ),
    _block(
        "alert",
        {"text": text(200)},
        {"level": one_of("default", "info", "warning", "error", "success")},
    ),
)

_source = Shape("a URL source", {"type": one_of("url"), "url": link(), "text": string()})
_task_required: dict[str, Check] = {
    "task_id": string(),
    "title": string(),
    "status": one_of("pending", "in_progress", "complete", "error"),
}
_task_optional: dict[str, Check] = {"details": rich_text, "output": rich_text, "sources": array(_source)}
_planned_task = Shape(
    "a task of a plan",
    _task_required,
    {"type": one_of("task_card"), "block_id": identifier, **_task_optional},
)


def _not_pending(block: Mapping[str, object], path: str) -> Iterator[str]:
    if block["status"] == "pending":
        yield f"{path}.status pending is only for the tasks of a plan."


def _unique_tasks(block: Mapping[str, object], path: str) -> Iterator[str]:
    seen: set[object] = set()
    for index, task in enumerate(as_array(block["tasks"])):
        task_id = as_object(task)["task_id"]
        if task_id in seen:
            yield f"{path}.tasks[{index}].task_id {task_id!r} is there twice; task ids must be unique."
        seen.add(task_id)


_TASKS = (
    _block("task_card", _task_required, _task_optional, _not_pending),
    _block("plan", {"title": string(), "tasks": array(_planned_task, 0, 50)}, {}, _unique_tasks),
)


def _one_icon(block: Mapping[str, object], path: str) -> Iterator[str]:
    if "icon" in block and "slack_icon" in block:
        yield f"{path} cannot have both icon and slack_icon."


def _collapse_rules(block: Mapping[str, object], path: str) -> Iterator[str]:
    collapsible = block.get("is_collapsible") is True
    if block.get("default_collapsed") is True and not collapsible:
        yield f"{path}.default_collapsed needs is_collapsible."
    if block.get("has_header_divider") is True and collapsible:
        yield f"{path}.has_header_divider is only for containers that do not collapse."


_card = _block(
    "card",
    {},
    {
        "hero_image": image,
        "icon": image,
        "slack_icon": Shape("a Slack icon", {"type": one_of("icon"), "name": one_of(*_ICONS)}),
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "subtext": text(200),
        "actions": array(_element({"button"}, "an action of a card"), 0, 3),
    },
    at_least_one("hero_image", "title", "actions", "body"),
    _one_icon,
)

_FLAT: dict[str, Check] = {
    **dict(_BASIC),
    **dict(_TASKS),
    **dict((_card,)),
    "rich_text": rich_text,
    "table": table,
    "data_table": data_table,
    "data_visualization": data_visualization,
}

IN_CONTAINER = frozenset(
    {"actions", "context", "divider", "file", "header", "image", "input"} | {"rich_text", "section", "table", "video"}
)

_NESTED = (
    _block("carousel", {"elements": array(by_type(dict((_card,)), "an element of a carousel"), 1, 10)}),
    _block(
        "container",
        {
            "child_blocks": array(
                by_type({kind: _FLAT[kind] for kind in sorted(IN_CONTAINER)}, "a child of a container"),
                1,
                10,
            )
        },
        {
            "title": plain(150),
            "rich_text_title": rich_text,
            "subtitle": text(150),
            "width": one_of("narrow", "standard", "wide", "full"),
            "icon": image,
            "is_collapsible": boolean,
            "default_collapsed": boolean,
            "has_header_divider": boolean,
        },
        at_least_one("title", "rich_text_title"),
        _collapse_rules,
    ),
)

BLOCKS: dict[str, Check] = {**_FLAT, **dict(_NESTED)}
"""Every block by its `type`."""
