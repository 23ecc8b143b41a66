"""Machines on paper, and what a GPU job says from its first word to its last."""

from __future__ import annotations

from uuid import UUID

from functions.model.events import (
    ArtifactStored,
    Body,
    CheckpointSaved,
    Finished,
    HeldOut,
    Metrics,
    PerplexityMeasured,
    Planned,
    Stage,
    StageChanged,
)
from functions.model.job_spec import JobSpec
from functions.ports import CallState


class PaperCompute:
    """Machines on paper: they run until the test says how they ended."""

    provider = "local"
    repeatable = True

    def __init__(self) -> None:
        self.launched: list[JobSpec] = []
        self.ended: dict[str, CallState] = {}
        self.without_gpu: set[str] = set()

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        self.launched.append(spec)
        return f"{spec.job_id}:{spec.attempt}"

    def poll(self, call_id: str) -> CallState:
        return self.ended.get(call_id, CallState(running=True))

    def waits_for_gpu(self, call_id: str) -> bool:
        return call_id in self.without_gpu

    def cancel(self, call_id: str) -> None:
        self.ended[call_id] = CallState(running=False, exit_code=-15)

    def running(self) -> list[str]:
        """Calls that nobody has ended."""
        return [call for call in (f"{spec.job_id}:{spec.attempt}" for spec in self.launched) if call not in self.ended]

    def work_dir(self, job_id: UUID) -> str:
        return f"/runs/{job_id}"

    def model_path(self, base_model: str) -> str | None:
        return None


PLAN = Planned(
    total_steps=10,
    epochs=2,
    train_conversations=53,
    held_out_conversations=13,
    train_sequences=53,
    train_tokens=1000,
    trainable_tokens=500,
    device="cpu",
)
TRAINED: tuple[Body, ...] = (
    StageChanged(stage=Stage.PREPROCESSING, status="started"),
    PLAN,
    StageChanged(stage=Stage.PREPROCESSING, status="finished"),
    StageChanged(stage=Stage.MODEL_LOADING, status="started"),
    StageChanged(stage=Stage.MODEL_LOADING, status="finished"),
    StageChanged(stage=Stage.TRAINING, status="started"),
    Metrics(step=5, epoch=1.0, loss=2.5, learning_rate=1e-3, tokens_trained=500),
    HeldOut(step=5, loss=2.6),
    CheckpointSaved(step=5, bytes=10),
    Metrics(step=10, epoch=2.0, loss=2.1, learning_rate=0.0, tokens_trained=1000),
)
ENDED: tuple[Body, ...] = (
    StageChanged(stage=Stage.TRAINING, status="finished"),
    StageChanged(stage=Stage.FINALIZATION, status="started"),
    PerplexityMeasured(base=20.0, tuned=13.0, tokens=100, conversations=13),
    ArtifactStored(name="a.zip", path="p/a.zip", bytes=5, sha256="0" * 64),
    Finished(steps=10, stage_seconds={"training": 4.0}, trained_tokens=1000, tokens_per_second=250.0),
)
