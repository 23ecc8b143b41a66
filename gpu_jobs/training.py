"""The training loop: steps, their figures, held-out measurements and checkpoints from which it resumes exactly."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from functions.levers import Levers
from functions.model.events import Body, CheckpointSaved, HeldOut, Metrics, Resumed
from functions.model.job_spec import Hyperparameters, JobSpec
from gpu_jobs.batching import Layout, epoch_order
from gpu_jobs.checkpoints import Checkpoint, Checkpoints, Progress
from gpu_jobs.devices import Device, Gauges
from gpu_jobs.engine import activation_context
from gpu_jobs.failures import JobFailed, diverged
from gpu_jobs.going_on import untold
from gpu_jobs.interruption import Interrupted
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.optimizers import make_optimizer, make_scheduler
from gpu_jobs.perplexity import HeldOutMeasure
from gpu_jobs.tokenization import TokenizedSequence

log = logging.getLogger(__name__)

_MAX_GRAD_NORM = 1.0


@dataclass(frozen=True)
class Schedule:
    """Steps of a run. The learning rate's course ends with `total_steps`, capped or not."""

    steps_per_epoch: int
    total_steps: int
    warmup_steps: int


def plan_steps(sequences: int, settings: Hyperparameters) -> Schedule:
    """How many optimizer steps `sequences` training sequences make; the last step of an epoch may be smaller."""
    per_epoch = math.ceil(sequences / (settings.batch_size * settings.gradient_accumulation_steps))
    total = min(per_epoch * settings.epochs, settings.max_steps or per_epoch * settings.epochs)
    # Rounded down: the warm-up begins at rate zero, so in a short run one step of it is a step not trained.
    return Schedule(per_epoch, total, math.floor(total * settings.warmup_ratio))


