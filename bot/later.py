"""What a listener does after its ack, a few at a time.

A listener that works on in its own thread holds one of Bolt's, and the next person's ack waits for it. So
what comes after an ack queues here instead, and acks stay quick however much there is to draw.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bot.errors import new_reference

log = logging.getLogger(__name__)

# More would only take turns: the work is Python's own, and waits for Slack and Postgres are short.
WORKERS = 4


class Later:
    """A queue with a few workers. What a task raises is logged; tasks tell the person themselves."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="later")

    def __call__(self, task: Callable[[], None]) -> None:
        """Have the task done, after those that came before it."""
        self._pool.submit(self._run, task)

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            log.exception("unexpected error, reference %s", new_reference())

    def close(self) -> None:
        """Finish what is queued and stop."""
        self._pool.shutdown(wait=True)
