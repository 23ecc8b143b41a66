"""View data: what a screen shows, computed by the verbs and drawn by `blocks`. No Slack in here."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from functions.model.alerts import Alert
from functions.model.approval import ApprovalKind
from functions.model.budget import Forecast
from functions.model.catalog import BaseModelCard, Preset, Tier
from functions.model.diagnosis import Diagnosis, GpuWait, WaitRecord
from functions.model.estimate import Estimate, InterruptionRecord, MemoryNeed
from functions.model.events import Stage
from functions.model.job import Artifact, Configuration, Job, JobChoice, PresetRecord
from functions.model.job_spec import Hyperparameters
from functions.model.lineage import Family
from functions.model.money import BudgetStatus
from functions.model.people import Person
from functions.model.spend import Advice, Projection, Spend, TrackRecord
from functions.model.training_file import TrainingFile


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class QueueLimits(_View):
    """How many jobs may train at once, and how many may wait for that."""

    running: int = 3
    waiting: int = 3


class QueueEntry(_View):
    """A waiting job: its place, 1 being the next, when it may expect to start, and the seconds it takes from then on.

    `preset` and `machine` are names.
    """

    job: Job
    position: int
    starts_at: datetime
    seconds: float
    preset: str
    machine: str


class CardView(_View):
    """A job's card. `done_at` is the expected end; `projected_cents` the expected final cost.
    `elapsed_seconds` are without those in which it was paused and waited for its turn again (`paused_seconds`).

    `queued` is its place in the queue, while it waits. `diagnosis` is there once it failed, `wait` while it waits
    for a GPU, between tries and during them (`past_waits`: seconds that such waits took before, `wait_record`: how
    often in vain), `alerts` are those that hold now.
    `projection` has its range, `track_record` how such projections did, `advice` what follows from it.
    `expected_seconds` says how long each stage should take.
    `family`: what it came of and what came of it, where it is or was tried again.
    """

    job: Job
    now: datetime
    elapsed_seconds: float
    paused_seconds: float = 0.0
    remaining_seconds: float | None
    done_at: datetime | None
    fraction: float
    spent_cents: int
    projected_cents: int | None
    artifact: Artifact | None
    can_retry: bool
    can_switch: bool = False
    queued: QueueEntry | None = None
    diagnosis: Diagnosis | None = None
    wait: GpuWait | None = None
    past_waits: tuple[float, ...] = ()
    wait_record: WaitRecord | None = None
    alerts: tuple[Alert, ...] = ()
    spend: Spend | None = None
    projection: Projection | None = None
    track_record: TrackRecord | None = None
    advice: Advice = Advice.NOTHING
    family: Family | None = None
    expected_seconds: dict[Stage, float] = {}


class FileOption(_View):
    """One training file in the searchable select; `reasons` say why it may not be used now."""

    file: TrainingFile
    reasons: tuple[str, ...]


class PresetOption(_View):
    """A preset as applied to the chosen base model, with this team's record."""

    preset: Preset
    hyperparameters: Hyperparameters
    record: PresetRecord


class Alternative(_View):
    """Another choice of preset or tier beside the chosen one, with its estimate."""

    preset: str
    tier: str
    other_tier: bool
    chosen: bool
    estimate: Estimate
    fits: bool


class SavingTip(_View):
    """What would make the run cheaper: the expected saving in cents, and as a share of the expected cost."""

    text: str
    saved_cents: int
    share: float


class TrainFormView(_View):
    """The /train modal. What is None waits for an earlier choice; `ready_files` are counted until one is chosen.

    `previous_cents` is the expected cost before the last change, for the arrow; `revision` changes
    whenever pre-filled inputs must take new values; `budget_after_cents` is what would be left.
    `preset_is_default` tells that nobody chose the preset: it follows the file. `tier_record` is how runs did on the
    chosen tier in the last 90 days.
    """

    choice: JobChoice
    file: FileOption | None
    ready_files: int | None
    presets: tuple[PresetOption, ...]
    tiers: tuple[Tier, ...]
    base_models: tuple[BaseModelCard, ...]
    estimate: Estimate | None
    memory: MemoryNeed | None
    budget: BudgetStatus
    budget_after_cents: int | None
    previous_cents: int | None
    warnings: tuple[str, ...]
    tags_known: tuple[str, ...]
    suggested_name: str
    revision: str
    preset_is_default: bool = False
    alternatives: tuple[Alternative, ...] = ()
    tips: tuple[SavingTip, ...] = ()
    tier_record: InterruptionRecord | None = None
    clients_known: tuple[str, ...] = ()
    projects_known: tuple[str, ...] = ()


class ReviewView(_View):
    """The pushed review: everything chosen, what it costs, and what to confirm."""

    choice: JobChoice
    configuration: Configuration
    file: TrainingFile
    preset: PresetOption
    tier: Tier
    base_model: BaseModelCard
    estimate: Estimate
    memory: MemoryNeed
    budget: BudgetStatus
    warnings: tuple[str, ...]
    within_budget: bool
    approval: ApprovalKind | None = None
    alternatives: tuple[Alternative, ...] = ()
    tips: tuple[SavingTip, ...] = ()
    forecast: Forecast | None = None
    may_override: bool = False


class QuoteView(_View):
    """An estimate as a document. `asked_by` is a person's name; `reference` stands in the audit log too."""

    review: ReviewView
    asked_by: str
    reference: str
    made_at: datetime
    valid_until: datetime


class TierOffer(_View):
    """A machine for the rest of a run, and the estimate of that rest there."""

    tier: Tier
    rest: Estimate


class ResumeView(_View):
    """A job that rests or waits: what the rest of it takes and costs on each machine that it fits, its own first."""

    job: Job
    fraction: float
    offers: tuple[TierOffer, ...]
    budget: BudgetStatus
    wait: GpuWait | None = None


class JobLine(_View):
    """A job in a list. `fraction` is 0 to 1; `preset` and `machine` are names.

    `waits_for_gpu` holds between tries to get one and during them.
    """

    job: Job
    fraction: float
    spent_cents: int
    preset: str
    machine: str
    waits_for_gpu: bool = False


class JobListView(_View):
    """`/jobs`: the newest first; `total` counts those that are not shown too."""

    lines: tuple[JobLine, ...]
    total: int
    now: datetime
    queue: tuple[QueueEntry, ...] = ()
    limits: QueueLimits = QueueLimits()


class MetricPoint(_View):
    """One point of a curve."""

    step: int
    training_loss: float | None = None
    held_out_loss: float | None = None


class JobDetailsView(_View):
    """Everything about one job. `points` are thinned to what a table can hold."""

    card: CardView
    file: TrainingFile | None
    points: tuple[MetricPoint, ...]
    log: tuple[str, ...]
    artifacts: tuple[Artifact, ...]


class FileListView(_View):
    """`/datasets`: the team's training files with their eligibility."""

    files: tuple[FileOption, ...]
    may_import: bool


class ImportReport(_View):
    """What an import would add, before the person confirms it."""

    file_name: str
    name: str
    size_bytes: int
    file: TrainingFile
    warnings: tuple[str, ...]
    reasons: tuple[str, ...]
    replaces: str = ""


class HomeView(_View):
    """App Home: the person's team at a glance."""

    person: Person
    active: tuple[JobLine, ...]
    recent: tuple[JobLine, ...]
    files: int
    budget: BudgetStatus
    now: datetime
