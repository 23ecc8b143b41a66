"""The loss of a forward pass, without logits for tokens that carry none and never all logits at once.

Logits of a vocabulary are the widest thing a language model makes: 2,000 tokens by 128,000 words in fp32 are a
gigabyte, three times over with gradients. So only places that carry loss get logits, a chunk at a time, and each
chunk's gradient is taken while its logits are still there; nothing is computed twice. TRL's fused head, which takes
logits twice but knows how models cap and scale them, does the same for those whose head does more than multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_jobs.attention import takes_bounds
from gpu_jobs.batching import Pass
from gpu_jobs.tokenization import IGNORED

_CHUNK_LOGITS = 1 << 24  # numbers in a chunk of logits where no size is given: 64 MB in fp32


class SummedCrossEntropy:
    """Callable: the sum over a pass's targets of the negative log-likelihood, in nats."""

    def __init__(self, model: Any, *, chunk_tokens: int | None = None) -> None:
        """Find the parts of a causal language model (PEFT-wrapped or not) and see whether they can be used apart.

        Some models do more than apply their head to the last hidden state (Gemma caps its logits); whether this
        one does is tried on a few tokens. Those, and where the head is trained, go through TRL's fused head; if
        that does not agree with the model either, the model's own logits are used.

        Args:
            model: the model.
            chunk_tokens: how many tokens get their logits at a time.
        """
        self._model = model
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._base = base
        self._backbone = getattr(base, base.base_model_prefix, None)
        self._head = base.get_output_embeddings()
        self._chunk_tokens = chunk_tokens
        self._fused = self._head_stands_alone(base)
        self._through_trl = not self._fused and self._backbone is not None and _add_trl_head(base)

    def __call__(self, batch: Pass) -> Tensor:
        inputs = batch.inputs(bounds=takes_bounds(self._base))
        if self._fused and self._backbone is not None:
            hidden = self._backbone(**inputs).last_hidden_state[batch.rows, batch.columns]
            apply: Callable[..., Tensor] = _ChunkedCrossEntropy.apply
            return apply(hidden, self._head.weight, batch.targets, self._chunk_tokens)
        if self._through_trl:
            labels = torch.full_like(batch.input_ids, IGNORED)
            labels[batch.rows, batch.columns] = batch.targets
            out = self._model(**inputs, shift_labels=labels, fused_lm_head=True, num_items_in_batch=1)
            return -out.log_probs.sum()  # type: ignore[no-any-return]
        logits = self._model(**inputs).logits[batch.rows, batch.columns]
        return functional.cross_entropy(logits.float(), batch.targets, reduction="sum")

    @torch.no_grad()
    def _head_stands_alone(self, base: Any) -> bool:
        head = self._head
        if self._backbone is None or type(head) is not nn.Linear or head.bias is not None or head.weight.requires_grad:
            return False
        was_training = base.training
        base.eval()
        ids = _few_tokens(base)
        own = base(input_ids=ids, use_cache=False).logits.float()
        apart = head(self._backbone(input_ids=ids, use_cache=False).last_hidden_state).float()
        base.train(was_training)
        return bool(torch.allclose(own, apart, rtol=1e-3, atol=1e-3))


@torch.no_grad()
def _add_trl_head(base: Any) -> bool:
    """Give a model TRL's fused head, and see on a few tokens whether it agrees with the model's own logits."""
    from trl.trainer.utils import add_fused_lm_head

    was_training, forward = base.training, base.forward
    add_fused_lm_head(base)
    base.eval()
    ids = _few_tokens(base)
    own = base(input_ids=ids, use_cache=False).logits.float().log_softmax(-1)[0].gather(1, ids.T)[:, 0]
    found = base(input_ids=ids, shift_labels=ids, fused_lm_head=True).log_probs[0].float()
    base.train(was_training)
    if torch.allclose(own, found, rtol=1e-3, atol=1e-2):
        return True
    base.forward = forward
    return False


def _few_tokens(base: Any) -> Tensor:
    return torch.arange(1, 9, device=base.get_output_embeddings().weight.device).unsqueeze(0)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of `hidden @ weight.T`, for a weight that is not trained.

    hidden: (n, width), weight: (vocabulary, width), targets: (n,). The gradient of logits is softmax minus one-hot.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk_tokens: int | None) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wanted else None
        total = torch.zeros((), device=hidden.device)
        size = chunk_tokens or max(1, _CHUNK_LOGITS // weight.shape[0])
        for start in range(0, hidden.shape[0], size):
            part = slice(start, start + size)
            total += _chunk(hidden[part], weight, targets[part], None if gradient is None else gradient[part])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype), None, None, None


def _chunk(hidden: Tensor, weight: Tensor, targets: Tensor, gradient: Tensor | None) -> Tensor:
    """The loss of one chunk; its gradient, if wanted, is written to `gradient`."""
    with torch.autocast(hidden.device.type, enabled=False):
        logits = (hidden.to(weight.dtype) @ weight.T).float()
        picked = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
        normalizer = torch.logsumexp(logits, dim=1)
        if gradient is not None:
            logits.sub_(normalizer.unsqueeze(1)).exp_()
            logits[torch.arange(len(targets), device=targets.device), targets] -= 1
            gradient.copy_(logits.to(weight.dtype) @ weight)
        return (normalizer - picked).sum()
