"""What the team sees of a training file."""

from __future__ import annotations

from functions.model.training_file import TokenCounts, TrainingFileStats
from functions.training_files.parsed import ParsedTrainingFile


def describe(parsed: ParsedTrainingFile, tokens: TokenCounts | None) -> TrainingFileStats:
    """The counts, scores and distributions of a file; `tokens` are counted elsewhere, with a tokenizer."""
    return TrainingFileStats(
        conversations=parsed.conversations,
        training_pairs=parsed.training_pairs,
        records=parsed.records,
        sequences=len(parsed.sequences),
        quality=parsed.quality,
        personas=parsed.personas,
        emotional_arcs=parsed.emotional_arcs,
        topics=parsed.topics,
        tokens=tokens,
    )
