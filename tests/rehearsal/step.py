"""Optimizer steps of the engine over fake tensors: which operators they call and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from functions.levers import Levers, levers
from functions.memory import need
from functions.model.estimate import MemoryNeed
from functions.model.job_spec import EngineOptions, Hyperparameters
from gpu_jobs.attention import set_attention
from gpu_jobs.batching import Layout, Pass
from gpu_jobs.bench.ours import MODULES
from gpu_jobs.bench.shapes import BenchShape
from gpu_jobs.devices import find_device
from gpu_jobs.engine import activation_context, enable_checkpointing, shape_of
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.memory_meter import LiveBytes
from gpu_jobs.model_loading import add_adapter
from gpu_jobs.optimizers import make_optimizer
from gpu_jobs.tokenization import TokenizedSequence
from tests.rehearsal.model import make_model


@dataclass(frozen=True)
class Rehearsed:
    """What was seen of the second step, in bytes on the device, and what the estimate says.

    `before` it: weights, adapters and the optimizer's state. `operators`: how often each was called. `flop`: floating
    point operations of matrix products, attention apart.
    """

    weights: int
    before: int
    peak: int
    expected: MemoryNeed
    operators: Counter[str]
    flop: int

    @property
    def error(self) -> float:
        """(expected - seen) / seen peak."""
        return (self.expected.total - self.peak) / self.peak


def rehearse(
    shape: BenchShape,
    *,
    length: int,
    documents: int = 4,
    passes: int = 1,
    rank: int = 16,
    dropout: float = 0.0,
    engine: EngineOptions | None = None,
) -> Rehearsed:
    """Two optimizer steps of `passes` packed rows of `length` tokens; all but a document's first carry loss."""
    engine = engine or EngineOptions()
    settings = Hyperparameters(
        rank=rank, alpha=2 * rank, dropout=dropout, target_modules=MODULES, learning_rate=1e-4, epochs=1,
        batch_size=documents, gradient_accumulation_steps=passes, warmup_ratio=0.0,
    )  # fmt: skip
    # What finds out by numbers is told: a Llama's head stands alone, and "packed" is the kernel of the default image.
    SummedCrossEntropy._head_stands_alone = lambda *_: True  # type: ignore[method-assign]
    asked = engine.model_copy(update={"attention": engine.attention or "packed"})
    ids = tuple(range(3, 3 + length // documents))
    sequences = [TokenizedSequence(str(number), ids, ids) for number in range(documents)]
    device, seen = find_device(), _DeviceBytes()
    with FakeTensorMode(), seen:
        base = make_model(shape, quantized=engine.quantization == "nf4")
        weights = seen.now
        set_attention(base, asked, packing=True)
        outline = shape_of(base.config)
        parameters = outline.unquantized + outline.layers * sum(outline.matrices.values())
        # Kernels of 8-bit optimizers need storage; their state is what the estimate adds for them.
        chosen = replace(
            levers(engine, gpu=True, parameters=parameters, vocabulary=shape.vocabulary), optimizer="adamw_torch"
        )
        (row,) = Layout(packing=True, pass_tokens=length, pad_token_id=0).passes(sequences)
        before = _two_steps(base, settings, chosen, row.to(device.torch_device), passes, seen)
        expected = need(
            outline, settings, chosen, tokens=length, targets=row.targets.numel(), gpu=True,
            quantized=engine.quantization == "nf4", compute_bytes=2, overhead=0, available=device.memory_bytes,
        )  # fmt: skip
    return Rehearsed(weights, before, seen.peak, expected, seen.operators, seen.flop)


def _two_steps(base: Any, settings: Hyperparameters, chosen: Levers, row: Pass, passes: int, seen: _DeviceBytes) -> int:
    """Take two optimizer steps, the second of which `seen` is left with; gives the bytes before that one."""
    device, model = find_device(), add_adapter(base, settings).train()
    enable_checkpointing(base, chosen)
    loss = SummedCrossEntropy(model, chunk_tokens=chosen.loss_chunk_tokens)
    trained = [item for item in model.parameters() if item.requires_grad]
    optimizer, saved, before = make_optimizer(trained, settings, chosen.optimizer), activation_context(model, chosen), 0
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        before = seen.begin()
        for _ in range(passes):
            with saved:
                with device.autocast():
                    value = loss(row) / row.targets.numel()
                value.backward()  # type: ignore[no-untyped-call]
            del value
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    return before


class _DeviceBytes(LiveBytes):
    """Live bytes of tensors on CUDA, and which operators were called."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: Counter[str] = Counter()
        self.flop = 0

    def begin(self) -> int:
        """Count operators, products and the peak anew; gives the bytes that are alive."""
        self.operators.clear()
        self.flop, self.peak = 0, self.now
        return self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note what it made, and what it is known to take and give back within itself."""
        name = str(func)
        self.operators[name] += 1
        result = func(*args, **(kwargs or {}))
        for item in tree_leaves(result):
            if isinstance(item, Tensor) and item.device.type == "cuda":
                self._note(item.untyped_storage())
        if name in _WITHIN:
            self.peak = max(self.peak, self.now + _WITHIN[name](*args))
        if name in _PRODUCTS:
            self.flop += 2 * result.numel() * args[0].shape[-1]
        return result


def _expanded_weight(x: Tensor, _packed: Tensor, shape: list[int], *_: object) -> int:
    """bitsandbytes expands the whole weight for a product of more than 1,536 rows (its backends/cuda/ops.py)."""
    rows = x.numel() // x.shape[-1]
    return shape[0] * shape[1] * x.element_size() if rows > 1536 else 0


def _shifted_logits(logits: Tensor, *_: object) -> int:
    """The difference to the maximum, whose exponentials are summed (ATen's ReduceOps.cpp)."""
    return logits.numel() * logits.element_size()


def _attention_sums(_out_gradient: Tensor, query: Tensor, key: Tensor, *_: object) -> int:
    """Gradients of queries in fp32; those of keys and values for every query head (ATen's flash_api.cpp)."""
    grouped = query.shape[1] != key.shape[1]
    return query.numel() * (4 + (2 * query.element_size() if grouped else 0))


# All of them take what they multiply first.
_PRODUCTS = frozenset({"aten.mm.default", "aten.bmm.default", "bitsandbytes.gemm_4bit.default"})
_WITHIN: dict[str, Callable[..., int]] = {
    "bitsandbytes.gemm_4bit.default": _expanded_weight,
    "aten.logsumexp.default": _shifted_logits,
    "torch_attn._varlen_attn_backward.default": _attention_sums,
}
