"""Merging: every target is trained on exactly once, after its own context; the canonical file keeps it all."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import TrainingFileInvalid
from functions.model.conversation import Message, TrainingSequence
from functions.training_files import Pair, Turn, from_jsonl, merge_pairs, to_jsonl
from functions.training_files.merge import one_per_pair

WORDS = st.sampled_from(["a", "b", "c"])  # few, so that histories agree, diverge and repeat


@st.composite
def contexts(draw: st.DrawFn) -> tuple[Turn, ...]:
    said = draw(st.lists(WORDS, min_size=1, max_size=7).filter(lambda words: len(words) % 2 == 1))
    return tuple(Turn("assistant" if index % 2 else "user", word) for index, word in enumerate(said))


PAIRS = st.lists(st.builds(Pair, st.sampled_from(["", "kind"]), contexts(), WORDS), max_size=12)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SEQUENCES = st.lists(
    st.builds(
        TrainingSequence,
        conversation_id=TEXT,
        system=TEXT,
        messages=st.lists(
            st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=TEXT, trainable=st.booleans()),
            max_size=4,
        ).map(tuple),
        persona=TEXT,
    ),
    max_size=4,
)


def trained(sequence: TrainingSequence) -> list[Pair]:
    said = [Turn(message.role, message.content) for message in sequence.messages]
    return [
        Pair(sequence.system, tuple(said[:index]), message.content)
        for index, message in enumerate(sequence.messages)
        if message.trainable
    ]


@given(PAIRS)
def test_every_pair_is_trained_once_after_its_own_context(pairs: list[Pair]) -> None:
    sequences = merge_pairs("c", pairs)
    assert Counter(pair for sequence in sequences for pair in trained(sequence)) == Counter(pairs)
    assert all(sequence.messages[-1].trainable for sequence in sequences)
    assert all(m.role == "assistant" for s in sequences for m in s.messages if m.trainable)


@given(contexts(), WORDS, st.randoms())
def test_histories_that_are_the_conversation_so_far_make_one_sequence(
    context: tuple[Turn, ...], target: str, random: object
) -> None:
    told = (*context, Turn("assistant", target))
    pairs = [Pair("", told[:end], told[end].content) for end in range(1, len(told), 2)]
    random.shuffle(pairs)  # type: ignore[attr-defined]
    (sequence,) = merge_pairs("c", pairs)
    assert [message.content for message in sequence.messages] == [turn.content for turn in told]
    assert sequence.pairs == len(pairs)


def test_a_reply_that_is_no_target_stays_silent() -> None:
    context = (Turn("user", "q"), Turn("assistant", "not a target"), Turn("user", "r"))
    (sequence,) = merge_pairs("c", [Pair("", context, "t")])
    assert [message.trainable for message in sequence.messages] == [False, False, False, True]


def test_two_targets_for_one_context_stand_in_two_sequences() -> None:
    context = (Turn("user", "q"),)
    onward = (*context, Turn("assistant", "b"), Turn("user", "r"))
    sequences = merge_pairs("c", [Pair("", context, "a"), Pair("", context, "b"), Pair("", onward, "c")])
    assert [[m.content for m in s.messages if m.trainable] for s in sequences] == [["a"], ["b", "c"]]


@given(PAIRS)
def test_one_sequence_a_pair_reads_each_context_and_target(pairs: list[Pair]) -> None:
    separate = list(one_per_pair(merge_pairs("c", pairs)))
    assert all(sequence.pairs == 1 for sequence in separate)
    assert Counter(trained(sequence)[0] for sequence in separate) == Counter(pairs)


@given(SEQUENCES)
def test_the_canonical_file_keeps_every_sequence(sequences: list[TrainingSequence]) -> None:
    written = to_jsonl(sequences)
    assert from_jsonl(written) == tuple(sequences)
    assert to_jsonl(from_jsonl(written)) == written
    assert written.count(b"\n") == len(sequences)


@given(st.binary(max_size=80))
def test_a_canonical_file_of_any_bytes_is_refused_unless_blank(data: bytes) -> None:
    try:
        read = from_jsonl(data)
    except TrainingFileInvalid:
        return
    assert read == ()


def test_a_broken_canonical_line_is_named() -> None:
    good = to_jsonl([TrainingSequence(conversation_id="c", messages=())])
    with pytest.raises(TrainingFileInvalid) as caught:
        from_jsonl(good + b'{"conversation_id": "d", "messages": [{"role": "tool", "content": ""}]}\n')
    assert caught.value.problems[0].startswith("Line 2: is no training sequence")
    assert "messages.0.role" in caught.value.problems[0]
