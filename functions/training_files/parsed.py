"""What reading a training file yields, and the tally that a reader fills on the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from functions.model.conversation import TrainingSequence
from functions.model.training_file import FileFormat, QualityScores
from functions.training_files.fields import Notes
from functions.training_files.merge import Labels, one_per_pair
from functions.training_files.problems import refusal

# About a gigabyte of turns in memory; at 100 tokens a turn it is more than a month of one GPU's training.
MAX_MESSAGES = 1_000_000


@dataclass(frozen=True)
class ParsedTrainingFile:
    """A training file that can be trained on.

    `records` counts what the file holds, client turns without a target included; `training_pairs` the
    replies that carry loss. `personas`, `emotional_arcs` and `topics` count conversations. `warnings` are
    sentences for the person.
    """

    format: FileFormat
    name: str
    sequences: tuple[TrainingSequence, ...]
    conversations: int
    records: int
    training_pairs: int
    quality: QualityScores
    personas: dict[str, int]
    emotional_arcs: dict[str, int]
    topics: dict[str, int]
    warnings: tuple[str, ...] = ()

    @property
    def pair_sequences(self) -> Iterator[TrainingSequence]:
        """One sequence for each pair, made as they are asked for: what a trainer without merging would read."""
        return one_per_pair(self.sequences)


@dataclass
class QualityTally:
    """Scores of the trainable pairs so far."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    human_reviewed: int = 0
    left_out: int = 0

    def add(self, metadata: object) -> None:
        """Count one pair's `training_metadata`. Scores that are no number from 1 to 5 are left out."""
        if not isinstance(metadata, dict):
            return
        self._note("quality_score", metadata.get("quality_score"))
        self.human_reviewed += metadata.get("human_reviewed") is True
        criteria = metadata.get("quality_criteria")
        if isinstance(criteria, dict):
            for name in ("empathy_score", "clarity_score", "appropriateness_score", "brand_voice_alignment"):
                self._note(name, criteria.get(name))

    def _note(self, name: str, value: Any) -> None:
        if value is None:
            return
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and 1 <= value <= 5:
            self.scores.setdefault(name, []).append(float(value))
        else:
            self.left_out += 1

    def result(self) -> QualityScores:
        """Means, and the range of the overall score."""
        overall = self.scores.get("quality_score", [])
        return QualityScores(
            average=self._mean("quality_score"),
            lowest=min(overall, default=None),
            highest=max(overall, default=None),
            empathy=self._mean("empathy_score"),
            clarity=self._mean("clarity_score"),
            appropriateness=self._mean("appropriateness_score"),
            brand_voice=self._mean("brand_voice_alignment"),
            human_reviewed=self.human_reviewed,
        )

    def _mean(self, name: str) -> float | None:
        values = self.scores.get(name)
        return math.fsum(values) / len(values) if values else None


@dataclass
class Tally:
    """A file in the reading: grows by whole conversations."""

    file_name: str
    name: str = ""
    records: int = 0
    messages: int = 0
    sequences: list[TrainingSequence] = field(default_factory=list)
    conversations: int = 0
    quality: QualityTally = field(default_factory=QualityTally)
    notes: Notes = field(default_factory=Notes)
    labels: tuple[Counter[str], Counter[str], Counter[str]] = field(
        default_factory=lambda: (Counter(), Counter(), Counter())
    )

    def reserve(self, messages: int) -> None:
        """Count turns (and conversations still empty) before they are kept.

        Raises:
            TrainingFileInvalid: more turns than can be held.
        """
        self.messages += messages
        if self.messages > MAX_MESSAGES:
            raise refusal(
                f"The file has more than {MAX_MESSAGES:,} turns in all.",
                file_name=self.file_name,
                fix="Split it into several files of whole conversations.",
            )

    def add(self, sequences: tuple[TrainingSequence, ...], labels: Labels) -> None:
        """Take one conversation's sequences."""
        self.sequences.extend(sequences)
        self.conversations += 1
        self.notes.diverging += len(sequences) > 1
        for counter, key in zip(self.labels, labels, strict=True):
            counter[key] += 1

    def result(self, file_format: FileFormat, name: str) -> ParsedTrainingFile:
        """The finished file."""
        self.notes.scores_left_out = self.quality.left_out
        personas, arcs, topics = (dict(counter.most_common()) for counter in self.labels)
        return ParsedTrainingFile(
            format=file_format,
            name=name,
            sequences=tuple(self.sequences),
            conversations=self.conversations,
            records=self.records,
            training_pairs=sum(sequence.pairs for sequence in self.sequences),
            quality=self.quality.result(),
            personas=personas,
            emotional_arcs=arcs,
            topics=topics,
            warnings=self.notes.sentences(),
        )
