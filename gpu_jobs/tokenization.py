"""Conversations as token ids with labels: only the consultant's trainable turns carry loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from functions.errors import InvalidInput
from functions.model.conversation import Message, TrainingSequence

IGNORED = -100


@dataclass(frozen=True)
class TokenizedSequence:
    """Token ids and labels of equal length; a label is its token's id where it carries loss, else -100.

    `truncated` is true where the conversation was longer than the limit and was split or cut.
    """

    conversation_id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def trainable(self) -> int:
        """Tokens that carry loss. The first token of a sequence is never predicted."""
        return sum(label != IGNORED for label in self.labels[1:])


class TokenTotals(NamedTuple):
    """Tokens of one sequence."""

    total: int
    trainable: int


def load_tokenizer(name_or_folder: str | Path) -> Any:
    """The base model's fast tokenizer, with a padding token that is not the end-of-turn token.

    Raises:
        InvalidInput: the tokenizer cannot say which characters a token stands for.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(name_or_folder))
    if not tokenizer.is_fast:
        raise InvalidInput("The base model has no fast tokenizer.", where=str(name_or_folder))
    return tokenizer


def count_tokens(tokenizer_name_or_folder: str | Path, sequences: Iterable[TrainingSequence]) -> list[TokenTotals]:
    """(total, trainable) tokens of every sequence, without any limit on length.

    Importing transformers takes seconds and some 300 MB: a service does well to call this in a child process.
    """
    tokenizer = load_tokenizer(tokenizer_name_or_folder)
    encoded = (_encode(sequence, sequence.messages, tokenizer) for sequence in sequences)
    return [TokenTotals(len(item), item.trainable) for item in encoded]


def tokenize_sequences(
    sequences: Iterable[TrainingSequence],
    tokenizer: Any,
    max_length: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> list[TokenizedSequence]:
    """Tokenize conversations; every trainable turn is in exactly one of the results.

    A conversation of more than `max_length` tokens is split between turns. Each piece begins with the system
    turn and, where there is room, the turns before it (without loss). A single exchange that is still too long
    loses its beginning, after the system turn. Results without a trainable token are left out.

    Args:
        sequences: conversations.
        tokenizer: a fast tokenizer with a chat template.
        max_length: tokens a result may have at most.
        check: called once a conversation; may raise to stop.

    Raises:
        InvalidInput: see `chat_rendering.render`.
    """
    results: list[TokenizedSequence] = []
    for sequence in sequences:
        check()
        whole = _encode(sequence, sequence.messages, tokenizer)
        pieces = [whole] if len(whole) <= max_length else _split(sequence, tokenizer, max_length)
        results += [piece for piece in pieces if piece.trainable]
    return results


def _encode(sequence: TrainingSequence, messages: Sequence[Message], tokenizer: Any) -> TokenizedSequence:
    return _encode_with_system_length(sequence, messages, tokenizer)[0]


def _encode_with_system_length(
    sequence: TrainingSequence, messages: Sequence[Message], tokenizer: Any
) -> tuple[TokenizedSequence, int]:
    """The tokens of some turns of a conversation, and how many of them are the system turn's."""
    from gpu_jobs.chat_rendering import render

    rendered = render(sequence.system, messages, tokenizer)
    encoded = tokenizer(
        rendered.text, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False
    )
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    trainable = [message.trainable for message in messages if message.role == "assistant"]
    spans = [span for span, wanted in zip(rendered.spans, trainable, strict=True) if wanted]
    labels = _labels(ids, offsets, spans, frozenset(tokenizer.all_special_ids))
    system_length = sum(1 for _, end in offsets if end <= rendered.system_end)
    return TokenizedSequence(sequence.conversation_id, tuple(ids), tuple(labels)), system_length


def _labels(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]], special: frozenset[int]
) -> list[int]:
    """Labels from character spans. Some templates close the marked part before the end-of-turn token; it is added."""
    labels = [IGNORED] * len(ids)
    position = 0
    for start, end in spans:
        while position < len(ids) and offsets[position][0] < start:
            position += 1
        first = position
        while position < len(ids) and offsets[position][1] <= end:
            labels[position] = ids[position]
            position += 1
        ended = position > first and ids[position - 1] in special
        if not ended and position < len(ids) and ids[position] in special:
            labels[position] = ids[position]
            position += 1
    return labels


def _split(sequence: TrainingSequence, tokenizer: Any, max_length: int) -> list[TokenizedSequence]:
    """Pieces that fit, each from a user's turn on; what earlier pieces trained on is context without loss."""
    pieces = []
    messages, done = sequence.messages, 0
    while any(message.trainable for message in messages[done:]):
        stop = _furthest(sequence, done, tokenizer, max_length)
        start = _earliest(sequence, done, stop, tokenizer, max_length)
        piece, system_length = _encode_with_system_length(sequence, _window(messages, start, done, stop), tokenizer)
        pieces.append(_cut(piece, system_length, max_length))
        done = stop
    return pieces


def _window(messages: Sequence[Message], start: int, done: int, stop: int) -> list[Message]:
    silent = [message.model_copy(update={"trainable": False}) for message in messages[start:done]]
    return [*silent, *messages[done:stop]]


def _exchange_ends(messages: Sequence[Message], done: int) -> list[int]:
    """Places after `done` where a piece may end: before every user turn, and at the end."""
    inner = [index for index in range(done + 1, len(messages)) if messages[index].role == "user"]
    return [*inner, len(messages)]


def _furthest(sequence: TrainingSequence, done: int, tokenizer: Any, max_length: int) -> int:
    """Where the next piece ends: as many exchanges as fit, and at least one."""
    ends = _exchange_ends(sequence.messages, done)
    best = ends[0]
    for stop in ends:
        if len(_encode(sequence, sequence.messages[done:stop], tokenizer)) > max_length:
            break
        best = stop
    return best


def _earliest(sequence: TrainingSequence, done: int, stop: int, tokenizer: Any, max_length: int) -> int:
    """The furthest user turn back from which everything up to `stop` still fits."""
    best = done
    for start in range(done - 1, -1, -1):
        if sequence.messages[start].role == "user":
            if len(_encode(sequence, sequence.messages[start:stop], tokenizer)) > max_length:
                break
            best = start
    return best


def _cut(piece: TokenizedSequence, system_length: int, max_length: int) -> TokenizedSequence:
    """Drop tokens right after the system turn until it fits; the system turn goes too where it takes half the room."""
    head = system_length if system_length <= max_length // 2 else 0
    if len(piece) > max_length:
        tail = len(piece) - (max_length - head)
        ids = piece.input_ids[:head] + piece.input_ids[tail:]
        labels = piece.labels[:head] + piece.labels[tail:]
    else:
        ids, labels = piece.input_ids, piece.labels
    return TokenizedSequence(piece.conversation_id, ids, labels, truncated=True)
