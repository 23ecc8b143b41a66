"""An estimate as a PDF of one A4 page, made to be handed to whoever decides or pays."""

from __future__ import annotations

from weasyprint import HTML  # type: ignore[import-untyped]

from functions.model.views import QuoteView
from reports import quote_facts as facts
from reports.pdf import only_enclosed, template


def quote_pdf(quote: QuoteView) -> bytes:
    """The quote as PDF. The same quote makes the same bytes on the same machine."""
    document = HTML(string=quote_html(quote), url_fetcher=only_enclosed())
    pdf: bytes = document.write_pdf(pdf_identifier=quote.reference.encode(), pdf_tags=True)
    return pdf


def quote_html(quote: QuoteView) -> str:
    """The quote as one HTML page; everything that a person typed is escaped."""
    return template("quote.html").render(
        title=facts.title(quote),
        about=facts.about(quote),
        price=facts.price(quote),
        cap=facts.cap(quote),
        time=facts.time(quote),
        practice=facts.practice(quote),
        what=facts.what(quote),
        costs=facts.costs(quote),
        total=facts.total(quote),
        compared=facts.compared(quote),
        tips=facts.tips(quote),
        assumptions=facts.assumptions(quote),
        asked=facts.asked(quote),
        valid=facts.valid(quote),
        reference=quote.reference,
        algorithm=quote.review.estimate.algorithm,
        stamp=quote.made_at.isoformat(timespec="seconds"),
    )
