"""JSONL in which each line is a whole conversation: `turns`, `messages` or `conversations`, role and content.

Every assistant turn is trained on. The user's turns after the last reply carry no loss and are left off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from functions.model.conversation import Message, TrainingSequence
from functions.training_files.fields import (
    Place,
    as_object,
    as_turns,
    identifier,
    label,
    opens_with_user,
)
from functions.training_files.merge import Labels, Turn, join_consecutive
from functions.training_files.parsed import Tally
from functions.training_files.problems import Problems

LISTS = ("turns", "messages", "conversations")


def read_turns(records: Iterable[tuple[int, Any]], tally: Tally, problems: Problems) -> None:
    """Read every conversation into `tally`; what is wrong goes to `problems`.

    Args:
        records: (line number, the line's value).
        tally: takes the sequences.
        problems: takes what is wrong.

    Raises:
        TrainingFileInvalid: more turns than can be held.
    """
    first_seen: dict[str, int] = {}
    for number, value in records:
        tally.records += 1
        line = Place(f"Line {number:,}")
        record = as_object(value, line.at, problems)
        if record is None:
            continue
        place = _named(record, line, problems)
        if place is None:
            continue
        name = place.conversation_id or f"line-{number}"
        earlier = first_seen.setdefault(name, number)
        if earlier != number:
            fix = "Give each conversation an id of its own."
            problems.add(place.field("conversation_id"), f"was used on line {earlier:,} already.", fix, record)
            continue
        _read_conversation(record, name, place, tally, problems)


def _named(record: dict[str, Any], line: Place, problems: Problems) -> Place | None:
    given = record.get("conversation_id")
    if given is None:
        return line
    name = identifier(given, line.field("conversation_id"), problems, record)
    return None if name is None else Place(line.at, name)


def _read_conversation(record: dict[str, Any], name: str, place: Place, tally: Tally, problems: Problems) -> None:
    held = next((key for key in LISTS if key in record), "")
    if not held:
        fix = 'Give the conversation as "turns": [{"role": "user", "content": "…"}, …].'
        problems.add(place.field(""), "has no turns.", fix, record)
        return
    if record[held] == []:
        problems.add(place.field(held), "is an empty list.", "Fill it in or remove the line.", record)
        return
    read = as_turns(record[held], place, held, problems)
    if read is None or not opens_with_user(read[1], place, held, problems):
        return
    system, said = read
    turns, joined = join_consecutive(said)
    tally.notes.joined_turns += joined
    while turns and turns[-1].role == "user":
        turns = turns[:-1]
    if not turns:
        tally.notes.without_reply.append(name)
        return
    tally.reserve(len(turns))
    labels = Labels(label(record.get("persona")), label(record.get("emotional_arc")), label(record.get("topic")))
    tally.add((_sequence(name, system, turns, labels),), labels)


def _sequence(name: str, system: str, turns: tuple[Turn, ...], labels: Labels) -> TrainingSequence:
    messages = tuple(
        Message(role=turn.role, content=turn.content, trainable=turn.role == "assistant") for turn in turns
    )
    return TrainingSequence(conversation_id=name, system=system, messages=messages, **labels._asdict())
