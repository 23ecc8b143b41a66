"""Training files: read, checked, merged to one sequence a conversation, counted, judged."""

from __future__ import annotations

from functions.training_files.canonical import from_jsonl, to_jsonl
from functions.training_files.decoding import MAX_BYTES
from functions.training_files.eligibility import Eligibility, default_preset, eligibility
from functions.training_files.formats import MAX_DOCUMENT_BYTES
from functions.training_files.merge import Labels, Pair, Turn, merge_pairs
from functions.training_files.parsed import ParsedTrainingFile
from functions.training_files.reading import read_training_file
from functions.training_files.statistics import describe

__all__ = [
    "MAX_BYTES",
    "MAX_DOCUMENT_BYTES",
    "Eligibility",
    "Labels",
    "Pair",
    "ParsedTrainingFile",
    "Turn",
    "default_preset",
    "describe",
    "eligibility",
    "from_jsonl",
    "merge_pairs",
    "read_training_file",
    "to_jsonl",
]
