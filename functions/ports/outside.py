"""What lies outside: files, machines, tokenizers, figures, payments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from functions.model.budget import AuditEntry, BudgetView
from functions.model.conversation import TrainingSequence
from functions.model.invoices import Invoice, InvoiceLine, StripeInvoice
from functions.model.job import Job
from functions.model.job_spec import JobSpec
from functions.model.payments import CheckoutPage, PaymentEvent, TopUp
from functions.model.views import MetricPoint, QuoteView

TRAINING_FILES = "training-files"


MODEL_ARTIFACTS = "model-artifacts"


Clock = Callable[[], datetime]


class Files(Protocol):
    """Buckets of files, with links that expire. Paths use forward slashes."""

    def put(self, bucket: str, path: str, data: bytes | Path) -> None:
        """Store a file, replacing what was there."""
        ...

    def exists(self, bucket: str, path: str) -> bool:
        """Whether the file is there."""
        ...

    def download_url(self, bucket: str, path: str, *, expires_in: timedelta, name: str) -> str:
        """A link to the file that stops working after the given time; saved under `name`."""
        ...

    def upload_url(self, bucket: str, path: str, *, max_bytes: int) -> str:
        """A link to which the file may be PUT once."""
        ...


class CallState(NamedTuple):
    """How a launched attempt stands. `exit_code` is None while it runs or where none is known.

    `log_tail` holds the last lines of one that ended by an error, where they can be had. Where its provider could not
    be asked it is taken to run, and is not `known` to.
    """

    running: bool
    exit_code: int | None = None
    note: str = ""
    log_tail: tuple[str, ...] = ()
    known: bool = True


class Compute(Protocol):
    """Where GPU jobs run."""

    provider: str
    # Whether launching an attempt that was launched already, unknown to the caller, starts no second machine.
    repeatable: bool

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        """Start an attempt; returns the call id by which it is polled and cancelled."""
        ...

    def poll(self, call_id: str) -> CallState:
        """How it stands, without waiting. Not running means that it is known to be over for good."""
        ...

    def waits_for_gpu(self, call_id: str) -> bool:
        """Whether a launched attempt still waits for a machine; asked of one that has not said a word."""
        ...

    def cancel(self, call_id: str) -> None:
        """End it."""
        ...

    def work_dir(self, job_id: UUID) -> str:
        """The folder that outlives a job's attempts, as the job will see it."""
        ...

    def model_path(self, base_model: str) -> str | None:
        """A local folder with the base model's weights, or None to take it from the hub."""
        ...


class TokenCounter(Protocol):
    """Counts tokens with a base model's own tokenizer and chat template."""

    def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
        """(tokens, tokens that carry loss) of every sequence."""
        ...


class Pictures(Protocol):
    """Figures as PNG bytes, and the report that holds them."""

    def loss_curve(self, job: Job, points: Sequence[MetricPoint]) -> bytes:
        """Training and held-out loss over steps."""
        ...

    def perplexity_bars(self, job: Job) -> bytes:
        """Base and tuned perplexity side by side."""
        ...

    def run_report(self, job: Job, points: Sequence[MetricPoint], *, origin: str = "") -> bytes:
        """The run's report, made to be shown to a client, as PDF."""
        ...

    def quote(self, quote: QuoteView) -> bytes:
        """An estimate as a PDF of one page."""
        ...

    def budget(self, view: BudgetView) -> bytes:
        """The period's spending against its limit with the forecast, and the last months, as PNG."""
        ...

    def budget_csv(self, view: BudgetView) -> bytes:
        """What each run of the period cost, as CSV."""
        ...

    def audit_csv(self, entries: Sequence[AuditEntry]) -> bytes:
        """The audit log as CSV."""
        ...


class Payments(Protocol):
    """Stripe. Every call that changes something carries a key: the same key again changes nothing more.

    All raise Unavailable where Stripe does not answer, and InvalidInput where it refuses.
    """

    @property
    def test_mode(self) -> bool:
        """Whether no real money moves."""
        ...

    @property
    def hears(self) -> bool:
        """Whether webhooks can be verified, so that a payment would be heard of."""
        ...

    def checkout(self, top_up: TopUp) -> CheckoutPage:
        """A page on which the top-up is paid."""
        ...

    def read_event(self, body: bytes, signature: str) -> PaymentEvent:
        """What a webhook says.

        Raises:
            InvalidInput: it is not signed by Stripe, or too old.
        """
        ...

    def check_customer(self, customer_id: str) -> None:
        """Make sure that Stripe knows a customer by this id.

        Raises:
            InvalidInput: it does not, or they were deleted.
        """
        ...

    def add_customer(self, *, name: str, email: str, key: str) -> str:
        """Make a customer; returns their id."""
        ...

    def draft_invoice(self, invoice: Invoice, customer_id: str) -> StripeInvoice:
        """An empty draft for a customer; the same invoice and customer again are the same draft."""
        ...

    def invoice(self, stripe_id: str) -> StripeInvoice | None:
        """An invoice as it stands at Stripe; None where there is none, as it was deleted."""
        ...

    def discard_drafts(self, invoice: Invoice, *, customer_ids: Collection[str], jobs: Collection[UUID]) -> None:
        """Delete every draft of an invoice, and every item of its runs. Done before, it changes nothing.

        Args:
            invoice: whose drafts; they carry its id.
            customer_ids: whose items are looked at that hang on no invoice any more.
            jobs: its runs.
        """
        ...

    def void_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a finalised invoice one that nobody has to pay."""
        ...

    def add_line(self, stripe_id: str, customer_id: str, line: InvoiceLine) -> None:
        """Put a run on a draft."""
        ...

    def finalize_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a draft an invoice that can be paid."""
        ...
