"""Reads what a person chose in the training form out of a view's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from blocks.train_form import (
    ACTION_BASE_MODEL,
    ACTION_CLIENT,
    ACTION_DESCRIPTION,
    ACTION_FILE,
    ACTION_KNOWN_CLIENT,
    ACTION_KNOWN_PROJECT,
    ACTION_KNOWN_TAGS,
    ACTION_NAME,
    ACTION_NOTES,
    ACTION_PRESET,
    ACTION_PROJECT,
    ACTION_STEPS,
    ACTION_TAGS,
    ACTION_TIER,
    default_preset_of,
)
from functions.model.job import JobChoice

_Values = Mapping[str, Mapping[str, Mapping[str, Any]]]


def read_train_form(values: _Values) -> JobChoice:
    """What is chosen so far; what is not, is empty.

    A preset that nobody touched is read as not chosen, so that it goes on following the file.

    Args:
        values: `view.state.values`, block id -> action id -> the element's state.
    """
    typed = {action: state for block in values.values() for action, state in block.items()}
    return JobChoice(
        training_file_id=_file_id(_selected(typed, ACTION_FILE)),
        preset=_preset(values),
        tier=_selected(typed, ACTION_TIER),
        base_model=_selected(typed, ACTION_BASE_MODEL),
        max_steps=_number(typed, ACTION_STEPS),
        name=_text(typed, ACTION_NAME),
        description=_text(typed, ACTION_DESCRIPTION),
        notes=_text(typed, ACTION_NOTES),
        tags=_tags(typed),
        client=_text(typed, ACTION_CLIENT) or _selected(typed, ACTION_KNOWN_CLIENT),
        project=_text(typed, ACTION_PROJECT) or _selected(typed, ACTION_KNOWN_PROJECT),
    )


def _text(typed: Mapping[str, Mapping[str, Any]], action: str) -> str:
    return str(typed.get(action, {}).get("value") or "").strip()


def _number(typed: Mapping[str, Mapping[str, Any]], action: str) -> int | None:
    text = _text(typed, action)
    # Postgres counts steps in 32 bits; nobody trains more.
    return max(1, min(int(text), 2**31 - 1)) if text.isdecimal() and int(text) else None


def _selected(typed: Mapping[str, Mapping[str, Any]], action: str) -> str:
    return str((typed.get(action, {}).get("selected_option") or {}).get("value") or "")


def _file_id(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:  # nothing chosen
        return None


def _preset(values: _Values) -> str:
    for block_id, block in values.items():
        if ACTION_PRESET in block:
            chosen = _selected(block, ACTION_PRESET)
            return "" if chosen == default_preset_of(block_id) else chosen
    return ""


def _tags(typed: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    known = [option["value"] for option in typed.get(ACTION_KNOWN_TAGS, {}).get("selected_options") or []]
    new = _text(typed, ACTION_TAGS).replace("\n", ",").split(",")
    tags = (tag.strip().lower() for tag in (*known, *new))
    return tuple(dict.fromkeys(tag for tag in tags if tag))
