"""`make chaos FAULTS=N [SEED=S]`: ends with 1 where an invariant does not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.recovery.harness import Plan, run_chaos


def main() -> None:
    """Run, and tell what came out."""
    parser = argparse.ArgumentParser(description="Break everything on purpose, and check that it adds up.")
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--minutes", type=float, default=60.0, help="no new faults after so long")
    parser.add_argument("--json", type=Path, default=None, help="write the report to this file")
    parser.add_argument("--keep", type=Path, default=None, help="work in this folder and keep it")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else int(time.time())
    plan = Plan(faults=given.faults, seed=seed, at_most=given.minutes * 60)
    sys.stderr.write(f"seed {seed}\n")
    with tempfile.TemporaryDirectory(prefix="brightrun-chaos-") as folder:
        report = run_chaos(plan, given.keep or Path(folder))
    if given.json:
        report.write(given.json)
    sys.stdout.write(report.text() + "\n")
    sys.exit(0 if report.passed else 1)


main()
