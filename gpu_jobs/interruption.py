"""The machine wants its place back: signals become a flag that the work looks at between two small steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from functions.model.events import TIME_LIMIT

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
    """While entered, SIGINT and SIGTERM are noted instead of acted on. Only a main thread can take signals.

    After `stop_after_seconds` from now it is as if a signal had come. `signalled` tells whether one did.
    """

    def __init__(self, stop_after_seconds: float | None = None) -> None:
        self._wanted: str | None = None
        self.signalled = False
        self._deadline = None if stop_after_seconds is None else time.monotonic() + stop_after_seconds
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
        """Raise `Interrupted` if a signal came, the service asked for a stop, or the time is over."""
        if self._wanted is not None:
            raise Interrupted(self._wanted)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise Interrupted(TIME_LIMIT)

    def request(self, name: str) -> None:
        """Ask for an end from another thread, as a signal would."""
        self._wanted = self._wanted or name

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signalled = True
        self.request(signal.Signals(number).name)
