"""View data for the tests of `blocks`: one run as people know it, to be varied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from functions import catalog
from functions.diagnosis import diagnose, memory_needs
from functions.model.budget import Forecast, Outlook
from functions.model.diagnosis import FailureHistory, SuggestionRecord
from functions.model.estimate import Estimate, InterruptionRecord, MemoryNeed, Span
from functions.model.events import Failed, FailedRecord, HeldOut, Metrics, PerplexityMeasured, Planned, Stage
from functions.model.job import Artifact, Configuration, Job, JobChoice, PresetRecord
from functions.model.money import BudgetStatus
from functions.model.people import Person, Role
from functions.model.progress import Interruption, Progress, StageProgress
from functions.model.spend import Projection, Spend, TrackRecord
from functions.model.states import JobState
from functions.model.training_file import (
    EnrichmentStatus,
    FileFormat,
    QualityScores,
    TokenCounts,
    TrainingFile,
    TrainingFileStats,
)
from functions.model.views import (
    Alternative,
    CardView,
    FileListView,
    FileOption,
    HomeView,
    ImportReport,
    JobDetailsView,
    JobLine,
    JobListView,
    MetricPoint,
    PresetOption,
    QueueEntry,
    QuoteView,
    ReviewView,
    SavingTip,
    TrainFormView,
)

NOW = datetime(2026, 12, 16, 17, 5, tzinfo=UTC)
JOB_ID = UUID("0d7c4c2e-6a0b-4c5e-9f57-2f0f5f6c7a11")
FILE_ID = UUID("3f2b8a94-1f5c-4f0e-8f3a-5f4a1f0c9b22")
ARTIFACT_ID = UUID("7b1e2d3c-4a5b-4c6d-8e7f-9a0b1c2d3e33")
GIB = 1024**3


def stats(**changes: Any) -> TrainingFileStats:
    """242 conversations of good quality."""
    values: dict[str, Any] = {
        "conversations": 242,
        "training_pairs": 1567,
        "records": 3011,
        "sequences": 242,
        "quality": QualityScores(
            average=4.5,
            lowest=3.8,
            highest=5.0,
            empathy=4.6,
            clarity=4.4,
            appropriateness=4.7,
            brand_voice=4.5,
            human_reviewed=12,
        ),
        "personas": {"anxious_investor": 84, "pragmatic_skeptic": 60, "hopeful_planner": 58, "overwhelmed_avoider": 40},
        "emotional_arcs": {"confusion_to_clarity": 150, "shame_to_acceptance": 92},
        "topics": {"Retirement Planning": 130, "Tax Strategies": 112},
        "tokens": TokenCounts(
            tokenizer="llama-3-70b", total=480_210, trainable=291_034, per_pair=1_008_441, longest=3739
        ),
    }
    return TrainingFileStats(**{**values, **changes})


def training_file(**changes: Any) -> TrainingFile:
    """The file of the tests."""
    values: dict[str, Any] = {
        "id": FILE_ID,
        "team_id": "T0BRIGHT",
        "name": "Elena Morales Financial",
        "file_name": "elena-morales.json",
        "file_format": FileFormat.BRIGHTRUN_V4,
        "status": "active",
        "enrichment_status": EnrichmentStatus.COMPLETED,
        "storage_path": "T0BRIGHT/a/original.json",
        "sequences_path": "T0BRIGHT/a/sequences.jsonl",
        "sequences_sha256": "0" * 64,
        "size_bytes": 4_128_000,
        "sha256": "1" * 64,
        "stats": stats(),
        "created_by": "U0ELENA",
        "created_at": NOW - timedelta(days=2),
    }
    return TrainingFile(**{**values, **changes})


def estimate(**changes: Any) -> Estimate:
    """12 hours on an H100, from 34 finished runs."""
    values: dict[str, Any] = {
        "seconds": Span(low=40_000, expected=44_600, high=49_000),
        "cents_low": 45_20,
        "cents_expected": 49_10,
        "cents_high": 54_60,
        "gpu_cents": 45_60,
        "evaluation_cents": 1_50,
        "interruption_cents": 1_98,
        "storage_cents": 2,
        "tokens": 1_152_504,
        "steps": 2000,
        "tokens_per_second": 900.0,
        "history_jobs": 34,
        "past_error": 0.09,
        "past_runs": 12,
        "past_in_range": 11,
        "source": "34 finished runs like this one",
        "made_at": NOW,
    }
    return Estimate(**{**values, **changes})


def configuration(*, tier: str = "modal-h100", base_model: str = "llama-3-70b") -> Configuration:
    """Balanced."""
    settings = catalog.hyperparameters_for(catalog.preset("balanced"), catalog.base_model(base_model))
    return Configuration(base_model=base_model, tier=tier, preset="balanced", hyperparameters=settings)


def stages(active: Stage, *, since: datetime = NOW, failed: bool = False) -> tuple[StageProgress, ...]:
    """Two minutes of preprocessing, eleven of loading, 83 of training; what comes later is pending."""
    minutes = {Stage.PREPROCESSING: 2, Stage.MODEL_LOADING: 11, Stage.TRAINING: 83, Stage.FINALIZATION: 6}
    order = list(Stage)
    begun = since - timedelta(minutes=sum(minutes[item] for item in order[: order.index(active) + 1]))
    shown = []
    for item in order:
        ended = begun + timedelta(minutes=minutes[item])
        if order.index(item) < order.index(active):
            shown.append(StageProgress(stage=item, status="complete", started_at=begun, finished_at=ended))
        elif item is active:
            status = "failed" if failed else "active"
            shown.append(StageProgress(stage=item, status=status, started_at=begun))
        else:
            shown.append(StageProgress(stage=item))
        begun = ended
    return tuple(shown)


PLAN = Planned(
    total_steps=2000,
    epochs=3,
    train_conversations=194,
    held_out_conversations=48,
    train_sequences=194,
    train_tokens=384_168,
    trainable_tokens=232_827,
    truncated_sequences=0,
    device="NVIDIA H100 80GB HBM3",
    device_memory_bytes=80 * GIB,
)
METRICS = Metrics(
    step=850,
    epoch=1.27,
    loss=0.342,
    learning_rate=0.000182,
    grad_norm=0.83,
    tokens_per_second=1247.3,
    tokens_trained=488_000,
    memory_bytes=58 * GIB,
    gpu_utilization=0.87,
)
INTERRUPTIONS = (
    Interruption(
        at=NOW - timedelta(minutes=70),
        step=300,
        cause="SIGINT",
        machine_at=NOW - timedelta(minutes=70),
        resumed_at=NOW - timedelta(minutes=66),
        resumed_step=300,
    ),
    Interruption(
        at=NOW - timedelta(minutes=40),
        step=600,
        cause="exit code 137",
        machine_at=NOW - timedelta(minutes=40),
        resumed_at=NOW - timedelta(minutes=35),
        resumed_step=600,
    ),
)


def progress(**changes: Any) -> Progress:
    """In the middle of training."""
    values: dict[str, Any] = {
        "stages": stages(Stage.TRAINING),
        "plan": PLAN,
        "metrics": METRICS,
        "previous_loss": 0.389,
        "held_out": HeldOut(step=700, loss=0.358),
        "previous_held_out": 0.412,
        "best_held_out": 0.358,
        "checkpoint_step": 800,
        "interruptions": INTERRUPTIONS,
        "trained_tokens": 488_000,
    }
    return Progress(**{**values, **changes})


def job(**changes: Any) -> Job:
    """A run in training."""
    values: dict[str, Any] = {
        "id": JOB_ID,
        "team_id": "T0BRIGHT",
        "training_file_id": FILE_ID,
        "training_file_name": "Elena Morales Financial",
        "name": "Elena Morales Financial - Balanced - 2026-12-16",
        "description": "First production model for Acme",
        "notes": "Tax questions fell short with Conservative.",
        "tags": ("production", "client-delivery"),
        "client": "Acme Financial",
        "project": "Q1 enhancement",
        "configuration": configuration(),
        "estimate": estimate(),
        "rate_cents_per_hour": 395,
        "state": JobState.TRAINING,
        "progress": progress(),
        "attempt": 3,
        "recoveries": 2,
        "created_by": "U0ELENA",
        "channel_id": "C0TRAINING",
        "created_at": NOW - timedelta(hours=2),
        "started_at": NOW - timedelta(minutes=96),
        "ended_at": None,
        "billed_seconds": 3600.0,
        "actual_cost_cents": 0,
    }
    return Job(**{**values, **changes})


def artifact(**changes: Any) -> Artifact:
    """The adapters."""
    values: dict[str, Any] = {
        "id": ARTIFACT_ID,
        "job_id": JOB_ID,
        "team_id": "T0BRIGHT",
        "name": f"elena-morales-financial-adapters-{JOB_ID}.zip",
        "path": f"{JOB_ID}/adapters/elena.zip",
        "size_bytes": 412_300_000,
        "sha256": "ab" * 32,
        "created_at": NOW,
    }
    return Artifact(**{**values, **changes})


def card(**changes: Any) -> CardView:
    """42 % done; changes that a job has are made to the job."""
    of_job = {key: changes.pop(key) for key in list(changes) if key in Job.model_fields}
    values: dict[str, Any] = {
        "job": job(**of_job),
        "now": NOW,
        "elapsed_seconds": 96 * 60.0,
        "remaining_seconds": 5700.0,
        "done_at": NOW + timedelta(minutes=95),
        "fraction": 0.42,
        "spent_cents": 22_18,
        "projected_cents": 47_32,
        "artifact": None,
        "can_retry": False,
        "spend": Spend(total_cents=22_18, interruption_cents=59),
        "projection": Projection(spent_cents=22_18, best_cents=46_10, expected_cents=47_32, worst_cents=52_40),
        "expected_seconds": {
            Stage.PREPROCESSING: 120.0,
            Stage.MODEL_LOADING: 660.0,
            Stage.TRAINING: 43_520.0,
            Stage.FINALIZATION: 300.0,
        },
        "track_record": TrackRecord(progress=50, runs=8, mean_error=0.06, in_range=7),
    }
    return CardView(**{**values, **changes})


PERPLEXITY = PerplexityMeasured(base=24.5, tuned=16.8, tokens=58_207, conversations=48)


def completed_card(**changes: Any) -> CardView:
    """Done and delivered."""
    done = tuple(
        item.model_copy(update={"status": "complete", "finished_at": NOW}) if item.status == "active" else item
        for item in stages(Stage.FINALIZATION)
    )
    values: dict[str, Any] = {
        "state": JobState.COMPLETED,
        "ended_at": NOW,
        "progress": progress(stages=done, perplexity=PERPLEXITY, interruptions=()),
        "artifact": artifact(),
        "fraction": 1.0,
        "remaining_seconds": None,
        "done_at": None,
        "projected_cents": None,
        "projection": None,
        "track_record": None,
        "expected_seconds": {},
        "spent_cents": 48_91,
    }
    return card(**{**values, **changes})


FAILURE = Failed(
    code="out_of_memory",
    what="The job needs more memory than the machine has.",
    why="CUDA out of memory. Tried to allocate 2.00 GiB.",
    fixes=(
        "Set the batch size to 1 and gradient accumulation to 4: the same result, slower.",
        "Shorten sequences to 2048 tokens; longer conversations are then split.",
        "Choose a GPU with more memory.",
    ),
    step=12,
    log_tail=("step 11 loss 1.203", "step 12 loss 1.187", "torch.OutOfMemoryError: CUDA out of memory"),
)


def diagnosed(view: CardView, **tried: tuple[int, int]) -> CardView:
    """The failed card with its diagnosis; `tried` gives (worked, tried) of a fix's key."""
    file = training_file()
    history = FailureHistory(
        suggestions={key: SuggestionRecord(tried=number, worked=worked) for key, (worked, number) in tried.items()}
    )
    need = memory_needs(file, machine_bytes=24 * GIB)
    told = diagnose(view.job, file=file, memory_need=need, history=history)
    return view.model_copy(update={"diagnosis": told})


