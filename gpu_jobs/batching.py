"""Which sequences make up a step, and how they are laid out into forward passes without padding waste.

The two are apart on purpose. A step's sequences are the mathematics: `batch_size` times
`gradient_accumulation_steps` of them, whatever the machine. The layout is the engine's: the loss of a step is the
mean over its trainable tokens, so it does not matter in how many passes the gradients are summed up.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from gpu_jobs.tokenization import IGNORED, TokenizedSequence

# One sequence of this many tokens keeps two cores busy; longer rows only make attention dearer.
_CPU_PASS_TOKENS = 512


@dataclass(frozen=True)
class Pass:
    """The inputs of one forward pass and the tokens that carry loss in it.

    `input_ids` and `position_ids`: (rows, columns). `rows`, `columns`, `targets`: (n,), the place whose hidden
    state predicts a target, and the target's token id. `tokens` counts real tokens, padding excluded.

    There is no attention mask: padding stands to the right, where causal attention never looks, and packed
    sequences are told apart by position ids that start over. `bounds` says the same to kernels that take one long
    row: where each sequence begins in it, and where the last one ends. `longest` is that of these sequences.
    """

    input_ids: Tensor
    position_ids: Tensor
    bounds: Tensor
    longest: int
    rows: Tensor
    columns: Tensor
    targets: Tensor
    tokens: int

    def to(self, device: torch.device) -> Pass:
        """The same on a device."""
        moved: Any = {
            field.name: value.to(device) if isinstance(value := getattr(self, field.name), Tensor) else value
            for field in fields(self)
        }
        return Pass(**moved)

    def inputs(self, *, bounds: bool) -> dict[str, Any]:
        """What the model is called with; with `bounds` for attention kernels that know where sequences end."""
        plain = {"input_ids": self.input_ids, "position_ids": self.position_ids, "use_cache": False}
        if not bounds:
            return plain
        ends = {"cu_seq_lens_q": self.bounds, "cu_seq_lens_k": self.bounds}
        return plain | ends | {"max_length_q": self.longest, "max_length_k": self.longest}


@dataclass(frozen=True)
class Layout:
    """How sequences become passes: packed into one row or padded, with at most `pass_tokens` places a pass."""

    packing: bool
    pass_tokens: int
    pad_token_id: int

    def passes(self, sequences: Sequence[TokenizedSequence]) -> list[Pass]:
        """The passes of these sequences, the longest first; a sequence is never divided."""
        ordered = sorted(sequences, key=len, reverse=True)
        groups = self._packed(ordered) if self.packing else self._padded(ordered)
        build = _packed_pass if self.packing else self._padded_pass
        return [build(group) for group in groups]

    def _padded(self, ordered: Sequence[TokenizedSequence]) -> list[list[TokenizedSequence]]:
        groups: list[list[TokenizedSequence]] = []
        for item in ordered:
            if groups and (len(groups[-1]) + 1) * len(groups[-1][0]) <= self.pass_tokens:
                groups[-1].append(item)
            else:
                groups.append([item])
        return groups

    def _packed(self, ordered: Sequence[TokenizedSequence]) -> list[list[TokenizedSequence]]:
        """Best fit, longest first, as TRL packs data sets: into the fullest row that still has room."""
        groups: list[list[TokenizedSequence]] = []
        room: list[tuple[int, int]] = []  # (places left, which group), the fullest first
        for item in ordered:
            place = next((index for index, (left, _) in enumerate(room) if len(item) <= left), None)
            if place is None:
                groups.append([item])
                insort(room, (self.pass_tokens - len(item), len(groups) - 1))
            else:
                left, group = room.pop(place)
                groups[group].append(item)
                insort(room, (left - len(item), group))
        return groups

    def _padded_pass(self, group: Sequence[TokenizedSequence]) -> Pass:
        width = len(group[0])
        ids = torch.full((len(group), width), self.pad_token_id)
        for row, item in enumerate(group):
            ids[row, : len(item)] = torch.tensor(item.input_ids)
        places = [(row, column, target) for row, item in enumerate(group) for column, target in _targets(item)]
        positions = torch.arange(width).expand(len(group), width)
        return _pass(ids, positions, places, [width] * len(group), sum(map(len, group)))


def default_layout(*, cuda: bool, packing: bool | None, batch_size: int, max_length: int, pad_token_id: int) -> Layout:
    """The layout that is right for the device: on a GPU packed, up to the places that a full batch would take.

    On a CPU sequences go through one by one, short ones together: padding costs what real tokens cost.
    """
    packed = cuda if packing is None else packing
    places = batch_size * max_length if cuda else max(_CPU_PASS_TOKENS, max_length if packed else 0)
    return Layout(packing=packed, pass_tokens=places, pad_token_id=pad_token_id)


def epoch_order(count: int, *, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch (from 0) goes through the sequences; a matter of seed and epoch alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator).tolist()


def _targets(item: TokenizedSequence) -> list[tuple[int, int]]:
    """(place whose hidden state predicts it, token id) of every token that carries loss."""
    return [(index - 1, label) for index, label in enumerate(item.labels) if index and label != IGNORED]


def _packed_pass(group: Sequence[TokenizedSequence]) -> Pass:
    ids = [token for item in group for token in item.input_ids]
    positions = [position for item in group for position in range(len(item))]
    places: list[tuple[int, int, int]] = []
    offset = 0
    for item in group:
        places += [(0, offset + column, target) for column, target in _targets(item)]
        offset += len(item)
    return _pass(torch.tensor([ids]), torch.tensor([positions]), places, list(map(len, group)), len(ids))


def _pass(
    ids: Tensor, positions: Tensor, places: Sequence[tuple[int, int, int]], lengths: Sequence[int], tokens: int
) -> Pass:
    rows, columns, targets = torch.tensor(places).reshape(-1, 3).unbind(1)
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    return Pass(ids, positions, bounds, max(lengths), rows, columns, targets, tokens)
