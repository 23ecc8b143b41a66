"""The card of a run: one message, edited in place. Its first two lines decide on a phone."""

from __future__ import annotations

from collections.abc import Callable

from blocks import lifecycle
from blocks.again import again_button
from blocks.failure import ACTION_RETRY as ACTION_RETRY
from blocks.failure import failure_section, retry_buttons
from blocks.lineage import lineage_line
from blocks.run_words import (
    STATE_NAMES,
    checkpoint_words,
    current_stage,
    interruptions_line,
    money_line,
    paused,
    problem_words,
    shown_state,
    speed_verdict,
    spent,
    stage_line,
    state_name,
    step_line,
    took,
    verdict,
    verdict_line,
)
from blocks.text import Block, MessageParts, actions, bold, button, context, mention, one_line, safe, section
from blocks.units import (
    bar,
    count,
    decimal,
    duration,
    duration_range,
    file_size,
    memory_of,
    money_range,
    percent,
    practice,
    rough,
    trend,
    when,
)
from blocks.waiting import wait_words
from functions.model.events import Stage
from functions.model.job import MAX_RECOVERIES, Job, StopKind, StopRequest
from functions.model.states import JobState
from functions.model.views import CardView, QueueEntry

_ALERTS_SHOWN = 3

ACTION_DETAILS = "job_details"
ACTION_DOWNLOAD = "artifact_download"
ACTION_REPORT = "run_report"


def job_card(view: CardView) -> MessageParts:
    """The text of the notification, and the card."""
    draw = _CARDS.get(shown_state(view), _running)
    blocks = [*draw(view), *lineage_line(view.job, view.family)]
    blocks.append(actions(*_buttons(view)))
    return notification(view), blocks


def notification(view: CardView) -> str:
    """One line that says it all on a locked phone."""
    job = view.job
    name = STATE_NAMES[shown_state(view)]
    said = name[0].lower() + name[1:]
    if job.state is JobState.COMPLETED:
        measured = job.progress.perplexity
        said = f"completed, {verdict(measured).badge}" if measured else "completed"
        said += f", {spent(view)}"
    elif job.state is JobState.FAILED or (job.state is JobState.CANCELLED and view.spent_cents):
        said += f", {spent(view)} spent"
    elif job.progress.plan and job.state is not JobState.CANCELLED:
        said += f", {percent(view.fraction)}"
    return f"{safe(job.name, 150)}: {said}"


def _head(view: CardView, second: str) -> Block:
    return section(f"{bold(view.job.name)}  ·  {state_name(shown_state(view))}\n{second}")


def _waiting(view: CardView) -> list[Block]:
    job, estimate = view.job, view.job.estimate
    why = "It starts as soon as a place is free."
    if view.queued is not None:
        why = _place(view.queued)
    if shown_state(view) is JobState.QUEUED_WAITING_FOR_GPU:
        why = wait_words(view)
    elif job.state is JobState.PENDING_CONFIGURATION:
        why = "Not started: its settings are not complete."
    asked = f"Asked by {mention(job.created_by)}"
    if job.billed_seconds:
        to_go = f"About {rough(view.queued.seconds)} to go   " if view.queued else ""
        return [_head(view, why), section(_so_far(view)), context(f"{to_go}{asked}")]
    price = f"{money_range(estimate.cents_low, estimate.cents_high)}{practice(job.configuration.tier)}"
    span = duration_range(estimate.seconds.low, estimate.seconds.high)
    return [_head(view, why), context(f"Estimate {price}, {span}   {asked}")]


def _so_far(view: CardView) -> str:
    """What is done and spent of a run that waits to go on."""
    job = view.job
    done = f"{bar(view.fraction)}  *{percent(view.fraction)}*   goes on from {checkpoint_words(job)}"
    return "\n".join(line for line in (done, money_line(view), interruptions_line(job.progress)) if line)


def _place(queued: QueueEntry) -> str:
    """`Number 2 in the queue, starts about 6:40 PM.`"""
    place = "Next in the queue" if queued.position == 1 else f"Number {queued.position} in the queue"
    return f"{place}, starts about {when(queued.starts_at, '{time}')}."


def _running(view: CardView) -> list[Block]:
    progress = view.job.progress
    steps = step_line(progress)
    second = f"{bar(view.fraction)}  *{percent(view.fraction)}*" + (f"   {steps}" if steps else "")
    warned = [f"⚠ {safe(alert.what, 250)}" for alert in view.alerts[:_ALERTS_SHOWN]]
    lines = [_metrics(view), _money(view), interruptions_line(progress), *warned]
    blocks = [_head(view, second), context(_stages(view))]
    if view.job.stop is not None:
        lines.append(_stopping(view.job, view.job.stop))
    return [*blocks, section("\n".join(line for line in lines if line))]


