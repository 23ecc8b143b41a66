"""BrightRun's own records: a history, the client's input, the consultant's target and what they are about.

Version 4 is one JSON document of conversations with `training_pairs`; version 5 is JSONL, a record a line.
A record whose `target_response` is null is a client's turn: it is counted, and read as part of the next
record's history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from functions.training_files.fields import (
    Notes,
    Place,
    as_object,
    as_text,
    as_turns,
    identifier,
    label,
    opens_with_user,
    optional_text,
)
from functions.training_files.merge import Labels, Pair, Turn, join_consecutive, merge_pairs
from functions.training_files.parsed import Tally
from functions.training_files.problems import Problems, kind, plural

RECORD_FIELDS = frozenset({"target_response", "current_user_input", "conversation_history"})


@dataclass(slots=True)
class _Conversation:
    """The records of one conversation; `described_by` are the objects that may name persona, arc, topic."""

    place: Place
    described_by: list[Any] = field(default_factory=list)
    pairs: list[tuple[float, Pair]] = field(default_factory=list)
    seen: set[Pair] = field(default_factory=set)


@dataclass
class _Reader:
    """Shared by both versions. Histories repeat the same words: `said` keeps one copy of each turn."""

    tally: Tally
    problems: Problems
    said: dict[Turn, Turn] = field(default_factory=dict)

    def record(self, record: dict[str, Any], place: Place, into: _Conversation) -> None:
        """Read one record into its conversation."""
        self.tally.records += 1
        if "target_response" not in record:
            fix = "Write the consultant's reply, or null if this is the client's turn."
            self.problems.add(place.field("target_response"), "is missing.", fix, record)
            return
        if record["target_response"] is None:
            return
        pair = self._pair(record, place)
        turn = self._turn_number(record, place)
        if pair is None or turn is None:
            return
        if pair in into.seen:
            self.tally.notes.repeated_pairs += 1
            return
        into.seen.add(pair)
        self.tally.reserve(2)  # the client's turn and the reply, once merged
        if not into.pairs:
            into.described_by.append(record.get("conversation_metadata"))
        into.pairs.append((turn, pair))
        self.tally.quality.add(record.get("training_metadata"))

    def _pair(self, record: dict[str, Any], place: Place) -> Pair | None:
        target = as_text(
            record["target_response"], place.field("target_response"), self.problems, record["target_response"]
        )
        system = optional_text(
            record.get("system_prompt"), place.field("system_prompt"), self.problems, record.get("system_prompt")
        )
        context = self._context(record, place)
        if target is None or system is None or context is None:
            return None
        lead, turns = context
        return Pair(system or lead, turns, target)

    def _context(self, record: dict[str, Any], place: Place) -> tuple[str, tuple[Turn, ...]] | None:
        """Everything said before the target, the current input last and once."""
        history = record.get("conversation_history")
        name = "conversation_history"
        read = as_turns([] if history is None else history, place, name, self.problems)
        if read is None or not opens_with_user(read[1], place, name, self.problems):
            return None
        system, turns = read
        given = record.get("current_user_input")
        if given is not None or not turns or turns[-1].role != "user":
            current = as_text(given, place.field("current_user_input"), self.problems, record)
            if current is None:
                return None
            if not turns or turns[-1] != Turn("user", current):
                turns.append(Turn("user", current))
        joined, count = join_consecutive(turns)
        self.tally.notes.joined_turns += count
        return system, tuple(self.said.setdefault(turn, turn) for turn in joined)

    def _turn_number(self, record: dict[str, Any], place: Place) -> float | None:
        number = record.get("turn_number")
        if number is None:
            return 0.0
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return float(number)
        fix = "Number the turns 1, 2, 3, …"
        self.problems.add(place.field("turn_number"), f"is {kind(number)}, not a number.", fix, number)
        return None

    def finish(self, conversation: _Conversation) -> None:
        """Merge a conversation's pairs and hand it to the tally."""
        place = conversation.place
        if not conversation.pairs:
            self.tally.notes.without_reply.append(place.conversation_id)
            return
        labels = _labels(conversation.described_by)
        ordered = [pair for _, pair in sorted(conversation.pairs, key=lambda numbered: numbered[0])]
        sequences = merge_pairs(place.conversation_id, ordered, labels)
        merged = sum(len(sequence.messages) for sequence in sequences)
        self.tally.reserve(max(0, merged - 2 * len(ordered)))
        self.tally.add(sequences, labels)


