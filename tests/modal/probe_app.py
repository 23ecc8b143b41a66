"""An app whose `train` takes the same input as the project's and does what a test asks, without torch."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import modal

app = modal.App("probe", include_source=False)


@app.function(gpu="H100", timeout=3600, retries=modal.Retries(max_retries=2, initial_delay=0.0))
def train(spec: dict[str, Any], token: str) -> int:
    """The job's name says what happens."""
    work_dir = Path(spec["work_dir"])
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / "starts").open("a") as starts:
        starts.write(f"{token}\n")
    what, _, argument = str(spec["job_name"]).partition(" ")
    if what == "sleep":
        time.sleep(float(argument))
    if what == "raise":
        from infra.modal.trainer import TrainerCrashed

        raise TrainerCrashed("OSError: the disk on the moon")
    if what == "raise-unknown":
        # A type that only this container can import.
        Path("of_the_container_alone.py").write_text("class Strange(Exception):\n    pass\n", "utf-8")
        sys.path.insert(0, ".")
        from of_the_container_alone import Strange  # type: ignore[import-not-found]

        raise Strange("boom")
    if what == "fail-once" and len((work_dir / "starts").read_text().splitlines()) == 1:
        raise RuntimeError("boom")
    return int(argument) if what == "end" else 0
