"""What the verbs need from the outside, as Protocols. Adapters in `infra` are handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from functions.model.alerts import Curve
from functions.model.approval import Approval, ApprovalCopy, ApprovalEvent, ApprovalState
from functions.model.budget import AuditEntry, AuditFilter, BudgetView, DayForecast, JobCost, LimitChange
from functions.model.conversation import TrainingSequence
from functions.model.diagnosis import ConfigurationKey, EndingCounts, GpuWait, SuggestionRecord
from functions.model.estimate import EstimateAccuracy, FinishedRun, InterruptionRecord
from functions.model.events import Event
from functions.model.invoices import BillableRun, Client, Invoice, InvoiceLine, StripeInvoice
from functions.model.job import (
    Artifact,
    Attempt,
    Configuration,
    Job,
    JobChoice,
    NewJob,
    PresetRecord,
    RetryRecord,
    StopRequest,
)
from functions.model.job_spec import JobSpec
from functions.model.money import BudgetRules, EntryKind
from functions.model.outbox import Card, Notice, OutboxMessage
from functions.model.payments import CheckoutPage, PaymentEvent, PaymentRecord, TopUp
from functions.model.people import Role
from functions.model.progress import Progress
from functions.model.spend import Projection, TrackRecord
from functions.model.states import JobState
from functions.model.training_file import TrainingFile
from functions.model.views import MetricPoint, QuoteView

TRAINING_FILES = "training-files"
MODEL_ARTIFACTS = "model-artifacts"

Clock = Callable[[], datetime]


class People(Protocol):
    """The `people` table."""

    def role(self, team_id: str, user_id: str) -> Role | None:
        """The person's role, None for somebody never seen."""
        ...

    def with_roles(self, team_id: str, roles: Iterable[Role]) -> list[str]:
        """Everybody of the team who has one of the roles, by user id."""
        ...

    def set_role(self, team_id: str, user_id: str, role: Role, *, by: str = "") -> None:
        """Give a person a role; `by` whom, where a person did it."""
        ...

    def seed_role(self, team_id: str, user_id: str, role: Role) -> None:
        """Give a person a role, unless somebody gave them one in Slack."""
        ...

    def roles(self, team_id: str, *, lock: bool = False) -> dict[str, Role]:
        """Everybody's role by user id; `lock` holds the rows until the transaction ends."""
        ...


class TrainingFiles(Protocol):
    """The `training_files` table."""

    def get(self, team_id: str, file_id: UUID) -> TrainingFile | None:
        """One file of the team."""
        ...

    def by_content(self, team_id: str, sha256: str) -> TrainingFile | None:
        """The active file with these very bytes."""
        ...

    def search(self, team_id: str, text: str, limit: int) -> list[TrainingFile]:
        """Active files whose name contains the text, newest first."""
        ...

    def add(self, file: TrainingFile) -> None:
        """Insert a file."""
        ...


