"""Which fault next, and in which state of a job: by the seed, and so that every pair gets its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import NamedTuple


class Pair(NamedTuple):
    """A kind of fault, and the state of the job that it is to hit."""

    kind: str
    state: str


class Chooser:
    """Prefers the pairs that were hit least. One that does not turn up three times loses a turn."""

    def __init__(
        self, rng: Random, kinds: Sequence[str], states: Sequence[str], applies: Callable[[str, str], bool]
    ) -> None:
        self._rng = rng
        self.pairs = [Pair(kind, state) for kind in kinds for state in states if applies(kind, state)]
        self.hits: Counter[Pair] = Counter()
        self._missed: Counter[Pair] = Counter()
        self._of_kind: Counter[str] = Counter()

    def wanted(self) -> Pair:
        """The pair to wait for."""
        return self._least(self.pairs)

    def possible(self, states: Collection[str], kinds: Collection[str] | None = None) -> Pair | None:
        """The best pair for the states that there are now, of these kinds if they are given."""
        candidates = [pair for pair in self.pairs if pair.state in states and (kinds is None or pair.kind in kinds)]
        return self._least(candidates) if candidates else None

    def hit(self, kind: str, states: Collection[str]) -> None:
        """A fault happened while there were jobs in these states."""
        self._of_kind[kind] += 1
        for state in states:
            if Pair(kind, state) in self._known:
                self.hits[Pair(kind, state)] += 1

    def missed(self, pair: Pair) -> None:
        """There was nothing to hit."""
        self._missed[pair] += 1

    @property
    def _known(self) -> frozenset[Pair]:
        return frozenset(self.pairs)

    def _least(self, pairs: Sequence[Pair]) -> Pair:
        def turns(pair: Pair) -> tuple[int, int]:
            # Some states last an instant: a pair is worth waiting for more than once.
            return self.hits[pair] + self._missed[pair] // 3, self._of_kind[pair.kind]

        fewest = min(map(turns, pairs))
        return self._rng.choice([pair for pair in pairs if turns(pair) == fewest])
