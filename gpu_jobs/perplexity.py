"""How well a model foretells the held-out conversations: the same tokens, with the adapter and without."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gpu_jobs.batching import Layout
from gpu_jobs.devices import Device
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.tokenization import TokenizedSequence


class HeldOutLoss(NamedTuple):
    """Mean negative log-likelihood over `tokens` trainable tokens, in nats; its exponential is the perplexity."""

    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that is beyond a float."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


class HeldOutMeasure:
    """Measures a model on the held-out sequences. Weighted by token: long replies count for what they are."""

    def __init__(
        self,
        model: Any,
        sequences: Sequence[TokenizedSequence],
        *,
        loss: SummedCrossEntropy,
        layout: Layout,
        device: Device,
        check: Callable[[], None],
    ) -> None:
        self._model = model
        self._loss = loss
        self._passes = layout.passes(sequences)
        self._device = device
        self._check = check
        self.tokens = sum(sequence.trainable for sequence in sequences)

    def tuned(self) -> HeldOutLoss:
        """With the adapter as it stands now. Leaves training mode and random state as they were."""
        was_training = self._model.training
        self._model.eval()
        try:
            return self._measure()
        finally:
            self._model.train(was_training)

    def base(self, cache: Path, fingerprint: str) -> HeldOutLoss:
        """With the adapter switched off.

        The figure is kept in `cache`, so that a resumed attempt does not measure the same again.
        """
        known = _read(cache, fingerprint)
        if known is not None:
            return known
        with self._model.disable_adapter():
            measured = self.tuned()
        content = {"fingerprint": fingerprint, "loss": measured.loss, "tokens": measured.tokens}
        stage = cache.with_suffix(".partial")
        stage.write_text(json.dumps(content), "utf-8")
        stage.replace(cache)
        return measured

    @torch.no_grad()
    def _measure(self) -> HeldOutLoss:
        total = 0.0
        with self._device.autocast():
            for item in self._passes:
                self._check()
                total += float(self._loss(item.to(self._device.torch_device)))
        return HeldOutLoss(total / self.tokens, self.tokens)


def _read(cache: Path, fingerprint: str) -> HeldOutLoss | None:
    try:
        content = json.loads(cache.read_text("utf-8"))
        if content["fingerprint"] == fingerprint:
            return HeldOutLoss(float(content["loss"]), int(content["tokens"]))
    except (OSError, ValueError, KeyError):
        return None
    return None
