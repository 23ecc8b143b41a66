"""The `Pictures` port: figures and documents drawn by `reports`."""

from __future__ import annotations

from collections.abc import Sequence

from functions.errors import Unavailable
from functions.model.budget import AuditEntry, BudgetView
from functions.model.job import Job
from functions.model.views import MetricPoint, QuoteView


class FigurePictures:
    """Draws with matplotlib, which is loaded at the first picture and not before."""

    def loss_curve(self, job: Job, points: Sequence[MetricPoint]) -> bytes:
        """Training and held-out loss over steps, as PNG."""
        from reports.figures import loss_curve

        return loss_curve(job, points)

    def perplexity_bars(self, job: Job) -> bytes:
        """Base and tuned perplexity side by side, as PNG."""
        from reports.figures import perplexity_bars

        return perplexity_bars(job)

    def run_report(self, job: Job, points: Sequence[MetricPoint], *, origin: str = "") -> bytes:
        """The run's report as PDF.

        Raises:
            Unavailable: the libraries that set its text are not installed on this machine.
        """
        try:
            from reports.run_report import run_report
        except OSError as error:  # WeasyPrint loads Pango when it is imported
            raise _no_pango() from error

        return run_report(job, points, origin=origin)

    def quote(self, quote: QuoteView) -> bytes:
        """An estimate as a PDF of one page.

        Raises:
            Unavailable: the libraries that set its text are not installed on this machine.
        """
        try:
            from reports.quote import quote_pdf
        except OSError as error:
            raise _no_pango() from error

        return quote_pdf(quote)

    def budget(self, view: BudgetView) -> bytes:
        """The period's spending against its limit with the forecast, and the last months, as PNG."""
        from reports.budget_figure import budget_figure

        return budget_figure(view)

    def budget_csv(self, view: BudgetView) -> bytes:
        """What each run of the period cost, as CSV."""
        from reports.exports import budget_csv

        return budget_csv(view)

    def audit_csv(self, entries: Sequence[AuditEntry]) -> bytes:
        """The audit log as CSV."""
        from reports.exports import audit_csv

        return audit_csv(entries)


def _no_pango() -> Unavailable:
    return Unavailable(
        "The machine that makes reports lacks the library Pango.",
        fix="Ask an admin to run `make setup` there; `brightrun doctor` shows whether it helped.",
    )
