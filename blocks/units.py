"""Numbers as people read them: durations, money, sizes, counts, shares, dates, trends."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from functions.model.catalog import PRACTICE_TIER
from functions.model.money import dollars

PRACTICE = "practice money"
_WHOLE_DOLLARS_FROM = 20_00
_BAR_WIDTH = 19
_TEN_YEARS = 10 * 365 * 24 * 3600
_LARGE = 1e9


def duration(seconds: float | None) -> str:
    """`38 s`, `2 min`, `1 h 45 m`, `3 d 4 h`; `unknown` where there is no number."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds > _TEN_YEARS:
        return "over 10 years"
    whole = round(max(0.0, seconds))
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} m" if minutes else f"{hours} h"
    days, hours = divmod(round(whole / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def rough(seconds: float) -> str:
    """A duration that is only expected: five-minute steps from an hour on, whole hours from ten."""
    for least, step in ((36_000, 3600), (3600, 300)):
        if least <= seconds <= _TEN_YEARS:
            return duration(round(seconds / step) * step)
    return duration(seconds)


def duration_range(low: float, high: float) -> str:
    """`12–14 min` where both have one unit, else `50 min – 1 h 10 m`. Both are rough."""
    first, last = rough(low), rough(high)
    if first == last:
        return first
    for unit in (" s", " min", " h"):
        number = first.removesuffix(unit)
        if first.endswith(unit) and number.isdigit() and last.removesuffix(unit).isdigit():
            return f"{number}–{last}"
    return f"{first} – {last}"


def money(cents: int) -> str:
    """`$22.18`; whole dollars without cents, `$500`."""
    return dollars(cents).removesuffix(".00")


def money_range(low_cents: int, high_cents: int) -> str:
    """`$4.90–6.60`; from $20 in whole dollars, `$45–55`, rounded outward."""
    if high_cents >= _WHOLE_DOLLARS_FROM:
        low, high = low_cents // 100, -(-high_cents // 100)
        return f"${low:,}" if low == high else f"${low:,}–{high:,}"
    if low_cents == high_cents:
        return money(low_cents)
    return f"{dollars(low_cents)}–{dollars(high_cents).removeprefix('$')}"


def practice(tier: str) -> str:
    """` practice money` after an amount of the tier that bills nobody, else nothing."""
    return f" {PRACTICE}" if tier == PRACTICE_TIER else ""


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 step`, `2,000 steps`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def file_size(size: int) -> str:
    """Decimal units, as file managers show them: `812 bytes`, `4.1 MB`."""
    if size < 1000:
        return count(size, "byte")
    value, unit = size / 1000, "KB"
    for following in ("MB", "GB", "TB"):
        if value < 999.95:
            break
        value, unit = value / 1000, following
    return f"{value:,.1f} {unit}"


def memory(size: int) -> str:
    """Memory in the units that graphics cards are sold in: `80 GB` is 80 × 1024³ bytes."""
    value = size / 1024**3
    return f"{value:,.0f} GB" if value >= 10 else f"{value:,.1f} GB"


def memory_of(used: int, available: int) -> str:
    """`58 of 80 GB`."""
    return f"{memory(used).removesuffix(' GB')} of {memory(available)}"


def percent(fraction: float) -> str:
    """`42 %`, rounded down, so that 100 % means done."""
    if not math.isfinite(fraction):
        return "0 %"
    return f"{math.floor(min(1.0, max(0.0, fraction)) * 100 + 1e-9)} %"


def share(fraction: float) -> str:
    """`61 %`, rounded to the nearest: a part of a whole, or how far something was off."""
    if not math.isfinite(fraction):
        return "unknown"
    if 0 < fraction < 0.005:
        return "under 1 %"
    return f"{round(fraction * 100):,} %"


def decimal(value: float | None, digits: int = 3) -> str:
    """`0.342`; a loss that is no number any more is called that."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number"
    return f"{value:,.{digits}f}" if abs(value) < _LARGE else f"{value:.3g}"


def rate(value: float) -> str:
    """A learning rate: `0.0002`, `1.62e-05`."""
    return f"{value:.3g}"


def trend(now: float, before: float | None) -> str:
    """How a value that should fall moved: ` ↓ from 0.389`, ` ↑ from 0.301`, ` unchanged`."""
    if before is None or not (math.isfinite(now) and math.isfinite(before)):
        return ""
    if decimal(now) == decimal(before):
        return " unchanged"
    return f" {'↓' if now < before else '↑'} from {decimal(before)}"


def bar(fraction: float, width: int = _BAR_WIDTH) -> str:
    """`▓▓▓▓░░░░░`."""
    share = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else 0.0
    full = math.floor(share * width + 1e-9)
    return "▓" * full + "░" * (width - full)


def when(moment: datetime, template: str = "{date_short_pretty} at {time}") -> str:
    """A moment in each reader's own zone, by Slack's date formatting."""
    fallback = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(moment.timestamp())}^{template}|{fallback}>"
