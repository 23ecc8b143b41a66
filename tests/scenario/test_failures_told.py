"""Every failure happens to a real trainer, and is read where people read it: on the card, in its thread."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from blocks.card import ACTION_DETAILS
from blocks.failure import ACTION_RETRY, ACTION_RETRY_FIX
from blocks.jobs import DETAILS_CALLBACK
from functions.errors import NoCapacity
from functions.model.events import Metrics
from functions.model.job import Job
from functions.model.job_spec import JobSpec
from functions.model.states import TERMINAL, JobState
from functions.ports import Compute
from functions.reconcile import Reconciler
from infra.clock import utc_now
from infra.local_compute import LocalCompute
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import SetClock, add_demo_file, job_of, start
from tests.scenario.hub import model_hub
from tests.scenario.paper import TRAINED, PaperCompute
from tests.scenario.provoked import Change, ProvokedCompute
from tests.scenario.stage import SECRET, Json, Stage, staged, words
from tests.scenario.test_model_hub import LLAMA
from tests.unit.gpu_tiny import conversations

# Fifty conversations of some two thousand tokens each.
LONG = [
    item.model_copy(update={"system": "You are a calm financial planner. " * 300}).model_dump_json()
    for item in conversations(50)
]


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as ready:
        yield ready


def run_out(
    stage: Stage, compute: Compute, demo_file: Path, *, limit: timedelta | None = None, **chosen: object
) -> Job:
    """Start a job, let the loop run until it has ended, and send what there is to say.

    A time limit holds from the first checkpoint on: how long that takes is the machine's affair.
    """
    unhurried, hurried = (
        Reconciler(
            stage.db,
            stage.files,
            compute,
            clock=utc_now,
            secret=SECRET,
            service_url=stage.url,
            max_running=1,
            time_limit=given,
        )
        for given in (None, limit)
    )
    clock = SetClock(utc_now())
    file = add_demo_file(stage.db, stage.files, demo_file, clock)
    job = start(stage.db, stage.files, file, clock, preset="conservative", **{"max_steps": 12, **chosen})
    deadline = time.monotonic() + 120
    while (job := job_of(stage.db, job.id)).state not in TERMINAL:
        assert time.monotonic() < deadline, (job.state, job.progress)
        (unhurried if job.progress.checkpoint_step is None else hurried).step()
        time.sleep(0.05)
    stage.post()
    return job


def change(folder: Path, lines: list[str] | None = None, **settings: object) -> Change:
    """Settings that break the run, checkpoints after every second step, and data that is trained on in no time."""
    data = folder / "sequences.jsonl"
    data.write_text("\n".join(lines or [item.model_dump_json() for item in conversations(50)]), "utf-8")

    def apply(spec: JobSpec) -> JobSpec:
        changed = spec.hyperparameters.model_copy(update={"max_length": 256, **settings})
        sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
        swapped = spec.data.model_copy(update={"url": data.as_uri(), "sha256": sha256})
        return spec.model_copy(update={"hyperparameters": changed, "checkpoint_every_steps": 2, "data": swapped})

    return apply


def imported(folder: Path, lines: list[str]) -> Path:
    """The same conversations as a file that people import."""
    talks = []
    for line in lines:
        record = json.loads(line)
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in record["messages"]]
        system = {"role": "system", "content": record["system"]}
        talks.append(json.dumps({"conversation_id": record["conversation_id"], "messages": [system, *turns]}))
    path = folder / "talks.jsonl"
    path.write_text("\n".join(talks), "utf-8")
    return path


def pressed(message: Json) -> dict[str, str]:
    """The buttons' words by what they do."""
    found = [e for block in message["blocks"] if block["type"] == "actions" for e in block["elements"]]
    return {element["action_id"]: element["text"]["text"] for element in found}


def read(stage: Stage, job: Job) -> tuple[str, Json, str]:
    """The card's words, the card, and what the thread was told last."""
    assert job.state is JobState.FAILED, job.progress
    card = stage.card()
    return words(card), card, words(stage.thread()[-1])