def too_large() -> Configuration:
    """Balanced with a batch that does not fit."""
    base = configuration()
    settings = base.hyperparameters.model_copy(update={"batch_size": 8, "gradient_accumulation_steps": 1, "rank": 32})
    return base.model_copy(update={"hyperparameters": settings})


def failed_card(**changes: Any) -> CardView:
    """Out of memory at step 12."""
    values: dict[str, Any] = {
        "state": JobState.FAILED,
        "ended_at": NOW,
        "progress": progress(
            stages=stages(Stage.TRAINING, failed=True),
            failure=FAILURE,
            checkpoint_step=None,
            interruptions=(),
            metrics=METRICS.model_copy(update={"step": 12, "epoch": 0.02}),
        ),
        "configuration": too_large(),
        "fraction": 0.1,
        "elapsed_seconds": 360.0,
        "remaining_seconds": None,
        "done_at": None,
        "projected_cents": None,
        "projection": None,
        "track_record": None,
        "expected_seconds": {},
        "spent_cents": 40,
        "can_retry": True,
    }
    return diagnosed(card(**{**values, **changes}), smaller_batch=(19, 20))


def _failed_with(failure: Failed) -> CardView:
    view = failed_card()
    progress = view.job.progress.model_copy(update={"failure": failure})
    return diagnosed(view.model_copy(update={"job": view.job.model_copy(update={"progress": progress})}))


