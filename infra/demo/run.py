"""`brightrun demo`: everything up, the main job played, what came out written down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from functions import catalog
from functions.errors import InvalidInput
from functions.file_options import file_option
from functions.model.job import Job
from functions.model.states import TERMINAL, JobState
from functions.model.training_file import TrainingFile
from functions.pace import fraction_done
from infra.clock import utc_now
from infra.demo.play import DemoFailed, Play, Played
from infra.run import announce, wait_for_stop
from infra.settings import LOCAL_TEAM, Settings
from infra.supervisor import embedded_run
from infra.wiring import Parts, build_parts

Say = Callable[[str], None]
_POLL_SECONDS = 0.5
# A demo that trains longer than this has gone wrong.
_PATIENCE_SECONDS = 3600.0
# The demo's own file is small; Balanced is what a team would take for it in production.
_DEMO_PRESET = "balanced"
# Enough for a clear improvement, and few enough for two slow cores to finish in minutes.
_DEMO_STEPS = 6


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asked for."""

    headless: bool
    json_file: Path | None
    file: Path | None
    preset: str
    max_steps: int | None


def run_demo(settings: Settings, options: DemoOptions, say: Say) -> bool:
    """Play the main job; whether it was delivered. Stays up afterwards unless headless.

    Raises:
        BrightRunError: a part did not start, or a step was refused.
    """
    if not settings.uses_local_workspace:
        raise InvalidInput("The demo plays in the local workspace.", fix="Unset BRIGHTRUN_SLACK_BOT_TOKEN.")
    if options.preset:
        catalog.preset(options.preset)
    if options.file is not None and not options.file.is_file():
        raise InvalidInput(f"There is no file {options.file}.")
    say("Starting Postgres, the workspace, the bot, the reconcile loop and HTTP …")
    with embedded_run(settings) as (running, _):
        announce(running, say)
        parts = build_parts(running)
        try:
            delivered = _play(parts, options, say)
        finally:
            parts.db.close()
        if not options.headless:
            say("The workspace stays up: look around, start a run of your own. Ctrl-C ends everything.")
            wait_for_stop()
            say("Stopping.")
    return delivered


def _play(parts: Parts, options: DemoOptions, say: Say) -> bool:
    began = time.monotonic()
    play = Play(parts.settings.workspace_url, say, hurry=options.headless)
    with as_file(files("infra") / "demo" / "nell-harrow.json") as own:
        path = options.file or own
        file = _ensure_file(parts, play, path)
    before = _job_count(parts)
    preset = options.preset or (_DEMO_PRESET if options.file is None else "")
    max_steps = options.max_steps or (_DEMO_STEPS if options.file is None else None)
    play.start(file_id=str(file.id), file_name=file.name, preset=preset, max_steps=max_steps)
    job = _watch(parts, _newest(parts, before), say)
    played = None
    if job.state is JobState.COMPLETED:
        played = play.download(parts.settings.data_dir / "downloads")
        _tell_result(job, say)
    elif job.progress.failure is not None:
        say(f"Failed: {job.progress.failure.what} {job.progress.failure.why}")
    seconds = time.monotonic() - began
    say(f"{job.state.value} after {seconds:.0f} s")
    if options.json_file is not None:
        facts = demo_facts(parts, job, played, seconds)
        options.json_file.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return job.state is JobState.COMPLETED


def _ensure_file(parts: Parts, play: Play, path: Path) -> TrainingFile:
    import hashlib

    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()

    def find() -> TrainingFile | None:
        with parts.db.transaction() as tx:
            return tx.files.by_content(LOCAL_TEAM, sha256)

    file = find()
    if file is None:
        play.add_training_file(path)
        file = find()
    if file is None:
        raise DemoFailed(f"{path.name} was not added.")
    with parts.db.transaction() as tx:
        option = file_option(tx, parts.files, file)
    if option.reasons:
        raise DemoFailed(f"{file.name} cannot be trained on now. {' '.join(option.reasons)}")
    return file


def _job_count(parts: Parts) -> int:
    with parts.db.transaction() as tx:
        return tx.jobs.count(LOCAL_TEAM)


def _newest(parts: Parts, before: int) -> Job:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with parts.db.transaction() as tx:
            if tx.jobs.count(LOCAL_TEAM) > before:
                return tx.jobs.recent(LOCAL_TEAM, 1)[0]
        time.sleep(_POLL_SECONDS)
    raise DemoFailed("The run was not started.")


def _watch(parts: Parts, job: Job, say: Say) -> Job:
    told = ""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while job.state not in TERMINAL:
        if time.monotonic() > deadline:
            raise DemoFailed("The run takes too long.", where=str(parts.settings.data_dir / "logs"))
        time.sleep(_POLL_SECONDS)
        with parts.db.transaction() as tx:
            job = tx.jobs.get(job.id) or job
        line = _status_line(job)
        if line != told:
            say(line)
            told = line
    return job


def _status_line(job: Job) -> str:
    metrics, plan = job.progress.metrics, job.progress.plan
    line = f"  {fraction_done(job) * 100:3.0f} %  {job.state.value.replace('_', ' ')}"
    if metrics and plan and job.state is JobState.TRAINING:
        line += f"  step {metrics.step} of {plan.total_steps}  loss {metrics.loss:.3f}"
    return line


def _tell_result(job: Job, say: Say) -> None:
    measured = job.progress.perplexity
    if measured is not None:
        better = (measured.base - measured.tuned) / measured.base
        say(
            f"Held-out perplexity {measured.base:.1f} → {measured.tuned:.1f}, {better:.0%} better, "
            f"on {measured.conversations} conversations that it never saw"
        )


def demo_facts(parts: Parts, job: Job, played: Played | None, seconds: float) -> dict[str, object]:
    """What came out, for programs."""
    progress = job.progress
    with parts.db.transaction() as tx:
        sent = tx.outbox.sent_count(job.id)
    now = job.ended_at or utc_now()
    return {
        "status": job.state.value,
        "job_id": str(job.id),
        "job_name": job.name,
        "preset": job.configuration.preset,
        "seconds": {
            **{item.stage.value: round(item.seconds(now) or 0.0, 2) for item in progress.stages},
            "total": round(seconds, 2),
        },
        "base_perplexity": progress.perplexity.base if progress.perplexity else None,
        "tuned_perplexity": progress.perplexity.tuned if progress.perplexity else None,
        "held_out_conversations": progress.plan.held_out_conversations if progress.plan else None,
        "trained_tokens": progress.trained_tokens,
        "tokens_per_second": progress.mean_tokens_per_second,
        "cost_cents": job.actual_cost_cents,
        "adapters_zip": str(played.adapters_zip) if played else None,
        "download_url": played.download_url if played else None,
        "slack_messages_sent": sent,
        "failure": progress.failure.model_dump(mode="json") if progress.failure else None,
    }
