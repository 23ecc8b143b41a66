"""A run as a team lives through it, told in minutes of its own: for looking at the page, and for its picture.

The bot, the database, the figures and the page are real. What the machine says is written down here, in
figures of the size that the demo's model gives on two CPU cores.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from slack_sdk import WebClient

from bot.outbox import OutboxWorker
from functions.model.events import (
    ArtifactStored,
    Body,
    CheckpointSaved,
    Finished,
    HeldOut,
    Metrics,
    PerplexityMeasured,
    Planned,
    Resumed,
    Stage,
    StageChanged,
)
from functions.model.job import Job
from functions.ports import MODEL_ARTIFACTS, CallState
from functions.reconcile import Reconciler
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from tests.scenario import stage as scenario
from tests.scenario.bot_house import BOT_TOKEN
from tests.scenario.house import SetClock, say

PLAN = Planned(
    total_steps=42,
    epochs=3,
    train_conversations=53,
    held_out_conversations=13,
    train_sequences=53,
    train_tokens=26_689,
    trainable_tokens=16_797,
    device="cpu",
)
STEPS_AN_EPOCH = 14
BASE_LOSS = 3.903
ADAPTERS = b"adapters " * 4_370_000
_SECONDS_A_STEP = 12.0
_TOKENS_A_STEP = 2_014
_LOST_AT, _RESUMED_AT = 24, 20
# A run of this length, its interruption included, ends about when it is looked at.
_WHOLE = timedelta(minutes=13)


@dataclass
class Scene:
    """A stage whose time passes as the story wants it."""

    stage: scenario.Stage
    clock: SetClock
    attempt: int = 1
    seq: int = 0

    def start(self, **given: object) -> Job:
        """Form, review, three ticks; the machine is there a few seconds later."""
        job = self.stage.start(**given)
        self.clock.forward(seconds=4)
        self.stage.reconciler.step()
        self.post()
        return job

    def tell(self, *bodies: Body) -> None:
        """The machine says something, a second for each word."""
        say(self.stage.db, self.clock, self.stage.job(), *bodies, first=self.seq + 1, attempt=self.attempt)
        self.seq += len(bodies)

    def post(self) -> None:
        """Everything that waits reaches the channel."""
        for _ in range(50):
            self.clock.forward(seconds=3)
            while self.stage.worker.step():
                pass
            with self.stage.db.transaction() as tx:
                if tx.outbox.waiting() == 0:
                    return
        raise AssertionError("the outbox does not empty")

    def prepare(self) -> None:
        """Both stages before training."""
        self.tell(StageChanged(stage=Stage.PREPROCESSING, status="started"))
        self.clock.forward(seconds=5)
        self.tell(PLAN, StageChanged(stage=Stage.PREPROCESSING, status="finished"))
        self.tell(StageChanged(stage=Stage.MODEL_LOADING, status="started"))
        self.clock.forward(seconds=21)
        self.tell(StageChanged(stage=Stage.MODEL_LOADING, status="finished"))

    def train(self, first: int, last: int) -> None:
        """Steps, with a checkpoint every ten and an evaluation at the end of each epoch."""
        for step in range(first, last + 1):
            self.clock.forward(seconds=_SECONDS_A_STEP - 1)
            self.tell(_metrics(step))
            if step % STEPS_AN_EPOCH == 0:
                self.tell(HeldOut(step=step, loss=_held_out(step)))
                self.post()
            if step % 10 == 0:
                self.tell(CheckpointSaved(step=step, bytes=29_400_000))
        self.post()

    def begin_training(self) -> None:
        """The first words of the long stage."""
        self.tell(StageChanged(stage=Stage.TRAINING, status="started"), HeldOut(step=0, loss=BASE_LOSS))
        self.post()

    def lose_the_machine(self) -> None:
        """It is gone without a word; the loop notices."""
        self.stage.compute.ended[f"{self.stage.job().id}:{self.attempt}"] = CallState(running=False, exit_code=-9)
        self.clock.forward(seconds=10)
        self.stage.reconciler.step()
        self.post()

    def come_back(self) -> None:
        """A new machine goes on from the last checkpoint."""
        self.clock.forward(seconds=20)
        self.stage.reconciler.step()
        self.attempt, self.seq = self.attempt + 1, 0
        self.tell(StageChanged(stage=Stage.MODEL_LOADING, status="started"))
        self.clock.forward(seconds=23)
        self.tell(StageChanged(stage=Stage.MODEL_LOADING, status="finished"))
        self.tell(StageChanged(stage=Stage.TRAINING, status="started"), Resumed(step=_RESUMED_AT))
        self.post()

    def through_training(self) -> None:
        """From the first word to the last step, with one interruption in between."""
        self.prepare()
        self.begin_training()
        self.train(1, _LOST_AT)
        self.lose_the_machine()
        self.come_back()
        self.train(_RESUMED_AT + 1, PLAN.total_steps)

    def end(self) -> None:
        """The result: measured, stored, told."""
        job = self.stage.job()
        name = "adapters.zip"
        self.stage.files.put(MODEL_ARTIFACTS, f"{job.id}/{name}", ADAPTERS)
        self.tell(StageChanged(stage=Stage.TRAINING, status="finished"))
        self.tell(StageChanged(stage=Stage.FINALIZATION, status="started"))
        self.clock.forward(seconds=6)
        final = _held_out(PLAN.total_steps)
        measured = PerplexityMeasured(
            base=math.exp(BASE_LOSS), tuned=math.exp(final), tokens=6_120, conversations=PLAN.held_out_conversations
        )
        stored = ArtifactStored(
            name=name, path=f"{job.id}/{name}", bytes=len(ADAPTERS), sha256="9f2c41d07b63" + "0" * 52
        )
        tokens = PLAN.total_steps * _TOKENS_A_STEP
        self.tell(
            measured, stored, Finished(steps=42, stage_seconds={}, trained_tokens=tokens, tokens_per_second=155.2)
        )
        self.post()


@contextlib.contextmanager
def scene(db: PostgresDatabase, folder: Path, demo_file: Path) -> Iterator[Scene]:
    """A stage with the demo's training file, some minutes ago."""
    clock = SetClock(utc_now() - _WHOLE)
    with scenario.staged(db, folder, change=lambda context: replace(context, clock=clock)) as ready:
        slack = WebClient(token=BOT_TOKEN, base_url=ready.workspace.api_url, retry_handlers=[])
        ready.worker = OutboxWorker(ready.context, slack)
        # Machines on paper fetch nothing, so the address that they are given leads nowhere.
        ready.reconciler = Reconciler(
            db,
            ready.files,
            ready.compute,
            clock=clock,
            secret=scenario.SECRET,
            service_url="http://unused",
            max_running=1,
        )
        ready.add_demo_file(demo_file)
        yield Scene(ready, clock)


def _metrics(step: int) -> Metrics:
    noise = random.Random(step).gauss(0, 0.07)  # noqa: S311 - the look of a curve, no secret
    progress = step / PLAN.total_steps
    return Metrics(
        step=step,
        epoch=step / STEPS_AN_EPOCH,
        loss=_trend(step) + noise,
        learning_rate=1.62e-3 * 0.5 * (1 + math.cos(math.pi * progress)),
        grad_norm=0.9 + abs(noise),
        tokens_per_second=155.0 + 40 * noise,
        tokens_trained=step * _TOKENS_A_STEP,
    )


def _trend(step: int) -> float:
    return 3.02 + 0.86 * math.exp(-step / 9)


def _held_out(step: int) -> float:
    return 3.19 + (BASE_LOSS - 3.19) * math.exp(-step / 10)
