"""Numbers inside sentences that the verbs make: memory, durations, lists."""

from __future__ import annotations

from collections.abc import Sequence

_GIB = 1024**3


def gigabytes(size: float) -> str:
    """`92 GB`, in the units that graphics cards are sold in (1024³ bytes); one decimal below ten."""
    value = size / _GIB
    return f"{value:,.0f} GB" if value >= 9.95 else f"{value:,.1f} GB"


def span(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 20 min`."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def counted(number: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