class Trainer:
    """Trains the adapter of a PEFT model. One object is one run; `run` may be called once."""

    def __init__(
        self,
        *,
        spec: JobSpec,
        model: Any,
        sequences: Sequence[TokenizedSequence],
        layout: Layout,
        device: Device,
        chosen: Levers,
        loss: SummedCrossEntropy,
        held_out: HeldOutMeasure,
        checkpoints: Checkpoints,
        earlier: Checkpoints | None = None,
        emit: Callable[[Body], object],
        check: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._model = model
        self._sequences = sequences
        self._layout = layout
        self._device = device
        self._held_out = held_out
        self._checkpoints = checkpoints
        self._earlier = earlier
        self._emit = emit
        self._check = check
        self._loss = loss
        self._gauges = Gauges(device)
        self._settings = spec.hyperparameters
        self.schedule = plan_steps(len(sequences), self._settings)
        self._weights = {name: item for name, item in model.named_parameters() if item.requires_grad}
        self._optimizer = make_optimizer(list(self._weights.values()), self._settings, chosen.optimizer)
        self._scheduler = make_scheduler(
            self._optimizer,
            self._settings,
            warmup_steps=self.schedule.warmup_steps,
            total_steps=self.schedule.total_steps,
        )
        self._saved_activations = activation_context(model, chosen)
        self.progress = Progress()

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory that a step's metrics showed."""
        return self._gauges.peak_bytes

    def run(self) -> Progress:
        """Train from the newest complete checkpoint, or from the start, to the last step.

        Raises:
            Interrupted: a signal came; the last finished step was saved first.
            JobFailed: `nan_loss`.
            OSError: a checkpoint could not be written.
        """
        self._restore()
        self._model.train()
        self._measure_if_due()
        for sequences in self._remaining_steps():
            finished, random_state = self.progress.step, _random_state()
            try:
                self._step(sequences)
                self._measure_if_due()
            except Interrupted:
                # Gradients of an unfinished step are dropped: with the random state of its beginning the last
                # finished step is as good a place to resume from as any other.
                self._save(random_state if self.progress.step == finished else _random_state())
                raise
            self._save_if_due()
        return self.progress

    def _remaining_steps(self) -> Iterator[list[TokenizedSequence]]:
        """The sequences of every step that is still to do."""
        size = self._settings.batch_size * self._settings.gradient_accumulation_steps
        while self.progress.step < self.schedule.total_steps:
            epoch, index = divmod(self.progress.step, self.schedule.steps_per_epoch)
            order = epoch_order(len(self._sequences), seed=self._settings.seed, epoch=epoch)
            yield [self._sequences[place] for place in order[index * size : (index + 1) * size]]

    def _step(self, sequences: Sequence[TokenizedSequence]) -> None:
        """One optimizer step: gradients of the mean loss over the step's trainable tokens."""
        started = time.perf_counter()
        self._optimizer.zero_grad(set_to_none=True)
        trainable = sum(sequence.trainable for sequence in sequences)
        total = torch.zeros((), device=self._device.torch_device)
        for item in self._layout.passes(sequences):
            self._check()
            with self._saved_activations:
                with self._device.autocast():
                    loss = self._loss(item.to(self._device.torch_device)) / trainable
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        learning_rate = float(self._scheduler.get_last_lr()[0])
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights.values(), _MAX_GRAD_NORM))
        if not (math.isfinite(norm) and math.isfinite(float(total))):
            raise diverged(
                self.progress.step + 1, loss=float(total), grad_norm=norm, learning_rate=self._settings.learning_rate
            )
        self._optimizer.step()
        self._scheduler.step()
        tokens = sum(map(len, sequences))
        self._count(float(total), tokens, time.perf_counter() - started)
        self._tell(norm, learning_rate, tokens / (time.perf_counter() - started))

    def _count(self, loss: float, tokens: int, seconds: float) -> None:
        before = self.progress
        self.progress = replace(
            before,
            step=before.step + 1,
            tokens_trained=before.tokens_trained + tokens,
            seconds=before.seconds + seconds,
            loss=loss,
        )

    def _tell(self, grad_norm: float, learning_rate: float, tokens_per_second: float) -> None:
        self._emit(
            Metrics(
                step=self.progress.step,
                epoch=self.progress.step / self.schedule.steps_per_epoch,
                loss=self.progress.loss or 0.0,
                learning_rate=learning_rate,
                grad_norm=grad_norm,
                tokens_per_second=tokens_per_second,
                tokens_trained=self.progress.tokens_trained,
                memory_bytes=self._gauges.memory_bytes(),
                gpu_utilization=self._gauges.utilization(),
            )
        )

    def _measure_if_due(self) -> None:
        """Measure on the held-out conversations, once a step. It comes before saving, so that it is saved too."""
        step = self.progress.step
        due = step % (self._spec.evaluate_every_steps or self.schedule.steps_per_epoch) == 0
        if not step or step == self.progress.held_out_step or not (due or step == self.schedule.total_steps):
            return
        measured = self._held_out.tuned()
        self.progress = replace(self.progress, held_out_loss=measured.loss, held_out_step=self.progress.step)
        self._emit(HeldOut(step=self.progress.step, loss=measured.loss))

    def _save_if_due(self) -> None:
        step = self.progress.step
        if step % self._spec.checkpoint_every_steps == 0 and step < self.schedule.total_steps:
            self._save(_random_state())

    def _save(self, random_state: dict[str, Tensor]) -> None:
        if not self.progress.step:
            return
        state = {
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "random": random_state,
        }
        weights = {name: item.detach().cpu().contiguous() for name, item in self._weights.items()}
        saved = self._checkpoints.save(progress=self.progress, weights=weights, state=state)
        self._emit(CheckpointSaved(step=saved.step, bytes=saved.bytes))

    def _restore(self) -> None:
        torch.manual_seed(self._settings.seed)
        newest = self._checkpoints.newest()
        if newest is not None:
            self._scheduler.load_state_dict(self._take_over(self._checkpoints, newest)["scheduler"])
            self._emit(Resumed(step=self.progress.step))
        elif self._earlier is not None:
            self._go_on_from(self._earlier)
        elif self._spec.attempt > 1 or self._spec.start > 1:
            self._emit(Resumed(step=0))

    def _take_over(self, checkpoints: Checkpoints, newest: Checkpoint) -> dict[str, Any]:
        """Put progress, adapter, optimizer and random state back as they were saved; returns the rest of the state."""
        self.progress, weights, state = checkpoints.load(newest)
        with torch.no_grad():
            for name, item in self._weights.items():
                item.copy_(weights[name])
        self._optimizer.load_state_dict(state["optimizer"])
        _set_random_state(state["random"])
        return state

    def _go_on_from(self, earlier: Checkpoints) -> None:
        """Take over an earlier job's newest checkpoint, with this job's rates from there on.

        Raises:
            JobFailed: `checkpoint_gone`; starting over would cost what nobody has agreed to.
        """
        newest = earlier.newest()
        if newest is None:
            raise JobFailed(
                "checkpoint_gone",
                "The checkpoint that this run was to go on from is not there any more.",
                fixes=("Start it over from the beginning.",),
            )
        self._take_over(earlier, newest)
        for group in self._optimizer.param_groups:
            group["initial_lr"], group["weight_decay"] = self._settings.learning_rate, self._settings.weight_decay
        self._scheduler.last_epoch = self.progress.step - 1
        self._scheduler.step()
        for body in untold(self._spec.resume_from, up_to=self.progress.step) if self._spec.resume_from else ():
            self._emit(body)
        self._emit(Resumed(step=self.progress.step))


def _random_state() -> dict[str, Tensor]:
    """Everything that dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