class Jobs(Protocol):
    """`training_jobs`, `job_attempts`, `job_events`, `training_metrics_history`, `model_artifacts`."""

    def get(self, job_id: UUID, *, lock: bool = False) -> Job | None:
        """One job; `lock` holds its row until the transaction ends."""
        ...

    def keep_draft(self, team_id: str, request_key: str, choice: JobChoice) -> None:
        """Keep what was chosen between the form and the start; the newest choice of a request stays."""
        ...

    def draft(self, team_id: str, request_key: str) -> JobChoice | None:
        """What was chosen for a request."""
        ...

    def by_request(self, team_id: str, request_key: str) -> Job | None:
        """The job that this very request made, if it did."""
        ...

    def name_taken(self, team_id: str, name: str) -> bool:
        """Whether a job of the team has the name, upper and lower case alike."""
        ...

    def active_on_file(self, file_id: UUID) -> str | None:
        """The name of the active job on a training file."""
        ...

    def insert(self, job: NewJob) -> None:
        """Insert a job as queued."""
        ...

    def update(
        self,
        job_id: UUID,
        *,
        state: JobState | None = None,
        progress: Progress | None = None,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        recoveries: int | None = None,
        billed_seconds: float | None = None,
        actual_cost_cents: int | None = None,
        reopen: bool = False,
    ) -> None:
        """Change what is given; `reopen` clears `ended_at`."""
        ...

    def in_states(self, states: Iterable[JobState]) -> list[Job]:
        """Jobs in any of the states: those moved to the front, the last moved first; then the oldest first."""
        ...

    def set_stop(self, job_id: UUID, stop: StopRequest | None) -> None:
        """Keep a person's wish that the job stop, or forget it once it has."""
        ...

    def begin_pause(self, job_id: UUID, at: datetime) -> None:
        """From now on the job rests."""
        ...

    def end_pause(self, job_id: UUID, at: datetime) -> None:
        """Add the rest that ends now to the job's paused time."""
        ...

    def change_tier(self, job_id: UUID, configuration: Configuration, rate_cents_per_hour: int) -> None:
        """Bill what comes at another tier's rate; what was billed so far stays as it is."""
        ...

    def promote(self, job_id: UUID, at: datetime) -> None:
        """Put the job before all that wait."""
        ...

    def line_of(self, job_id: UUID) -> tuple[UUID, int]:
        """(the first job of the line that this one stands in, how many were made of it by trying again)."""
        ...

    def retry_record(self, team_id: str) -> RetryRecord:
        """How jobs that were tried again have ended."""
        ...

    def copy_points(self, parent_id: UUID, job_id: UUID, *, up_to: int) -> None:
        """Give a job that goes on from another one the curve up to where it goes on."""
        ...

    def recent(self, team_id: str, limit: int) -> list[Job]:
        """The team's newest jobs."""
        ...

    def count(self, team_id: str) -> int:
        """How many jobs the team has."""
        ...

    def begin_attempt(self, job_id: UUID, at: datetime) -> int:
        """Count up and record the next attempt; returns its number."""
        ...

    def set_call(self, job_id: UUID, attempt: int, call_id: str) -> None:
        """Store how the compute knows this attempt."""
        ...

    def end_attempt(self, job_id: UUID, attempt: int, at: datetime) -> float:
        """Mark the attempt ended, once; returns its seconds, 0 if it had ended before."""
        ...

    def reopen_attempt(self, job_id: UUID, attempt: int, at: datetime) -> None:
        """An ended attempt was started again by its machine's owner: it runs, and is billed, from now on."""
        ...

    def attempt(self, job_id: UUID, attempt: int) -> Attempt | None:
        """One attempt."""
        ...

    def add_events(self, events: Sequence[Event], received_at: datetime) -> list[Event]:
        """Store events of one job and attempt; returns those that were new."""
        ...

    def add_points(self, job_id: UUID, attempt: int, events: Sequence[Event]) -> None:
        """Write metrics and held-out losses into the history."""
        ...

    def points(self, job_id: UUID, limit: int) -> list[MetricPoint]:
        """The curve, thinned evenly to at most `limit` points; held-out points are all kept."""
        ...

    def curve(self, job_id: UUID, *, first: int, recent: int, held_out: int) -> Curve:
        """The first and the last steps of the curve, and the last held-out losses."""
        ...

    def log_tail(self, job_id: UUID, limit: int) -> list[str]:
        """The last log lines, oldest first."""
        ...

    def add_artifact(self, artifact: Artifact) -> None:
        """Record a stored result; the same name again replaces it."""
        ...

    def artifacts(self, job_id: UUID) -> list[Artifact]:
        """A job's stored results with their download counts."""
        ...

    def artifact(self, artifact_id: UUID) -> Artifact | None:
        """One stored result."""
        ...

    def count_download(self, artifact_id: UUID, user_id: str, at: datetime, expires_at: datetime) -> None:
        """Record that a link was made for somebody."""
        ...

    def preset_records(self, team_id: str) -> dict[str, PresetRecord]:
        """How each preset has done."""
        ...

    def tags(self, team_id: str) -> list[str]:
        """Tags the team has used."""
        ...

    def clients_used(self, team_id: str) -> list[str]:
        """Names of clients that are set up or that runs carry; upper and lower case are alike."""
        ...

    def projects_used(self, team_id: str) -> list[str]:
        """Names of projects that runs carry; upper and lower case are alike."""
        ...

    def add_tags(self, team_id: str, tags: Iterable[str]) -> None:
        """Remember tags."""
        ...


class History(Protocol):
    """What is learned from ended jobs, and `spend_projections`."""

    def finished_runs(self, team_id: str, limit: int) -> list[FinishedRun]:
        """What the team's last completed jobs teach, the oldest first."""
        ...

    def interruptions(self, team_id: str, since: datetime) -> dict[str, InterruptionRecord]:
        """By tier: how often machines were lost in the team's ended jobs, however they ended."""
        ...

    def accuracy(self, team_id: str, since: datetime) -> dict[str, EstimateAccuracy]:
        """By preset: how the estimates of completed jobs did."""
        ...

    def add_projection(self, *, job_id: UUID, team_id: str, progress: int, at: datetime, made: Projection) -> None:
        """Keep what was projected at so many percent; the first one stays."""
        ...

    def track_record(self, team_id: str, progress: int, since: datetime) -> TrackRecord | None:
        """How projections at this percent did in completed jobs; None while there is none."""
        ...


