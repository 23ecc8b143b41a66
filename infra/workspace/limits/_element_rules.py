"""Rules over several keys of one element: bounds, initial values, keys that need another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from infra.workspace.limits._core import Rule, as_array, as_object, as_whole_number, kind_of


def needs(key: str, other: str) -> Rule:
    """Rule: `key` is only allowed beside `other`."""

    def rule(value: Mapping[str, object], path: str) -> Iterator[str]:
        if key in value and other not in value:
            yield f"{path}.{key} needs {other} beside it."

    return rule


def ordered(low: str, high: str) -> Rule:
    """Rule: the whole number at `low` is not above the one at `high`."""

    def rule(value: Mapping[str, object], path: str) -> Iterator[str]:
        least, most = as_whole_number(value.get(low)), as_whole_number(value.get(high))
        if least is not None and most is not None and least > most:
            yield f"{path}.{low} is {least}; it must not exceed {high}, which is {most}."

    return rule


def at_most_selected(key: str) -> Rule:
    """Rule: the array at `key` keeps to `max_selected_items`."""

    def rule(value: Mapping[str, object], path: str) -> Iterator[str]:
        most = as_whole_number(value.get("max_selected_items"))
        count = len(as_array(value.get(key)))
        if most is not None and count > most:
            yield f"{path}.{key} has {count} items; max_selected_items allows {most}."

    return rule


def _offered(element: Mapping[str, object]) -> list[object]:
    groups = as_array(element.get("option_groups"))
    return [
        *as_array(element.get("options")),
        *(option for group in groups for option in as_array(as_object(group).get("options"))),
    ]


def initial_option_is_offered(element: Mapping[str, object], path: str) -> Iterator[str]:
    """Rule: `initial_option` equals one of the options in every field."""
    initial = element.get("initial_option")
    if initial is not None and initial not in _offered(element):
        yield f"{path}.initial_option must be exactly one of the options offered."


def initial_options_are_offered(element: Mapping[str, object], path: str) -> Iterator[str]:
    """Rule: each of `initial_options` equals one of the options, none of them twice."""
    offered = _offered(element)
    seen: list[object] = []
    for index, initial in enumerate(as_array(element.get("initial_options"))):
        if initial not in offered:
            yield f"{path}.initial_options[{index}] must be exactly one of the options offered."
        elif initial in seen:
            yield f"{path}.initial_options[{index}] is there twice."
        seen.append(initial)


def length_bounds(element: Mapping[str, object], path: str) -> Iterator[str]:
    """Rule: `min_length` ≤ `max_length`, and an initial value keeps both."""
    yield from ordered("min_length", "max_length")(element, path)
    initial = element.get("initial_value")
    if not isinstance(initial, str) or not initial:
        return
    least = as_whole_number(element.get("min_length"))
    most = as_whole_number(element.get("max_length"))
    if least is not None and len(initial) < least:
        yield f"{path}.initial_value has {len(initial)} characters; min_length is {least}."
    if most is not None and len(initial) > most:
        yield f"{path}.initial_value has {len(initial)} characters; max_length is {most}."


def number_bounds(element: Mapping[str, object], path: str) -> Iterator[str]:
    """Rule: `min_value` ≤ `initial_value` ≤ `max_value`; whole unless decimals are allowed."""
    numbers = {
        key: Decimal(text)
        for key in ("min_value", "initial_value", "max_value")
        if isinstance(text := element.get(key), str)
    }
    for low, high in (
        ("min_value", "max_value"),
        ("min_value", "initial_value"),
        ("initial_value", "max_value"),
    ):
        if low in numbers and high in numbers and numbers[low] > numbers[high]:
            yield f"{path}.{low} is {numbers[low]}; it must not exceed {high}, which is {numbers[high]}."
    initial = numbers.get("initial_value")
    if initial is not None and element["is_decimal_allowed"] is False and initial != int(initial):
        yield f"{path}.initial_value must be whole because is_decimal_allowed is false."


def calendar_date(value: object, path: str) -> Iterator[str]:
    """Check a date that exists, written YYYY-MM-DD."""
    if not isinstance(value, str):
        yield f"{path} must be a string, not {kind_of(value)}."
        return
    try:
        # The format is asked back because fromisoformat also takes 20260131 and week dates.
        exists = date.fromisoformat(value).isoformat() == value
    except ValueError:
        exists = False
    if not exists:
        yield f"{path} must be a date (YYYY-MM-DD), not {value[:40]!r}."
