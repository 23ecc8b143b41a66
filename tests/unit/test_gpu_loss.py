"""However sequences are laid out into passes, and however logits are saved on, the loss is the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from functions.model.conversation import Message, TrainingSequence
from gpu_jobs.batching import Layout, default_layout, epoch_order
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.tokenization import IGNORED, TokenizedSequence, tokenize_sequences
from tests.unit.gpu_tiny import conversations, smollm2_tokenizer, tiny_model_folder

PAD = 0


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_folder(), dtype=torch.float32).requires_grad_(False)


def _items(count: int = 6) -> list[TokenizedSequence]:
    return tokenize_sequences(conversations(count), smollm2_tokenizer(), 500)


def _plain_losses(model: Any, item: TokenizedSequence) -> torch.Tensor:
    """Losses of all places but the first by the model's own logits; zero where there is no label."""
    ids, labels = torch.tensor([item.input_ids]), torch.tensor(item.labels)
    logits = model(input_ids=ids).logits[0, :-1]
    return functional.cross_entropy(logits.float(), labels[1:], reduction="none", ignore_index=IGNORED)


@pytest.mark.parametrize(
    "layout",
    [Layout(False, 1, PAD), Layout(False, 100_000, PAD), Layout(True, 300, PAD), Layout(True, 100_000, PAD)],
    ids=["one by one", "padded", "packed in rows", "packed in one row"],
)
def test_layouts_give_the_loss_of_sequences_alone(model: Any, layout: Layout) -> None:
    items = _items()
    passes = layout.passes(items)
    loss = SummedCrossEntropy(model)

    total = sum(float(loss(item)) for item in passes)

    with torch.no_grad():
        alone = sum(float(_plain_losses(model, item).sum()) for item in items)
    assert total == pytest.approx(alone, rel=1e-5)
    assert sum(item.tokens for item in passes) == sum(map(len, items))
    assert sum(len(item.targets) for item in passes) == sum(item.trainable for item in items)


def test_gradient_of_the_chunked_loss_is_that_of_the_plain_one(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_jobs.loss._CHUNK_LOGITS", 49152 * 7)
    weight = model.model.layers[0].mlp.up_proj.weight.requires_grad_(True)
    item = _items(1)[0]
    try:
        _plain_losses(model, item).sum().backward()
        plain, weight.grad = weight.grad.clone(), None
        SummedCrossEntropy(model)(Layout(False, 1, PAD).passes([item])[0]).backward()
        assert torch.allclose(weight.grad, plain, rtol=1e-4, atol=1e-6)
    finally:
        weight.requires_grad_(False).grad = None


def test_model_that_caps_its_logits_is_measured_by_its_own_logits() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.05,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).eval()
    items = _items(3)

    with torch.no_grad():
        total = sum(float(SummedCrossEntropy(model)(item)) for item in Layout(False, 1000, PAD).passes(items))
        alone = sum(float(_plain_losses(model, item).sum()) for item in items)

    assert total == pytest.approx(alone, rel=1e-5)


def test_merged_conversation_has_the_losses_of_one_sequence_a_pair(model: Any) -> None:
    merged = conversations(1)[0]
    pairs = []
    for index, message in enumerate(merged.messages):
        if message.trainable:
            silent = [turn.model_copy(update={"trainable": False}) for turn in merged.messages[:index]]
            pairs.append(merged.model_copy(update={"messages": (*silent, message)}))
    together, *apart = tokenize_sequences([merged, *pairs], smollm2_tokenizer(), 500)

    with torch.no_grad():
        expected = torch.cat([losses[losses > 0] for losses in (_plain_losses(model, item) for item in apart)])
        found = _plain_losses(model, together)

    assert torch.allclose(found[found > 0], expected, atol=1e-5)


def test_a_pass_never_takes_more_places_than_allowed_unless_one_sequence_does() -> None:
    items = _items(8)
    for packing in (False, True):
        for item in Layout(packing, 200, PAD).passes(items):
            assert item.input_ids.numel() <= max(200, max(map(len, items)))


def test_cpu_goes_without_padding_and_gpu_packs() -> None:
    cpu = default_layout(cuda=False, packing=None, batch_size=4, max_length=2048, pad_token_id=PAD)
    gpu = default_layout(cuda=True, packing=None, batch_size=4, max_length=2048, pad_token_id=PAD)

    assert (cpu.packing, gpu.packing, gpu.pass_tokens) == (False, True, 8192)


def test_every_epoch_has_its_own_order_and_the_same_one_again() -> None:
    assert sorted(epoch_order(50, seed=1, epoch=0)) == list(range(50))
    assert epoch_order(50, seed=1, epoch=0) == epoch_order(50, seed=1, epoch=0)
    assert epoch_order(50, seed=1, epoch=0) != epoch_order(50, seed=1, epoch=1)


def test_conversation_without_a_trainable_turn_is_left_out() -> None:
    messages = (Message(role="user", content="Hi"), Message(role="assistant", content="Hello"))
    assert tokenize_sequences([TrainingSequence(conversation_id="a", messages=messages)], smollm2_tokenizer(), 64) == []
