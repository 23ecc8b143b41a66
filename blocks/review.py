"""The review before a run starts: everything chosen, what it costs, three things to confirm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks import estimate_panel as panel
from blocks import file_facts as facts
from blocks.approvals import ACTION_ASK_LIMIT, ACTION_ASK_START
from blocks.over_budget import forecast_words, over_budget
from blocks.text import (
    Block,
    View,
    actions,
    bold,
    button,
    channel,
    context,
    divider,
    input_block,
    modal,
    option,
    safe,
    safe_lines,
    section,
)
from blocks.train_form import warning_block
from blocks.units import count, money, money_range, practice, rate, share
from functions.budget import period_words
from functions.model.approval import ApprovalKind
from functions.model.estimate import Estimate
from functions.model.job import Configuration, Job, JobChoice
from functions.model.views import ReviewView

TITLE = "Review and start"
REVIEW_CALLBACK = "review_and_start"
STARTED_CALLBACK = "run_started"
ACTION_QUOTE = "download_estimate"
CHECKLIST_BLOCK = "checklist"
CHECKLIST_ACTION = "confirmed"
CHECKED_CONFIGURATION = "configuration"
CHECKED_COST = "cost"
CHECKED_APPROVAL = "approval"
_ALL = frozenset({CHECKED_CONFIGURATION, CHECKED_COST, CHECKED_APPROVAL})


def review(view: ReviewView, *, metadata: str, note: str = "") -> View:
    """The view that is pushed on top of the form. `note` says how the download of the estimate went."""
    blocks = [
        section(f"{bold(view.choice.name)}\n{panel.headline(view.estimate, view.tier)}"),
        *warning_block(view.warnings),
        divider(),
        section(_data(view)),
        section(_method(view)),
        section(_machine(view)),
        divider(),
        section(_cost(view)),
        context(_small_print(view)),
        actions(button("Download estimate", ACTION_QUOTE), *_ask(view)),
        *([context(safe(note, 500))] if note else []),
        *over_budget(view),
        *_documentation(view.choice),
        _checklist(view.estimate, view.tier.key),
    ]
    return modal(TITLE, blocks, callback_id=REVIEW_CALLBACK, submit="Start training", close="Back", metadata=metadata)


def _ask(view: ReviewView) -> list[Block]:
    """Where the run cannot start by itself: ask somebody who can let it."""
    kind = view.approval
    if kind is None:
        return []
    shown = [button("Ask for approval…", ACTION_ASK_START, value=kind.value, style="primary")]
    if view.budget.hard_stop and kind is ApprovalKind.OVER_BUDGET_START:
        shown = []  # no approval would help
    if kind is ApprovalKind.OVER_BUDGET_START:
        shown.append(button("Ask for a higher limit…", ACTION_ASK_LIMIT, value=str(view.estimate.cents_high)))
    return shown


def checklist_complete(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bool:
    """Whether all three boxes are ticked, by the view's state."""
    ticked = values.get(CHECKLIST_BLOCK, {}).get(CHECKLIST_ACTION, {}).get("selected_options") or []
    return {entry["value"] for entry in ticked} >= _ALL


def started(job: Job) -> View:
    """What the review turns into once the run is queued."""
    place = channel(job.channel_id) or "our direct messages"
    text = (
        f"✓ {bold(job.name)} is queued.\n"
        f"Its card in {place} shows every step, and tells you when it is done. You can close this window."
    )
    reserved = f"{money(job.estimate.cents_high)}{practice(job.configuration.tier)}"
    note = f"{reserved} is reserved; what is not used is freed at the end."
    return modal("Training queued", [section(text), context(note)], callback_id=STARTED_CALLBACK, ends=True)


def _data(view: ReviewView) -> str:
    stats, part = view.file.stats, view.configuration.held_out_fraction
    held_out = round(stats.conversations * part)
    return "\n".join(
        (
            f"*Training file*: {safe(view.file.name, 150)}",
            facts.summary(view.file),
            f"About {count(held_out, 'conversation')} ({share(part)}) held out to test the result, never trained on",
        )
    )


