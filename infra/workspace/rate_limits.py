"""Slack's published rates for Web API calls, as sliding windows."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable

# (calls, seconds). One message a second for each channel, of which five may come at once.
MESSAGE_WINDOW = (5, 5.0)
TIER_3 = (50, 60.0)
TIER_4 = (100, 60.0)
TIER_3_METHODS = frozenset(
    {
        "chat.update",
        "chat.delete",
        "conversations.open",
        "conversations.replies",
        "conversations.history",
    }
)
# Slack allows "hundreds" a minute of auth.test; an app opens few connections, and must always get one back.
UNLIMITED_METHODS = frozenset({"auth.test", "apps.connections.open"})


class RateLimits:
    """Counts calls; `on` switches it, `scale` multiplies how many calls fit in a window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.on = True
        self.scale = 1.0
        self._clock = clock
        self._calls: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def retry_after(self, method: str, channel: str) -> int | None:
        """Count one call; None if it may pass, else the whole seconds that the caller has to wait."""
        if not self.on or method in UNLIMITED_METHODS:
            return None
        if method == "chat.postMessage":
            key, (limit, window) = (method, channel), MESSAGE_WINDOW
        else:
            key, (limit, window) = (method, ""), TIER_3 if method in TIER_3_METHODS else TIER_4
        now, calls = self._clock(), self._calls[key]
        while calls and calls[0] <= now - window:
            calls.popleft()
        if len(calls) >= max(1, int(limit * self.scale)):
            return max(1, math.ceil(calls[0] + window - now))
        calls.append(now)
        return None

    def clear(self) -> None:
        """Forget the calls counted so far."""
        self._calls.clear()
