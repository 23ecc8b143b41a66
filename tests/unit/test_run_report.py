"""The report of a run: what a client reads in it, and that nothing a job may hold breaks out of it."""

from __future__ import annotations

import logging
import math
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weasyprint import HTML
from weasyprint.urls import URLFetchingError, fetch

from functions.model.events import PerplexityMeasured
from functions.model.job import Job
from functions.model.views import MetricPoint
from reports import run_facts
from reports.pdf import only_enclosed
from reports.run_report import report_html, run_report
from tests.unit import block_views as views

POINTS = [MetricPoint(step=step, training_loss=2 / step, held_out_loss=2.1 / step) for step in range(1, 30)]
HOSTILE = "<script>alert(1)</script> \"'&amp; <img src=http://example.com/x.png> {{ 7*7 }} 🎉"


def finished(**changes: Any) -> Job:
    """A completed run that was interrupted twice."""
    done = views.completed_card().job
    progress = changes.pop("progress", {})
    return done.model_copy(update={"progress": done.progress.model_copy(update=progress), **changes})


def measured(base: float, tuned: float) -> dict[str, Any]:
    return {"perplexity": PerplexityMeasured(base=base, tuned=tuned, tokens=58_207, conversations=48)}


def pages(job: Job, points: list[MetricPoint] | None = None) -> list[str]:
    """The text of every page as it is laid out, footers included."""
    html = report_html(job, POINTS if points is None else points)
    document = HTML(string=html, url_fetcher=only_enclosed()).render()
    return [_words(page._page_box) for page in document.pages]


