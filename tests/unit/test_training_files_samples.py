"""The real training files, where they are at hand: they are the customer's and stay out of the repository."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from functions.errors import TrainingFileInvalid
from functions.training_files import ParsedTrainingFile, from_jsonl, read_training_file, to_jsonl

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real training files are not at hand")


def read(name: str) -> ParsedTrainingFile:
    return read_training_file(DATA / name, file_name=name)


def test_the_72_conversations() -> None:
    parsed = read("brightrun-v4-72-conversations.json")
    assert (parsed.conversations, parsed.records, parsed.training_pairs) == (72, 447, 212)
    assert len(parsed.sequences) == 72
    assert len({sequence.conversation_id for sequence in parsed.sequences}) == 72
    assert parsed.name == "Batch 6- 12 conversations #1"
    assert (parsed.quality.average, parsed.quality.lowest, parsed.quality.highest) == (3.0, 3.0, 3.0)
    assert parsed.personas == {"anxious_planner": 24, "overwhelmed_avoider": 24, "pragmatic_optimist": 24}
    assert sum(parsed.topics.values()) == sum(parsed.emotional_arcs.values()) == 72
    assert parsed.warnings == ()


def test_no_turn_of_the_72_conversations_is_said_twice() -> None:
    for sequence in read("brightrun-v4-72-conversations.json").sequences:
        roles = [message.role for message in sequence.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert sequence.pairs == len(roles) // 2
        assert max(Counter(message.content for message in sequence.messages).values()) == 1


def test_the_canonical_file_of_the_72_conversations_is_much_smaller() -> None:
    parsed = read("brightrun-v4-72-conversations.json")
    written = to_jsonl(parsed.sequences)
    assert from_jsonl(written) == parsed.sequences
    assert len(written) < (DATA / "brightrun-v4-72-conversations.json").stat().st_size / 4


def test_the_v5_sample_holds_three_of_the_four_records_it_announces() -> None:
    parsed = read("brightrun-v5-4-pairs.jsonl")
    assert (parsed.conversations, parsed.records, parsed.training_pairs) == (3, 3, 3)
    assert parsed.warnings == ("The file's header announces 4 records, the file holds 3: was it cut short?",)


def test_the_turns_sample() -> None:
    parsed = read("turns-sample.jsonl")
    assert (parsed.conversations, parsed.training_pairs) == (5, 10)


def test_the_invalid_sample_is_refused_with_five_telling_problems() -> None:
    with pytest.raises(TrainingFileInvalid) as caught:
        read("turns-invalid.jsonl")
    starts = ["Line 2, conversation", "Line 3: has no turns", "Line 4, conversation", "Line 5: is not", "Line 6"]
    assert len(caught.value.problems) == 5
    for problem, start in zip(caught.value.problems, starts, strict=True):
        assert problem.startswith(start)
