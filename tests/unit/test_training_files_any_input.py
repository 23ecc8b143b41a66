"""Whatever is uploaded, reading ends with a training file or with problems to read; never with a crash."""

from __future__ import annotations

import codecs
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from functions.errors import TrainingFileInvalid
from functions.training_files import ParsedTrainingFile, from_jsonl, read_training_file, to_jsonl

KEYS = st.sampled_from(
    [
        "_meta",
        "conversation_history",
        "conversation_id",
        "conversation_metadata",
        "conversations",
        "content",
        "current_user_input",
        "file_name",
        "from",
        "messages",
        "quality_criteria",
        "quality_score",
        "role",
        "scaffolding",
        "persona_key",
        "system_prompt",
        "target_response",
        "total_pairs",
        "training_file_metadata",
        "training_metadata",
        "training_pairs",
        "turn_number",
        "turns",
        "value",
        "x",
    ]
)
TEXTS = st.one_of(
    st.sampled_from(["user", "assistant", "system", "gpt", "a", "", " ", "\x00", "\ud83d", "\u2028", "😀"]),
    st.text(max_size=5),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), TEXTS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
TURNS = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}), max_size=5)


def near(required: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Objects of the right fields, any of which may be missing or hold something else."""
    return st.fixed_dictionaries({}, optional={key: st.one_of(value, VALUES) for key, value in required.items()})


RECORDS = near(
    {
        "conversation_id": st.sampled_from(["a", "b", 1]),
        "turn_number": st.integers(0, 5),
        "system_prompt": TEXTS,
        "conversation_history": TURNS,
        "current_user_input": TEXTS,
        "target_response": TEXTS,
        "training_metadata": VALUES,
        "conversation_metadata": VALUES,
    }
)
CONVERSATIONS = near(
    {
        "conversation_metadata": near({"conversation_id": st.sampled_from(["a", "b"]), "scaffolding": VALUES}),
        "training_pairs": st.lists(RECORDS, max_size=3),
    }
)
DOCUMENTS = near({"training_file_metadata": VALUES, "conversations": st.lists(CONVERSATIONS, max_size=3)})
LINES = st.one_of(RECORDS, near({"conversation_id": TEXTS, "turns": TURNS}), near({"messages": TURNS}), VALUES)


def read_or_refuse(data: bytes) -> None:
    refusal, parsed = None, None
    try:
        parsed = read_training_file(data, file_name="any.jsonl")
    except TrainingFileInvalid as error:
        refusal = error
    if refusal:
        assert 1 <= len(refusal.problems) <= 6
        assert "\n".join((str(refusal), *refusal.problems)).encode()
    if parsed:
        check(parsed)


def check(parsed: ParsedTrainingFile) -> None:
    assert parsed.training_pairs > 0
    assert parsed.conversations == len({sequence.conversation_id for sequence in parsed.sequences})
    assert from_jsonl(to_jsonl(parsed.sequences)) == parsed.sequences
    assert len(list(parsed.pair_sequences)) == parsed.training_pairs


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    read_or_refuse(data)


@given(
    st.sampled_from([codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE, b"PK\x03\x04", b"{", b'{"turns":']),
    st.binary(),
)
def test_any_bytes_after_a_familiar_beginning(beginning: bytes, data: bytes) -> None:
    read_or_refuse(beginning + data)


@given(st.text(st.sampled_from(list('{}[],:"\\ \n\r\t01eE-.NaInfturs\x00é')), max_size=60))
def test_any_text_of_json_signs(text: str) -> None:
    read_or_refuse(text.encode())


@given(VALUES, st.sampled_from([None, 1]))
def test_any_json(value: Any, indent: int | None) -> None:
    read_or_refuse(json.dumps(value, indent=indent).encode())


@given(DOCUMENTS, st.sampled_from([None, 1]))
def test_documents_nearly_right(value: Any, indent: int | None) -> None:
    read_or_refuse(json.dumps(value, indent=indent).encode())


@given(st.lists(LINES, max_size=5))
def test_lines_nearly_right(values: list[Any]) -> None:
    read_or_refuse("\n".join(json.dumps(value) for value in values).encode())


def test_numbers_beyond_any_type() -> None:
    digits = "9" * 10_000
    line = '{"conversation_id": "a", "turn_number": %s, "current_user_input": "q", "target_response": "t"}'
    for number in (digits, "-" + digits, "1e999", "-Infinity"):
        read_or_refuse((line % number).encode())
