"""What a run tells in its card's thread: each milestone once, nothing that the card says already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from blocks.failure import best_fix
from blocks.payments import invoice_voided, invoiced
from blocks.run_words import cause_words, checkpoint_words, paused, problem_words, spent, state_name, took, verdict
from blocks.spend_words import spend_alert
from blocks.text import MessageParts, clip, image, mention, safe, section
from blocks.units import count, decimal, duration, percent, rough, trend, when
from blocks.waiting import past_words
from functions.model.diagnosis import RETRY_EVERY
from functions.model.events import TIME_LIMIT
from functions.model.job import MAX_RECOVERIES
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.model.views import CardView

Data = Mapping[str, float | int | str | None]


def milestone(notice: Notice, view: CardView, data: Data, picture_file_id: str | None) -> MessageParts:
    """The notification's text and the blocks of one message in the thread.

    Args:
        notice: anything but CARD; an unknown one is told as the state the run is in.
        view: the run as it stands when the message is sent.
        data: what belongs to the notice itself: `step`, `loss`, `cause`.
        picture_file_id: Slack's id of the uploaded picture, if there is one.
    """
    text = _WORDS.get(notice, _otherwise)(view, data)
    blocks = [section(text)]
    if picture_file_id:
        blocks.append(image(picture_file_id, _alt_text(notice, view, data)))
    return clip(text.replace("*", ""), 3000), blocks


def _step(data: Data, fallback: int) -> int:
    step = data.get("step")
    return int(step) if isinstance(step, int | float) else fallback


def _started(view: CardView, _: Data) -> str:
    plan = view.job.progress.plan
    if plan is None:
        return "Training has started."
    lines = [
        f"Training has started: {count(plan.total_steps, 'step')} in {count(plan.epochs, 'epoch')}.",
        f"It learns from {count(plan.train_conversations, 'conversation')}; "
        f"{count(plan.held_out_conversations, 'other')} {'is' if plan.held_out_conversations == 1 else 'are'} "
        "held out to test the result.",
    ]
    if plan.truncated_sequences:
        limit = view.job.configuration.hyperparameters.max_length
        longer = count(plan.truncated_sequences, "piece")
        lines.append(f"⚠ Longer than {limit:,} tokens, so split or shortened: {longer}.")
    return "\n".join(lines)


def _held_out(view: CardView, data: Data) -> str:
    progress, step = view.job.progress, _step(data, view.job.progress.step)
    loss = data.get("loss")
    shown = float(loss) if isinstance(loss, int | float) else None
    if shown is None:
        return f"Held-out conversations tested at step {step:,}."
    newest = progress.held_out is not None and progress.held_out.step == step
    moved = trend(shown, progress.previous_held_out) if newest else ""
    line = f"Step {step:,}: held-out loss *{decimal(shown)}*{moved}"
    if newest and progress.best_held_out is not None and shown > progress.best_held_out:
        line += f"\nThe best so far was {decimal(progress.best_held_out)}. If it keeps rising, the run is overfitting."
    return line


def _interrupted(view: CardView, data: Data) -> str:
    step = _step(data, view.job.kept_step)
    kept = f"Everything up to step {step:,} is saved." if step else "No checkpoint was saved yet, so it starts over."
    state = view.job.state
    # The message may be sent when the recovery has begun, and been counted, already.
    over = state is JobState.FAILED or (state is JobState.INTERRUPTED and view.job.recoveries >= MAX_RECOVERIES)
    cause = data.get("cause")
    if cause == TIME_LIMIT:  # a stop of its own, which no recovery is counted for
        return f"Its machine's time was over at {percent(view.fraction)}. {kept} It goes on by itself."
    why = f" ({cause_words(str(cause))})" if cause else ""
    more = "No automatic recovery is left." if over else "It goes on by itself."
    return f"Interrupted at {percent(view.fraction)}: the machine was lost{why}. {kept} {more}"


def _recovered(view: CardView, data: Data) -> str:
    step = _step(data, 0)
    past = view.job.progress.interruptions
    last = past[-1] if past else None
    took = f" after {duration((last.resumed_at - last.at).total_seconds())}" if last and last.resumed_at else ""
    left = f" About {rough(view.remaining_seconds)} to go." if view.remaining_seconds is not None else ""
    family = view.family
    if last is None and step and view.job.lineage and family and family.parent:
        return f"It goes on from step {step:,} of {safe(family.parent.name, 100)}.{left}"
    if not step:
        return f"Running again{took}, from the start: no checkpoint had been saved.{left}"
    return f"Running again{took}, from step {step:,}. Nothing before it is trained twice.{left}"


def _completed(view: CardView, _: Data) -> str:
    measured = view.job.progress.perplexity
    cost = f"one in {duration(view.elapsed_seconds)} for {spent(view)}{paused(view)}."
    if measured is None:
        return f"D{cost}"
    said = verdict(measured)
    return f"*{said.badge}*, d{cost}\n{said.change} than the base model on {_conversations(measured.conversations)}."


def _conversations(number: int) -> str:
    return count(number, "held-out conversation")


def _failed(view: CardView, _: Data) -> str:
    what = problem_words(view)
    return f"Failed after {took(view)}: {what}\n{_what_helps(view)}".rstrip()


def _what_helps(view: CardView) -> str:
    diagnosis, best = view.diagnosis, best_fix(view.diagnosis)
    if best:
        return f"What may help: {safe(best.label, 100)}. The card says more."
    if diagnosis and diagnosis.fixes:
        return "The card says what helps."
    return f"Another try goes on from {checkpoint_words(view.job)}." if diagnosis and diagnosis.again else ""


def _cancelled(view: CardView, data: Data) -> str:
    by, reason = data.get("by"), data.get("reason")
    who = f" by {mention(str(by))}" if by else ""
    why = f": {safe(str(reason), 60)}" if reason else ""
    if view.job.started_at is None:  # it may have been launched, and found no machine
        return f"Cancelled{who}{why}.\nIt had not started; nothing was spent."
    return f"Cancelled{who}{why}.\nFinal cost {spent(view)} for {took(view)}. Its machine is gone."


def _paused(view: CardView, data: Data) -> str:
    by = data.get("by")
    who = f" by {mention(str(by))}" if by else ""
    return f"Paused{who}. It costs nothing while it rests, and goes on from {checkpoint_words(view.job)}."


def _resumed(_: CardView, data: Data) -> str:
    by, step = data.get("by"), _step(data, 0)
    who = f" by {mention(str(by))}" if by else ""
    return f"Resumed{who}. It goes on from {f'step {step:,}' if step else 'the start'} as soon as it has a machine."


def _waiting_for_gpu(view: CardView, data: Data) -> str:
    reason = data.get("reason")
    why = f" ({safe(str(reason), 150)})" if reason else ""
    past = past_words(view.past_waits, view.wait_record) if view.wait else ""
    switch = " Its card has *Switch machine…* for another one." if view.can_switch else ""
    until = f" until {when(view.wait.gives_up_at, '{time}')}" if view.wait else ""
    minutes = count(RETRY_EVERY // timedelta(minutes=1), "minute")
    tried = f"It is tried again every {minutes}{until}; waiting costs nothing."
    return f"No GPU is free{why}. {tried}{switch} {past}".strip()


def _gpu_found(_: CardView, data: Data) -> str:
    seconds = data.get("seconds")
    after = f" after {duration(float(seconds))}" if isinstance(seconds, int | float) else ""
    return f"A GPU was found{after}. The machine is starting."


def _alert(_: CardView, data: Data) -> str:
    what = safe(str(data.get("what") or "").replace("*", "∗"), 400)
    more = [safe(str(data[key]), 400) for key in ("meaning", "todo") if data.get(key)]
    return f"⚠ *{what}*\n{' '.join(more)}"


def _invoiced(_: CardView, data: Data) -> str:
    return invoiced(data)


def _invoice_voided(_: CardView, data: Data) -> str:
    return invoice_voided(data)


def _otherwise(view: CardView, _: Data) -> str:
    return f"{state_name(view.job.state)}, {percent(view.fraction)} done."


def _alt_text(notice: Notice, view: CardView, data: Data) -> str:
    measured = view.job.progress.perplexity
    if notice is Notice.COMPLETED and measured is not None:
        return (
            f"Bar chart of perplexity on {_conversations(measured.conversations)}: "
            f"base model {decimal(measured.base, 1)}, with the adapter {decimal(measured.tuned, 1)}"
        )
    loss = data.get("loss")
    latest = f"; the latest held-out loss is {decimal(float(loss))}" if isinstance(loss, int | float) else ""
    return f"Line chart of training and held-out loss up to step {_step(data, view.job.progress.step):,}{latest}"


_WORDS: dict[Notice, Callable[[CardView, Data], str]] = {
    Notice.STARTED: _started,
    Notice.HELD_OUT: _held_out,
    Notice.INTERRUPTED: _interrupted,
    Notice.RECOVERED: _recovered,
    Notice.COMPLETED: _completed,
    Notice.FAILED: _failed,
    Notice.CANCELLED: _cancelled,
    Notice.PAUSED: _paused,
    Notice.RESUMED: _resumed,
    Notice.INVOICED: _invoiced,
    Notice.INVOICE_VOIDED: _invoice_voided,
    Notice.WAITING_FOR_GPU: _waiting_for_gpu,
    Notice.GPU_FOUND: _gpu_found,
    Notice.ALERT: _alert,
    Notice.SPEND: spend_alert,
}
