"""What a person reads when a training file cannot be imported: where, what, the record, how to mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from functions.errors import TrainingFileInvalid

SHOWN = 5  # problems told in full; a file with one habit wrong has it on every line
MOST = 10_000  # then reading stops: the file is of another kind, and counting on would only take time
EXCERPT = 200  # characters of a record that are shown

# Control characters, invisible direction marks and lone surrogates: they garble a message or cannot be sent.
_UNSHOWABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_KEYS_SHOWN = 6
_DEPTH_SHOWN = 3
_UNDEFINED = object()


def showable(text: str) -> str:
    """`text` with every character that must not reach a screen replaced by a space, length unchanged."""
    return _UNSHOWABLE.sub(" ", text)


def excerpt(value: object, limit: int = EXCERPT) -> str:
    """A JSON value on one line, at most `limit` characters, safe to show.

    Works on any depth and size: only the part that fits is ever written out.
    """
    text = showable(_sketch(value, _DEPTH_SHOWN, limit))
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _sketch(value: object, depth: int, limit: int) -> str:
    if isinstance(value, str):
        return f'"{value[:limit]}{"…" if len(value) > limit else ""}"'
    if isinstance(value, dict):
        if depth == 0 and value:
            return "{…}"
        inner = [
            f'"{str(key)[:40]}": {_sketch(item, depth - 1, limit // 2)}'
            for key, item in list(value.items())[:_KEYS_SHOWN]
        ]
        return "{" + ", ".join(inner + ["…"] * (len(value) > _KEYS_SHOWN)) + "}"
    if isinstance(value, list):
        if depth == 0 and value:
            return "[…]"
        inner = [_sketch(item, depth - 1, limit // 2) for item in value[:_KEYS_SHOWN]]
        return "[" + ", ".join(inner + ["…"] * (len(value) > _KEYS_SHOWN)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return next((name for type_, name in names.items() if isinstance(value, type_)), "something else")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 turn`, `1,204 turns`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def refusal(what: str, *, file_name: str, fix: str, detail: str = "") -> TrainingFileInvalid:
    """The whole file cannot be used: one problem that stands for all.

    Args:
        what: one sentence.
        file_name: as the person called it.
        fix: what to do about it.
        detail: an excerpt that shows the place, or "".
    """
    sentence = " ".join(part for part in (what, fix) if part)
    problem = f"{sentence}\n{detail}" if detail else sentence
    return TrainingFileInvalid(what, problems=(problem,), where=excerpt_name(file_name), fix=fix)


def excerpt_name(file_name: str) -> str:
    """A file's name as it can be shown: at most 120 characters, no control characters."""
    cleaned = " ".join(showable(file_name).split())
    return cleaned if len(cleaned) <= 120 else cleaned[:119] + "…"


@dataclass
class Problems:
    """Collects what is wrong, record by record, so that a person mends a file in one go."""

    file_name: str
    count: int = 0
    _first: list[str] = field(default_factory=list)

    def add(self, where: str, what: str, fix: str, shown: object = _UNDEFINED, *, detail: str = "") -> None:
        """Note one problem.

        Args:
            where: line or JSON path, conversation, field.
            what: goes on from `where`: "is empty.", "has no turns."
            fix: how to mend it, one sentence.
            shown: the record or value to show, shortened; left out when not given.
            detail: an excerpt that is already fit to show, on lines of its own.

        Raises:
            TrainingFileInvalid: ten thousand were noted.
        """
        self.count += 1
        if self.count == MOST:
            self.raise_if_any()
        if len(self._first) == SHOWN:
            return
        sentence = f"{showable(where)}: {showable(what)} {fix}"
        if shown is not _UNDEFINED:
            sentence += f" It reads: {excerpt(shown)}"
        self._first.append(f"{sentence}\n{detail}" if detail else sentence)

    def raise_if_any(self) -> None:
        """Refuse the file if anything was noted.

        Raises:
            TrainingFileInvalid: with the first five problems and the number of the others.
        """
        if not self.count:
            return
        rest = self.count - len(self._first)
        told = [*self._first, f"and {rest:,} more"] if rest else self._first
        at_least = "at least " if self.count == MOST else ""
        raise TrainingFileInvalid(
            f"The training file has {at_least}{plural(self.count, 'problem')} and was not imported.",
            problems=told,
            where=excerpt_name(self.file_name),
            fix="Mend the places named and upload the file again.",
        )