class Ledger(Protocol):
    """`budgets` and the append-only `ledger`."""

    def lock_limit(self, team_id: str) -> int:
        """The monthly limit in cents, its row locked until the transaction ends."""
        ...

    def set_limit(self, team_id: str, cents: int) -> None:
        """Set the monthly limit; the row is locked by the caller."""
        ...

    def limit(self, team_id: str) -> int:
        """The monthly limit in cents."""
        ...

    def rules(self, team_id: str) -> BudgetRules:
        """The team's rules; of a team never seen, those that every team begins with."""
        ...

    def set_rules(self, team_id: str, rules: BudgetRules) -> None:
        """Replace the rules of a team whose row is there."""
        ...

    def add_limit_change(self, team_id: str, change: LimitChange) -> None:
        """Keep what the limit was before and is from now on."""
        ...

    def limit_changes(self, team_id: str) -> list[LimitChange]:
        """Every change of the limit, the oldest first."""
        ...

    def teams(self) -> list[str]:
        """Every team that has a budget or money in the ledger."""
        ...

    def sums(self, team_id: str, since: datetime) -> tuple[int, int]:
        """(spent since then, reserved now) in cents."""
        ...

    def top_ups(self, team_id: str, since: datetime | None = None) -> list[tuple[date, int]]:
        """What was paid in beforehand, by calendar month (its first day), the oldest first.

        A refund takes back from the month of its top-up.
        """
        ...

    def months(self, team_id: str, since: datetime) -> list[tuple[date, int]]:
        """Spending by calendar month (its first day) since then, the oldest first; months without any are left out."""
        ...

    def daily(self, team_id: str, since: datetime, until: datetime) -> list[tuple[date, int]]:
        """Spending by day from then and before the other; days without any are left out."""
        ...

    def job_costs(self, team_id: str, since: datetime) -> list[JobCost]:
        """The jobs of a period: made or settled since then, or holding money now."""
        ...

    def keep_forecast(self, team_id: str, made: DayForecast) -> bool:
        """Keep a day's forecast; False where the day has one already."""
        ...

    def forecasts(self, team_id: str, since: date, before: date) -> list[DayForecast]:
        """The forecasts from one day on and before another, the oldest first."""
        ...

    def booked_of(self, payment_id: str) -> tuple[int, int]:
        """(credited, taken back again) of one payment, in cents, both positive."""
        ...

    def reserved_for(self, job_id: UUID) -> int:
        """What is still reserved for a job, in cents."""
        ...

    def settled_for(self, job_id: UUID) -> int:
        """What has been settled for a job, in cents."""
        ...

    def append(
        self,
        *,
        team_id: str,
        job_id: UUID | None,
        kind: EntryKind,
        cents: int,
        at: datetime,
        key: str,
        payment_id: str | None = None,
    ) -> bool:
        """Append an entry; False where one with this key is there already. `payment_id`: Stripe's, of top-ups."""
        ...


class Outbox(Protocol):
    """`outbox` and `job_cards`."""

    def put(
        self, *, job: Job, notice: Notice, key: str, at: datetime, data: dict[str, float | int | str | None]
    ) -> None:
        """Queue a message; the same key again changes nothing. A pending CARD is not queued twice."""
        ...

    def put_team(
        self,
        *,
        team_id: str,
        channel_id: str,
        notice: Notice,
        key: str,
        at: datetime,
        data: dict[str, float | int | str | None],
    ) -> None:
        """Queue a message that tells of no job, to a channel's or a person's id; the same key there changes nothing."""
        ...

    def unreached(self, team_id: str, channel_id: str) -> bool:
        """Whether the last team message to this place could not be sent."""
        ...

    def claim(self, now: datetime) -> OutboxMessage | None:
        """Take the next message that is due, marked as being sent; one of a job at a time, in order."""
        ...

    def sent(self, message_id: int, *, ts: str, at: datetime) -> None:
        """It was sent."""
        ...

    def retry(self, message_id: int, *, not_before: datetime, error: str) -> None:
        """It was not sent and will be tried again."""
        ...

    def drop(self, message_id: int, *, error: str) -> None:
        """It can never be sent."""
        ...

    def card(self, job_id: UUID) -> Card | None:
        """Where the job's card is."""
        ...

    def set_card(self, card: Card) -> None:
        """Remember where the job's card is."""
        ...

    def waiting(self) -> int:
        """Messages not yet sent."""
        ...

    def sent_count(self, job_id: UUID) -> int:
        """Calls that told of the job: messages sent and card edits."""
        ...


