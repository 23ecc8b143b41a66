"""A completed run as a PDF of one or two A4 pages, made to be shown to a client."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from weasyprint import HTML  # type: ignore[import-untyped]

from functions.model.job import Job
from functions.model.views import MetricPoint
from reports import run_facts as facts
from reports.figures import loss_curve, perplexity_bars
from reports.pdf import only_enclosed, template


def run_report(job: Job, points: Sequence[MetricPoint], *, origin: str = "") -> bytes:
    """The report as PDF. The same job and points make the same bytes on the same machine.

    Args:
        job: a run that has ended; what is not known of it is left out or said to be unknown.
        points: its losses, for the curve (see `reports.figures.loss_curve`).
        origin: which run it tried again, with what changed; empty for a first try.
    """
    document = HTML(string=report_html(job, points, origin=origin), url_fetcher=only_enclosed())
    pdf: bytes = document.write_pdf(pdf_identifier=job.id.bytes, pdf_tags=True)
    return pdf


def report_html(job: Job, points: Sequence[MetricPoint], *, origin: str = "") -> str:
    """The report as one HTML page with its pictures enclosed; everything that a person typed is escaped."""
    card = facts.base_model_card(job)
    return template("run_report.html").render(
        title=facts.title(job),
        about=facts.about(job),
        verdict=facts.verdict(job),
        # The name is the page's title already: the figures say what they show instead.
        bars=_enclosed(perplexity_bars(_named(job, "Before and after"))) if job.progress.perplexity else "",
        curve=_enclosed(loss_curve(_named(job, "How it learned"), points)) if points else "",
        trained=facts.trained(job, origin),
        settings=facts.settings(job),
        time_and_cost=facts.time_and_cost(job),
        interrupted=facts.interrupted(job),
        interruptions=facts.interruptions(job),
        base_model=card.name if card else facts.visible(job.configuration.base_model, 100),
        hub_id=card.hub_id if card else facts.visible(job.configuration.base_model, 100),
        licence=card.licence if card else "",
        job_id=str(job.id),
        day=facts.day(job.ended_at or job.created_at),
        stamp=(job.ended_at or job.created_at).isoformat(timespec="seconds"),
    )


def _named(job: Job, name: str) -> Job:
    return job.model_copy(update={"name": name})


def _enclosed(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
