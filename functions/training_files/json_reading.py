"""JSON, read strictly enough to trust and gently enough that no file can make it fall over."""

from __future__ import annotations

import json
from typing import Any

from functions.training_files.problems import showable

_BEFORE, _AFTER = 100, 60  # characters shown on either side of the caret
_HINTS = {
    "Expecting ',' delimiter": "A comma is missing, or a quotation mark inside a text is not escaped.",
    "Expecting property name enclosed in double quotes": (
        'Names need double quotes, and no comma may stand before a closing "}".'
    ),
    "Expecting value": "A value is missing or is not JSON; no comma may stand before a closing bracket.",
    "Expecting ':' delimiter": "A colon is missing between a name and its value.",
    "Extra data": "Something follows after the JSON value has ended.",
    "Unterminated string starting at": "A text is opened here and never closed.",
    "Invalid control character at": r"A line break or tab inside a text must be written as \n or \t.",
    "Invalid \\escape": r"A backslash inside a text must be written as \\.",
    "Invalid \\uXXXX escape": "Four hexadecimal digits must follow \\u.",
}
_CUT_OFF = "The file ends in the middle of a value: it was cut off while being written or copied."


class NotJson(ValueError):
    """Text that is not JSON. `line` and `column` count from 1; `caret` shows the place on two lines."""

    def __init__(self, reason: str, *, line: int = 0, column: int = 0, caret: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.caret = caret


class RepeatedNames(dict[str, Any]):
    """An object that names a field twice. JSON leaves open which one counts, so no reader should choose."""

    def __init__(self, pairs: list[tuple[str, Any]], repeated: str) -> None:
        super().__init__(pairs)
        self.repeated = repeated


def load(text: str) -> Any:
    """The value of one JSON text.

    NaN and the infinities become null, as spreadsheets and data frames write them for "missing"; numbers
    too long for an int become floats. Objects with a repeated name come as `RepeatedNames`.

    Raises:
        NotJson: with the place and a caret, or when nested deeper than can be read.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _not_json(error) from error
    except RecursionError as error:
        raise NotJson("Lists or objects are nested about a thousand deep; no record needs that.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return RepeatedNames(pairs, name)
        seen.add(name)
    return made


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 18 else float(digits)  # int() itself refuses above 4,300 digits


def _missing(_constant: str) -> None:
    return None


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_missing)


def _not_json(error: json.JSONDecodeError) -> NotJson:
    cut_off = not error.doc[error.pos :].strip() or error.msg.startswith("Unterminated string")
    at_end = cut_off and "\n" not in error.doc[error.pos :].strip()
    reason = _CUT_OFF if at_end else _HINTS.get(error.msg, f"{error.msg}.")
    return NotJson(reason, line=error.lineno, column=error.colno, caret=_caret(error.doc, error.pos))


def _caret(text: str, position: int) -> str:
    line_start = text.rfind("\n", 0, position) + 1
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    start = max(line_start, position - _BEFORE)
    shown = showable(text[start : min(line_end, position + _AFTER)])
    return f"{shown}\n{' ' * (position - start)}^"
