"""Rehearse what a JSON file asks for, or the table of gpu_jobs/MEASUREMENTS.md.

python -m tests.rehearsal [--cases FILE]

FILE holds a list of cases: arguments of `rehearse` by name, `shape` and `engine` as objects. The answer is a line of
JSON for each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.rehearsal.pretended import build, compiler, pretend


def _table() -> Iterator[str]:
    from gpu_jobs.bench.shapes import SHAPES
    from tests.rehearsal.step import rehearse

    yield "| shape | length | rank | peak GB | estimate GB | error |"
    yield "|---|---|---|---|---|---|"
    for shape, length, rank in itertools.product(("70b", "8b"), (2048, 4096, 8192), (8, 16, 32)):
        seen = rehearse(SHAPES[shape], length=length, rank=rank)
        peak, expected = seen.peak / 1e9, seen.expected.total / 1e9
        yield f"| {shape} | {length} | {rank} | {peak:.1f} | {expected:.1f} | {seen.error:+.1%} |"


def _cases(asked: list[dict[str, Any]]) -> Iterator[str]:
    from functions.model.job_spec import EngineOptions
    from gpu_jobs.bench.shapes import BenchShape
    from tests.rehearsal.step import rehearse

    for case in asked:
        shape, engine = BenchShape(**case.pop("shape")), EngineOptions(**case.pop("engine", {}))
        seen = rehearse(shape, engine=engine, **case)
        figures = {
            "weights": seen.weights,
            "peak": seen.peak,
            "error": seen.error,
            "operators": seen.operators,
            "flop": seen.flop,
        }
        yield json.dumps(figures | {"expected_weights": seen.expected.weights})


def main() -> int:
    """Without a C++ compiler there is nothing to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path)
    asked = parser.parse_args()
    if compiler() is None:
        sys.stderr.write("Rehearsing needs a C++ compiler: install g++.\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        pretend(build(Path(folder)))
    for line in _cases(json.loads(asked.cases.read_text("utf-8"))) if asked.cases else _table():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