def read_v4(document: dict[str, Any], tally: Tally, problems: Problems) -> None:
    """Read a version 4 document into `tally`; what is wrong goes to `problems`.

    The id in a conversation's own metadata rules: the records' `conversation_id` names a template and
    repeats from one conversation to the next.

    Raises:
        TrainingFileInvalid: more turns than can be held.
    """
    metadata = document.get("training_file_metadata")
    said = metadata if isinstance(metadata, dict) else {}
    tally.name = _text_or_empty(said.get("file_name"))
    conversations = document.get("conversations")
    if not isinstance(conversations, list) or not conversations:
        what = f"is {kind(conversations)}, not a list." if conversations != [] else "is an empty list."
        problems.add("conversations", what, "Export the file with its conversations.")
        return
    reader = _Reader(tally, problems)
    first_seen: dict[str, int] = {}
    for index, value in enumerate(conversations):
        _read_v4_conversation(value, index, first_seen, reader)
    _compare(tally.notes, said.get("total_conversations"), len(conversations), "conversation")
    _compare(tally.notes, said.get("total_training_pairs"), tally.records, "record")


def _read_v4_conversation(value: object, index: int, first_seen: dict[str, int], reader: _Reader) -> None:
    at, problems = f"conversations[{index}]", reader.problems
    found = as_object(value, at, problems)
    if found is None:
        return
    metadata = as_object(found.get("conversation_metadata"), f"{at}.conversation_metadata", problems)
    if metadata is None:
        return
    id_at = f"{at}.conversation_metadata.conversation_id"
    name = identifier(metadata.get("conversation_id"), id_at, problems, metadata)
    if name is None:
        return
    earlier = first_seen.setdefault(name, index)
    if earlier != index:
        fix = "Give each conversation an id of its own."
        problems.add(id_at, f'"{name}" was used by conversations[{earlier}] already.', fix)
        return
    records = found.get("training_pairs")
    if not isinstance(records, list) or not records:
        what = "is an empty list." if records == [] else f"is {kind(records)}, not a list."
        place = Place(f"{at}.training_pairs", name)
        problems.add(place.field(""), what, "Fill it in or remove the conversation.", found)
        return
    conversation = _Conversation(Place(at, name), [metadata.get("scaffolding")])
    before = problems.count
    for number, record in enumerate(records):
        place = Place(f"{at}.training_pairs[{number}]", name)
        fields = as_object(record, place.field(""), problems)
        if fields is not None:
            reader.record(fields, place, conversation)
    if problems.count == before:
        reader.finish(conversation)


def read_v5(records: Iterable[tuple[int, Any]], tally: Tally, problems: Problems) -> None:
    """Read version 5 lines into `tally`, by conversation and turn; what is wrong goes to `problems`.

    Args:
        records: (line number, the line's value).
        tally: takes the sequences.
        problems: takes what is wrong.

    Raises:
        TrainingFileInvalid: more turns than can be held.
    """
    reader = _Reader(tally, problems)
    conversations: dict[str, _Conversation] = {}
    headers: list[dict[str, Any]] = []
    for number, value in records:
        line = Place(f"Line {number:,}")
        record = as_object(value, line.at, problems)
        if record is None:
            continue
        if isinstance(record.get("_meta"), dict) and not RECORD_FIELDS & record.keys():
            headers.append(record["_meta"])
            continue
        name = identifier(record.get("conversation_id"), line.field("conversation_id"), problems, record)
        if name is not None:
            place = Place(line.at, name)
            if name not in conversations:
                tally.reserve(1)
                conversations[name] = _Conversation(place)
            reader.record(record, place, conversations[name])
    tally.name = next((_text_or_empty(header.get("file_name")) for header in headers), "")
    if len(headers) == 1:
        _compare(tally.notes, headers[0].get("total_pairs"), tally.records, "record")
    if not problems.count:
        for conversation in conversations.values():
            reader.finish(conversation)


def _compare(notes: Notes, announced: object, found: int, noun: str) -> None:
    """Notes a header's count that the file does not keep: it may have been cut short."""
    if isinstance(announced, int) and not isinstance(announced, bool) and announced != found:
        notes.others.append(
            f"The file's header announces {plural(announced, noun)}, the file holds {found:,}: was it cut short?"
        )


def _labels(described_by: list[Any]) -> Labels:
    known = [described for described in described_by if isinstance(described, dict)]

    def first(*keys: str) -> str:
        return label(*(described.get(key) for key in keys for described in known))

    return Labels(
        persona=first("persona_key", "persona_archetype", "persona_name", "client_persona"),
        emotional_arc=first("emotional_arc_key", "emotional_arc"),
        topic=first("training_topic_key", "training_topic"),
    )


def _text_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""
