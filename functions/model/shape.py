"""The shape of a Llama-like model: what its parameters and its memory follow from."""

from __future__ import annotations

from dataclasses import dataclass

from functions.model.catalog import BaseModelCard


@dataclass(frozen=True)
class Shape:
    """The shape of a Llama-like model. `narrow` is the width of keys and values, `attention` that of queries."""

    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    heads: int
    attention: int
    narrow: int
    tied: bool

    @classmethod
    def of_card(cls, card: BaseModelCard) -> Shape:
        """The shape on a base model's card; what is left of its parameters tells whether the embeddings are tied."""
        shape = cls(
            hidden=card.hidden_size,
            layers=card.layers,
            intermediate=card.intermediate_size,
            vocabulary=card.vocabulary,
            heads=card.heads,
            attention=card.hidden_size,
            narrow=card.hidden_size * card.kv_heads // card.heads,
            tied=False,
        )
        embeddings = card.parameters - card.layers * sum(shape.matrices.values())
        tied = embeddings < 1.5 * card.vocabulary * card.hidden_size
        return cls(**(vars(shape) | {"tied": tied}))

    @property
    def matrices(self) -> dict[str, int]:
        """Parameters of every linear layer in a decoder layer."""
        return {name: first * second for name, (first, second) in self.widths.items()}

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of every linear layer in a decoder layer."""
        return {
            "q_proj": (self.hidden, self.attention),
            "k_proj": (self.hidden, self.narrow),
            "v_proj": (self.hidden, self.narrow),
            "o_proj": (self.attention, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def unquantized(self) -> int:
        """Parameters that stay in the computing type: embeddings, head, norms."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + (2 * self.layers + 1) * self.hidden

    def adapter_parameters(self, rank: int, modules: tuple[str, ...]) -> int:
        """rank × (inputs + outputs) of every target module, over all layers."""
        return self.layers * rank * sum(sum(self.widths[name]) for name in modules)
