"""The verdict on a perplexity improvement, as figures show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from functions.model.events import PerplexityMeasured
from reports import style

PRODUCTION_READY = 30.0
ACCEPTABLE = 20.0


@dataclass(frozen=True)
class Badge:
    """A symbol with words, and the colour to set them on."""

    text: str
    color: str


def improvement_percent(measured: PerplexityMeasured) -> float | None:
    """By how many percent tuning lowered perplexity (negative: it rose); None where it cannot be said.

    Cut, not rounded, to a tenth, so that a figure never shows a threshold that was not reached.
    """
    base, tuned = measured.base, measured.tuned
    if not (math.isfinite(base) and math.isfinite(tuned)) or base <= 0:
        return None
    # The inner rounding takes away what binary fractions add: 24.5 to 17.15 is 30 %, not 29.999….
    return math.floor(round((base - tuned) / base * 1000, 6)) / 10


def badge(improvement: float | None) -> Badge:
    """The badge for an improvement in percent: from 30 ready, from 20 acceptable, else below."""
    if improvement is None:
        return Badge("✗ Not measurable", style.MUTED)
    if improvement >= PRODUCTION_READY:
        return Badge("✓ Production ready", style.GREEN)
    if improvement >= ACCEPTABLE:
        return Badge("⚠ Acceptable", style.AMBER)
    return Badge("✗ Below threshold", style.VERMILLION)
