"""Events: everything a GPU job says. Each carries (job, attempt, seq); a repeat changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

# A machine that dies takes the last seconds of its disk with it, events among them that the service has already.
# The next start of the same attempt counts from a multiple of this on, so that no number ever means two things.
SEQ_STRIDE = 1_000_000


# What `Interrupted.signal` says where the job stopped by itself because its machine's time was nearly over.
TIME_LIMIT = "time limit"


class Stage(StrEnum):
    """The four stages that people see, in order."""

    PREPROCESSING = "preprocessing"
    MODEL_LOADING = "model_loading"
    TRAINING = "training"
    FINALIZATION = "finalization"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=True)


class StageChanged(_Body):
    """A stage started, moved on to another sub-step (`detail` says which), or finished."""

    kind: Literal["stage"] = "stage"
    stage: Stage
    status: Literal["started", "progress", "finished"]
    detail: str = ""


class Planned(_Body):
    """What this run will do, known once the data is tokenized and split. Tokens are of one epoch."""

    kind: Literal["planned"] = "planned"
    total_steps: int
    epochs: int
    train_conversations: int
    held_out_conversations: int
    train_sequences: int
    train_tokens: int
    trainable_tokens: int
    truncated_sequences: int = 0
    device: str
    device_memory_bytes: int | None = None


class Metrics(_Body):
    """One optimizer step's figures. `loss` is the mean over trainable tokens, in nats."""

    kind: Literal["metrics"] = "metrics"
    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    tokens_trained: int = 0
    memory_bytes: int | None = None
    gpu_utilization: float | None = None


class HeldOut(_Body):
    """Loss on the held-out conversations at a step (token-weighted mean, nats)."""

    kind: Literal["held_out"] = "held_out"
    step: int
    loss: float


class CheckpointSaved(_Body):
    """A complete checkpoint, from which a later attempt resumes exactly."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    bytes: int


class Resumed(_Body):
    """This attempt goes on from a checkpoint (step 0: nothing was saved, it starts over)."""

    kind: Literal["resumed"] = "resumed"
    step: int


class LogLine(_Body):
    """A line worth keeping."""

    kind: Literal["log"] = "log"
    level: Literal["info", "warning", "error"]
    message: str


class PerplexityMeasured(_Body):
    """Base and tuned perplexity over the very same held-out tokens."""

    kind: Literal["perplexity"] = "perplexity"
    base: float
    tuned: float
    tokens: int
    conversations: int


class ArtifactStored(_Body):
    """A file that was uploaded to the bucket `model-artifacts`."""

    kind: Literal["artifact"] = "artifact"
    name: str
    path: str
    bytes: int
    sha256: str


class Interrupted(_Body):
    """The machine asked for its place back; `step` is the last complete checkpoint.

    `wait_for_call`: whoever owns the machine may start the same attempt again by itself, so the next one is
    launched only once the call behind this one is over.
    """

    kind: Literal["interrupted"] = "interrupted"
    step: int
    signal: str
    wait_for_call: bool = False


class FailedRecord(_Body):
    """The record of the training file that cannot be used: where it is, which field, and what it says."""

    line: int
    conversation_id: str = ""
    field: str = ""
    problem: str
    sample: str = ""
    persona: str = ""
    emotional_arc: str = ""
    topic: str = ""


class Failed(_Body):
    """The job cannot go on. `fixes` are ranked, the best first; `log_tail` are the last lines.

    `reference` stands in the trainer's log too; `memory_bytes` is the most that was held when memory ran out;
    `limit_seconds` is the time limit that was passed, `cap_cents` the cost that was reached instead.
    """

    kind: Literal["failed"] = "failed"
    code: str
    what: str
    why: str = ""
    fixes: tuple[str, ...] = ()
    step: int | None = None
    log_tail: tuple[str, ...] = ()
    reference: str = ""
    record: FailedRecord | None = None
    memory_bytes: int | None = None
    limit_seconds: float | None = None
    cap_cents: int | None = None


class Finished(_Body):
    """All is done and stored. Seconds by stage of this attempt; figures of the whole run."""

    kind: Literal["finished"] = "finished"
    steps: int
    stage_seconds: dict[str, float]
    trained_tokens: int
    tokens_per_second: float
    final_loss: float | None = None
    held_out_loss: float | None = None
    peak_memory_bytes: int | None = None


Body = Annotated[
    StageChanged
    | Planned
    | Metrics
    | HeldOut
    | CheckpointSaved
    | Resumed
    | LogLine
    | PerplexityMeasured
    | ArtifactStored
    | Interrupted
    | Failed
    | Finished,
    Field(discriminator="kind"),
]


class Event(BaseModel):
    """One event on its way from a GPU job to `ingest`. `seq` starts at 1 in every attempt and never falls.

    Where the same attempt is started again, it leaves a gap (`SEQ_STRIDE`).
    """

    model_config = ConfigDict(frozen=True)

    job_id: UUID
    attempt: int = Field(ge=1)
    seq: int = Field(ge=1)
    at: AwareDatetime
    body: Body


class EventBatch(BaseModel):
    """What is posted to `/ingest/{job_id}/events`: events of one job and attempt, in order of seq."""

    model_config = ConfigDict(frozen=True)

    events: tuple[Event, ...] = Field(max_length=1000)
