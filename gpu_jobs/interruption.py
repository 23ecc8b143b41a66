"""The machine wants its place back: signals become a flag that the work looks at between two small steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Raised by `Interruption.check`. Like KeyboardInterrupt no Exception: no handler of errors may swallow it."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait, looking for a signal twice a second.

    Raises:
        Interrupted: one came; see `Interruption.check`.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(0.5, left))


class Interruption:
    """While entered, SIGINT and SIGTERM are noted instead of acted on. Only a main thread can take signals."""

    def __init__(self) -> None:
        self._wanted: str | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal came, or the service asked for a stop."""
        if self._wanted is not None:
            raise Interrupted(self._wanted)

    def request(self, name: str) -> None:
        """Ask for an end from another thread, as a signal would."""
        self._wanted = self._wanted or name

    def _note(self, number: int, _: FrameType | None) -> None:
        self.request(signal.Signals(number).name)
