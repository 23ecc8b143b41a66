"""Numbers, escapes and cuts as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import units
from blocks.run_words import verdict
from blocks.text import bold, bounded, channel, clip, code_block, mention, mrkdwn, safe, safe_lines
from functions.model.events import PerplexityMeasured


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.2, "under 1 s"),
        (38, "38 s"),
        (59.7, "1 min"),
        (120, "2 min"),
        (3599, "1 h"),
        (6300, "1 h 45 m"),
        (7200, "2 h"),
        (100 * 3600, "4 d 4 h"),
        (math.nan, "unknown"),
        (None, "unknown"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert units.duration(seconds) == shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (38, 45, "38–45 s"),
        (720, 840, "12–14 min"),
        (3000, 4200, "50 min – 1 h 10 m"),
        (5400, 7200, "1 h 30 m – 2 h"),
        (40_000, 49_000, "11–14 h"),
        (60, 60, "1 min"),
    ],
)
def test_duration_ranges_say_the_unit_once(low: float, high: float, shown: str) -> None:
    assert units.duration_range(low, high) == shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(490, 660, "$4.90–6.60"), (4520, 5460, "$45–55"), (5, 5, "$0.05"), (123_400, 250_001, "$1,234–2,501")],
)
def test_money_ranges_are_rounded_outward(low: int, high: int, shown: str) -> None:
    assert units.money_range(low, high) == shown


def test_sizes_counts_and_shares() -> None:
    assert units.file_size(812) == "812 bytes"
    assert units.file_size(4_128_000) == "4.1 MB"
    assert units.file_size(999_960) == "1.0 MB"
    assert units.memory_of(58 * 1024**3, 80 * 1024**3) == "58 of 80 GB"
    assert units.count(1, "step") == "1 step"
    assert units.count(2000, "step") == "2,000 steps"
    assert units.percent(0.999) == "99 %"
    assert units.share(0.766) == "77 %"
    assert units.bar(0.5, 10) == "▓▓▓▓▓░░░░░"


def test_a_trend_tells_the_direction() -> None:
    assert units.trend(0.342, 0.389) == " ↓ from 0.389"
    assert units.trend(0.4, 0.3) == " ↑ from 0.300"
    assert units.trend(0.3, 0.3) == " unchanged"
    assert units.trend(0.3, None) == ""
    assert units.trend(math.nan, 0.3) == ""


def test_a_moment_is_the_readers_own_with_a_fallback_in_utc() -> None:
    moment = datetime(2026, 12, 16, 18, 40, tzinfo=timezone(timedelta(hours=1)))
    assert units.when(moment) == "<!date^1797442800^{date_short_pretty} at {time}|2026-12-16 17:40 UTC>"
    assert moment.astimezone(UTC).timestamp() == 1797442800


@pytest.mark.parametrize(
    ("base", "tuned", "badge"),
    [
        (10.0, 7.0, "✓ Production ready"),
        (10.0, 7.01, "⚠ Acceptable quality"),
        (10.0, 8.0, "⚠ Acceptable quality"),
        (10.0, 8.01, "✗ Below threshold"),
        (10.0, 12.0, "✗ Below threshold"),
        (10.0, math.inf, "✗ Below threshold"),
    ],
)
def test_the_verdict_follows_the_thresholds(base: float, tuned: float, badge: str) -> None:
    assert verdict(PerplexityMeasured(base=base, tuned=tuned, tokens=1, conversations=1)).badge == badge


def test_a_worse_model_is_called_higher() -> None:
    assert verdict(PerplexityMeasured(base=10, tuned=12, tokens=1, conversations=1)).change.endswith("20.0 % higher")


def test_what_a_person_typed_cannot_speak_slack() -> None:
    assert safe("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert safe("") == "–"
    assert safe("a\u202eb\x00c\nd") == "ab c d"
    assert bold("2 * 3 * 4") == "*2 ∗ 3 ∗ 4*"
    assert mention("U0ELENA") == "<@U0ELENA>"
    assert mention("<!here>") == "&lt;!here&gt;"
    assert channel("D0DIRECT") == ""
    assert "```" not in code_block(["a ``` b"])[4:-4]


def test_a_cut_leaves_no_half_character() -> None:
    family = "👨\u200d👩\u200d👧"
    assert clip("ab" + family, 6) == "ab…"
    assert clip("e\u0301e\u0301e\u0301", 4) == "e\u0301…"
    assert clip("👍🏽👍🏽", 5) == "👍🏽…"
    assert safe("&&&&", 12) == "&amp;&amp;…"


@given(st.text(max_size=400), st.integers(2, 120))
def test_cuts_keep_to_the_limit_and_whole_entities(text: str, limit: int) -> None:
    for shown in (safe(text, limit), safe_lines(text, limit), clip(text, limit)):
        assert len(shown.encode("utf-16-le")) // 2 <= limit
    rest = safe(text, limit).replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set("<>&") & set(rest)


@given(st.lists(st.text(max_size=300), max_size=60))
def test_long_texts_are_bounded(lines: list[str]) -> None:
    escaped = [safe(line) for line in lines]
    assert len(bounded(escaped, 500).encode("utf-16-le")) // 2 <= 530
    assert len(code_block(lines, 2900)) <= 2900
    assert len(mrkdwn("\n".join(escaped) * 5)["text"]) <= 3000


def test_bounded_says_how_much_is_missing() -> None:
    assert bounded(["aaaa", "bbbb", "cccc"], 10) == "aaaa\nbbbb\n… and 1 more."
