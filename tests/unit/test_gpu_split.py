"""The held-out conversations: whole, a fair sample, the same every time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import InvalidInput
from functions.model.conversation import Message, TrainingSequence
from gpu_jobs.split import split_held_out

_TURNS = (Message(role="user", content="a"), Message(role="assistant", content="b", trainable=True))


def _sequence(conversation: int, persona: str = "p", arc: str = "a") -> TrainingSequence:
    return TrainingSequence(conversation_id=str(conversation), messages=_TURNS, persona=persona, emotional_arc=arc)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=80),
    st.floats(0.01, 0.99),
    st.integers(0, 1000),
)
def test_conversations_are_whole_and_every_stratum_gets_its_share(
    pairs: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    sequences = [_sequence(number, persona=str(number % 3)) for number, _ in pairs]
    names = {item.conversation_id for item in sequences}
    if len(names) < 2:
        with pytest.raises(InvalidInput):
            split_held_out(sequences, fraction, seed)
        return

    train, held_out = split_held_out(sequences, fraction, seed)

    inside, outside = {s.conversation_id for s in train}, {s.conversation_id for s in held_out}
    assert inside
    assert outside
    assert not inside & outside
    assert len(train) + len(held_out) == len(sequences)
    sizes = Counter(str(int(name) % 3) for name in names)
    got = Counter(str(int(name) % 3) for name in outside)
    assert all(abs(got[key] - sizes[key] * len(outside) / len(names)) < 1 for key in sizes)
    assert split_held_out(sequences, fraction, seed) == (train, held_out)


def test_another_seed_gives_another_sample() -> None:
    sequences = [_sequence(number) for number in range(40)]

    assert split_held_out(sequences, 0.2, 1).held_out != split_held_out(sequences, 0.2, 2).held_out