def _stopping(job: Job, stop: StopRequest) -> str:
    if job.state is JobState.INTERRUPTED:
        return f"{mention(stop.by)} is {'pausing' if stop.kind is StopKind.PAUSE else 'cancelling'} it."
    if stop.kind is StopKind.PAUSE:
        return f"{mention(stop.by)} is pausing it: it saves where it is and frees its machine."
    return f"{mention(stop.by)} is cancelling it: its machine is being shut down."


def _stages(view: CardView) -> str:
    active = current_stage(view.job.progress)
    if active is None or not active.detail or active.stage is Stage.TRAINING:
        return stage_line(view)
    return f"{stage_line(view)}\n{safe(active.detail, 150)}"


def _metrics(view: CardView) -> str:
    progress = view.job.progress
    metrics, plan, held_out = progress.metrics, progress.plan, progress.held_out
    parts = []
    if metrics is not None:
        parts.append(f"Loss {decimal(metrics.loss)}{trend(metrics.loss, progress.previous_loss)}")
    if held_out is not None:
        parts.append(f"Held-out {decimal(held_out.loss)}{trend(held_out.loss, progress.previous_held_out)}")
    if metrics is not None and metrics.tokens_per_second is not None:
        speed = metrics.tokens_per_second
        parts.append(f"{decimal(speed, 0)} tokens/s, {speed_verdict(speed, view.job.estimate)}")
    gpu = []
    if metrics is not None and metrics.gpu_utilization is not None:
        gpu.append(percent(metrics.gpu_utilization))
    if metrics is not None and metrics.memory_bytes is not None and plan and plan.device_memory_bytes:
        gpu.append(memory_of(metrics.memory_bytes, plan.device_memory_bytes))
    return "   ".join([*parts, f"GPU {' · '.join(gpu)}"] if gpu else parts)


def _money(view: CardView) -> str:
    line = money_line(view)
    if view.done_at is None:
        return line
    return f"{line}   done {when(view.done_at, '{date_short_pretty}, about {time}')}"


def _interrupted(view: CardView) -> list[Block]:
    job = view.job
    left = MAX_RECOVERIES - job.recoveries
    past = interruptions_line(job.progress)
    if job.stop is not None:
        second, tries = _stopping(job, job.stop), ""
    elif job.state is JobState.RECOVERING:
        second = f"A new machine is starting. It goes on from {checkpoint_words(job)}."
        tries = f"recovery {job.recoveries} of {MAX_RECOVERIES}" if job.recoveries else ""
    elif job.progress.last_loss is not None and job.progress.last_loss.planned:
        second, tries = f"Its machine's time was over. It goes on by itself from {checkpoint_words(job)}.", ""
    elif left > 0:
        second = f"The machine was lost. It goes on by itself from {checkpoint_words(job)}."
        tries = f"{count(left, 'automatic recovery', 'automatic recoveries')} left"
    else:
        second = "The machine was lost, and no automatic recovery is left."
        tries = ""
    done = f"{bar(view.fraction)}  *{percent(view.fraction)}*   {step_line(job.progress)}".rstrip()
    last = "   ".join(part for part in (past, tries) if part)
    lines = [line for line in (money_line(view), last) if line]
    return [_head(view, second), context(f"{done}\n{stage_line(view)}"), section("\n".join(lines))]


def _paused(view: CardView) -> list[Block]:
    job = view.job
    second = f"{bar(view.fraction)}  *{percent(view.fraction)}*   goes on from {checkpoint_words(job)}"
    since = f"Resting since {when(job.paused_at)}. It costs nothing until it is resumed." if job.paused_at else ""
    lines = [line for line in (money_line(view), since) if line]
    return [_head(view, second), context(stage_line(view)), section("\n".join(lines))]


def _completed(view: CardView) -> list[Block]:
    progress = view.job.progress
    measured = progress.perplexity
    second = verdict_line(measured) if measured else "The held-out test gave no result. Its log is in the details."
    stored = "The adapters are still being stored. The download button follows."
    if view.artifact is not None:
        stored = f"Adapters {file_size(view.artifact.size_bytes)}"
    past = interruptions_line(progress)
    lines = [_outcome(view), _final_losses(view), "   ".join(part for part in (stored, past) if part)]
    return [
        _head(view, second),
        context(stage_line(view)),
        section("\n".join(line for line in lines if line)),
    ]


