"""One piece of work beside the main thread, whose outcome is asked for later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.25
_NAME = "background-work"


class Background(Generic[T]):
    """Runs `work` in a thread at once. The thread is a daemon: a process that must go does not wait for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        self._thread.start()

    def result(self, check: Callable[[], None]) -> T:
        """What the work returned, waited for; `check` is called meanwhile and may raise to stop waiting.

        Raises:
            BaseException: whatever the work raised.
        """
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            if self._thread.is_alive():
                check()
        if self._error is not None:
            raise self._error
        return self._found.pop()

    def _run(self) -> None:
        try:
            self._found.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error


def still_working() -> bool:
    """Whether any such thread is alive; an interpreter that ends beside native code in a thread may crash."""
    return any(thread.name == _NAME for thread in threading.enumerate())
