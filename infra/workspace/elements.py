"""Interactive elements in blocks: finding them, their state as Slack sends it, checks before submission."""

from __future__ import annotations

import copy
import math
import secrets
from collections.abc import Iterator
from typing import Any

from infra.workspace.state import Json

# type of element -> (field of the state, field with the initial value, value of an untouched element)
STATE_FIELDS: dict[str, tuple[str, str, Any]] = {
    "plain_text_input": ("value", "initial_value", None),
    "email_text_input": ("value", "initial_value", None),
    "url_text_input": ("value", "initial_value", None),
    "number_input": ("value", "initial_value", None),
    "rich_text_input": ("rich_text_value", "initial_value", None),
    "static_select": ("selected_option", "initial_option", None),
    "external_select": ("selected_option", "initial_option", None),
    "radio_buttons": ("selected_option", "initial_option", None),
    "checkboxes": ("selected_options", "initial_options", []),
    "multi_static_select": ("selected_options", "initial_options", []),
    "multi_external_select": ("selected_options", "initial_options", []),
    "users_select": ("selected_user", "initial_user", None),
    "multi_users_select": ("selected_users", "initial_users", []),
    "conversations_select": ("selected_conversation", "initial_conversation", None),
    "multi_conversations_select": ("selected_conversations", "initial_conversations", []),
    "channels_select": ("selected_channel", "initial_channel", None),
    "multi_channels_select": ("selected_channels", "initial_channels", []),
    "datepicker": ("selected_date", "initial_date", None),
    "timepicker": ("selected_time", "initial_time", None),
    "datetimepicker": ("selected_date_time", "initial_date_time", None),
    "file_input": ("files", "", []),
}
STATELESS = frozenset({"button", "overflow", "workflow_button", "feedback_buttons", "icon_button"})


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every (block, interactive element) in order, also inside blocks that hold blocks."""
    for block in blocks:
        yield from _elements_within(block, block)


def _elements_within(block: Json, part: Any) -> Iterator[tuple[Json, Json]]:
    if isinstance(part, list):
        for entry in part:
            yield from _elements_within(block, entry)
        return
    if not isinstance(part, dict):
        return
    if part.get("type") in STATE_FIELDS or part.get("type") in STATELESS:
        yield block, part
        return
    inner = part if part is not block and "block_id" in part else block
    for value in part.values():
        if isinstance(value, dict | list):
            yield from _elements_within(inner, value)


def with_ids(blocks: list[Json]) -> list[Json]:
    """A copy of the blocks in which every block and element without an id has a random one, as in Slack."""
    copied = copy.deepcopy(blocks)
    for block in copied:
        block.setdefault("block_id", secrets.token_urlsafe(6)[:5])
    for _, element in elements(copied):
        element.setdefault("action_id", secrets.token_urlsafe(6)[:5])
    return copied


def find_element(blocks: list[Json], action_id: str, block_id: str | None = None) -> tuple[Json, Json] | None:
    """The block and element with this action id, if they are there."""
    for block, element in elements(blocks):
        if element["action_id"] == action_id and block_id in (None, block["block_id"]):
            return block, element
    return None


def entry_for(element: Json, given: Json | None) -> Json:
    """The entry of `state.values` for one element: what was given, else the initial value."""
    field, initial, untouched = STATE_FIELDS[element["type"]]
    value = given[field] if given and field in given else element.get(initial, untouched)
    if value == "":
        value = None
    return {"type": element["type"], field: copy.deepcopy(value)}


def complete_state(blocks: list[Json], given: Json) -> Json:
    """`state.values` for exactly the elements that the blocks hold: `{block_id: {action_id: entry}}`."""
    values: Json = {}
    for block, element in elements(blocks):
        if element["type"] in STATE_FIELDS:
            block_id, action_id = block["block_id"], element["action_id"]
            entry = entry_for(element, given.get(block_id, {}).get(action_id))
            values.setdefault(block_id, {})[action_id] = entry
    return values


def kept_state(blocks: list[Json], old: Json) -> Json:
    """The part of an older `state.values` whose elements are still there under the same ids and type."""
    kept: Json = {}
    for block, element in elements(blocks):
        entry = old.get(block["block_id"], {}).get(element["action_id"])
        if entry is not None and entry["type"] == element["type"]:
            kept.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return kept


def input_errors(blocks: list[Json], values: Json) -> Json:
    """What Slack's client refuses to submit: `{block_id: text}` for required, too short, malformed inputs."""
    errors: Json = {}
    for block, element in elements(blocks):
        if block["type"] == "input":
            entry = values[block["block_id"]][element["action_id"]]
            problem = _input_problem(block, element, entry[STATE_FIELDS[element["type"]][0]])
            if problem:
                errors[block["block_id"]] = problem
    return errors


def _input_problem(block: Json, element: Json, value: Any) -> str | None:
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        return None if block.get("optional") else "Please complete this required field."
    if element["type"] == "number_input":
        return _number_problem(element, str(value))
    if isinstance(value, str):
        return _text_problem(element, value)
    return None


def _text_problem(element: Json, value: str) -> str | None:
    if len(value) < element.get("min_length", 0):
        return f"Must be at least {element['min_length']} characters."
    if len(value) > element.get("max_length", 3000):
        return f"Must be less than {element.get('max_length', 3000)} characters."
    if element["type"] == "email_text_input" and "@" not in value[1:-1]:
        return "Please enter a valid email address."
    if element["type"] == "url_text_input" and "://" not in value:
        return "Please enter a valid URL."
    return None


def _number_problem(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Please enter a valid number."
    if not math.isfinite(number):
        return "Please enter a valid number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Please enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Must be at least {element['min_value']}."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Must be at most {element['max_value']}."
    return None