def test_out_of_memory(stage: Stage, tmp_path: Path) -> None:
    greedy = change(tmp_path, LONG, batch_size=64, max_length=4096, rank=256)
    compute = ProvokedCompute(tmp_path / "runs", provoke="little_memory", change=greedy)
    job = run_out(stage, compute, imported(tmp_path, LONG))
    shown, card, thread = read(stage, job)
    assert job.progress.failure is not None
    assert job.progress.failure.code == "out_of_memory", job.progress.failure
    assert "Out of memory before the first step." in shown
    assert "By our reckoning it needs about" in shown
    assert "yet it ran out while it held" in shown
    assert "1. *Sequences of " in shown  # the batch does not matter here: a CPU takes one conversation at a time
    assert pressed(card)[ACTION_RETRY_FIX].startswith("Retry: sequences of ")
    assert pressed(card)[ACTION_RETRY] == "Try again…"
    assert "Out of memory" in thread
    assert "What may help: Sequences of " in thread


class HubCompute(LocalCompute):
    """This machine, with a base model that only the hub has."""

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        return super().launch(spec.model_copy(update={"base_model": LLAMA}), token=token, tier=tier)

    def model_path(self, base_model: str) -> str | None:
        return None


@pytest.mark.parametrize(("answer", "problem"), [("missing", "was not found."), ("gated", "may not be used yet.")])
def test_a_base_model_that_the_hub_does_not_give(
    stage: Stage, tmp_path: Path, demo_file: Path, monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    compute = HubCompute(tmp_path)
    with model_hub(answer) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        try:
            shown, _, thread = read(stage, run_out(stage, compute, demo_file))
        finally:
            compute.cancel_all()
    for told in (shown, thread):
        assert f"The base model SmolLM2 135M {problem}" in told
    assert "*What helps*" in shown


class FullCompute(PaperCompute):
    """A provider with no GPU to give."""

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        raise NoCapacity("all H100s are in use")


def test_no_gpu_is_free(stage: Stage, demo_file: Path) -> None:
    clock = SetClock(utc_now())
    file = add_demo_file(stage.db, stage.files, demo_file, clock)
    job = start(stage.db, stage.files, file, clock)
    full = Reconciler(
        stage.db, stage.files, FullCompute(), clock=clock, secret=SECRET, service_url=stage.url, max_running=1
    )
    full.step()
    stage.post()
    shown = words(stage.card())
    assert "No GPU is free right now (all H100s are in use)." in shown
    assert "tried 1 time, next try" in shown
    told = words(stage.thread()[-1])
    assert "tried again every 5 minutes until <!date" in told
    assert f"{clock() + timedelta(hours=1):%Y-%m-%d %H:%M UTC}>; waiting costs nothing" in told
    while job_of(stage.db, job.id).state not in TERMINAL:
        clock.forward(minutes=5)
        full.step()
    stage.ahead.forward(hours=2)
    stage.post()
    shown, card, thread = read(stage, job_of(stage.db, job.id))
    assert "Tried 13 times in 1 h" in shown
    assert "Try again" in pressed(card)[ACTION_RETRY]
    assert "No" in thread


def test_an_alert_is_told_in_the_thread_and_stands_on_the_card(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    stage.start()
    stage.reconciler.step()
    rising = [
        Metrics(step=step, epoch=step / 20, loss=2.0 + step / 20, learning_rate=1e-3, tokens_trained=step * 100)
        for step in range(1, 61)
    ]
    stage.tell(*TRAINED[:6], *rising)
    stage.post()
    told = [m["text"] for m in stage.thread() if "⚠" in m["text"]]
    assert len(told) == 1, told
    assert "The training loss rose from" in told[0]
    assert "a quarter of the learning rate" in told[0]
    assert "⚠" in words(stage.card())


def test_a_loss_that_is_no_number(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    compute = ProvokedCompute(
        tmp_path / "runs", change=change(tmp_path, learning_rate=0.999, alpha=10**30, warmup_ratio=0.0)
    )
    shown, card, thread = read(stage, run_out(stage, compute, demo_file))
    assert "The training went off course before the first step" in shown
    assert "its loss is not a number any more." in shown
    assert "1. *Learning rate " in shown
    assert pressed(card)[ACTION_RETRY_FIX].startswith("Retry: learning rate ")
    assert "What may help: Learning rate" in thread


@pytest.mark.parametrize(
    ("provoke", "said"), [("small_disk", "No space left on device"), ("small_files", "File too large")]
)
def test_a_full_disk(stage: Stage, tmp_path: Path, demo_file: Path, provoke: str, said: str) -> None:
    compute = ProvokedCompute(tmp_path / "runs", provoke=provoke, change=change(tmp_path, rank=256))
    shown, card, _ = read(stage, run_out(stage, compute, demo_file))
    assert "The disk is full at step 2." in shown, shown
    assert said in shown
    assert ("of 0.1 MB are free where the run keeps its files" in shown) == (provoke == "small_disk")
    assert "1. *Free some space, then try again*" in shown
    assert pressed(card)[ACTION_RETRY] == "Try again…"
    assert ACTION_RETRY_FIX not in pressed(card)


def test_a_record_that_cannot_be_trained_on(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    records = [json.loads(item.model_dump_json()) for item in conversations(50)]
    records[46]["messages"][3]["content"] = 17
    lines = [json.dumps(record) for record in records]
    compute = ProvokedCompute(tmp_path / "runs", change=change(tmp_path, lines))
    shown, card, thread = read(stage, run_out(stage, compute, demo_file))
    problem = "Conversation c46 cannot be trained on (line 47, field messages.3.content)."
    assert problem in shown
    assert "Input should be a valid string. It is about anxious and clarity." in shown
    assert '"content": 17' in shown
    assert "1. *Mend the record and add the file again*" in shown
    assert set(pressed(card)) == {ACTION_DETAILS}
    assert problem in thread


def test_something_unforeseen(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    compute = ProvokedCompute(tmp_path / "runs", provoke="in_the_way", change=change(tmp_path))
    job = run_out(stage, compute, demo_file)
    shown, card, _ = read(stage, job)
    assert job.progress.failure is not None
    reference = job.progress.failure.reference
    assert len(reference) == 8
    assert f"give this reference: `{reference}`" in shown
    assert reference in (tmp_path / "runs" / str(job.id) / "log-1.txt").read_text("utf-8")
    assert "The last lines of its log:\n```" in shown
    assert "checkpoints" in shown
    assert pressed(card)[ACTION_RETRY] == "Try again…"
    stage.elena.click(card, ACTION_DETAILS)
    assert reference in words(stage.elena.wait_view(DETAILS_CALLBACK))


def test_a_trainer_that_is_killed_again_and_again(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    compute = ProvokedCompute(tmp_path / "runs", provoke="killed")
    job = run_out(stage, compute, demo_file)
    shown, card, thread = read(stage, job)
    assert job.attempt == 4
    assert "The trainer was ended from outside before the first step." in shown
    assert "It was lost 4 times. The last time: killed by SIGKILL." in shown
    assert pressed(card)[ACTION_RETRY] == "Try again…"
    assert "The trainer was ended from outside" in thread


def test_a_run_that_is_too_long_is_stopped_at_a_checkpoint(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    compute = ProvokedCompute(tmp_path / "runs", change=change(tmp_path, max_steps=None, epochs=50))
    limit = timedelta(seconds=1)
    job = run_out(stage, compute, demo_file, limit=limit, max_steps=None)
    shown, card, thread = read(stage, job)
    assert "it ran longer than its limit of 1 s." in shown
    assert job.progress.checkpoint_step is not None
    assert f"the checkpoint of step {job.progress.checkpoint_step:,} is kept" in shown.replace("The check", "the check")
    assert pressed(card)[ACTION_RETRY] == "Try again…"
    assert "it ran longer than its limit" in thread
    assert "machine was lost" not in "\n".join(words(message) for message in stage.thread())


def test_a_healthy_real_run_raises_no_alarm(stage: Stage, tmp_path: Path, demo_file: Path) -> None:
    compute = ProvokedCompute(tmp_path / "runs", change=change(tmp_path, max_steps=80, learning_rate=0.005, epochs=20))
    job = run_out(stage, compute, demo_file, max_steps=80)
    assert job.state is JobState.COMPLETED, job.progress.failure
    assert job.progress.step == 80
    told = "\n".join(words(message) for message in stage.thread())
    assert "Training has started" in told
    assert "⚠ *" not in told
