"""Pairs of one conversation, told once: merges records whose histories are that conversation so far.

A record of a BrightRun file is a history, an input and a target; the next record repeats all of it in its
own history. Training on each record alone would read the same words again and again. Merged, a conversation
is one sequence in which every target carries loss once. Records whose history says otherwise than what was
merged so far get a sequence of their own, in which the repeated part carries no loss: nothing is lost and
nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from functions.model.conversation import UNKNOWN, Message, TrainingSequence


class Turn(NamedTuple):
    """What one side said."""

    role: Literal["user", "assistant"]
    content: str


class Labels(NamedTuple):
    """The keys by which conversations are counted and stratified."""

    persona: str = UNKNOWN
    emotional_arc: str = UNKNOWN
    topic: str = UNKNOWN


class Pair(NamedTuple):
    """One trainable reply and all that was said before it. `context` ends with the user's turn."""

    system: str
    context: tuple[Turn, ...]
    target: str


@dataclass
class _Telling:
    """A sequence in the making: all turns so far, and which of them carry loss."""

    system: str
    turns: tuple[Turn, ...] = ()
    trainable: list[int] = field(default_factory=list)


@dataclass
class _Node:
    """A place in the tree of everything that was said; `ends` is a telling that stops right here."""

    following: dict[Turn, _Node] = field(default_factory=dict)
    ends: _Telling | None = None


def join_consecutive(turns: Iterable[Turn]) -> tuple[tuple[Turn, ...], int]:
    """Turns of one speaker in a row become one turn, a blank line between them; also how many were joined.

    Most chat templates insist that the speakers alternate, and people do send two messages in a row.
    """
    joined: list[Turn] = []
    count = 0
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Turn(turn.role, f"{joined[-1].content}\n\n{turn.content}")
            count += 1
        else:
            joined.append(turn)
    return tuple(joined), count


def merge_pairs(
    conversation_id: str,
    pairs: Sequence[Pair],
    labels: Labels = Labels(),  # noqa: B008 -- immutable
) -> tuple[TrainingSequence, ...]:
    """The fewest sequences in which each pair's target is trainable exactly once, after its own context.

    Args:
        conversation_id: given to every sequence.
        pairs: all trainable pairs of one conversation, in any order.
        labels: given to every sequence.

    Returns:
        One sequence where every history is the conversation so far; more where they diverge or where the
        system prompt changes. Turns of a history that are no pair's target carry no loss.
    """
    roots: dict[str, _Node] = {}
    tellings: list[_Telling] = []
    for pair in sorted(pairs, key=lambda pair: len(pair.context)):
        telling = _continue_or_begin(roots.setdefault(pair.system, _Node()), pair)
        if not telling.trainable:
            tellings.append(telling)
        telling.turns = (*pair.context, Turn("assistant", pair.target))
        telling.trainable.append(len(pair.context))
    return tuple(_sequence(conversation_id, telling, labels) for telling in tellings)


def _continue_or_begin(root: _Node, pair: Pair) -> _Telling:
    """Walks the pair's context; the longest telling that ends on the way is continued, else a new one begun."""
    node, last = root, None
    for turn in pair.context:
        node = node.following.setdefault(turn, _Node())
        last = node if node.ends else last
    telling = last.ends if last and last.ends else _Telling(pair.system)
    if last:
        last.ends = None
    end = node.following.setdefault(Turn("assistant", pair.target), _Node())
    end.ends = end.ends or telling
    return telling


def _sequence(conversation_id: str, telling: _Telling, labels: Labels) -> TrainingSequence:
    trainable = frozenset(telling.trainable)
    return TrainingSequence(
        conversation_id=conversation_id,
        system=telling.system,
        messages=tuple(
            Message(role=turn.role, content=turn.content, trainable=index in trainable)
            for index, turn in enumerate(telling.turns)
        ),
        **labels._asdict(),
    )


def one_per_pair(sequences: Iterable[TrainingSequence]) -> Iterator[TrainingSequence]:
    """One sequence for each trainable turn: what came before it without loss, then the turn.

    What training record by record would read; counting its tokens shows what merging saves.
    """
    for sequence in sequences:
        silent = tuple(message.model_copy(update={"trainable": False}) for message in sequence.messages)
        for index, message in enumerate(sequence.messages):
            if message.trainable:
                yield sequence.model_copy(update={"messages": (*silent[:index], message)})
