"""The file that jobs read: training sequences as JSONL, the same bytes for the same sequences."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from functions.model.conversation import TrainingSequence
from functions.training_files.problems import Problems


def to_jsonl(sequences: Iterable[TrainingSequence]) -> bytes:
    """One sequence a line, UTF-8, in the order given; a line feed ends every line."""
    return b"".join(sequence.model_dump_json().encode("utf-8") + b"\n" for sequence in sequences)


def from_jsonl(data: bytes) -> tuple[TrainingSequence, ...]:
    """What `to_jsonl` wrote.

    Raises:
        TrainingFileInvalid: a line is no training sequence.
    """
    problems = Problems("sequences.jsonl")
    read: list[TrainingSequence] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            read.append(TrainingSequence.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            what = f"is no training sequence: {first['msg']}{f' ({field})' if field else ''}."
            problems.add(f"Line {number:,}", what, "Import the training file again.")
    problems.raise_if_any()
    return tuple(read)
