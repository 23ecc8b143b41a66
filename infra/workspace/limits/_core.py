"""The small language in which Slack's rules are written down.

A *check* takes a JSON value and its path and yields one sentence for each problem. Checks for
strings, numbers and arrays are made by functions here; an object is described by a `Shape`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from re import Pattern

Check = Callable[[object, str], Iterator[str]]
Rule = Callable[[Mapping[str, object], str], Iterator[str]]


def kind_of(value: object) -> str:
    """Return the JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "an array"


def as_object(value: object) -> Mapping[str, object]:
    """Return the value if it is a JSON object, else an empty one; its own check reports the type."""
    return value if isinstance(value, Mapping) else {}


def as_array(value: object) -> Sequence[object]:
    """Return the value if it is a JSON array, else an empty one; its own check reports the type."""
    return value if isinstance(value, list | tuple) else ()


def as_whole_number(value: object) -> int | None:
    """Return the value if it is an integer (a boolean is none), else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def string(
    maximum: int | None = None,
    minimum: int = 1,
    *,
    pattern: Pattern[str] | None = None,
    means: str = "",
) -> Check:
    """Check a string's length in characters and, with `pattern`, its form (`means` describes it)."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{path} must be a string, not {kind_of(value)}."
        elif len(value) < minimum:
            yield f"{path} has {len(value)} characters; the minimum is {minimum}."
        elif maximum is not None and len(value) > maximum:
            yield f"{path} has {len(value)} characters; the limit is {maximum}."
        elif pattern is not None and not pattern.fullmatch(value):
            yield f"{path} must be {means}, not {value[:40]!r}."

    return check


def integer(minimum: int | None = None, maximum: int | None = None) -> Check:
    """Check a whole number and its bounds, both inclusive."""

    def check(value: object, path: str) -> Iterator[str]:
        number = as_whole_number(value)
        if number is None:
            yield f"{path} must be a whole number, not {kind_of(value)}."
        elif minimum is not None and number < minimum:
            yield f"{path} is {number}; the minimum is {minimum}."
        elif maximum is not None and number > maximum:
            yield f"{path} is {number}; the maximum is {maximum}."

    return check


def number(value: object, path: str) -> Iterator[str]:
    """Check a finite number: NaN and infinity have no JSON form."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{path} must be a number, not {kind_of(value)}."
    elif not math.isfinite(value):
        yield f"{path} must be a finite number."


def boolean(value: object, path: str) -> Iterator[str]:
    """Check `true` or `false`."""
    if not isinstance(value, bool):
        yield f"{path} must be true or false, not {kind_of(value)}."


def anything(value: object, path: str) -> Iterator[str]:  # noqa: ARG001  a Check takes both
    """Accept every value."""
    return iter(())


def nullable(check: Check) -> Check:
    """Accept null, or what `check` accepts."""
    return lambda value, path: iter(()) if value is None else check(value, path)


def one_of(*allowed: str) -> Check:
    """Check membership in a fixed set of strings."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, str) or value not in allowed:
            shown = repr(value[:40]) if isinstance(value, str) else kind_of(value)
            yield f"{path} must be one of {', '.join(allowed)}, not {shown}."

    return check


def array(item: Check, minimum: int = 0, maximum: int | None = None) -> Check:
    """Check an array's number of items, and each item."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, list | tuple):
            yield f"{path} must be an array, not {kind_of(value)}."
            return
        if len(value) < minimum:
            yield f"{path} has {len(value)} items; the minimum is {minimum}."
        if maximum is not None and len(value) > maximum:
            yield f"{path} has {len(value)} items; the limit is {maximum}."
        for index, entry in enumerate(value):
            yield from item(entry, f"{path}[{index}]")

    return check


@dataclass(frozen=True)
class Shape:
    """A JSON object with known keys.

    Attributes:
        name: What the object is, with its article, for messages ("a button").
        required: Keys that must be there, with the check of each value.
        optional: Keys that may be there.
        rules: Checks over several keys at once; they run only if every key has its right type.
    """

    name: str
    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def __call__(self, value: object, path: str) -> Iterator[str]:
        """Yield every problem of `value`, which stands at `path`."""
        if not isinstance(value, Mapping):
            yield f"{path} must be an object ({self.name}), not {kind_of(value)}."
            return
        problems = [*self._key_problems(value, path)]
        yield from problems
        if not problems:
            for rule in self.rules:
                yield from rule(value, path)

    def _key_problems(self, value: Mapping[str, object], path: str) -> Iterator[str]:
        prefix = f"{path}." if path else ""
        for key in self.required:
            if key not in value:
                yield f"{prefix}{key} is missing; {self.name} needs it."
        for key, entry in value.items():
            check = self.required.get(key) or self.optional.get(key)
            if check is None:
                yield f"{prefix}{key} is an invalid additional property of {self.name}."
            else:
                yield from check(entry, f"{prefix}{key}")


def by_type(shapes: Mapping[str, Check], what: str) -> Check:
    """Check an object against the shape that its `type` names; `what` says where it stands."""

    def check(value: object, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{path} must be an object, not {kind_of(value)}."
            return
        kind = value.get("type")
        if not isinstance(kind, str):
            yield f"{path}.type is missing or no string; it must name {what}."
        elif kind not in shapes:
            yield f"{path}.type {kind[:40]!r} is not supported as {what}."
        else:
            yield from shapes[kind](value, path)

    return check


def exactly_one(*keys: str) -> Rule:
    """Rule: one of these keys and no other."""

    def rule(value: Mapping[str, object], path: str) -> Iterator[str]:
        given = [key for key in keys if key in value]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            yield f"{path} must have exactly one of {', '.join(keys)}; it has {found}."

    return rule


def at_least_one(*keys: str) -> Rule:
    """Rule: one of these keys or more."""

    def rule(value: Mapping[str, object], path: str) -> Iterator[str]:
        if not any(key in value for key in keys):
            yield f"{path} must have at least one of {', '.join(keys)}."

    return rule
