"""Which conversations are held out: never trained on, only measured."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from functions.errors import InvalidInput
from functions.model.conversation import TrainingSequence

Stratum = tuple[str, str]


class Split(NamedTuple):
    """Both sides, each in the order of the file."""

    train: tuple[TrainingSequence, ...]
    held_out: tuple[TrainingSequence, ...]


def split_held_out(sequences: Sequence[TrainingSequence], fraction: float, seed: int) -> Split:
    """Hold out whole conversations, so that every persona and emotional arc is represented as it is in the file.

    Each (persona, emotional arc) gives its share; where shares are not whole, the largest remainders are rounded
    up until the total is right, ties broken by chance. Only sequences with a trainable turn count.

    Args:
        sequences: all of the file.
        fraction: share of conversations to hold out, 0 < fraction < 1.
        seed: the same seed and file give the same split on every machine.

    Raises:
        InvalidInput: there are fewer than two conversations.
    """
    strata: dict[Stratum, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for sequence in sequences:
        if sequence.pairs and sequence.conversation_id not in seen:
            seen.add(sequence.conversation_id)
            strata[sequence.persona, sequence.emotional_arc].append(sequence.conversation_id)
    if len(seen) < 2:
        raise InvalidInput(
            f"The file has {len(seen)} conversations with a reply to learn from; one to train on and one to hold out "
            "is the least."
        )
    wanted = min(len(seen) - 1, max(1, round(len(seen) * fraction)))
    chance = random.Random(seed)  # noqa: S311 - reproducibility is wanted, not secrecy
    held_out: set[str] = set()
    quotas = _largest_remainder({key: len(members) for key, members in strata.items()}, wanted, chance)
    for key in sorted(strata):
        held_out.update(chance.sample(sorted(strata[key]), quotas[key]))
    return Split(
        train=tuple(item for item in sequences if item.pairs and item.conversation_id not in held_out),
        held_out=tuple(item for item in sequences if item.pairs and item.conversation_id in held_out),
    )


def _largest_remainder(sizes: Mapping[Stratum, int], wanted: int, chance: random.Random) -> dict[Stratum, int]:
    """Whole quotas that add up to `wanted`, as near to proportional as can be (Hamilton's method)."""
    total = sum(sizes.values())
    exact = {key: sizes[key] * wanted / total for key in sorted(sizes)}
    quotas = {key: int(share) for key, share in exact.items()}
    order = sorted(exact, key=lambda key: (-(exact[key] - quotas[key]), chance.random()))
    for key in order[: wanted - sum(quotas.values())]:
        quotas[key] += 1
    return quotas