def _outcome(view: CardView) -> str:
    estimate = view.job.estimate
    expected = money_range(estimate.cents_low, estimate.cents_high)
    return f"Took {took(view)}   cost {spent(view)}, estimated {expected}"


def _final_losses(view: CardView) -> str:
    progress = view.job.progress
    parts = []
    if progress.metrics is not None:
        parts.append(f"Loss {decimal(progress.metrics.loss)}")
    if progress.held_out is not None:
        parts.append(f"Held-out {decimal(progress.held_out.loss)}")
    if progress.perplexity is not None:
        parts.append(f"tested on {count(progress.perplexity.conversations, 'held-out conversation')}")
    return "   ".join(parts)


def _failed(view: CardView) -> list[Block]:
    explained = failure_section(view.diagnosis) if view.diagnosis else []
    head = _head(view, problem_words(view))
    return [
        head,
        context(f"{_where_it_stopped(view)}\n{stage_line(view)}"),
        *explained,
        *([context(_what_is_kept(view))] if view.can_retry else []),
    ]


def _where_it_stopped(view: CardView) -> str:
    plan = view.job.progress.plan
    at = f"at step {_stopped_at(view):,}" + (f" of {plan.total_steps:,}" if plan else "")
    return f"Stopped {at}, {duration(view.elapsed_seconds)} in{paused(view)}, {spent(view)} spent"


def _what_is_kept(view: CardView) -> str:
    if view.diagnosis is not None and not view.diagnosis.again:
        return "Trying again as it is would end the same way, so there is no button for it."
    saved = view.job.kept_step
    if not saved:
        return "Your training file is untouched. No checkpoint was saved yet, so another try starts over."
    again = _stopped_at(view) - saved
    kept = f"the checkpoint of step {saved:,} is kept"
    if again > 0:
        return f"{kept.capitalize()}: another try goes on from there and repeats {count(again, 'step')}."
    return f"Nothing was lost: {kept}, and another try goes on from there."


def _stopped_at(view: CardView) -> int:
    failure = view.job.progress.failure
    return failure.step if failure and failure.step is not None else view.job.progress.step


def _cancelled(view: CardView) -> list[Block]:
    if view.job.started_at is not None:
        second = f"Stopped after {took(view)}, {spent(view)} spent. The rest of its budget is free again."
        blocks = [_head(view, second), context(stage_line(view))]
    else:
        blocks = [_head(view, "It had not started; nothing was spent. Its budget is free again.")]
    stop = view.job.stop
    if stop is not None:
        notes = f"\n{safe(stop.notes, 300)}" if stop.notes else ""
        blocks.append(context(f"By {mention(stop.by)}: {safe(stop.reason, 60)}{notes}"))
    return blocks


def _buttons(view: CardView) -> list[Block]:
    job = view.job
    buttons = []
    if job.state is JobState.COMPLETED and view.artifact is not None:
        buttons.append(
            button("Download adapters", ACTION_DOWNLOAD, value=str(view.artifact.id), style="primary"),
        )
    if job.state is JobState.COMPLETED:
        buttons.append(button("Report (PDF)", ACTION_REPORT, value=str(job.id)))
    if job.state is JobState.FAILED:
        tries = retry_buttons(view.diagnosis, job, can_retry=view.can_retry)
        buttons += [*tries, again_button(job)] if tries else []
    if job.state is JobState.CANCELLED:
        buttons.append(again_button(job, "Run again…"))
    return [*buttons, *lifecycle.buttons(view), details_button(job)]


def details_button(job: Job) -> Block:
    """Opens everything about the run."""
    entry = button("Details", ACTION_DETAILS, value=str(job.id))
    entry["accessibility_label"] = f"Details of {one_line(job.name)}"[:75]
    return entry


_CARDS: dict[JobState, Callable[[CardView], list[Block]]] = {
    JobState.PENDING_CONFIGURATION: _waiting,
    JobState.QUEUED: _waiting,
    JobState.QUEUED_WAITING_FOR_GPU: _waiting,
    JobState.INTERRUPTED: _interrupted,
    JobState.RECOVERING: _interrupted,
    JobState.PAUSED: _paused,
    JobState.COMPLETED: _completed,
    JobState.FAILED: _failed,
    JobState.CANCELLED: _cancelled,
}
