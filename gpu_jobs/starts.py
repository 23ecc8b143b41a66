"""How often one attempt was started, where the machine's owner starts it again by itself.

Such an owner starts a container whose host ran out of memory again and again, without end and without a word.
So every start is written down before anything else, and how far the job had come by then.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from functions.model.events import Event

# Starts that ended without a word and left no newer checkpoint, after which there is no point in another one.
MAX_LOST = 3


class Start(NamedTuple):
    """The start that is being made: its number, and how many before it were lost with nothing gained."""

    number: int
    lost: int
    after_loss: bool

    @property
    def hopeless(self) -> bool:
        """Whether the job would be lost once more."""
        return self.lost >= MAX_LOST


class Starts:
    """The file `starts-{attempt}.jsonl` in the work folder. `secure` makes it outlive the machine."""

    def __init__(self, work_dir: Path, attempt: int, *, secure: Callable[[], None]) -> None:
        self._work_dir = work_dir
        self._path = work_dir / f"starts-{attempt}.jsonl"
        self._secure = secure

    def begin(self) -> Start:
        """Write down that the attempt starts now."""
        before = self._read()
        checkpoint = self._newest_checkpoint()
        self._append({"checkpoint": checkpoint, "ended": False})
        self._secure()
        lost = 0
        for line in reversed(before):
            if line["ended"] or line["checkpoint"] != checkpoint:
                break
            lost += 1
        starts = sum(not line["ended"] for line in before)
        return Start(number=starts + 1, lost=lost, after_loss=bool(before) and not before[-1]["ended"])

    def end(self) -> None:
        """Write down that the start ended in order: finished, failed with an explanation, or interrupted and saved."""
        self._append({"checkpoint": self._newest_checkpoint(), "ended": True})

    def _read(self) -> list[dict[str, str | bool]]:
        if not self._path.exists():
            return []
        # What follows the last line break was not written to its end.
        return [json.loads(line) for line in self._path.read_text("utf-8").rpartition("\n")[0].splitlines()]

    def _append(self, line: dict[str, str | bool]) -> None:
        whole = "".join(json.dumps(old) + "\n" for old in self._read())
        stage = self._path.with_suffix(".partial")
        stage.write_text(whole + json.dumps(line) + "\n", "utf-8")
        stage.replace(self._path)

    def _newest_checkpoint(self) -> str:
        # Read without torch, which is not loaded yet; the trainer checks that it is whole.
        names = sorted(path.name for path in (self._work_dir / "checkpoints").glob("step-*"))
        return names[-1] if names else ""


def last_sign_of_life(work_dir: Path, attempt: int, *, now: datetime) -> datetime:
    """When the attempt's earlier starts did something last, by what outlived their machine; `now` where nothing did.

    Their last event tells it by its own time, everything else that they write by when it was written.
    """
    patterns = (
        f"starts-{attempt}.jsonl",
        f"events-{attempt}.*",
        f"log-{attempt}.txt",
        "checkpoints/*",
        "checkpoints/*/*",
    )
    times = []
    for path in (path for pattern in patterns for path in work_dir.glob(pattern)):
        with suppress(OSError):
            times.append(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    with suppress(OSError, IndexError, ValidationError):
        lines = (work_dir / f"events-{attempt}.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
        times.append(Event.model_validate_json(lines[-1]).at)
    return min(now, max(times, default=now))
