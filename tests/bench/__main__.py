"""`make bench`: runs every measurement and prints one table; ends with 1 where a goal is missed."""

from __future__ import annotations

import argparse
import sys

from tests.bench import acks, state, tokens, training
from tests.bench.result import Result

_PARTS = {"tokens": tokens.measure, "state": state.measure, "acks": acks.measure, "training": training.measure}


def main() -> None:
    """Measure what was asked for, or everything."""
    parser = argparse.ArgumentParser(description="Measure what we claim.")
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], help="default: all")
    chosen = parser.parse_args().parts or list(_PARTS)
    results: list[Result] = []
    for name in chosen:
        found = _PARTS[name]()
        results += found
        for result in found:
            sys.stdout.write(result.line() + "\n")
            sys.stdout.flush()
    missed = [result for result in results if not result.met]
    sys.stdout.write(f"{len(results) - len(missed)} of {len(results)} goals met\n")
    sys.exit(1 if missed else 0)


main()