def _method(view: ReviewView) -> str:
    preset = view.preset.preset
    risk = safe(preset.risk.lower(), 40)
    return "\n".join(
        (
            f"*Preset*: {safe(preset.name, 60)}, {risk} risk · {panel.success(view.preset.record)}",
            f"*Base model*: {safe(view.base_model.name, 80)}",
            settings_line(view.configuration),
        )
    )


def settings_line(configuration: Configuration) -> str:
    """Every hyperparameter in one paragraph."""
    chosen = configuration.hyperparameters
    method = "QLoRA (4-bit base model)" if configuration.engine.quantization == "nf4" else "LoRA"
    schedule = f"{safe(chosen.lr_scheduler, 40)}, warm-up {share(chosen.warmup_ratio)}"
    parts = [
        method,
        f"rank {chosen.rank}",
        f"alpha {chosen.alpha}",
        f"dropout {chosen.dropout:g}",
        f"learning rate {rate(chosen.learning_rate)} ({schedule})",
        count(chosen.epochs, "epoch"),
        f"batch {chosen.batch_size}, accumulated {chosen.gradient_accumulation_steps} times",
        f"sequences up to {count(chosen.max_length, 'token')}",
        f"seed {chosen.seed}",
    ]
    if chosen.max_steps is not None:
        parts.append(f"stops after {count(chosen.max_steps, 'step')}")
    modules = safe(", ".join(chosen.target_modules), 300)
    return f"{' · '.join(parts)}\nAdapters on {modules}"


def _machine(view: ReviewView) -> str:
    tier = view.tier
    price = f"{money(tier.cents_per_hour)} an hour{panel.practice_rate(tier)}" if tier.cents_per_hour else "no price"
    return f"*Machine*: {safe(tier.name, 80)} · {price}\n{safe(tier.explanation, 300)}"


def _cost(view: ReviewView) -> str:
    budget, estimate = view.budget, view.estimate
    used = f"{money(budget.spent_cents)} spent and {money(budget.reserved_cents)} reserved"
    lines = [
        f"*Cost*: {money_range(estimate.cents_low, estimate.cents_high)}{practice(view.tier.key)}",
        panel.breakdown(estimate, view.tier),
        f"*Budget {period_words(budget.period)}*: {used} of {money(budget.limit_cents)}",
    ]
    lines.append(forecast_words(view) if view.within_budget else panel.budget_after(budget, estimate))
    return "\n".join(line for line in lines if line)


def _small_print(view: ReviewView) -> str:
    preset, estimate = view.preset.preset.name, view.estimate
    lines = [panel.completion(estimate), panel.basis(estimate, preset), panel.memory_line(view.memory)]
    return "\n".join(line for line in lines if line)


def _documentation(choice: JobChoice) -> list[Block]:
    lines = [
        f"*For*: {safe_lines(choice.description, 900)}" if choice.description else "",
        f"*Client*: {safe(choice.client, 100)}" if choice.client else "",
        f"*Project*: {safe(choice.project, 100)}" if choice.project else "",
        f"*Tags*: {', '.join(safe(tag, 40) for tag in choice.tags[:20])}" if choice.tags else "",
        f"*Notes*: {safe_lines(choice.notes, 600)}" if choice.notes else "",
    ]
    shown = [line for line in lines if line]
    return [divider(), section("\n".join(shown))] if shown else []


def _checklist(estimate: Estimate, tier: str) -> Block:
    cost = f"{money_range(estimate.cents_low, estimate.cents_high)}{practice(tier)}"
    options = [
        option("I have reviewed the configuration above and it is correct", CHECKED_CONFIGURATION),
        option(f"I understand the estimated cost ({cost})", CHECKED_COST),
        option("I have budget approval, if my organization requires it", CHECKED_APPROVAL),
    ]
    element: Block = {"type": "checkboxes", "action_id": CHECKLIST_ACTION, "options": options}
    return input_block(CHECKLIST_BLOCK, "Before it starts", element)
