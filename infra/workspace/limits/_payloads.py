"""Whole payloads: a message, a modal or home view, an answer with options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from infra.workspace.limits._blocks import MARKDOWN_CHARACTERS
from infra.workspace.limits._core import (
    Check,
    Shape,
    anything,
    array,
    as_array,
    as_object,
    boolean,
    kind_of,
    one_of,
    string,
)
from infra.workspace.limits._data_blocks import DATA_TABLE_CHARACTERS, TABLE_CHARACTERS, characters
from infra.workspace.limits._objects import ID_MAX, menu_option, option_group, plain
from infra.workspace.limits._surfaces import HOME, MESSAGE, MODAL, block_problems, walk_blocks

TEXT_MAX = 40_000
UPDATE_TEXT_MAX = 4_000
BLOCK_TEXT_MAX = 13_000
CHARTS_MAX = 2
ATTACHMENTS_MAX = 100
VIEW_BYTES_MAX = 250_000

_metadata = Shape(
    "message metadata",
    {"event_type": string(), "event_payload": Shape("an event payload")},
)


def message_problems(payload: Mapping[str, object]) -> list[str]:
    """Return what Slack would refuse in a message; empty if it would take it.

    Args:
        payload: Arguments of chat.postMessage, chat.update, chat.postEphemeral or of a
            `response_url`. `blocks`, `attachments` and `metadata` may be JSON text, as in a form.
            A payload with `ts` is an update, whose text is held to 4,000 characters.
            Arguments that do not shape the message (unfurling, icons, …) are not looked at.
    """
    values: dict[str, object] = {**payload}
    problems = [*_decode_json(values)]
    if problems:
        return problems
    problems += _text_problems(values)
    if values.get("blocks") is not None:
        problems += block_problems(values["blocks"], MESSAGE)
    attached = as_array(values.get("attachments"))
    problems += _attachment_problems(values.get("attachments"))
    if values.get("metadata") is not None:
        problems += _metadata_problems(values["metadata"])
    placed = [block for block, _ in walk_blocks(values.get("blocks"), "blocks")]
    for attachment in attached:
        placed += [block for block, _ in walk_blocks(as_object(attachment).get("blocks"), "")]
    return [*problems, *_total_problems(placed)]


def _decode_json(values: dict[str, object]) -> Iterator[str]:
    for key in ("blocks", "attachments", "metadata"):
        value = values.get(key)
        if isinstance(value, str):
            try:
                values[key] = json.loads(value) if value else None
            except ValueError:
                yield f"{key} is a string that is not valid JSON."


def _text_problems(values: Mapping[str, object]) -> Iterator[str]:
    text, markdown = values.get("text"), values.get("markdown_text")
    shown = any(values.get(key) for key in ("text", "markdown_text", "blocks", "attachments"))
    if not shown and values.get("delete_original") is not True:
        yield "text is missing; a message needs text, blocks or attachments."
    if text is not None:
        limit = UPDATE_TEXT_MAX if "ts" in values else TEXT_MAX
        yield from string(limit, 0)(text, "text")
    if markdown is not None:
        yield from string(MARKDOWN_CHARACTERS)(markdown, "markdown_text")
        if text or values.get("blocks"):
            yield "markdown_text cannot stand beside text or blocks."


def _attachment_problems(attachments: object) -> list[str]:
    if attachments is None:
        return []
    if not isinstance(attachments, list | tuple):
        return [f"attachments must be an array, not {kind_of(attachments)}."]
    problems = []
    if len(attachments) > ATTACHMENTS_MAX:
        problems.append(f"attachments has {len(attachments)} items; the limit is {ATTACHMENTS_MAX}.")
    for index, attachment in enumerate(attachments):
        path = f"attachments[{index}]"
        if not isinstance(attachment, Mapping):
            problems.append(f"{path} must be an object, not {kind_of(attachment)}.")
        elif attachment.get("blocks") is not None:
            problems += block_problems(attachment["blocks"], MESSAGE, f"{path}.blocks")
    return problems


def _metadata_problems(metadata: object) -> Iterator[str]:
    if not isinstance(metadata, Mapping):
        yield f"metadata must be an object, not {kind_of(metadata)}."
        return
    # The payload of the event is the app's own: its keys are free, only its type is fixed.
    known = {**metadata}
    if isinstance(metadata.get("event_payload"), Mapping):
        known["event_payload"] = {}
    known.pop("entities", None)
    yield from _metadata(known, "metadata")


def _total_problems(placed: list[Mapping[str, object]]) -> Iterator[str]:
    """Limits over the whole message; the 13,000 is observed, the others are published."""

    def total(*kinds: str) -> int:
        return sum(characters(block) for block in placed if block.get("type") in kinds)

    # Containers are left out because their children stand in the list themselves.
    counted = [block for block in placed if block.get("type") not in {"container", "carousel"}]
    plain_text = sum(characters(block) for block in counted if block.get("type") != "data_table")
    charts = sum(block.get("type") == "data_visualization" for block in placed)
    if charts > CHARTS_MAX:
        yield f"blocks have {charts} data_visualization blocks; a message takes {CHARTS_MAX}."
    for found, limit, what in (
        (total("markdown"), MARKDOWN_CHARACTERS, "markdown blocks"),
        (total("table"), TABLE_CHARACTERS, "tables"),
        (total("data_table"), DATA_TABLE_CHARACTERS, "data tables"),
        (plain_text, BLOCK_TEXT_MAX, "blocks"),
    ):
        if found > limit:
            yield f"blocks have {found} characters of text in all {what}; the limit is {limit}."


_label24 = plain(24)
_view_common: dict[str, Check] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(ID_MAX, 0),
    "external_id": string(ID_MAX, 0),
}
_modal = Shape(
    "a modal",
    {"type": one_of("modal"), "title": _label24, "blocks": anything},
    {
        "submit": _label24,
        "close": _label24,
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
        **_view_common,
    },
)
# Slack's own App Home tutorial sends a title, which is taken and not shown.
_home = Shape("a home view", {"type": one_of("home"), "blocks": anything}, {"title": plain(24), **_view_common})


_options_answer = Shape(
    "an answer with options",
    {},
    {"options": array(menu_option, 0, 100), "option_groups": array(option_group, 0, 100)},
)


def view_problems(view: Mapping[str, object]) -> list[str]:
    """Return what Slack would refuse in a view for views.open, push, update or publish.

    Args:
        view: The view as the app sends it, `type` modal or home.
    """
    if not isinstance(view, Mapping):
        return [f"The view must be an object, not {kind_of(view)}."]
    kind = view.get("type")
    if kind not in {"modal", "home"}:
        return [f"type must be modal or home, not {kind!r}."]
    shape, surface = (_modal, MODAL) if kind == "modal" else (_home, HOME)
    problems = [*shape(view, "")]
    blocks = view.get("blocks", [])
    problems += block_problems(blocks, surface)
    placed = walk_blocks(blocks, "blocks")
    if kind == "modal" and "submit" not in view and any(b.get("type") == "input" for b, _ in placed):
        problems.append("submit is missing; a modal with an input block needs it.")
    size = len(json.dumps(view, ensure_ascii=False, default=str).encode())
    if size > VIEW_BYTES_MAX:
        problems.append(f"The view has {size} bytes; the limit is {VIEW_BYTES_MAX}.")
    return problems


def options_problems(payload: Mapping[str, object]) -> list[str]:
    """Return what Slack would refuse in the answer to a `block_suggestion`.

    Args:
        payload: `{"options": […]}` or `{"option_groups": […]}`, at most 100 of each.
    """
    if not isinstance(payload, Mapping):
        return [f"The answer must be an object, not {kind_of(payload)}."]
    problems = [*_options_answer(payload, "")]
    if len({"options", "option_groups"} & payload.keys()) != 1:
        problems.append("options or option_groups must be there, and only one of them.")
    return problems
