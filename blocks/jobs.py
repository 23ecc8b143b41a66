"""/jobs: the list of runs, and everything about one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks import file_facts as facts
from blocks import lifecycle
from blocks.again import again_button
from blocks.card import ACTION_DOWNLOAD, job_card
from blocks.failure import retry_buttons
from blocks.job_rows import job_row, setting_words
from blocks.lineage import LINEAGE_BLOCK, lineage_section
from blocks.review import settings_line
from blocks.run_words import STATE_NAMES, busy_verdict, cause_words, paused, speed_verdict, spent
from blocks.spend_words import breakdown, projected, track_record
from blocks.text import (
    Block,
    View,
    actions,
    bold,
    bounded,
    button,
    code_block,
    context,
    divider,
    mention,
    modal,
    safe,
    safe_lines,
    section,
)
from blocks.units import (
    count,
    decimal,
    duration,
    file_size,
    memory_of,
    money,
    money_range,
    percent,
    rate,
    rough,
    trend,
    when,
)
from functions.model.events import Stage
from functions.model.job import Artifact, Job
from functions.model.progress import Interruption
from functions.model.states import TERMINAL, JobState
from functions.model.views import JobDetailsView, JobListView, MetricPoint, QueueEntry

LIST_CALLBACK = "job_list"
DETAILS_CALLBACK = "job_details"
_ARTIFACTS_SHOWN = 10
_POINTS_SHOWN = 20


def job_list(view: JobListView) -> View:
    """The newest runs, each with its state, progress, cost and details."""
    blocks: list[Block] = [*_queue(view), *(job_row(line) for line in view.lines[:10])]
    if not view.lines:
        blocks = [section("No training run yet. Type `/train` to start the first one.")]
    elif view.total > len(view.lines[:10]):
        blocks.append(context(f"The newest {len(view.lines[:10])} of {count(view.total, 'run')}."))
    return modal("Training runs", blocks, callback_id=LIST_CALLBACK)


def _queue(view: JobListView) -> list[Block]:
    """Who waits, in order, when each may expect to start, with which settings and whose it is."""
    if not view.queue:
        return []
    lines = [_waiting(entry) for entry in view.queue]
    waiting, training = view.limits.waiting, view.limits.running
    places = f"{count(training, 'run')} may train at once, {waiting} may wait."
    return [section(bounded(["*Queue*", *lines])), context(places), divider()]


def _waiting(entry: QueueEntry) -> str:
    starts = f"starts about {when(entry.starts_at, '{time}')}"
    return f"{entry.position}. {safe(entry.job.name, 80)}, {starts}\n{setting_words(entry)}"


def job_details(view: JobDetailsView) -> View:
    """All that is known of a run, the most telling first."""
    job = view.card.job
    _, card = job_card(view.card)
    blocks = [
        *(block for block in card if block["type"] != "actions" and block.get("block_id") != LINEAGE_BLOCK),
        *_deeds(view),
        *_artifacts(view),
        divider(),
        section(_figures(view)),
        *_curve(view.points),
        *_interruptions(job.progress.interruptions),
        *lineage_section(job, view.card.family),
        divider(),
        section(f"*Settings*\n{settings_line(job.configuration)}"),
        section(_money_and_time(view)),
        *_data(view),
        *_metadata(job),
        *_log(view),
        context(f"Run id `{job.id}` · attempt {job.attempt}"),
    ]
    metadata = json.dumps({"job": str(job.id)})
    return modal("Run details", blocks, callback_id=DETAILS_CALLBACK, metadata=metadata)


def _deeds(view: JobDetailsView) -> list[Block]:
    job = view.card.job
    failed = job.state is JobState.FAILED and view.card.can_retry
    tries = retry_buttons(view.card.diagnosis, job, can_retry=failed)
    shown = [*lifecycle.buttons(view.card), *tries]
    if tries:
        shown.append(again_button(job))
    elif job.state in (JobState.COMPLETED, JobState.CANCELLED):
        shown.append(again_button(job, "Run again…"))
    return [actions(*shown)] if shown else []


def _artifacts(view: JobDetailsView) -> list[Block]:
    return [_artifact(item, number) for number, item in enumerate(view.artifacts[:_ARTIFACTS_SHOWN])]


def _artifact(item: Artifact, number: int) -> Block:
    facts_of_file = f"{file_size(item.size_bytes)} · {count(item.downloads, 'download')}"
    text = f"{bold(item.name)}\n{facts_of_file} · SHA-256 `{safe(item.sha256[:12])}…`"
    entry = button("Download", ACTION_DOWNLOAD, value=str(item.id))
    return section(text, accessory=entry, block_id=f"artifact:{number}")


def _figures(view: JobDetailsView) -> str:
    """The metrics with their trends; those that were not measured are left out."""
    progress = view.card.job.progress
    metrics, plan = progress.metrics, progress.plan
    lines = []
    if metrics is not None:
        lines.append(f"Training loss {decimal(metrics.loss)}{trend(metrics.loss, progress.previous_loss)}")
    if progress.held_out is not None:
        best = f", best {decimal(progress.best_held_out)}" if progress.best_held_out is not None else ""
        moved = trend(progress.held_out.loss, progress.previous_held_out)
        lines.append(f"Held-out loss {decimal(progress.held_out.loss)}{moved}{best}")
    if metrics is not None:
        schedule = safe(view.card.job.configuration.hyperparameters.lr_scheduler, 40)
        lines.append(f"Learning rate {rate(metrics.learning_rate)}, {schedule} schedule")
        if metrics.grad_norm is not None:
            lines.append(f"Gradient norm {decimal(metrics.grad_norm, 2)}")
    speed = progress.mean_tokens_per_second or (metrics.tokens_per_second if metrics else None)
    if speed is not None:
        compared = speed_verdict(speed, view.card.job.estimate)
        lines.append(f"Speed {decimal(speed, 0)} tokens a second, {compared}")
        lines.append(f"{count(progress.trained_tokens, 'token')} trained")
    if metrics is not None and metrics.gpu_utilization is not None:
        lines.append(
            f"GPU used {percent(metrics.gpu_utilization)} of the time, {busy_verdict(metrics.gpu_utilization)}"
        )
    if plan is not None:
        lines.append(f"Trained on {'the CPU' if plan.device == 'cpu' else safe(plan.device, 80)}")
        if metrics is not None and metrics.memory_bytes is not None and plan.device_memory_bytes:
            lines.append(f"GPU memory {memory_of(metrics.memory_bytes, plan.device_memory_bytes)}")
    return "\n".join(["*Figures*", *(lines or ["Nothing measured yet."])])


def _curve(points: Sequence[MetricPoint]) -> list[Block]:
    """The held-out points, and the first and last of training between them, as a table."""
    if not points:
        return []
    held_out = [point for point in points if point.held_out_loss is not None]
    chosen = (held_out or list(points))[-_POINTS_SHOWN:]
    rows = [f"{'step':>9}  {'training':>12}  {'held-out':>12}"]
    rows += [
        f"{point.step:>9,}  {decimal(point.training_loss):>12}  {decimal(point.held_out_loss):>12}" for point in chosen
    ]
    return [section(f"*Loss by step*\n{table(rows)}")]


def table(rows: Sequence[str]) -> str:
    """Rows of our own making, in a fixed width; blanks stay as they are."""
    return "```\n" + "\n".join(rows) + "\n```"


def _interruptions(past: Sequence[Interruption]) -> list[Block]:
    if not past:
        return []
    lines = []
    for item in past[-10:]:
        line = f"• {when(item.at)} at step {item.step:,} ({cause_words(item.cause)})"
        if item.resumed_at is not None:
            lost = duration((item.resumed_at - item.at).total_seconds())
            line += f", went on from step {item.resumed_step or 0:,} after {lost}"
        lines.append(line)
    return [section(bounded([f"*{count(len(past), 'interruption')}*", *lines]))]


def _money_and_time(view: JobDetailsView) -> str:
    card = view.card
    job, estimate = card.job, card.job.estimate
    price = f"{money(job.rate_cents_per_hour)} an hour"
    so_far = "" if job.state in TERMINAL else " so far"
    seconds = job.progress.stage(Stage.TRAINING).seconds(job.ended_at or card.now)
    training = f", {duration(seconds)} of it training" if seconds else ""
    rest = paused(card)
    lines = [
        "*Cost and time*",
        f"{spent(card)}{so_far} at {price}; estimated {money_range(estimate.cents_low, estimate.cents_high)}",
        *(line for line in (breakdown(card), projected(card), track_record(card)) if line),
        f"{duration(card.elapsed_seconds)}{so_far}{training}{rest}; estimated {rough(estimate.seconds.expected)}",
        f"Asked by {mention(job.created_by)}, {when(job.created_at)}",
    ]
    if job.ended_at is not None:
        lines.append(f"{STATE_NAMES[job.state]} {when(job.ended_at)}")
    return "\n".join(lines)


def _data(view: JobDetailsView) -> list[Block]:
    if view.file is None:
        return [section(f"*Training file*\n{safe(view.card.job.training_file_name, 150)}, no longer there")]
    file = view.file
    lines = [f"*Training file*\n{safe(file.name, 150)}", facts.summary(file), *facts.scaffolding(file.stats)]
    return [section(bounded(lines))]


def _metadata(job: Job) -> list[Block]:
    lines = [
        f"*For*: {safe_lines(job.description, 700)}" if job.description else "",
        f"*Client*: {safe(job.client, 100)}" if job.client else "",
        f"*Project*: {safe(job.project, 100)}" if job.project else "",
        f"*Tags*: {', '.join(safe(tag, 40) for tag in job.tags[:20])}" if job.tags else "",
    ]
    shown = [line for line in lines if line]
    blocks = [section("\n".join(shown))] if shown else []
    return [*blocks, section(f"*Notes*\n{safe_lines(job.notes, 2800)}")] if job.notes else blocks


def _log(view: JobDetailsView) -> list[Block]:
    failure = view.card.job.progress.failure
    lines = view.log or (failure.log_tail if failure else ())
    return [section(f"*Last lines of the log*\n{code_block(lines, 2800)}")] if lines else []
