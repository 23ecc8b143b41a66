"""A wait for a GPU as people read it: since when, how long it usually takes, when it is tried next."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.text import safe
from blocks.units import count, duration_range, when
from functions.model.diagnosis import GpuWait


def wait_words(wait: GpuWait | None, past_waits: Sequence[float]) -> str:
    """What a job that waits for a GPU says below its name."""
    if wait is None:
        return "No GPU is free right now. It starts by itself as soon as one is."
    lines = [
        f"No GPU is free right now ({safe(wait.reason, 150)}).",
        f"Waiting since {when(wait.since, '{time}')}, tried {count(wait.tries, 'time')}, "
        f"next try {when(wait.next_try_at, '{time}')}; it gives up {when(wait.gives_up_at, '{time}')}.",
        f"{past_words(past_waits)} Waiting costs nothing.",
    ]
    return "\n".join(lines)


def past_words(past_waits: Sequence[float]) -> str:
    """`The last 5 waits took 4–11 min.`"""
    if not past_waits:
        return "Nobody has waited for this machine before, so there is no telling how long it takes."
    if len(past_waits) == 1:
        return f"The last wait took {duration_range(past_waits[0], past_waits[0])}."
    return f"The last {len(past_waits)} waits took {duration_range(min(past_waits), max(past_waits))}."
