"""What every part of a running job has at hand: its spec, its voice, its stages, and whether it must stop."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from functions.model.estimate import MemoryNeed
from functions.model.events import Body, CheckpointSaved, Metrics, Resumed, Stage, StageChanged
from functions.model.job_spec import EngineOptions, Hyperparameters, JobSpec
from gpu_jobs.checkpoints import Checkpoints
from gpu_jobs.service import Service


@dataclass
class JobRun:
    """One attempt of a job. `emit` tells the service, `check` raises if a signal came.

    `step` is the last finished step that was told, `checkpoint_step` that of the last complete checkpoint.
    `memory` is what the loaded model is expected to need.
    """

    spec: JobSpec
    send: Callable[[Body], object]
    check: Callable[[], None]
    service: Service | None
    step: int | None = None
    checkpoint_step: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    memory: MemoryNeed | None = None
    _stage: Stage | None = None
    _since: float = 0.0

    @property
    def work_dir(self) -> Path:
        """The folder that outlives attempts."""
        return Path(self.spec.work_dir)

    @property
    def fingerprint(self) -> str:
        """Names all that decides the result: what was kept under another one is of no use to this job."""
        return _fingerprint(self.spec, self.spec.hyperparameters, self.spec.engine)

    @property
    def earlier(self) -> Checkpoints | None:
        """The checkpoints of the job that this one goes on from, if there is one."""
        source = self.spec.resume_from
        if source is None:
            return None
        named = _fingerprint(self.spec, source.hyperparameters, source.engine)
        return Checkpoints(Path(source.work_dir) / "checkpoints", fingerprint=named, keep=0)

    def emit(self, body: Body) -> None:
        """Tell the service, and remember how far the run has come."""
        if isinstance(body, Metrics | Resumed):
            self.step = body.step
        if isinstance(body, CheckpointSaved | Resumed):
            self.checkpoint_step = body.step
        self.send(body)

    def start(self, stage: Stage, detail: str = "") -> None:
        """Begin a stage; in the stage that already runs it is only news."""
        if self._stage is stage:
            self.say(detail)
            return
        self._stage, self._since = stage, time.monotonic()
        self.emit(StageChanged(stage=stage, status="started", detail=detail))

    def say(self, detail: str) -> None:
        """Tell which sub-step of the current stage begins; a good place to stop if a signal came."""
        self.check()
        if self._stage:
            self.emit(StageChanged(stage=self._stage, status="progress", detail=detail))

    def finish(self, detail: str = "") -> None:
        """End the current stage."""
        if self._stage:
            self.stage_seconds[self._stage.value] = round(time.monotonic() - self._since, 3)
            self.emit(StageChanged(stage=self._stage, status="finished", detail=detail))
            self._stage = None


def _fingerprint(spec: JobSpec, settings: Hyperparameters, engine: EngineOptions) -> str:
    parts = (
        spec.base_model,
        spec.data.sha256,
        str(spec.data.held_out_fraction),
        settings.model_dump_json(),
        # Only what was asked for: a new option that a job does not use must not cost it its checkpoints.
        engine.model_dump_json(exclude_defaults=True, exclude={"compile_cache_dir"}),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
