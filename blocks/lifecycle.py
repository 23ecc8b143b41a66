"""Stopping a run, letting it rest, letting it go on: the buttons on its card, and the windows behind them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks.estimate_panel import left_words
from blocks.over_budget import ask_for_limit
from blocks.run_words import checkpoint_words, spent, state_name, step_line, took
from blocks.text import Block, View, bold, button, context, input_block, modal, option, plain, safe, section, text_input
from blocks.units import money, percent, practice, rough, when
from functions.model.job import CANCEL_REASONS, Job
from functions.model.states import IN_QUEUE, RUNNING, TERMINAL, JobState
from functions.model.views import CardView, ResumeView, TierOffer

ACTION_CANCEL = "job_cancel"
ACTION_PAUSE = "job_pause"
ACTION_RESUME = "job_resume"
ACTION_PROMOTE = "job_promote"
ACTION_SWITCH = "job_switch"

CANCEL_CALLBACK = "job_cancel_form"
RESUME_CALLBACK = "job_resume_form"
SWITCH_CALLBACK = "job_switch_form"
STOPPED_CALLBACK = "job_stopped"
CANCEL_TITLE = "Cancel this run?"
RESUME_TITLE = "Resume this run"
SWITCH_TITLE = "Switch machine"

REASON_BLOCK, REASON_ACTION = "cancel_reason", "reason"
NOTES_BLOCK, NOTES_ACTION = "cancel_notes", "notes"
SURE_BLOCK, SURE_ACTION = "cancel_sure", "sure"
TIER_BLOCK, TIER_ACTION = "resume_tier", "tier"


def buttons(view: CardView) -> list[Block]:
    """What may be done with the run as it stands; nothing once somebody has asked it to stop."""
    job = view.job
    if job.state in TERMINAL or job.stop is not None:
        return []
    shown = []
    if job.state in RUNNING:
        shown.append(_pause(job))
    if job.state is JobState.PAUSED:
        shown.append(button("Resume…", ACTION_RESUME, value=str(job.id), style="primary"))
    if job.state in IN_QUEUE and view.queued is not None and view.queued.position > 1:
        shown.append(_promote(view))
    if view.can_switch:
        shown.append(button("Switch machine…", ACTION_SWITCH, value=str(job.id)))
    if job.state is not JobState.PENDING_CONFIGURATION:
        shown.append(button("Cancel…", ACTION_CANCEL, value=str(job.id)))
    return shown


def _pause(job: Job) -> Block:
    entry = button("Pause", ACTION_PAUSE, value=str(job.id))
    text = "It saves where it is and frees the machine. While it rests it costs nothing; resume it whenever you like."
    return entry | {"confirm": _confirm("Pause this run?", text, "Pause", "Let it run")}


def _promote(view: CardView) -> Block:
    entry = button("Move to front", ACTION_PROMOTE, value=str(view.job.id))
    others = view.queued.position - 1 if view.queued else 0
    waiting = "the one that waits" if others == 1 else f"the {others} that wait"
    text = f"It will start before {waiting} in front of it. Who is no manager says why, and a manager decides."
    return entry | {"confirm": _confirm("Move it to the front?", text, "Move to front", "Leave it")}


def _confirm(title: str, text: str, yes: str, no: str) -> Block:
    return {"title": plain(title, 100), "text": plain(text, 300), "confirm": plain(yes, 30), "deny": plain(no, 30)}


def cancel_view(view: CardView) -> View:
    """What would be lost, and why."""
    job = view.job
    at = f"{percent(view.fraction)} done" + (f", {step_line(job.progress)}" if job.progress.plan else "")
    facts = f"{at}\nAfter {took(view)}, {spent(view)} spent"
    reasons = [option(reason, reason) for reason in CANCEL_REASONS]
    sure = {
        "type": "checkboxes",
        "action_id": SURE_ACTION,
        "options": [option("I understand that this cannot be undone", "sure")],
    }
    reason = {
        "type": "static_select",
        "action_id": REASON_ACTION,
        "placeholder": plain("Choose a reason", 150),
        "options": reasons,
    }
    blocks = [
        section(f"{bold(job.name)}  ·  {state_name(job.state)}\n{facts}"),
        section(_what_ends(view)),
        input_block(REASON_BLOCK, "Reason", reason),
        text_input(NOTES_BLOCK, NOTES_ACTION, "Notes", multiline=True, max_length=500, optional=True),
        input_block(SURE_BLOCK, "Please confirm", sure),
    ]
    metadata = json.dumps({"job": str(job.id)})
    return modal(
        CANCEL_TITLE, blocks, callback_id=CANCEL_CALLBACK, submit="Cancel the run", close="Keep it", metadata=metadata
    )


def _what_ends(view: CardView) -> str:
    job = view.job
    if job.state in IN_QUEUE and not job.billed_seconds:
        return "It leaves the queue. Nothing was spent, and the money reserved for it is free again."
    kept = "Its curves and its log stay; no adapters are made."
    if job.progress.checkpoint_step:
        kept += f" It cannot go on from {checkpoint_words(job)} afterwards."
    stays = f"The {spent(view)} that it has cost stays spent"
    if job.state in IN_QUEUE:
        return f"It leaves the queue for good. {stays}; what is reserved for the rest is free again. {kept}"
    if job.state is JobState.PAUSED:
        ends = "It has no machine, and costs nothing while it rests. Cancelled, it ends for good."
        return f"{ends} {stays}. {kept}"
    if job.state is JobState.INTERRUPTED:
        return f"It ends for good, and no new machine is started. {stays}. {kept}"
    pause = " To go on later, pause it instead." if job.state in RUNNING else ""
    return f"Training stops for good and its machine is shut down. {kept}{pause}"


def stopping(job: Job) -> View:
    """What the cancel form turns into."""
    if job.state is JobState.CANCELLED:
        text = f"{bold(job.name)} is cancelled. Its final cost: {money(job.actual_cost_cents)}."
    else:
        text = f"{bold(job.name)} is being stopped; its machine is gone within a minute. The card tells the final cost."
    return modal("Run cancelled", [section(text)], callback_id=STOPPED_CALLBACK, ends=True)


def resume_view(view: ResumeView) -> View:
    """From where it goes on, what that costs, and on which machine."""
    job = view.job
    told = f"It goes on from {checkpoint_words(job)}, {percent(view.fraction)} done."
    return _machines(view, told, view.offers, RESUME_TITLE, RESUME_CALLBACK, submit="Resume")


def switch_view(view: ResumeView) -> View:
    """What it waits for, and where it could run instead, with what that takes and costs."""
    job = view.job
    others = tuple(offer for offer in view.offers if offer.tier.key != job.configuration.tier)
    since = f" since {when(view.wait.since, '{time}')}" if view.wait else ""
    told = (
        f"It waits for its machine{since}. On another one it takes its turn in the queue again at once, "
        f"and goes on from {checkpoint_words(job)}."
        if job.kept_step
        else f"It waits for its machine{since}. On another one it takes its turn in the queue again at once."
    )
    return _machines(view, told, others, SWITCH_TITLE, SWITCH_CALLBACK, submit="Switch")


def _machines(
    view: ResumeView, told: str, offers: Sequence[TierOffer], title: str, callback_id: str, *, submit: str
) -> View:
    """One of several machines to choose, each with the time and the money that the rest takes there."""
    job = view.job
    head = section(f"{bold(job.name)}  ·  {state_name(job.state)}\n{told}")
    if not offers:
        return modal(title, [head, section("There is no other machine that this run fits.")], callback_id=callback_id)
    options = [_machine(offer, job) for offer in offers]
    chosen = next((entry for entry in options if entry["value"] == job.configuration.tier), options[0])
    element: Block = {
        "type": "radio_buttons",
        "action_id": TIER_ACTION,
        "options": options,
        "initial_option": chosen,
    }
    blocks = [
        head,
        input_block(TIER_BLOCK, "Machine, with what is left to do there", element),
        context(f"{left_words(view.budget)}. The amount is reserved; what is not used is freed at the end."),
    ]
    cents = next((offer.rest.cents_high for offer in view.offers if offer.tier.key == chosen["value"]), 0)
    if cents > view.budget.remaining_cents:
        short = money(cents - view.budget.remaining_cents)
        blocks += [section(f"⚠ Over budget: up to {money(cents)} needed, {short} short."), ask_for_limit(cents)]
    metadata = json.dumps({"job": str(job.id), "channel": job.channel_id})
    return modal(title, blocks, callback_id=callback_id, submit=submit, metadata=metadata)


def _machine(offer: TierOffer, job: Job) -> Block:
    tier, rest = offer.tier, offer.rest
    price = f"up to {money(rest.cents_high)}{practice(tier.key)}"
    # Slack takes 75 characters of each.
    explained = "As before" if tier.key == job.configuration.tier else f"{money(tier.cents_per_hour or 0)} an hour"
    text = f"{safe(tier.name, 24)}: about {rough(rest.seconds.expected)}, {price}"
    return option(text, tier.key, description=explained, mark_up=True)


def switched(job: Job) -> View:
    """What the form for another machine turns into."""
    text = f"{bold(job.name)} is in the queue for the other machine. Its card shows when it starts."
    return modal("Machine switched", [section(text)], callback_id=STOPPED_CALLBACK, ends=True)


def resumed(job: Job) -> View:
    """What the resume form turns into."""
    text = f"{bold(job.name)} is in the queue again. Its card shows when it goes on."
    return modal("Run resumed", [section(text)], callback_id=STOPPED_CALLBACK, ends=True)