def dataset_card() -> CardView:
    """A record that cannot be trained on."""
    record = FailedRecord(
        line=47,
        conversation_id="conv_abc123",
        field="messages.3.content",
        problem="It should be a text, and is a number.",
        sample='{"role": "assistant", "content": 17, "trainable": true}',
        persona="anxious_investor",
        topic="Tax Strategies",
    )
    return _failed_with(Failed(code="dataset_format", what="A record cannot be trained on.", step=0, record=record))


def unknown_card() -> CardView:
    """Something unforeseen."""
    return _failed_with(
        Failed(
            code="unknown",
            what="Something unforeseen stopped the training (reference 7f3k9a2b).",
            why="ZeroDivisionError: division by zero",
            step=12,
            reference="7f3k9a2b",
            log_tail=("step 11 loss 1.203", "step 12 loss 1.187", "ZeroDivisionError: division by zero"),
        )
    )


def presets(base_model: str = "llama-3-70b") -> tuple[PresetOption, ...]:
    """The three, with a record."""
    model = catalog.base_model(base_model)
    records = {"balanced": PresetRecord(completed=24, failed=1)}
    return tuple(
        PresetOption(
            preset=item,
            hyperparameters=catalog.hyperparameters_for(item, model),
            record=records.get(item.key, PresetRecord()),
        )
        for item in catalog.presets()
    )


