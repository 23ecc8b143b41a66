"""Events of one attempt on disk, one JSON line each, and how far the service has acknowledged them."""

from __future__ import annotations

import logging
import os
import re
import threading
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_NAME = re.compile(r"events-(\d+)\.jsonl")


class Spool:
    """An append-only file `events-{attempt}.jsonl` with `events-{attempt}.acked` beside it.

    One thread appends, another reads and acknowledges. When the disk is full, what cannot be written waits in
    memory: a job must still be able to say that the disk is full.
    """

    def __init__(self, work_dir: Path, attempt: int) -> None:
        self.attempt = attempt
        self._path = work_dir / f"events-{attempt}.jsonl"
        self._acked_path = work_dir / f"events-{attempt}.acked"
        # Of a process that was killed while it noted its place.
        self._acked_stage.unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._overflow: list[bytes] = []
        self._size = self._repair()
        self._written = self._count()
        self._acked = self._read_acked()
        self._offset, self._taken = self._offset_of(self._acked)

    @property
    def _acked_stage(self) -> Path:
        return self._acked_path.with_suffix(".acked.partial")

    @property
    def written(self) -> int:
        """Events appended so far."""
        return self._written

    def last_line(self) -> bytes | None:
        """The last event that is in the file."""
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        return lines[-1] if lines else None

    @property
    def waiting(self) -> int:
        """Events that are still to be sent."""
        return self._written - self._acked

    def append(self, line: str) -> None:
        """Append one event and flush it to the file."""
        data = line.encode() + b"\n"
        with self._lock:
            if self._overflow or not self._write(data):
                self._overflow.append(data)
            self._written += 1

    def pending(self, limit: int, max_bytes: int) -> list[bytes]:
        """The next lines after the last acknowledged one, at least one if there is one."""
        with self._lock:
            lines = self._from_file(limit, max_bytes)
            skip = self._acked - self._taken if not lines else 0
            lines += self._overflow[skip : skip + limit - len(lines)]
        taken, size = 0, 0
        for line in lines:
            size += len(line)
            if taken and size > max_bytes:
                break
            taken += 1
        return lines[:taken]

    def acknowledge(self, count: int) -> None:
        """The next `count` events need not be sent again; remembered across processes."""
        with self._lock:
            self._advance(count)
            self._acked += count
        self._note(self._acked)

    def _write(self, data: bytes) -> bool:
        try:
            with self._path.open("ab") as file:
                file.write(data)
        except OSError as error:
            log.warning("An event could not be written to %s and is kept in memory: %s", self._path.name, error)
            with suppress(OSError):
                os.truncate(self._path, self._size)
            return False
        self._size += len(data)
        return True

    def _repair(self) -> int:
        """Cut off a line that was not written to its end; returns the size of what is whole."""
        if not self._path.exists():
            return 0
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)
        return whole

    def _count(self) -> int:
        return self._path.read_bytes().count(b"\n") if self._path.exists() else 0

    def _read_acked(self) -> int:
        try:
            acked = int(self._acked_path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return 0
        if acked > self._written:
            # A machine that died took the end of the file with it. What is appended from here on is not acknowledged,
            # and a later process must not take it for so.
            acked = self._written
            self._note(acked)
        return acked

    def _note(self, acked: int) -> None:
        try:
            self._acked_stage.write_text(str(acked), "utf-8")
            self._acked_stage.replace(self._acked_path)
        except OSError as error:
            # A later attempt then sends some events twice, which changes nothing for the service.
            log.warning("The place in the event file could not be noted: %s", error)

    def _offset_of(self, line: int) -> tuple[int, int]:
        if not line:
            return 0, 0
        lines = self._path.read_bytes().splitlines(keepends=True)[:line]
        return sum(map(len, lines)), len(lines)

    def _from_file(self, limit: int, max_bytes: int) -> list[bytes]:
        if self._offset >= self._size:
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(min(self._size - self._offset, max_bytes))
            if not data.endswith(b"\n") and b"\n" not in data:
                data += file.readline()
        return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)[:limit]

    def _advance(self, count: int) -> None:
        """Move the place in the file by `count` lines, or as many as it has."""
        while count and self._offset < self._size:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    self._offset += len(line)
                    self._taken += 1
                    count -= 1
                    if not count:
                        return


def spools(work_dir: Path, attempt: int) -> list[Spool]:
    """Spools of earlier attempts that still have something to send, in order, and that of this attempt, last."""
    numbers = [int(match[1]) for path in work_dir.iterdir() if (match := _NAME.fullmatch(path.name))]
    earlier = [Spool(work_dir, number) for number in sorted(numbers) if number < attempt]
    return [*(spool for spool in earlier if spool.waiting), Spool(work_dir, attempt)]
