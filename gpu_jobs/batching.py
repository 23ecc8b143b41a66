"""Which sequences make up a step, and how they are laid out into forward passes without padding waste.

The two are apart on purpose. A step's sequences are the mathematics: `batch_size` times
`gradient_accumulation_steps` of them, whatever the machine. The layout is the engine's: the loss of a step is the
mean over its trainable tokens, so it does not matter in how many passes the gradients are summed up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    sequences are told apart by position ids that start over.
    """

    input_ids: Tensor
    position_ids: Tensor
    rows: Tensor
    columns: Tensor
    targets: Tensor
    tokens: int

    def to(self, device: torch.device) -> Pass:
        """The same on a device."""
        return Pass(
            self.input_ids.to(device),
            self.position_ids.to(device),
            self.rows.to(device),
            self.columns.to(device),
            self.targets.to(device),
            self.tokens,
        )


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
        """First fit, longest first: within 11/9 of the fewest rows."""
        groups: list[list[TokenizedSequence]] = []
        room: list[int] = []
        for item in ordered:
            place = next((index for index, left in enumerate(room) if len(item) <= left), None)
            if place is None:
                groups.append([item])
                room.append(self.pass_tokens - len(item))
            else:
                groups[place].append(item)
                room[place] -= len(item)
        return groups

    def _padded_pass(self, group: Sequence[TokenizedSequence]) -> Pass:
        width = len(group[0])
        ids = torch.full((len(group), width), self.pad_token_id)
        for row, item in enumerate(group):
            ids[row, : len(item)] = torch.tensor(item.input_ids)
        places = [(row, column, target) for row, item in enumerate(group) for column, target in _targets(item)]
        positions = torch.arange(width).expand(len(group), width)
        return _pass(ids, positions, places, sum(map(len, group)))


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
    return _pass(torch.tensor([ids]), torch.tensor([positions]), places, len(ids))


def _pass(ids: Tensor, positions: Tensor, places: Sequence[tuple[int, int, int]], tokens: int) -> Pass:
    rows, columns, targets = torch.tensor(places).reshape(-1, 3).unbind(1)
    return Pass(ids, positions, rows, columns, targets, tokens)
