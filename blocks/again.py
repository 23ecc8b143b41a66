"""The window in which a run is tried again: from its checkpoint or anew, as it was or changed."""

from __future__ import annotations

import json

from blocks import estimate_panel as panel
from blocks.failure import change_lines, success_words
from blocks.over_budget import ask_for_limit
from blocks.review import settings_line
from blocks.run_words import spent_words, state_name
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
    plain,
    safe,
    section,
)
from blocks.units import count, duration, money, percent, practice, when
from functions.model.again import SCHEDULES, AgainChoice, AgainView
from functions.model.diagnosis import Fix
from functions.model.job import Job

ACTION_AGAIN = "job_again"
AGAIN_CALLBACK = "job_again_form"
AGAIN_STARTED_CALLBACK = "job_again_started"
AGAIN_REFUSED_CALLBACK = "job_again_refused"
TITLE = "Try again"

ACTION_HOW = "again_how"
ACTION_TIER = "again_tier"
ACTION_EPOCHS = "again_epochs"
ACTION_SCHEDULE = "again_schedule"
ACTION_BATCH = "again_batch"
CHANGES = (ACTION_HOW, ACTION_TIER, ACTION_EPOCHS, ACTION_SCHEDULE, ACTION_BATCH)

_SCHEDULE_NAMES = {
    "cosine": "Cosine: falls slowly, then fast, then slowly",
    "linear": "Linear: falls evenly",
    "constant_with_warmup": "Constant after the warm-up",
}
_EPOCHS_MAX = 8


def again_button(job: Job, text: str = "Try again with changes…") -> Block:
    """Opens the window."""
    return button(text, ACTION_AGAIN, value=str(job.id))


def again_form(view: AgainView, *, key: str) -> View:
    """What ended, what would be made of it, what differs, what it costs."""
    blocks = [
        section(_before(view)),
        *([_how(view)] if not view.no_resume else [context(safe(view.no_resume, 300))]),
        *_settings(view),
        divider(),
        section(_differences(view)),
        section(_cost(view)),
        *_hints(view),
    ]
    return _modal(view, blocks, key)


def _hints(view: AgainView) -> list[Block]:
    """What to look out for, the way to more money where it lacks, and how often trying again worked."""
    cents = view.estimate.cents_high
    return [
        *(section(f"⚠ {safe(warning, 400)}") for warning in view.warnings),
        *([ask_for_limit(cents)] if cents > view.budget.remaining_cents else []),
        *_record(view),
    ]


def _modal(view: AgainView, blocks: list[Block], key: str) -> View:
    job = view.parent
    kept = {"job": str(job.id), "fix": view.choice.fix_key, "key": key, "channel": job.channel_id}
    return modal(TITLE, blocks, callback_id=AGAIN_CALLBACK, submit="Start", metadata=json.dumps(kept))


def retry_confirmation(view: AgainView, *, key: str) -> View:
    """The same once more: what failed, what would be made, what it costs and when it starts."""
    over = f"It starts over. {safe(view.no_resume, 300)}" if view.no_resume else ""
    how = over if not view.resumes else f"It goes on {_go_on(view)}."
    blocks = [
        section(_before(view)),
        section(f"A new run, {bold(view.name)}, with the same settings. {how}"),
        context(settings_line(view.configuration)),
        section(_cost(view)),
        *_hints(view),
        actions(again_button(view.parent, "Change settings…")),
    ]
    return _modal(view, blocks, key)


def _go_on(view: AgainView) -> str:
    """`from step 850, 42 % of it is done`."""
    step, total = view.resume_step or 0, view.total_steps
    if step >= total:
        return "where its training is complete: only packing the adapters is left"
    return f"from step {step:,}, {percent(step / total)} of it is done"


def not_started(why: str) -> View:
    """What the confirmation turns into where it could not be started."""
    return modal(TITLE, [section(f"⚠ {safe(why, 1000)}")], callback_id=AGAIN_REFUSED_CALLBACK)


def _before(view: AgainView) -> str:
    job = view.parent
    failure = job.progress.failure
    why = f"\n{safe(failure.what, 300)}" if failure else ""
    spent = spent_words(view.spent_cents, job.configuration.tier)
    return f"{bold(job.name)}  ·  {state_name(job.state)}{why}\nAfter {duration(view.elapsed_seconds)}, {spent} spent."


def _how(view: AgainView) -> Block:
    go_on = option(f"Go on {_go_on(view)}", "resume")
    over = option("Start over from the beginning", "restart")
    element: Block = {
        "type": "radio_buttons",
        "action_id": ACTION_HOW,
        "options": [go_on, over],
        "initial_option": go_on if view.resumes else over,
    }
    return input_block(f"how:{view.choice.fix_key}", "How", element, dispatch=True)


