"""What is known about a running job, folded from its events. Stored whole beside the job."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from functions.model.events import TIME_LIMIT, Failed, HeldOut, Metrics, PerplexityMeasured, Planned, Stage


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=True)


class StageProgress(_Record):
    """One of the four stages: pending until it has started, then active, complete or failed."""

    stage: Stage
    status: str = "pending"
    detail: str = ""
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    earlier_seconds: float = 0.0

    def seconds(self, now: datetime) -> float | None:
        """How long it took, or has taken so far, in all attempts; None if it never started."""
        current = self.attempt_seconds(now)
        if current is None and not self.earlier_seconds:
            return None
        return self.earlier_seconds + (current or 0.0)

    def attempt_seconds(self, now: datetime) -> float | None:
        """The same of the current attempt alone."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.finished_at or now) - self.started_at).total_seconds())


class Interruption(_Record):
    """One loss of the machine: after which step, and from which checkpoint it went on, if it did.

    `machine_at` is when the next machine first spoke, `seconds_per_step` the pace until the loss.
    `wait_for_call`: see `events.Interrupted`. `log_tail` is what the trainer's log said last, where the trainer
    itself said nothing.
    """

    at: AwareDatetime
    step: int
    cause: str
    wait_for_call: bool = False
    resumed_at: AwareDatetime | None = None
    resumed_step: int | None = None
    machine_at: AwareDatetime | None = None
    seconds_per_step: float = 0.0
    log_tail: tuple[str, ...] = ()

    @property
    def planned(self) -> bool:
        """Whether the job stopped by itself because its machine's time was over: no loss, and none is counted."""
        return self.cause == TIME_LIMIT

    @property
    def overhead_seconds(self) -> float:
        """Machine time that it took: coming back to where it went on, and the steps that were trained twice.

        The time without a machine is none of it. `job_interruptions` in the database says the same.
        """
        if self.resumed_at is None:
            return 0.0
        back = (self.resumed_at - (self.machine_at or self.resumed_at)).total_seconds()
        return max(0.0, back) + max(0, self.step - (self.resumed_step or 0)) * self.seconds_per_step


class Progress(_Record):
    """Everything the card shows that the GPU job told.

    `stopping` says why the run is being stopped; it becomes the failure once it has stopped. `resumed_step` is where
    the attempt that runs went on from.
    """

    stages: tuple[StageProgress, ...] = tuple(StageProgress(stage=stage) for stage in Stage)
    plan: Planned | None = None
    metrics: Metrics | None = None
    previous_loss: float | None = None
    held_out: HeldOut | None = None
    previous_held_out: float | None = None
    best_held_out: float | None = None
    perplexity: PerplexityMeasured | None = None
    checkpoint_step: int | None = None
    resumed_step: int = 0
    interruptions: tuple[Interruption, ...] = ()
    failure: Failed | None = None
    stopping: Failed | None = None
    trained_tokens: int = 0
    mean_tokens_per_second: float | None = None

    @property
    def step(self) -> int:
        """The last optimizer step that was reported."""
        return self.metrics.step if self.metrics else 0

    @property
    def last_loss(self) -> Interruption | None:
        """The last interruption; None if there was none."""
        return self.interruptions[-1] if self.interruptions else None

    def stage(self, stage: Stage) -> StageProgress:
        """The progress of one stage."""
        return next(item for item in self.stages if item.stage is stage)
