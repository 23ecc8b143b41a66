"""Which of the formats a file is in, told by what it holds; the name's ending is never believed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from functions.model.training_file import FileFormat
from functions.training_files.brightrun import RECORD_FIELDS
from functions.training_files.decoding import MAX_LINE_BYTES, Source
from functions.training_files.json_reading import NotJson, load
from functions.training_files.problems import Problems, excerpt, kind, refusal
from functions.training_files.turns import LISTS

# A document is read whole: its text may take four bytes a character and its objects as much again.
MAX_DOCUMENT_BYTES = 100_000_000
# A document of nothing but brackets or tiny texts would need thirty times its size. A real one has one such
# mark in forty characters.
_MARKS = (b"{", b"[", b'"')
_MAX_MARKS = 8_000_000
_LOOKED_AT = 20  # lines; a file whose first twenty are foreign is not one of ours
_ACCEPTED = (
    'Accepted are a BrightRun v4 document ("conversations" with "training_pairs"), BrightRun v5 lines '
    '("conversation_history", "current_user_input", "target_response"), and lines with "turns" or "messages".'
)
_V4_MARKS = frozenset({"training_file_metadata", "consultant_profile"})


def sniff(source: Source) -> FileFormat:
    """The format of a file.

    Raises:
        TrainingFileInvalid: it is none of them.
    """
    number, first = next(source.lines())
    value = NotJson("too long for one line") if len(first) > MAX_LINE_BYTES else _try_load(first)
    if isinstance(value, dict):
        return FileFormat.BRIGHTRUN_V4 if _is_v4(value) else _format_of_lines(source, value)
    format_of_lines = next(_formats_of_first_lines(source), None)
    if format_of_lines and not _opens_a_document(first):
        return format_of_lines
    if isinstance(value, NotJson) and not first.startswith((b"{", b"[")):
        raise _not_json_at_all(source, number, first)
    return FileFormat.BRIGHTRUN_V4


def _is_v4(value: dict[str, Any]) -> bool:
    if _V4_MARKS & value.keys():
        return True
    conversations = value.get("conversations")
    first = conversations[0] if isinstance(conversations, list) and conversations else None
    return isinstance(first, dict) and "training_pairs" in first


def _try_load(line: bytes) -> Any:
    try:
        return load(line.decode("utf-8"))
    except NotJson as error:
        return error


def _known_format(value: object) -> FileFormat | None:
    if not isinstance(value, dict):
        return None
    if "_meta" in value or RECORD_FIELDS & value.keys():
        return FileFormat.BRIGHTRUN_V5
    return FileFormat.TURNS if any(name in value for name in LISTS) else None


def _formats_of_first_lines(source: Source) -> Iterator[FileFormat]:
    for _, line in islice(source.lines(), _LOOKED_AT):
        found = _known_format(_try_load(line)) if len(line) <= MAX_LINE_BYTES else None
        if found:
            yield found


def _opens_a_document(first: bytes) -> bool:
    """Whether a line that is no JSON by itself begins a value that goes on below."""
    return first.startswith((b"{", b"[")) and first.endswith((b"{", b"[", b","))


def _format_of_lines(source: Source, first: dict[str, Any]) -> FileFormat:
    found = next(_formats_of_first_lines(source), None)
    if found is None:
        raise refusal(
            f"No line is a known kind of record: the first has {_names(first)}.",
            file_name=source.file_name,
            fix=_ACCEPTED,
        )
    return found


def _names(value: dict[str, Any]) -> str:
    named = ", ".join(f'"{excerpt(name, 40)[1:-1]}"' for name in list(value)[:6])
    return f"the fields {named}{', …' if len(value) > 6 else ''}" if named else "no fields"


def _not_json_at_all(source: Source, number: int, first: bytes) -> Exception:
    shown = first[:400].decode("utf-8", errors="replace")
    what = "The file is not JSON."
    if first.startswith(b"<"):
        what = "This is a web page or XML, not JSON; perhaps a sign-in page was saved in the file's place."
    elif first.count(b",") >= 2 or first.count(b"\t") >= 2 or first.count(b";") >= 2:
        what = "This looks like a table (CSV), not JSON."
    detail = f"Line {number:,} reads: {excerpt(shown)}"
    return refusal(what, file_name=source.file_name, fix=_ACCEPTED, detail=detail)


def load_lines(source: Source, problems: Problems) -> Iterator[tuple[int, Any]]:
    """Each line's number and value; lines that are no JSON go to `problems` with a caret under the place."""
    for number, line in source.lines():
        where = f"Line {number:,}"
        if len(line) > MAX_LINE_BYTES:
            fix = "Write each conversation or record on a line of its own."
            problems.add(where, f"is {len(line) / 1e6:,.0f} MB long.", fix)
            continue
        text = line.decode("utf-8")
        try:
            value = load(text)
        except NotJson as error:
            column = f" at column {error.column:,}" if error.column else ""
            reason = error.reason if line.startswith((b"{", b"[")) else "Each line must be one object: {…}."
            problems.add(where, f"is not JSON{column}.", reason, detail=error.caret)
            continue
        yield number, value


def load_document(source: Source) -> dict[str, Any]:
    """A version 4 document.

    Raises:
        TrainingFileInvalid: too large to be read whole, no JSON, or JSON of another shape.
    """
    size = len(source.data)
    marks = sum(source.data.count(mark) for mark in _MARKS)
    if size > MAX_DOCUMENT_BYTES or marks > _MAX_MARKS:
        what = (
            f"The JSON document is {size / 1e6:,.0f} MB; at most {MAX_DOCUMENT_BYTES / 1e6:,.0f} MB can be read."
            if size > MAX_DOCUMENT_BYTES
            else f"The JSON document has {marks:,} brackets and quotation marks; at most {_MAX_MARKS:,} can be read."
        )
        fix = "Split it, or export it as JSONL (v5), which is read line by line."
        raise refusal(what, file_name=source.file_name, fix=fix)
    try:
        value = load(source.data.decode("utf-8"))
    except NotJson as error:
        at = f" at line {error.line:,}, column {error.column:,}" if error.line else ""
        what = f"The file is not JSON{at}."
        raise refusal(what, file_name=source.file_name, fix=error.reason, detail=error.caret) from error
    if not isinstance(value, dict) or not ("conversations" in value or _V4_MARKS & value.keys()):
        raise _wrong_shape(value, source.file_name)
    return value


def _wrong_shape(value: object, file_name: str) -> Exception:
    held = value[0] if isinstance(value, list) and value else value
    if _known_format(held):
        what = f"The file is {'one JSON list' if isinstance(value, list) else 'one JSON object'} of the right fields."
        fix = "Write it as JSONL: each conversation or record on a line of its own, without the outer brackets."
        return refusal(what, file_name=file_name, fix=fix)
    described = f"an object with {_names(value)}" if isinstance(value, dict) else kind(value)
    return refusal(
        f"The file is JSON of another shape: {described}.",
        file_name=file_name,
        fix=_ACCEPTED,
        detail=f"It reads: {excerpt(value)}",
    )
