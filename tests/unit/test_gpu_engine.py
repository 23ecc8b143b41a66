"""Every lever does what it says and changes nothing else; what a machine cannot do is refused before it starts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from functions.levers import Levers, levers
from functions.model.job_spec import EngineOptions, Hyperparameters
from gpu_jobs.attention import set_attention
from gpu_jobs.batching import Layout
from gpu_jobs.devices import Device
from gpu_jobs.engine import compile_layers, enable_checkpointing, levers_of, require_usable
from gpu_jobs.failures import JobFailed
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.model_loading import add_adapter
from gpu_jobs.tokenization import TokenizedSequence, tokenize_sequences
from tests.unit.gpu_tiny import conversations, job_spec, smollm2_tokenizer, tiny_model_folder

CPU = Device("cpu", "test", torch.float32, None)
GPU = Device("cuda", "a GPU that is not there", torch.bfloat16, 80 << 30)


@pytest.fixture
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_folder(), dtype=torch.float32).requires_grad_(False)


def _items(count: int) -> list[TokenizedSequence]:
    return tokenize_sequences(conversations(count), smollm2_tokenizer(), 500)


def _losses_alone(model: Any, items: list[TokenizedSequence]) -> dict[str, torch.Tensor]:
    """By conversation, the losses of its trained tokens, each conversation alone in a pass without a mask."""
    found = {}
    for item in items:
        (alone,) = Layout(False, 1, 0).passes([item])
        found[item.conversation_id] = _token_losses(model, alone)
    return found


@torch.no_grad()
def _token_losses(model: Any, item: Any, *, bounds: bool = False) -> torch.Tensor:
    logits = model(**item.inputs(bounds=bounds)).logits[item.rows, item.columns]
    return functional.cross_entropy(logits, item.targets, reduction="none")


@pytest.mark.parametrize("kernel", [None, "packed", "sdpa", "eager"])
def test_packed_tokens_have_the_losses_they_have_alone(model: Any, kernel: Any) -> None:
    items = _items(4)
    alone = _losses_alone(model, items)
    name = set_attention(model, EngineOptions(attention=kernel), packing=True)
    (packed,) = Layout(True, 100_000, 0).passes(items)

    found = _token_losses(model, packed, bounds=name == "packed")

    assert name == (kernel or "packed")
    order = [item.conversation_id for item in sorted(items, key=len, reverse=True)]
    assert torch.allclose(found, torch.cat([alone[key] for key in order]), atol=2e-5)
    # The comparison can fail: as one long conversation, the same tokens have other losses.
    (leaking,) = Layout(True, 100_000, 0).passes(items)
    leaking.position_ids.copy_(torch.arange(leaking.tokens).unsqueeze(0))
    leaking.bounds[1:] = leaking.tokens
    assert not torch.allclose(_token_losses(model, leaking, bounds=name == "packed"), found, atol=1e-3)


def test_padded_rows_are_sequences_to_the_packed_kernel(model: Any) -> None:
    items = _items(3)
    (padded,) = Layout(False, 100_000, 0).passes(items)
    expected = _token_losses(model, padded)

    set_attention(model, EngineOptions(attention="packed"), packing=False)

    assert torch.allclose(_token_losses(model, padded, bounds=True), expected, atol=2e-5)


def test_kernel_that_gives_other_results_is_not_chosen(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_: Any, query: torch.Tensor, *__: Any, **___: Any) -> tuple[torch.Tensor, None]:
        return query.transpose(1, 2) * 0.5, None

    monkeypatch.setattr("gpu_jobs.attention.packed_attention", wrong)

    assert set_attention(model, EngineOptions(), packing=True) == "sdpa"
    assert model.config._attn_implementation == "sdpa"


def test_model_that_looks_through_a_window_keeps_its_own_attention() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=8,
    )  # fmt: skip
    model = MistralForCausalLM(config)

    assert set_attention(model, EngineOptions(), packing=True) == "sdpa"
    with pytest.raises(JobFailed, match="cannot be used here") as refusal:
        set_attention(model, EngineOptions(attention="packed"), packing=True)
    assert "window" in refusal.value.why


def test_flash_attention_that_is_not_installed_is_refused_with_a_way_out(model: Any) -> None:
    with pytest.raises(JobFailed, match="flash_attention_2") as refusal:
        set_attention(model, EngineOptions(attention="flash_attention_2"), packing=True)
    assert "best one present" in refusal.value.fixes[0]


def test_rows_are_packed_as_full_as_trl_packs_them() -> None:
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(5, 180, (60,), generator=generator).tolist()
    items = [TokenizedSequence(str(index), (1,) * length, (1,) * length) for index, length in enumerate(lengths)]

    ours = [item.tokens for item in Layout(True, 200, 0).passes(items)]

    theirs = pack_dataset(Dataset.from_dict({"input_ids": [list(item.input_ids) for item in items]}), 200, "bfd")
    assert sorted(ours) == sorted(map(len, theirs["input_ids"]))
    assert sum(ours) == sum(lengths)


@pytest.mark.parametrize("tokens", [1, 7, 10_000])
def test_size_of_loss_chunks_changes_no_loss(model: Any, tokens: int) -> None:
    (item,) = Layout(True, 100_000, 0).passes(_items(3))
    whole = float(_token_losses(model, item).sum())

    assert float(SummedCrossEntropy(model, chunk_tokens=tokens)(item)) == pytest.approx(whole, rel=1e-5)


def test_capped_logits_go_through_trl_with_the_gradient_of_the_plain_loss() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.05,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).requires_grad_(False)
    weight = model.model.layers[0].mlp.up_proj.weight.requires_grad_(True)
    (item,) = Layout(False, 1, 0).passes(_items(1))
    logits = model(**item.inputs(bounds=False)).logits[item.rows, item.columns]
    functional.cross_entropy(logits, item.targets, reduction="sum").backward()  # type: ignore[no-untyped-call]
    plain, weight.grad = weight.grad, None

    loss = SummedCrossEntropy(model)
    loss(item).backward()  # type: ignore[no-untyped-call]

    assert loss._through_trl
    assert torch.allclose(weight.grad, plain, rtol=1e-3, atol=1e-7)


def _saved_bytes_and_gradient(model: Any, checkpointing: Any, settings: Hyperparameters) -> tuple[int, torch.Tensor]:
    """What is kept for backward, and the gradient of one adapter weight."""
    model = copy.deepcopy(model)
    spec = Levers(False, checkpointing, offloading=False, optimizer="adamw_torch", loss_chunk_tokens=9, compile=False)
    tuned = add_adapter(model, settings)
    enable_checkpointing(model, spec)
    tuned.train()
    (item,) = Layout(True, 100_000, 0).passes(_items(6))
    saved = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal saved
        saved += tensor.nbytes if tensor.grad_fn is not None else 0
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = SummedCrossEntropy(tuned)(item)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad.flatten() for weight in tuned.parameters() if weight.grad is not None]
    return saved, torch.cat(gradients)


def test_checkpointing_keeps_less_and_gives_the_same_gradient(model: Any, tmp_path: Path) -> None:
    settings = job_spec(tmp_path / "job", dropout=0.0).hyperparameters
    everything, expected = _saved_bytes_and_gradient(model, "none", settings)
    for kind in ("full", "selective"):
        kept, gradient = _saved_bytes_and_gradient(model, kind, settings)
        assert kept < 0.5 * everything
        assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("engine", "what"),
    [
        (EngineOptions(optimizer="paged_adamw_8bit"), "paged_adamw_8bit"),
        (EngineOptions(activation_offloading=True), "offloaded"),
    ],
)
def test_what_needs_a_gpu_is_refused_on_a_cpu_before_anything_is_loaded(
    tmp_path: Path, engine: EngineOptions, what: str
) -> None:
    spec = job_spec(tmp_path / "job", engine=engine)

    with pytest.raises(JobFailed, match=what) as refusal:
        require_usable(spec, CPU)
    assert refusal.value.code == "settings_invalid"
    require_usable(spec, GPU)


def test_compiling_without_a_compiler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_jobs.engine.shutil.which", lambda _: None)
    with pytest.raises(JobFailed, match="compiled"):
        require_usable(job_spec(tmp_path / "job", engine=EngineOptions(compile=True)), CPU)


@pytest.mark.slow
def test_compiled_layers_give_the_same_loss_and_leave_their_kernels_in_the_cache(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    del model.model.layers[1]
    (item,) = Layout(False, 1, 0).passes(_items(1))
    expected = float(SummedCrossEntropy(model)(item))
    options = EngineOptions(compile=True, compile_cache_dir=str(tmp_path / "kernels"))

    compile_layers(model, job_spec(tmp_path / "job", engine=options))

    with torch.no_grad():
        assert float(SummedCrossEntropy(model)(item)) == pytest.approx(expected, rel=1e-4)
    assert any(path.is_file() for path in (tmp_path / "kernels/inductor").rglob("*"))


def test_defaults_suit_the_device_and_the_size(model: Any, tmp_path: Path) -> None:
    large = levers(EngineOptions(), gpu=True, parameters=70_000_000_000, vocabulary=128_256)
    assert (large.packing, large.checkpointing, large.optimizer) == (True, "full", "paged_adamw_8bit")
    middle = levers(EngineOptions(), gpu=True, parameters=8_000_000_000, vocabulary=128_256)
    assert (middle.checkpointing, middle.optimizer, middle.loss_chunk_tokens) == ("full", "adamw_torch", 1024)
    small = levers_of(job_spec(tmp_path / "job"), model, CPU)
    assert (small.packing, small.checkpointing, small.offloading, small.compile) == (False, "none", False, False)
    asked = EngineOptions(activation_checkpointing="selective", loss_chunk_tokens=5, packing=True)
    chosen = levers(asked, gpu=False, parameters=10**12, vocabulary=100)
    assert (chosen.checkpointing, chosen.loss_chunk_tokens, chosen.packing) == ("selective", 5, True)
