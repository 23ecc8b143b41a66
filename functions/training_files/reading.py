"""Reading a training file from end to end: bytes to format to conversations, or every problem at once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from functions.model.training_file import FileFormat
from functions.training_files.brightrun import read_v4, read_v5
from functions.training_files.decoding import Source, open_source
from functions.training_files.formats import load_document, load_lines, sniff
from functions.training_files.parsed import ParsedTrainingFile, Tally
from functions.training_files.problems import Problems, refusal, showable
from functions.training_files.turns import read_turns

_MAX_NAME = 80  # a job is named after its file and a date, in at most 100 characters
_UNNAMED = "Training file"


def read_training_file(data: bytes | Path, *, file_name: str) -> ParsedTrainingFile:
    """Read, check and count a training file.

    Args:
        data: its bytes, or a path to them (its size is checked before it is read).
        file_name: as the person called it.

    Raises:
        TrainingFileInvalid: with the first five problems, each saying where, what and how to mend it.
        OSError: the path cannot be read.
    """
    source = open_source(data, file_name=file_name)
    file_format = sniff(source)
    tally, problems = Tally(file_name), Problems(file_name)
    _read(source, file_format, tally, problems)
    problems.raise_if_any()
    if not tally.sequences:
        raise refusal(
            "No conversation has a reply to learn from.",
            file_name=file_name,
            fix="Add the consultant's replies (target_response, or assistant turns) and upload it again.",
        )
    return tally.result(file_format, _human_name(tally.name, file_name))


def _read(source: Source, file_format: FileFormat, tally: Tally, problems: Problems) -> None:
    if file_format is FileFormat.BRIGHTRUN_V4:
        read_v4(load_document(source), tally, problems)
    elif file_format is FileFormat.BRIGHTRUN_V5:
        read_v5(load_lines(source, problems), tally, problems)
    else:
        read_turns(load_lines(source, problems), tally, problems)


def _human_name(own: str, file_name: str) -> str:
    """The name in the file's metadata, else the file's stem: one line, at most 80 characters."""
    stem = PurePosixPath(file_name.replace("\\", "/")).name
    for candidate in (own, stem):
        cleaned = " ".join(showable(candidate).split())
        for ending in (".json", ".jsonl"):
            cleaned = cleaned.removesuffix(ending)
        if " " not in cleaned:
            cleaned = " ".join(cleaned.replace("_", " ").split())
        if cleaned.strip(" ."):
            return cleaned if len(cleaned) <= _MAX_NAME else cleaned[: _MAX_NAME - 1].rstrip() + "…"
    return _UNNAMED
