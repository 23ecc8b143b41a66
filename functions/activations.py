"""What passes hold between and during forward and backward, in bytes.

Read off PyTorch: what a Llama layer with LoRA on all projections keeps for backward is a whole number of bytes for
each token and each unit of width, found by taking steps of models of many shapes. On a CPU with numbers
(tests/unit/test_memory.py takes them again), for CUDA with tensors that have none (tests/rehearsal).
"""

from __future__ import annotations

from dataclasses import dataclass

from functions.levers import Levers
from functions.model.job_spec import Hyperparameters
from functions.model.shape import Shape

_FP32, _BF16 = 4, 2
# TRL's offload holds the newest five tensors on the GPU while they are on their way. What selective checkpointing
# keeps of attention does not come past it.
_OFFLOAD_STASH = 5
# Gradients on their way through a layer: bytes a token and unit of (hidden, inner) width, by bytes of the computing
# type and whether the layer was recomputed. Measured on a CPU; the only figures here that are rounded.
_PASSING = {(4, False): (25, 7), (4, True): (3, 8), (2, False): (11, 6), (2, True): (11, 6)}
# The same on a GPU in bf16, by whether there is dropout and whether the layer was recomputed. Backward has several
# high points, and the highest counts.
_PASSING_NF4 = {
    (False, False): ((0, 8), (20, 0)),
    (False, True): ((4, 8),),
    (True, False): ((-6, 7), (17, 0)),
    (True, True): ((1, 7),),
}
_PASSING_BF16 = {
    (False, False): ((10, 6), (20, 0)),
    (False, True): ((10, 6),),
    (True, False): ((3, 10),),
    (True, True): ((10, 10),),
}
# Where short passes have theirs: while a weight in NF4 stands there in full.
_PASSING_EXPANDED = {(False, False): (-2, 2), (False, True): (2, 2), (True, False): (-5, 1), (True, True): (2, 1)}


@dataclass(frozen=True)
class Activations:
    """Of passes of `tokens` places, `targets` of which carry loss; `c` is the bytes of the computing type."""

    shape: Shape
    settings: Hyperparameters
    chosen: Levers
    tokens: int
    targets: int
    quantized: bool
    gpu: bool
    c: int

    @property
    def kept(self) -> int:
        """What waits for backward at the end of forward."""
        shape, offloading = self.shape, self.chosen.offloading
        if self.chosen.checkpointing == "none":
            return shape.layers * (self._saved_twice if offloading else self._layer)
        inputs = self._wide((self.c, 0))
        if self.chosen.checkpointing == "full":
            return inputs * (min(_OFFLOAD_STASH, shape.layers) if offloading else shape.layers)
        attention = self.tokens * (shape.attention * self.c + _FP32 * shape.heads)
        return shape.layers * (attention if offloading else inputs + attention)

    @property
    def _saved_twice(self) -> int:
        """What TRL's offloading leaves of a layer where it is: of what is saved twice, the second."""
        twice = 14 if self.quantized and not self.settings.dropout else 8
        return self._wide((twice, 0)) + 8 * self.tokens

    @property
    def in_backward(self) -> int:
        """What the backward of one layer needs besides, at its worst moment."""
        again = self._layer if self._recomputed else 0
        weight = max(self.shape.matrices.values()) * self.c if self.quantized else 0
        if not self._on_gpu:
            return again + weight + self._wide(_PASSING[self.c, self._recomputed])
        case = bool(self.settings.dropout), self._recomputed
        moments = [self._wide(widths) for widths in (_PASSING_NF4 if self.quantized else _PASSING_BF16)[case]]
        if self.quantized:
            moments.append(weight + self._wide(_PASSING_EXPANDED[case]))
        brought_back = self._wide((0, 8)) if self.chosen.offloading and not self._recomputed else 0
        return again + max(moments) + brought_back

    @property
    def at_logits(self) -> int:
        """What is there besides at the loss: hidden states of all targets, and a chunk of logits in fp32, twice."""
        chunk = min(self.chosen.loss_chunk_tokens, self.targets) * self.shape.vocabulary * 2 * _FP32
        if self._recomputed:  # autocast keeps its copies of adapters until the end of forward
            chunk += self._copies * self.shape.layers
        if not self._on_gpu:
            return self.of_targets + chunk
        # The last layer's output; its copy in the final norm, which a first layer that is not recomputed lacks.
        last = self._wide((_BF16 + (_FP32 if self._recomputed else 0), 0))
        return last + 2 * self.targets * self.shape.hidden * _BF16 + chunk

    @property
    def of_targets(self) -> int:
        """Hidden states of all targets with their gradient, during backward; the moments of a GPU hold them."""
        return 0 if self._on_gpu else 2 * self.targets * self.shape.hidden * self.c

    @property
    def _on_gpu(self) -> bool:
        return self.gpu and self.c == _BF16

    @property
    def _recomputed(self) -> bool:
        return self.chosen.checkpointing != "none"

    def _wide(self, widths: tuple[int, int]) -> int:
        return self.tokens * (widths[0] * self.shape.hidden + widths[1] * self.shape.intermediate)

    @property
    def _layer(self) -> int:
        """What one layer keeps for backward."""
        shape = self.shape
        rest = 2 * self.c * shape.narrow + _FP32 * shape.heads + 7 * self.c * self.settings.rank + 8
        return self._wide(self._layer_widths) + self.tokens * rest + self._copies

    @property
    def _copies(self) -> int:
        """One layer's adapters in bf16, as autocast computes with them."""
        if self.c != _BF16:
            return 0
        return (
            _BF16 * self.shape.adapter_parameters(self.settings.rank, self.settings.target_modules) // self.shape.layers
        )

    @property
    def _layer_widths(self) -> tuple[int, int]:
        """Norms work in fp32; inputs of adapters are kept, with dropout each by itself with its own mask.

        PEFT copies the input for every adapter unless the layer is bitsandbytes' own under CUDA's autocast.
        """
        if self._on_gpu:
            return (30, 9) if self.settings.dropout else (16 if self.quantized else 24, 8)
        hidden, inner = 24, 4 * self.c
        if self.settings.dropout:
            hidden, inner = hidden + 6 * _FP32 + (16 if self.c == _FP32 else 0), inner + _FP32
        return hidden, inner
