"""Uninterrupted runs of the very same specs, without a service: `python -m tests.recovery.reference FOLDER SPEC…`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from functions.model.job_spec import JobSpec


class Curve(NamedTuple):
    """Losses by step: of training, and on the held-out conversations (step 0: of the base model)."""

    training: dict[int, float]
    held_out: dict[int, float]


def begin_references(folder: Path, specs: list[Path]) -> subprocess.Popen[bytes]:
    """Start them, one after the other in one process, as considerate of others as a process can be."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.reference", str(folder), *map(str, specs)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def curve(folder: Path, file_name: str) -> Curve:
    """What the uninterrupted run of a training file told.

    Raises:
        AssertionError: it did not finish.
    """
    lines = (folder / file_name / "events-1.jsonl").read_text("utf-8").splitlines()
    bodies = [json.loads(line)["body"] for line in lines]
    assert bodies[-1]["kind"] == "finished", f"the uninterrupted run of {file_name} ended with {bodies[-1]}"
    return Curve(
        {body["step"]: body["loss"] for body in bodies if body["kind"] == "metrics"},
        {body["step"]: body["loss"] for body in bodies if body["kind"] == "held_out"},
    )


def main(folder: Path, specs: list[Path]) -> None:
    """Run each spec as a first attempt in a folder of its own."""
    from gpu_jobs.job import run_job

    os.nice(10)
    for path in specs:
        spec = JobSpec.model_validate_json(path.read_text("utf-8"))
        work_dir = folder / spec.data.name
        work_dir.mkdir(parents=True, exist_ok=True)
        # What the job fetched, or the original: the same bytes, as its checksum says.
        (work_dir / "training-data.jsonl").write_bytes((path.parent / "training-data.jsonl").read_bytes())
        run_job(spec.model_copy(update={"attempt": 1, "work_dir": str(work_dir), "service_url": ""}), "")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
