"""Only the consultant's trainable turns carry loss, whatever the chat template."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.errors import InvalidInput
from functions.model.conversation import Message, TrainingSequence
from gpu_jobs.tokenization import IGNORED, tokenize_sequences
from tests.unit.gpu_tiny import conversations, smollm2_tokenizer, trained_text

LLAMA3 = (
    "{% for m in messages %}<|start|>{{ m['role'] }}<|mid|>\n\n{{ m['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|mid|>\n\n{% endif %}"
)
GEMMA = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<start>model\n{% endif %}"
)
ENDS_BEFORE_STOP = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}{% generation %}"
    "{{ m['content'] }}{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
)
FORGETS_EARLIER_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'] if loop.last or m['role'] == 'user' else m['content'][:3] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _with_template(template: str) -> Any:
    tokenizer = copy.deepcopy(smollm2_tokenizer())
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("template", [None, LLAMA3, GEMMA, ENDS_BEFORE_STOP], ids=["own", "llama3", "gemma", "early"])
def test_exactly_the_trainable_turns_and_their_ends_carry_loss(template: str | None) -> None:
    tokenizer = _with_template(template) if template else smollm2_tokenizer()
    conversation = conversations(1)[0]

    (item,) = tokenize_sequences([conversation], tokenizer, 500)

    wanted = "".join(turn.content + "<|im_end|>" for turn in conversation.messages if turn.trainable)
    assert trained_text(item, tokenizer) == wanted
    text = tokenizer.decode(list(item.input_ids))
    assert all(turn.content in text for turn in conversation.messages)
    assert conversation.system in text


def test_turns_that_are_not_trainable_carry_no_loss() -> None:
    messages = (
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Old answer"),
        Message(role="user", content="And?"),
        Message(role="assistant", content="New answer", trainable=True),
    )
    (item,) = tokenize_sequences([TrainingSequence(conversation_id="a", messages=messages)], smollm2_tokenizer(), 500)

    assert trained_text(item, smollm2_tokenizer()) == "New answer<|im_end|>"


def test_template_that_rewrites_earlier_turns_is_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidInput, match="changes earlier turns") as refusal:
        tokenize_sequences(conversations(1), _with_template(FORGETS_EARLIER_TURNS), 500)
    assert "{% generation %}" in refusal.value.fix


def test_template_that_trl_knows_is_replaced_by_its_counterpart_for_training() -> None:
    import trl

    qwen3 = (Path(trl.__file__).parent / "chat_templates/qwen3.jinja").read_text("utf-8")
    tokenizer, conversation = _with_template(qwen3), conversations(1)[0]

    (item,) = tokenize_sequences([conversation], tokenizer, 500)

    trained = trained_text(item, tokenizer)
    answers = [turn.content for turn in conversation.messages if turn.trainable]
    assert [trained.count(answer + "<|im_end|>") for answer in answers] == [1, 1]
    assert "what now?" not in trained
    assert "You are a calm" not in trained


def test_model_without_chat_template_is_refused() -> None:
    tokenizer = copy.deepcopy(smollm2_tokenizer())
    tokenizer.chat_template = None
    with pytest.raises(InvalidInput, match="no chat template"):
        tokenize_sequences(conversations(1), tokenizer, 500)


def _long(exchanges: list[tuple[int, int]]) -> TrainingSequence:
    messages = []
    for number, (asked, answered) in enumerate(exchanges):
        messages += [
            Message(role="user", content=f"Question {number} " + "why " * asked),
            Message(role="assistant", content=f"Answer {number} " + "because " * answered, trainable=True),
        ]
    return TrainingSequence(conversation_id="long", system="Be kind.", messages=tuple(messages))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6),
    st.integers(min_value=100, max_value=300),
)
def test_long_conversations_are_split_and_every_answer_is_trained_on_once(
    exchanges: list[tuple[int, int]], max_length: int
) -> None:
    tokenizer, conversation = smollm2_tokenizer(), _long(exchanges)

    items = tokenize_sequences([conversation], tokenizer, max_length)

    assert all(len(item) <= max_length for item in items)
    assert len(items) == 1 or all(item.truncated for item in items)
    trained = "".join(trained_text(item, tokenizer) for item in items)
    assert trained == "".join(turn.content + "<|im_end|>" for turn in conversation.messages if turn.trainable)
    assert all("Be kind." in tokenizer.decode(list(item.input_ids)) for item in items)


def test_exchange_that_is_too_long_loses_its_beginning_after_the_system_turn() -> None:
    (item,) = tokenize_sequences([_long([(400, 20)])], smollm2_tokenizer(), 100)

    text = smollm2_tokenizer().decode(list(item.input_ids))
    assert (len(item), item.truncated) == (100, True)
    assert text.startswith("<|im_start|>system\nBe kind.<|im_end|>")
    assert text.endswith("because <|im_end|>\n")
    assert "Question 0" not in text
    assert item.labels[0] == IGNORED