def _settings(view: AgainView) -> list[Block]:
    """What may be changed. The block ids carry what a fix chose, so that its values show."""
    chosen = view.configuration.hyperparameters
    mark = view.choice.fix_key
    epochs = [option(count(number, "epoch"), str(number)) for number in range(1, max(_EPOCHS_MAX, chosen.epochs) + 1)]
    schedules = [option(_SCHEDULE_NAMES[name], name) for name in SCHEDULES]
    batches = [
        option(f"{size}, accumulated {count(_step(view) // size, 'time')}", str(size)) for size in view.batch_sizes
    ]
    tiers = [
        option(f"{tier.name}, {money(tier.cents_per_hour or 0)} an hour{practice(tier.key)}", tier.key)
        for tier in view.tiers
    ]
    blocks = [
        _select(f"epochs:{mark}", "Epochs in all", ACTION_EPOCHS, epochs, str(chosen.epochs)),
        _select(f"batch:{mark}", "Sequences at once", ACTION_BATCH, batches, str(chosen.batch_size)),
        _select(f"schedule:{mark}", "Learning-rate schedule", ACTION_SCHEDULE, schedules, chosen.lr_scheduler),
    ]
    if len(tiers) > 1:
        blocks.append(_select(f"tier:{mark}", "Machine", ACTION_TIER, tiers, view.configuration.tier))
    return blocks


def _step(view: AgainView) -> int:
    settings = view.configuration.hyperparameters
    return settings.batch_size * settings.gradient_accumulation_steps


def _select(block_id: str, label: str, action: str, options: list[Block], chosen: str) -> Block:
    element: Block = {"type": "static_select", "action_id": action, "options": options}
    element["placeholder"] = plain("As it was", 150)
    initial = next((entry for entry in options if entry["value"] == chosen), None)
    if initial is not None:
        element["initial_option"] = initial
    return input_block(block_id, label, element, dispatch=True)


def _differences(view: AgainView) -> str:
    """The changed settings as a diff, or that there are none."""
    new = f"A new run, {bold(view.name)}, linked to this one."
    if not view.changes:
        return f"{new}\nIts settings are the same."
    lines = change_lines(Fix(key="", label="changes", changes=view.changes))
    return "\n".join([new, "*What changes*", *(f"• {line}" for line in lines)])


def _cost(view: AgainView) -> str:
    tier = next(item for item in view.tiers if item.key == view.configuration.tier)
    rest = "The rest" if view.resumes else "The whole run"
    place = "Next in the queue" if view.position == 1 else f"Number {view.position} in the queue"
    starts = f"{place}, starts about {when(view.starts_at, '{time}')}."
    quoted = f"*{rest}* on {safe(tier.name, 60)}: {panel.headline(view.estimate, tier)}"
    return f"{quoted}\n{panel.left_words(view.budget)}.\n{starts}"


def _record(view: AgainView) -> list[Block]:
    """How such tries did, where any has ended."""
    said = []
    if view.fix is not None and success_words(view.fix):
        said.append(f"This suggestion {success_words(view.fix)}.")
    rate = view.record.success_rate
    if rate is not None:
        said.append(f"{percent(rate)} of {count(view.record.ended, 'run')} tried again completed.")
    return [context(" ".join(said))] if said else []


def again_started(job: Job) -> View:
    """What the window turns into."""
    place = channel(job.channel_id) or "our direct messages"
    text = f"✓ {bold(job.name)} is queued. It has a card of its own in {place}."
    return modal("Started", [section(text)], callback_id=AGAIN_STARTED_CALLBACK, ends=True)


def read_again_form(values: dict[str, dict[str, dict[str, object]]], kept: dict[str, str]) -> AgainChoice:
    """The choice in a view's state; `kept` is what its metadata carries."""
    found = {}
    for elements in values.values():
        for action, state in elements.items():
            selected = state.get("selected_option")
            if isinstance(selected, dict):
                found[action] = str(selected["value"])
    return AgainChoice.model_validate(
        {
            "job_id": kept["job"],
            "fix_key": kept.get("fix", ""),
            "how": found.get(ACTION_HOW),
            "tier": found.get(ACTION_TIER),
            "epochs": found.get(ACTION_EPOCHS),
            "lr_scheduler": found.get(ACTION_SCHEDULE),
            "batch_size": found.get(ACTION_BATCH),
        }
    )
