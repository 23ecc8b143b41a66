"""Tokens of one epoch: one sequence a conversation against one sequence a pair."""

from __future__ import annotations

import sys
from pathlib import Path

from functions.import_file import count_tokens
from functions.model.job_spec import EMBEDDED_MODEL
from functions.training_files import read_training_file
from infra.local_compute import LocalCompute
from infra.token_counter import SubprocessTokenCounter
from tests.bench.result import Result

_ROOT = Path(__file__).resolve().parents[2]
_FILES = (
    _ROOT / "infra" / "demo" / "nell-harrow.json",
    _ROOT.parent / "shared" / "data" / "brightrun-v4-72-conversations.json",
)


def measure() -> list[Result]:
    """The ratio for the demo's file, and for the real one where it is at hand."""
    compute = LocalCompute(_ROOT / ".brightrun")
    counter = SubprocessTokenCounter(lambda model: compute.model_path(model) or model)
    results = []
    for path in _FILES:
        if not path.is_file():
            sys.stdout.write(f"  ({path.name} is not here)\n")
            continue
        counts = count_tokens(counter, EMBEDDED_MODEL, read_training_file(path, file_name=path.name))
        results.append(
            Result(
                name=f"tokens saved, {path.name[:34]}",
                value=counts.per_pair / counts.total,
                unit="times",
                at_least=1.5,
                note=f"{counts.per_pair:,} → {counts.total:,} ({counts.trainable:,} trained on)",
            )
        )
    return results
