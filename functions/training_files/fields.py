"""Single values of a record, checked: each either comes back usable or leaves a problem that says why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from functions.model.conversation import UNKNOWN
from functions.training_files.json_reading import RepeatedNames
from functions.training_files.merge import Turn
from functions.training_files.problems import Problems, kind, plural, showable

# No base model's context holds more, and one sequence a pair would grow with the square of it.
MAX_TURNS = 1_000
MAX_ID = 200
_MAX_LABEL = 100
_NAMED = 3  # conversations named in a warning

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "system": "system",
}


@dataclass(frozen=True)
class Place:
    """Where a record stands: its line or JSON path, and the conversation once that is known."""

    at: str
    conversation_id: str = ""

    def field(self, name: str) -> str:
        """This place and a field in it, for a message."""
        conversation = f'conversation "{self.conversation_id}"' if self.conversation_id else ""
        return ", ".join(part for part in (self.at, conversation, name) if part)


@dataclass
class Notes:
    """What is worth telling about a file that was imported all the same."""

    joined_turns: int = 0
    scores_left_out: int = 0
    repeated_pairs: int = 0
    diverging: int = 0
    without_reply: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each kind of note, the most consequential first."""
        told = list(self.others)
        if self.without_reply:
            names = ", ".join(f'"{showable(name)}"' for name in self.without_reply[:_NAMED])
            told.append(
                f"{plural(len(self.without_reply), 'conversation')} without a reply to learn from left out: "
                f"{names}{', …' if len(self.without_reply) > _NAMED else ''}."
            )
        if self.diverging:
            told.append(
                f"{plural(self.diverging, 'conversation')} with records whose histories disagree: told in more "
                "than one sequence, each reply trained on once."
            )
        if self.repeated_pairs:
            told.append(f"{plural(self.repeated_pairs, 'record')} repeated word for word, used once.")
        if self.joined_turns:
            told.append(
                f"{plural(self.joined_turns, 'turn')} joined to the turn before, by the same speaker: "
                "chat templates need the speakers to alternate."
            )
        if self.scores_left_out:
            told.append(f"{plural(self.scores_left_out, 'quality score')} not between 1 and 5, not counted.")
        return tuple(told)


def as_object(value: object, where: str, problems: Problems) -> dict[str, Any] | None:
    """`value` if it is an object that names no field twice."""
    if isinstance(value, RepeatedNames):
        problems.add(where, f'names the field "{value.repeated}" twice.', "Keep the one that counts.", value)
        return None
    if isinstance(value, dict):
        return value
    what = "is missing or null." if value is None else f"is {kind(value)}, not an object."
    problems.add(where, what, "Write it as an object: {…}.", value)
    return None


def as_text(value: object, where: str, problems: Problems, record: object) -> str | None:
    """`value` if it is text that a tokenizer and a database can take, without white space around it.

    Most chat templates trim it anyway, and a reply must equal itself when a later history repeats it.
    """
    if not isinstance(value, str):
        what = "is missing or null." if value is None else f"is {kind(value)}, not text."
        problems.add(where, what, "Give it as text in quotation marks.", record)
        return None
    stripped = value.strip()
    if not stripped:
        problems.add(where, "is empty.", "Fill it in or remove the record.", record)
    elif "\x00" in stripped:
        problems.add(where, "contains a null character (\\u0000).", "Delete that character.", record)
    elif not _encodable(stripped):
        fix = "Write the whole character (often an emoji that was cut in two) or delete it."
        problems.add(where, "contains half of a character (a lone surrogate).", fix, record)
    else:
        return stripped
    return None


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def optional_text(value: object, where: str, problems: Problems, record: object) -> str | None:
    """`as_text`, but null, missing and blank are an empty text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    return as_text(value, where, problems, record)


def identifier(value: object, where: str, problems: Problems, record: object) -> str | None:
    """A conversation's id: short text, or a whole number, which is taken as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = as_text(value, where, problems, record)
    if text is not None and len(text) > MAX_ID:
        problems.add(where, f"is {len(text):,} characters long.", f"Use at most {MAX_ID}.", record)
        return None
    return text


def label(*candidates: object) -> str:
    """The first candidate that names something, fit to show and to group by; else "unspecified"."""
    for candidate in candidates:
        if isinstance(candidate, str):
            cleaned = " ".join(showable(candidate).split())[:_MAX_LABEL]
            if cleaned:
                return cleaned
    return UNKNOWN


def as_turns(value: object, where: Place, name: str, problems: Problems) -> tuple[str, list[Turn]] | None:
    """A list of turns with `role` and `content` (or `from` and `value`), and the system prompt that may lead it.

    Args:
        value: the list.
        where: the record it stands in.
        name: the list's own field name.
        problems: takes what is wrong with any turn.

    Returns:
        (system prompt or "", turns as they stand), or None if anything was wrong.
    """
    if not isinstance(value, list):
        problems.add(where.field(name), f"is {kind(value)}, not a list.", "Give a list of turns.", value)
        return None
    if len(value) > MAX_TURNS:
        fix = "Split the conversation: no base model's context holds more."
        problems.add(where.field(name), f"has {len(value):,} turns; {MAX_TURNS:,} are the most.", fix)
        return None
    before = problems.count
    read = [_as_turn(item, index, where, f"{name}[{index}]", problems) for index, item in enumerate(value)]
    if problems.count > before:
        return None
    said = [turn for turn in read if turn is not None]
    system = said[0][1] if said and said[0][0] == "system" else ""
    return system, [Turn(role, content) for role, content in said if role != "system"]


def _as_turn(
    item: object, index: int, where: Place, name: str, problems: Problems
) -> tuple[Literal["user", "assistant", "system"], str] | None:
    turn = as_object(item, where.field(name), problems)
    if turn is None:
        return None
    named = "role" if "role" in turn else "from"
    spoken = turn.get(named)
    role = _ROLES.get(spoken.strip().lower()) if isinstance(spoken, str) else None
    if role is None or (role == "system" and index > 0):
        what = "is missing." if named not in turn else "must be user or assistant (system only first)."
        fix = "Name the speaker of every turn." if named not in turn else "Rename it or remove the turn."
        problems.add(where.field(f"{name}.{'role' if named not in turn else named}"), what, fix, turn)
        return None
    held = "value" if "value" in turn and "content" not in turn else "content"
    content = as_text(turn.get(held), where.field(f"{name}.{held}"), problems, turn)
    return None if content is None else (role, content)


def opens_with_user(turns: list[Turn], where: Place, name: str, problems: Problems) -> bool:
    """Whether the user speaks first. A reply to nothing teaches nothing, and many chat templates refuse it."""
    if not turns or turns[0].role == "user":
        return True
    problems.add(
        where.field(f"{name}[0]"),
        "is the assistant's, before the user has said anything.",
        "Delete this greeting, move it to the system prompt, or put the user's turn before it.",
        turns[0].content,
    )
    return False