NEED = MemoryNeed(
    weights=38 * GIB,
    adapters=GIB,
    optimizer=3 * GIB,
    activations=20 * GIB,
    logits=2 * GIB,
    overhead=2 * GIB,
    available=80 * GIB,
)
BUDGET = BudgetStatus(limit_cents=500_00, spent_cents=320_00, reserved_cents=64_40)


def choice(**changes: Any) -> JobChoice:
    """All chosen."""
    values: dict[str, Any] = {
        "training_file_id": FILE_ID,
        "preset": "balanced",
        "tier": "modal-h100",
        "base_model": "llama-3-70b",
        "name": "Elena Morales Financial - Balanced - 2026-12-16",
        "description": "First production model for Acme",
        "tags": ("production", "q1-acme"),
        "client": "Acme Financial",
        "project": "Q1 enhancement",
    }
    return JobChoice(**{**values, **changes})


def form_view(**changes: Any) -> TrainFormView:
    """The form with everything chosen."""
    values: dict[str, Any] = {
        "choice": choice(),
        "file": FileOption(file=training_file(), reasons=()),
        "ready_files": None,
        "presets": presets(),
        "tiers": catalog.tiers_of("modal"),
        "base_models": catalog.models_of("modal"),
        "estimate": estimate(),
        "memory": NEED,
        "budget": BUDGET,
        "budget_after_cents": 61_00,
        "previous_cents": 48_00,
        "warnings": (),
        "tags_known": ("experiment", "production", "client-delivery", "test", "poc"),
        "suggested_name": "Elena Morales Financial - Balanced - 2026-12-16",
        "revision": f"{FILE_ID}:balanced",
        "alternatives": alternatives(),
        "tips": TIPS,
        "tier_record": InterruptionRecord(
            runs=20,
            completed=19,
            interrupted_runs=3,
            billed_hours=210,
            interruptions=4,
            recoveries=4,
            recovery_seconds=2160,
        ),
    }
    return TrainFormView(**{**values, **changes})


def alternatives() -> tuple[Alternative, ...]:
    """The three presets on an H100."""
    prices = {"Conservative": (24_60, 22_000), "Balanced": (49_10, 44_600), "Aggressive": (78_20, 71_000)}
    return tuple(
        Alternative(
            preset=name,
            tier="H100, preemptible",
            other_tier=False,
            chosen=name == "Balanced",
            estimate=estimate(
                cents_low=cents * 92 // 100,
                cents_expected=cents,
                cents_high=cents * 111 // 100,
                seconds=Span(low=seconds * 0.9, expected=seconds, high=seconds * 1.1),
            ),
            fits=name != "Aggressive",
        )
        for name, (cents, seconds) in prices.items()
    )