class TopUps(Protocol):
    """`top_ups`, `stripe_payments` and `stripe_events`."""

    def begin(self, top_up: TopUp) -> TopUp:
        """Keep a wish to pay in; returns what is kept under its key, which may have been there before."""
        ...

    def get(self, team_id: str, request_key: str) -> TopUp | None:
        """One wish to pay in."""
        ...

    def set_page(self, team_id: str, request_key: str, page: CheckoutPage) -> None:
        """Remember where it can be paid."""
        ...

    def first_event(self, event: PaymentEvent, at: datetime) -> bool:
        """Record an event; False where it was there."""
        ...

    def lock_payment(self, event: PaymentEvent) -> PaymentRecord:
        """What is known of the event's payment, its row locked until the transaction ends."""
        ...

    def set_payment(self, payment_id: str, *, paid_cents: int | None, refunded_cents: int) -> None:
        """Write down what is known now."""
        ...


class Invoices(Protocol):
    """`clients`, `invoices` and `invoice_lines`."""

    def clients(self, team_id: str, *, test_mode: bool) -> list[Client]:
        """All clients of the team, by name."""
        ...

    def client(self, team_id: str, client_id: UUID, *, lock: bool = False) -> Client | None:
        """One client; `lock` holds its row until the transaction ends."""
        ...

    def save_client(self, client: Client, *, by: str, at: datetime) -> Client:
        """Set a client up, or change the one of this name; returns it as it is kept."""
        ...

    def billable(self, team_id: str, *, test_mode: bool) -> list[BillableRun]:
        """Completed runs that name a client and are on no invoice, the oldest first."""
        ...

    def begun(self, client_id: UUID) -> Invoice | None:
        """The client's invoice that was begun and not brought to its end."""
        ...

    def get(self, team_id: str, invoice_id: UUID) -> Invoice | None:
        """One invoice."""
        ...

    def recent(self, team_id: str, limit: int, *, test_mode: bool) -> list[Invoice]:
        """The last finalized invoices, the newest first."""
        ...

    def begin(self, invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
        """Keep an invoice and bind its runs to it."""
        ...

    def lines(self, invoice_id: UUID) -> list[InvoiceLine]:
        """What is on an invoice, in the order in which the runs ended."""
        ...

    def set_stripe(self, invoice_id: UUID, *, stripe_id: str, customer_id: str) -> None:
        """Remember which of Stripe's invoices it is."""
        ...

    def finish(self, invoice_id: UUID, final: StripeInvoice, at: datetime) -> bool:
        """It is finalized; False where it was already."""
        ...


class Failures(Protocol):
    """`job_endings`, `retry_suggestions` and `gpu_waits`."""

    def record_ending(self, job: Job, key: ConfigurationKey, *, failure_code: str | None, at: datetime) -> None:
        """A job of this configuration completed (no code) or failed; the same attempt counts once."""
        ...

    def endings(self, team_id: str, key: ConfigurationKey) -> EndingCounts:
        """How the team's jobs of this configuration ended."""
        ...

    def times_failed(self, job_id: UUID, code: str) -> int:
        """How often this job failed so."""
        ...

    def take_suggestion(
        self, failed: Job, key: ConfigurationKey, *, code: str, fix_key: str, retry_job_id: UUID, by: str, at: datetime
    ) -> None:
        """Somebody retries the failed job with a fix; the same choice again changes nothing."""
        ...

    def settle_suggestions(self, retry_job_id: UUID, *, completed: bool, failure_code: str | None) -> None:
        """The retry ended: its fix worked, did not help against its failure, or something else came in between."""
        ...

    def suggestion_records(self, team_id: str, code: str) -> dict[str, SuggestionRecord]:
        """How each fix did against this failure, by its key."""
        ...

    def keep_wait(self, job: Job, wait: GpuWait) -> None:
        """Begin the job's wait for a GPU, or note the next try of the one that is open."""
        ...

    def wait(self, job_id: UUID) -> GpuWait | None:
        """The job's open wait."""
        ...

    def end_wait(self, job_id: UUID, *, served: bool, at: datetime) -> GpuWait | None:
        """Close the open wait, if there is one; returns it."""
        ...

    def past_waits(self, tier: str, limit: int) -> list[float]:
        """Seconds that the last waits for this tier took until a GPU was there, newest first."""
        ...


class Deliveries(Protocol):
    """`slack_deliveries`: what Slack delivered is handled once."""

    def first_time(self, key: str) -> bool:
        """Record the key; False where it was there."""
        ...


class Approvals(Protocol):
    """`approval_requests`, their votes, history and the copies of their message."""

    def get(self, request_id: UUID, *, lock: bool = False) -> Approval | None:
        """One request; `lock` holds its row until the transaction ends."""
        ...

    def insert(self, request: Approval) -> None:
        """A new request."""
        ...

    def change(self, before: Approval, after: Approval) -> bool:
        """Write what a request has become, if it still is what it was; every copy is out of date then."""
        ...

    def pending(self, team_id: str) -> list[Approval]:
        """What waits for a decision, the oldest first."""
        ...

    def open_before(self, states: Iterable[ApprovalState], limit: int = 200) -> list[Approval]:
        """Requests in these states, those that expire first."""
        ...

    def same(self, team_id: str, requested_by: str, digest: str) -> Approval | None:
        """The pending request of this person for the very same thing."""
        ...

    def of_request_key(self, team_id: str, request_key: str) -> list[Approval]:
        """Pending requests for a start from this very form."""
        ...

    def of_job(self, job_id: UUID) -> Approval | None:
        """The approved request that a job was made by, its row locked."""
        ...

    def vote(self, request_id: UUID, approver: str, *, approved: bool, note: str, at: datetime) -> bool:
        """A person's word on a request, once; False where they have spoken."""
        ...

    def note(self, request_id: UUID, *, at: datetime, actor: str, event: str, detail: str = "") -> None:
        """Append to a request's history."""
        ...

    def history(self, request_id: UUID) -> list[ApprovalEvent]:
        """A request's history, the oldest first."""
        ...

    def add_copies(self, request_id: UUID, recipients: Iterable[str]) -> None:
        """Whoever is named gets a copy; who has one keeps it."""
        ...

    def claim_copy(self, now: datetime) -> ApprovalCopy | None:
        """Take a copy that does not show what its request has become, marked as being sent."""
        ...

    def copy_sent(self, copy: ApprovalCopy, *, channel_id: str, ts: str, version: int, nudged: int) -> None:
        """The copy is there, shows this version, and has so many reminders below it."""
        ...

    def copy_later(self, copy: ApprovalCopy, *, not_before: datetime, give_up: bool, posted: bool) -> None:
        """The copy was not sent; `posted` keeps the mark that its post may have come through."""
        ...


class Audit(Protocol):
    """The append-only audit log."""

    def append(
        self,
        *,
        team_id: str,
        at: datetime,
        actor: str,
        action: str,
        target: str,
        detail: dict[str, str | int],
    ) -> None:
        """Write down who did what."""
        ...

    def entries(self, team_id: str, since: datetime, chosen: AuditFilter, limit: int) -> list[AuditEntry]:
        """What was written down since then and matches, the newest first."""
        ...

    def count(self, team_id: str, since: datetime, chosen: AuditFilter) -> int:
        """How many entries match."""
        ...

    def areas(self, team_id: str) -> list[str]:
        """The first words of all actions that occur."""
        ...


class Transaction(Protocol):
    """A unit of work: all of it happens, or none."""

    @property
    def people(self) -> People: ...
    @property
    def files(self) -> TrainingFiles: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def history(self) -> History: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def top_ups(self) -> TopUps: ...
    @property
    def invoices(self) -> Invoices: ...
    @property
    def failures(self) -> Failures: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def audit(self) -> Audit: ...


class Database(Protocol):
    """Hands out transactions."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin; commits at the end of the block, rolls back where it raises."""
        ...


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

    `log_tail` holds the last lines of one that ended by an error, where they can be had.
    """

    running: bool
    exit_code: int | None = None
    note: str = ""
    log_tail: tuple[str, ...] = ()


class Compute(Protocol):
    """Where GPU jobs run."""

    provider: str

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        """Start an attempt; returns the call id by which it is polled and cancelled."""
        ...

    def poll(self, call_id: str) -> CallState:
        """How it stands, without waiting."""
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

    def run_report(self, job: Job, points: Sequence[MetricPoint]) -> bytes:
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

    def invoice(self, stripe_id: str) -> StripeInvoice:
        """An invoice as it stands at Stripe."""
        ...

    def add_line(self, stripe_id: str, customer_id: str, line: InvoiceLine) -> None:
        """Put a run on a draft."""
        ...

    def finalize_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a draft an invoice that can be paid."""
        ...
