"""A wait for a GPU as people read it: since when, how long it usually takes, when it is tried next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from blocks.text import safe
from blocks.units import count, duration_range, when
from functions.model.diagnosis import GpuWait, WaitRecord
from functions.model.states import RUNNING
from functions.model.views import CardView


def wait_words(view: CardView) -> str:
    """What a job that waits for a GPU says below its name."""
    wait = view.wait
    if wait is None:
        return "No GPU is free right now. It starts by itself as soon as one is."
    lines = [
        f"No GPU is free right now ({safe(wait.reason, 150)}).",
        f"Waiting since {when(wait.since, '{time}')}, tried {count(wait.tries, 'time')}"
        f"{_what_next(wait, view.now, trying=view.job.state in RUNNING)}.",
        f"{past_words(view.past_waits, view.wait_record)} Waiting costs nothing.",
    ]
    return "\n".join(lines)


def _what_next(wait: GpuWait, now: datetime, *, trying: bool) -> str:
    """`, being tried now; next try 9:15; it gives up 10:00`. A time that has passed is not promised any more."""
    under_way = ", being tried now" if trying else ""
    if wait.next_try_at <= now:
        return under_way or ", and again as soon as a place is free"
    gives_up = f"; it gives up {when(wait.gives_up_at, '{time}')}"
    if trying and wait.next_try_at >= wait.gives_up_at:
        return f"{under_way}{gives_up}"
    following = f"next try {when(wait.next_try_at, '{time}')}"
    return f"{under_way}; {following}{gives_up}" if trying else f", {following}{gives_up}"


def past_words(past_waits: Sequence[float], record: WaitRecord | None = None) -> str:
    """`The last 5 waits took 4–11 min. In 90 days 2 of 12 waits ended without a GPU; about this time of day 1 of 4.`"""
    said = [part for part in (_lengths(past_waits), _in_vain(record)) if part]
    return " ".join(said) or "Nobody has waited for this machine before, so there is no telling how long it takes."


def _lengths(past_waits: Sequence[float]) -> str:
    if not past_waits:
        return ""
    if len(past_waits) == 1:
        return f"The last wait took {duration_range(past_waits[0], past_waits[0])}."
    return f"The last {len(past_waits)} waits took {duration_range(min(past_waits), max(past_waits))}."


def _in_vain(record: WaitRecord | None) -> str:
    """How often no GPU came, in all and around this hour; empty where one always did."""
    if record is None or not record.in_vain:
        return ""
    hour = f"; about this time of day {record.around_in_vain:,} of {record.around:,}" if record.around else ""
    return f"In 90 days {record.in_vain:,} of {count(record.waits, 'wait')} ended without a GPU{hour}."