TIPS = (
    SavingTip(text="Conservative as the preset", saved_cents=24_50, share=0.499),
    SavingTip(text="2 instead of 3 epochs (stop after 98 steps)", saved_cents=15_30, share=0.31),
)


def empty_form_view(**changes: Any) -> TrainFormView:
    """The form as it opens."""
    nothing = JobChoice(preset="conservative", tier="modal-h100", base_model="llama-3-70b")
    values: dict[str, Any] = {
        "choice": nothing,
        "file": None,
        "ready_files": 4,
        "estimate": None,
        "memory": None,
        "budget_after_cents": None,
        "previous_cents": None,
        "suggested_name": "",
        "revision": "",
        "alternatives": (),
        "tips": (),
        "tier_record": None,
    }
    return form_view(**{**values, **changes})


def review_view(**changes: Any) -> ReviewView:
    """Everything chosen, within budget."""
    values: dict[str, Any] = {
        "choice": choice(),
        "configuration": configuration(),
        "file": training_file(),
        "preset": presets()[1],
        "tier": catalog.tier("modal-h100"),
        "base_model": catalog.base_model("llama-3-70b"),
        "estimate": estimate(),
        "memory": NEED,
        "budget": BUDGET,
        "warnings": (),
        "within_budget": True,
        "alternatives": alternatives(),
        "tips": TIPS,
        "forecast": Forecast(
            settled_cents=320_00,
            accrued_cents=12_00,
            active=2,
            running=1,
            committed=Outlook(best=360_00, expected=375_00, worst=384_40),
        ),
    }
    return ReviewView(**{**values, **changes})


def line(state: JobState = JobState.TRAINING, number: int = 0) -> JobLine:
    """A run in a list."""
    ended = NOW if state in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED) else None
    return JobLine(
        job=job(id=UUID(int=number), state=state, ended_at=ended),
        fraction=0.42,
        spent_cents=22_18,
        preset="Balanced",
        machine="H100, preemptible",
    )


def queue_entry() -> QueueEntry:
    """The next one to start."""
    return QueueEntry(
        job=job(state=JobState.QUEUED),
        position=1,
        starts_at=NOW + timedelta(hours=1),
        seconds=9 * 3600.0,
        preset="Balanced",
        machine="H100, preemptible",
    )


def list_view(number: int = 3) -> JobListView:
    """`/jobs`."""
    states = list(JobState)
    lines = tuple(line(states[n % len(states)], n) for n in range(number))
    return JobListView(lines=lines, total=number + 4, now=NOW, queue=(queue_entry(),))


def details_view(**changes: Any) -> JobDetailsView:
    """Everything about the run."""
    values: dict[str, Any] = {
        "card": card(),
        "file": training_file(),
        "points": tuple(MetricPoint(step=n * 100, training_loss=2 / (n + 1), held_out_loss=2.1 / n) for n in (1, 2, 3)),
        "log": ("loading", "step 850"),
        "artifacts": (artifact(),),
    }
    return JobDetailsView(**{**values, **changes})


def home_view_data(**changes: Any) -> HomeView:
    """App Home."""
    values: dict[str, Any] = {
        "person": Person(team_id="T0BRIGHT", user_id="U0ELENA", role=Role.MEMBER),
        "active": (line(),),
        "recent": (line(JobState.COMPLETED, 1), line(JobState.FAILED, 2)),
        "files": 4,
        "budget": BUDGET,
        "now": NOW,
    }
    return HomeView(**{**values, **changes})


def import_view(**changes: Any) -> ImportReport:
    """A file that was checked."""
    values: dict[str, Any] = {
        "file_name": "elena-morales.json",
        "name": "Elena Morales Financial",
        "size_bytes": 4_128_000,
        "file": training_file(),
        "warnings": ("3 records carry no persona.",),
        "reasons": (),
    }
    return ImportReport(**{**values, **changes})


def file_list_view(*reasons: str) -> FileListView:
    """`/datasets` with one file."""
    return FileListView(files=(FileOption(file=training_file(), reasons=reasons),), may_import=True)


def quote(**changes: Any) -> QuoteView:
    """The review as a document."""
    values: dict[str, Any] = {
        "review": review_view(),
        "asked_by": "Elena Morales",
        "reference": "5F3A9C21-2612161705",
        "made_at": NOW,
        "valid_until": NOW + timedelta(days=7),
    }
    return QuoteView(**{**values, **changes})
