"""Updates of one view take turns, and a change that is not the newest any more is not drawn.

Only about drawing: nothing is decided here, so that it may be forgotten with the process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_REMEMBERED = 1000


@dataclass
class _Seen:
    newest: str = ""
    turn: threading.Lock = field(default_factory=threading.Lock)


class ViewOrder:
    """Remembers the newest change of the last thousand views."""

    def __init__(self) -> None:
        self._views: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, view_id: str, action_ts: str) -> _Seen:
        """A change came, named by its timestamp."""
        with self._lock:
            seen = self._views.setdefault(view_id, _Seen())
            self._views.move_to_end(view_id)
            seen.newest = max(seen.newest, action_ts)
            while len(self._views) > _REMEMBERED:
                self._views.popitem(last=False)
        return seen

    @contextmanager
    def turn(self, view_id: str, action_ts: str) -> Iterator[bool]:
        """Wait for the view's turn; yields whether this change is still the newest."""
        seen = self.note(view_id, action_ts)
        with seen.turn:
            yield action_ts >= seen.newest