def inflated(pdf: bytes) -> bytes:
    """The contents of its compressed streams, one after the other."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"".join(zlib.decompress(stream) for stream in streams if stream[:1] == b"x")


def _words(box: Any) -> str:
    parts = [part.text for part in box.descendants() if hasattr(part, "text") and isinstance(part.text, str)]
    return " ".join(" ".join(parts).replace("\u00a0", " ").split())


def test_the_verdict_comes_first_and_everything_a_client_asks_follows() -> None:
    first, second = pages(finished(progress={**measured(24.5, 16.8), "interruptions": views.INTERRUPTIONS}))
    head = first.index("Perplexity fell from 24.5 to 16.8: 31.4 % lower than the base model.")
    assert first.index("✓ Production ready") < head
    assert head < first.index("Measured on 48 held-out conversations (58,207 tokens)") < first.index("What was trained")
    assert "Acme Financial · Q1 enhancement – First production model for Acme" in first
    for told in (
        "Elena Morales Financial",
        "242: 194 to learn from, 48 held out for the test (20 %)",
        "Llama 3 70B (meta-llama/Meta-Llama-3-70B-Instruct)",
        "Balanced. For production.",
    ):
        assert told in first, told
    for told in (
        "Rank 16, alpha 32, dropout 10 %, on all attention and feed-forward layers",
        "3 passes over the data: 2,000 steps of 4 conversations each",
        "16 December 2026, 15:29 to 17:05 UTC",
        "preparing the data 2 min, loading the model 11 min, training 1 h 23 min",
        "$45.20 to $54.60 had been expected",
        "taken away 2 times and 9 min passed",
        "went on 4 min later from step 300",
        'from_pretrained( "meta-llama/Meta-Llama-3-70B-Instruct"',
    ):
        assert told in second, told
    for number, page in enumerate((first, second), 1):
        assert f"Run {views.JOB_ID} · 16 December 2026" in page
        assert f"Page {number} of 2" in page


def test_the_pdf_is_whole_tagged_and_the_same_every_time() -> None:
    pdf = run_report(finished(), POINTS)
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert pdf == run_report(finished(), POINTS)
    inner = inflated(pdf)
    assert b"/StructTreeRoot" in inner  # readable aloud
    assert b"D:20261216170500" in inner  # when the run ended, not when the report was drawn
    assert pdf != run_report(finished(name="Another"), POINTS)


def test_practice_money_is_called_that_and_real_money_is_not() -> None:
    local = views.configuration(tier="local", base_model="smollm2-135m")
    practice = " ".join(pages(finished(configuration=local, billed_seconds=600.0)))
    assert "$0.66 of practice money" in practice
    assert "nobody is billed" in practice
    real = " ".join(pages(finished(billed_seconds=44_575.0)))
    assert "$48.91 at $3.95 an hour" in real
    assert "practice" not in real


@pytest.mark.parametrize(
    ("base", "tuned", "badge", "headline"),
    [
        (20.0, 16.0, "⚠ Acceptable", "Perplexity fell from 20.0 to 16.0: 20.0 % lower"),
        (8.0, 10.0, "✗ Below threshold", "Perplexity rose from 8.00 to 10.0: 25.0 % higher"),
        (8.0, 8.0, "✗ Below threshold", "Perplexity stayed at 8.00"),
        (math.inf, 5.0, "✗ Not measurable", "no usable number: perplexity not finite before, 5.00 after"),
    ],
)
def test_every_outcome_is_said_as_it_is(base: float, tuned: float, badge: str, headline: str) -> None:
    verdict = run_facts.verdict(finished(progress=measured(base, tuned)))
    assert verdict.badge.text == badge
    assert headline in verdict.headline


def test_a_trial_says_that_it_is_one_beside_its_verdict() -> None:
    done = finished(progress=measured(24.5, 16.8))
    trial = done.configuration.hyperparameters.model_copy(update={"max_steps": 10})
    job = done.model_copy(update={"configuration": done.configuration.model_copy(update={"hyperparameters": trial})})
    first, second = pages(job)
    assert "This was a trial of 10 steps." in first
    assert "A trial: stopped after 10 steps of 4 conversations each, as asked" in second
    assert "trial" not in run_facts.verdict(done).scope


def test_a_run_of_which_little_is_known_still_has_a_report() -> None:
    nothing = {"perplexity": None, "plan": None, "metrics": None, "interruptions": (), "mean_tokens_per_second": None}
    gone = views.configuration().model_copy(update={"base_model": "gone", "preset": "gone", "tier": "gone"})
    job = finished(progress=nothing, configuration=gone, started_at=None, ended_at=None, client="", project="")
    shown = pages(job, [])
    assert 1 <= len(shown) <= 2
    text = " ".join(shown)
    assert "– Not measured" in text
    assert "nothing is claimed" in text
    assert "None: the run went through in one piece." in text
    assert "<img" not in report_html(job, [])


def test_what_a_person_typed_is_text_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    job = finished(name=HOSTILE, client=HOSTILE, project="\u202edlrow\x00", description=HOSTILE,
                   training_file_name=HOSTILE)  # fmt: skip
    html = report_html(job, POINTS)
    assert "<script" not in html
    assert "<img src=http" not in html
    assert html.count("<img ") == 2
    assert "\u202e" not in html
    assert "\x00" not in html
    with caplog.at_level(logging.WARNING, logger="weasyprint"):
        shown = " ".join(pages(job))
    assert "<script>alert(1)</script>" in shown
    assert "{{ 7*7 }}" in shown
    assert "🎉" not in shown
    assert not [record for record in caplog.records if "load" in record.getMessage()]


@pytest.mark.parametrize("url", ["http://example.com/x.png", "https://example.com", "file:///etc/passwd", "ftp://a/b"])
def test_no_address_is_ever_fetched(url: str) -> None:
    with pytest.raises(URLFetchingError, match="disallowed protocol"), fetch(only_enclosed(), url):
        pass


def test_the_longest_texts_and_many_interruptions_still_fit_two_pages() -> None:
    progress = {**measured(1e300, 123456.789), "interruptions": views.INTERRUPTIONS * 20}
    long = "W" * 5000
    job = finished(name=long, client=long, project=long, description=long, training_file_name=long, progress=progress)
    shown = pages(job)
    assert len(shown) == 2
    assert "and 37 more" in " ".join(shown)


_PERPLEXITY = st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf])


@settings(max_examples=6, deadline=None)
@given(st.text(max_size=120), _PERPLEXITY, _PERPLEXITY, st.floats(0, 1e12))
def test_no_job_makes_it_fail(typed: str, base: float, tuned: float, seconds: float) -> None:
    job = finished(name=typed, client=typed, description=typed, billed_seconds=seconds, progress=measured(base, tuned))
    assert run_report(job, []).startswith(b"%PDF-")


@given(st.text(max_size=400), st.integers(1, 60))
def test_visible_text_is_one_short_line(typed: str, limit: int) -> None:
    shown = run_facts.visible(typed, limit)
    assert len(shown) <= limit
    assert shown.isprintable() or "\u200c" in shown
    assert "\n" not in shown
    assert run_facts.visible(shown, limit) == shown


def test_durations_and_days_read_well() -> None:
    assert [run_facts.duration(value) for value in (0, 38, 120, 3600, 6300, math.nan)] == [
        "under 1 s", "38 s", "2 min", "1 h", "1 h 45 min", "unknown",
    ]  # fmt: skip
    start = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    job = finished(started_at=start, ended_at=start + timedelta(hours=2))
    when = dict(run_facts.time_and_cost(job))["When"]
    assert when == "31 December 2026, 23:00 UTC to 1 January 2027, 01:00 UTC"


def test_threads_make_the_same_report() -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: run_report(finished(), POINTS), range(3)))
    assert len(set(made)) == 1
