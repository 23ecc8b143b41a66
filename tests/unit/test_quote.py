"""The quote as a document: what stands in it, on one page, and that nothing typed breaks out of it."""

from __future__ import annotations

from typing import Any

import pytest
from weasyprint import HTML

from functions import catalog
from functions.model.views import QuoteView
from reports.pdf import only_enclosed
from reports.quote import quote_html, quote_pdf
from tests.unit import block_views as views
from tests.unit.test_run_report import HOSTILE, _words


def pages(quote: QuoteView) -> list[str]:
    document = HTML(string=quote_html(quote), url_fetcher=only_enclosed()).render()
    return [_words(page._page_box) for page in document.pages]


def reviewed(**changes: Any) -> QuoteView:
    return views.quote(review=views.review_view(**changes))


def test_one_page_says_all_that_somebody_needs_to_decide() -> None:
    (page,) = pages(views.quote())
    for told in (
        "Elena Morales Financial - Balanced - 2026-12-16",
        "Acme Financial · Q1 enhancement – First production model for Acme",
        "$45.20 to $54.60",
        "About 12 h 23 min; between 11 h 7 min and 13 h 37 min from its start.",
        "At the start $54.60, the upper end, is set aside",
        "Valid until 23 December 2026. Asked for by Elena Morales on 16 December 2026, 17:05 UTC.",
        "242 conversations, 48 held out",
        "Llama 3 70B (meta-llama/Meta-Llama-3-70B-Instruct)",
        "QLoRA, 4-bit base model, rank 16; Balanced preset; 3 epochs",
        "H100, preemptible, $3.95 an hour. Needs 66 of its 80 GB: fits",
        "1,152,504 tokens at 900 a second, and fixed stages $45.60",
        "Evaluation on held-out conversations $1.50",
        "Interruption buffer: time to recover $1.98",
        "Expected $49.10",
        "Conservative 6 h 7 min $24.60",
        "Aggressive 19 h 43 min $78.20",
        "needs more memory",
        "2 instead of 3 epochs (stop after 98 steps): $15.30 less (31 %)",
        "learned from 34 finished runs like this one",
        "Past estimates for Balanced were within ±9 % on average; 11 of 12 runs in 90 days ended in their range.",
        "Third-party notes on Modal's price list, as of 2026-09-01.",
        "Estimate 5F3A9C21-2612161705 · valid until 23 December 2026 · computed by regression-1",
    ):
        assert told in page, told
    assert "practice" not in page


def test_without_history_it_names_where_the_speed_comes_from() -> None:
    (page,) = pages(reviewed(estimate=views.estimate(history_jobs=0, past_error=None, past_runs=0, source="A guess.")))
    assert "No run like this one has finished yet; the speed is: A guess." in page
    assert "How past estimates for Balanced did: no history yet." in page


def test_practice_money_is_called_that() -> None:
    (page,) = pages(reviewed(tier=catalog.tier("local")))
    assert "practice money" in page
    assert "nobody is billed" in page
    assert "Interruption buffer" not in page


def test_the_pdf_is_the_same_every_time() -> None:
    pdf = quote_pdf(views.quote())
    assert pdf.startswith(b"%PDF-")
    assert pdf == quote_pdf(views.quote())
    assert pdf != quote_pdf(views.quote(asked_by="Somebody else"))


@pytest.mark.parametrize("typed", [HOSTILE, "W" * 5000, "\u202edlrow\x00", ""])
def test_what_a_person_typed_is_text_and_still_one_page(typed: str) -> None:
    choice = views.choice(name=typed, client=typed, project=typed, description=typed)
    quote = views.quote(review=views.review_view(choice=choice), asked_by=typed)
    html = quote_html(quote)
    assert "<script" not in html
    assert "<img" not in html
    assert "\u202e" not in html
    assert len(pages(quote)) == 1
