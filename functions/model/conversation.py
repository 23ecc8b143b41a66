"""Conversations as the trainer reads them, whatever format they came in."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

UNKNOWN = "unspecified"


class Message(BaseModel):
    """One turn. `trainable` marks the consultant's turns whose tokens carry loss."""

    model_config = ConfigDict(frozen=True)

    role: Literal["user", "assistant"]
    content: str
    trainable: bool = False


class TrainingSequence(BaseModel):
    """One row of training: a conversation told once, with every trainable turn in it.

    A conversation yields more than one sequence only where its records' histories disagree.
    Sequences of one `conversation_id` never stand on both sides of the held-out split.
    `pairs` counts the trainable turns; `persona`, `emotional_arc`, `topic` are keys for stratifying.
    """

    model_config = ConfigDict(frozen=True)

    conversation_id: str
    system: str = ""
    messages: tuple[Message, ...]
    persona: str = UNKNOWN
    emotional_arc: str = UNKNOWN
    topic: str = UNKNOWN

    @property
    def pairs(self) -> int:
        """How many turns of this sequence are trained on."""
        return sum(message.trainable for message in self.messages)
