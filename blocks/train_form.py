"""The /train form: what to train, on what, for how much. Drawn anew at every change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from blocks import estimate_panel as panel
from blocks import file_facts as facts
from blocks.text import (
    Block,
    View,
    bounded,
    clip,
    context,
    divider,
    input_block,
    modal,
    one_line,
    option,
    plain,
    safe,
    section,
    text_input,
)
from blocks.units import count, file_size, money, when
from functions.model.catalog import Tier
from functions.model.views import FileOption, PresetOption, TrainFormView

TITLE = "New training run"
TRAIN_CALLBACK = "train_form"
ACTION_NEW_RUN = "new_training_run"

# Each is the name of the field of JobChoice that it fills, so that an error finds its input.
ACTION_FILE = "training_file"
ACTION_PRESET = "preset"
ACTION_BASE_MODEL = "base_model"
ACTION_TIER = "tier"
ACTION_STEPS = "max_steps"
ACTION_NAME = "name"
ACTION_DESCRIPTION = "description"
ACTION_NOTES = "notes"
ACTION_TAGS = "tags"
ACTION_KNOWN_TAGS = "known_tags"
ACTION_CLIENT = "client"
ACTION_PROJECT = "project"
ACTION_KNOWN_CLIENT = "known_client"
ACTION_KNOWN_PROJECT = "known_project"
CHANGES = (ACTION_FILE, ACTION_PRESET, ACTION_BASE_MODEL, ACTION_TIER, ACTION_STEPS)

NAME_MIN, NAME_MAX = 3, 100
DESCRIPTION_MAX, NOTES_MAX = 500, 2000
_CLIENT_MAX = 80
_TAGS_MAX = 10
_PRESET_BLOCK = "preset"
_DEFAULT = "default"
_TYPED = "typed"


def train_form(view: TrainFormView, *, metadata: str) -> View:
    """The form for what is chosen so far. `metadata` comes back with every action."""
    blocks = [
        _file_input(view),
        *_file_facts(view),
        _preset_input(view),
        *_preset_card(view),
        *_estimate(view),
        *_base_model_input(view),
        *_tier_input(view),
        _steps_input(),
        divider(),
        *_documentation(view),
    ]
    return modal(TITLE, blocks, callback_id=TRAIN_CALLBACK, submit="Review", metadata=metadata)


def file_options(options: Sequence[FileOption]) -> dict[str, list[Block]]:
    """The answer to the search for training files."""
    return {"options": [_file_option(item) for item in options[:100]]}


def default_preset_of(block_id: str) -> str:
    """The preset that nobody chose but the form began with, by the block's id; empty if there is none."""
    kind, _, rest = block_id.removeprefix(f"{_PRESET_BLOCK}:").partition(":")
    return rest.partition(":")[0] if kind == _DEFAULT else ""


def _revised(name: str, revision: str) -> str:
    """A block id that changes with the revision: Slack keeps what stood in a block that it knows."""
    return f"{name}:{hashlib.sha256(revision.encode()).hexdigest()[:12]}"


def _file_option(item: FileOption) -> Block:
    if item.reasons:
        note = f"⚠ {item.reasons[0]}"
    else:
        scores = item.file.stats.quality
        score = f" · quality {scores.average:.1f}" if scores.average is not None else ""
        note = f"✓ {facts.counts(item.file.stats)}{score}"
    return option(item.file.name, str(item.file.id), description=note)


def _file_input(view: TrainFormView) -> Block:
    element: Block = {
        "type": "external_select",
        "action_id": ACTION_FILE,
        "min_query_length": 0,
        "placeholder": plain("Search by name", 150),
    }
    if view.file is not None:
        element["initial_option"] = _file_option(view.file)
    hint = ""
    if view.ready_files is not None:
        ready = f"{count(view.ready_files, 'file')} ready for training"
        hint = ready if view.ready_files else "No file is ready for training. Add one with /datasets."
    return input_block(ACTION_FILE, "Training file", element, hint=hint, dispatch=True)


def _file_facts(view: TrainFormView) -> list[Block]:
    if view.file is None:
        return [context("Choose a file to see its quality, the price and the time.")]
    file, stats = view.file.file, view.file.file.stats
    first = [f"*{facts.readiness(view.file)}*", *facts.refusals(view.file)]
    small = [
        f"{facts.quality(stats.quality)} ({facts.quality_parts(stats.quality)})",
        *facts.scaffolding(stats),
        f"{facts.tokens(stats.tokens)} · {file_size(file.size_bytes)} · added {when(file.created_at)}",
    ]
    head = section(f"{bounded(first)}\n{facts.counts(stats)}")
    return [head, context(bounded(small, 1900))]


def _preset_input(view: TrainFormView) -> Block:
    options = {item.preset.key: _preset_option(item) for item in view.presets[:10]}
    element: Block = {"type": "radio_buttons", "action_id": ACTION_PRESET, "options": list(options.values())}
    block_id = f"{_PRESET_BLOCK}:waiting"
    if view.file is not None:
        chosen = view.choice.preset
        kind = f"{_DEFAULT}:{chosen}:{view.file.file.id}" if view.preset_is_default else "chosen"
        block_id = clip(f"{_PRESET_BLOCK}:{kind}", 200)
        if chosen in options:
            element["initial_option"] = options[chosen]
    return input_block(block_id, "Preset", element, dispatch=True)


def _preset_option(item: PresetOption) -> Block:
    preset = item.preset
    return option(f"{preset.icon} {preset.name}", preset.key, description=preset.summary)


def _preset_card(view: TrainFormView) -> list[Block]:
    chosen = next((item for item in view.presets if item.preset.key == view.choice.preset), None)
    if chosen is None or view.file is None:
        return []
    preset = chosen.preset
    uses = ", ".join(safe(one_line(use), 60) for use in preset.use_cases[:6])
    lines = [
        panel.settings_in_words(chosen.hyperparameters),
        f"*Risk: {safe(preset.risk, 40)}*. {safe(preset.risk_explained, 200)}",
        f"*{panel.success(chosen.record)}*" + (f" · good for: {uses}" if uses else ""),
    ]
    return [context("\n".join(lines))]


def _base_model_input(view: TrainFormView) -> list[Block]:
    if len(view.base_models) < 2:
        return []
    options = {item.key: option(item.name, item.key, description=item.hub_id) for item in view.base_models[:100]}
    element: Block = {"type": "static_select", "action_id": ACTION_BASE_MODEL, "options": list(options.values())}
    if view.choice.base_model in options:
        element["initial_option"] = options[view.choice.base_model]
    return [input_block(ACTION_BASE_MODEL, "Base model", element, dispatch=True)]


def _tier_input(view: TrainFormView) -> list[Block]:
    offered = [tier for tier in view.tiers if tier.offered][:10]
    blocks: list[Block] = []
    if offered:
        options = {tier.key: _tier_option(tier) for tier in offered}
        element: Block = {"type": "radio_buttons", "action_id": ACTION_TIER, "options": list(options.values())}
        if view.choice.tier in options:
            element["initial_option"] = options[view.choice.tier]
        blocks.append(input_block(ACTION_TIER, "Where to train", element, dispatch=True))
    chosen = next((tier for tier in offered if tier.key == view.choice.tier), None)
    notes = [safe(chosen.explanation, 300)] if chosen else []
    if chosen and view.tier_record:
        notes.append(panel.reliability(view.tier_record))
    notes += [f"~{safe(tier.name, 60)}~  {safe(tier.explanation, 300)}" for tier in view.tiers if not tier.offered]
    return [*blocks, context(bounded(notes, 1900))] if notes else blocks


def _tier_option(tier: Tier) -> Block:
    price = f"{money(tier.cents_per_hour or 0)} an hour{panel.practice_rate(tier)}"
    return option(f"{tier.name} · {price}", tier.key)


def _steps_input() -> Block:
    element: Block = {
        "type": "number_input",
        "action_id": ACTION_STEPS,
        "is_decimal_allowed": False,
        "min_value": "1",
        "dispatch_action_config": {"trigger_actions_on": ["on_character_entered"]},
    }
    hint = "For a quick trial before the whole run. Empty: all epochs."
    return input_block(ACTION_STEPS, "Stop after steps", element, hint=hint, optional=True, dispatch=True)


def _estimate(view: TrainFormView) -> list[Block]:
    tier = next((item for item in view.tiers if item.key == view.choice.tier), None)
    estimate = view.estimate
    if estimate is None or tier is None:
        return []
    arrow = panel.change(estimate, view.previous_cents)
    first = [panel.headline(estimate, tier) + (f"  ·  {arrow}" if arrow else ""), panel.breakdown(estimate, tier)]
    preset = next((item.preset.name for item in view.presets if item.preset.key == view.choice.preset), "")
    small = [panel.completion(estimate), panel.basis(estimate, preset), panel.budget_after(view.budget, estimate)]
    if view.memory is not None:
        small.append(panel.memory_line(view.memory))
    beside = [panel.comparison(view.alternatives), panel.tips(view.tips)]
    return [
        divider(),
        section("\n".join(first)),
        context("\n".join(line for line in small if line)),
        *(context(text) for text in beside if text),
        *warning_block(view.warnings),
        divider(),
    ]


def warning_block(warnings: Sequence[str]) -> list[Block]:
    """What to think about before it starts; nothing where there is nothing."""
    lines = [f"⚠ {safe(warning, 300)}" for warning in warnings]
    return [section(bounded(lines))] if lines else []


def _documentation(view: TrainFormView) -> list[Block]:
    choice = view.choice
    shown = _name(view)
    # Only a suggestion gives way: what a person typed, and goes on typing, stays in a block of its own.
    revision = view.revision if shown in ("", view.suggested_name) else _TYPED
    name = text_input(
        _revised(ACTION_NAME, revision),
        ACTION_NAME,
        "Name",
        initial_value=clip(shown, NAME_MAX),
        min_length=NAME_MIN,
        max_length=NAME_MAX,
    )
    purpose = "First production model for Acme"
    idea = "Your hypothesis, what you vary, what you expect"
    return [
        name,
        _long(ACTION_DESCRIPTION, "What is this run for?", choice.description, DESCRIPTION_MAX, purpose),
        _long(ACTION_NOTES, "Notes", choice.notes, NOTES_MAX, idea),
        *_tags(view),
        *_known_or_new(ACTION_CLIENT, ACTION_KNOWN_CLIENT, "client", choice.client, view.clients_known),
        *_known_or_new(ACTION_PROJECT, ACTION_KNOWN_PROJECT, "project", choice.project, view.projects_known),
    ]


def _long(action: str, label: str, value: str, limit: int, placeholder: str) -> Block:
    return text_input(
        action,
        action,
        label,
        initial_value=clip(value, limit),
        placeholder=placeholder,
        max_length=limit,
        multiline=True,
        optional=True,
    )


def _known_or_new(action: str, known_action: str, noun: str, value: str, known: Sequence[str]) -> list[Block]:
    """Those of earlier runs to choose from, and a field for another one; the field alone while there are none."""
    options = {name: option(name, name) for name in known[:100]}
    if not options:
        return [_short(action, noun.capitalize(), value)]
    element: Block = {"type": "static_select", "action_id": known_action, "options": list(options.values())}
    element["placeholder"] = plain(f"Choose a {noun}", 150)
    if value in options:
        element["initial_option"] = options[value]
    typed = "" if value in options else value
    return [
        input_block(known_action, noun.capitalize(), element, optional=True),
        _short(action, f"New {noun}", typed),
    ]


def _short(action: str, label: str, value: str) -> Block:
    initial = clip(value, _CLIENT_MAX)
    return text_input(action, action, label, initial_value=initial, max_length=_CLIENT_MAX, optional=True)


def _name(view: TrainFormView) -> str:
    """What the person typed; a name that an earlier choice suggested gives way to the new suggestion."""
    typed = view.choice.name
    presets = "|".join(re.escape(item.preset.name) for item in view.presets)
    suggested = re.fullmatch(rf".* - (?:{presets}) - \d{{4}}-\d\d-\d\d(?: v\d+)?", typed, re.DOTALL)
    name = view.suggested_name if suggested or not typed else typed
    return name if len(name) >= NAME_MIN else ""


def _tags(view: TrainFormView) -> list[Block]:
    known = dict.fromkeys(tag for tag in view.tags_known if 0 < len(tag) <= 75)
    options = {tag: option(tag, tag) for tag in list(known)[:100]}
    chosen = [tag for tag in dict.fromkeys(view.choice.tags) if tag in options][:_TAGS_MAX]
    new = ", ".join(tag for tag in view.choice.tags if tag not in options)
    typed = text_input(
        ACTION_TAGS,
        ACTION_TAGS,
        "New tags" if options else "Tags",
        initial_value=clip(new, 400),
        max_length=400,
        hint="Separate them with commas: 3 to 30 letters, digits or hyphens each, at most ten tags in all.",
        optional=True,
    )
    if not options:
        return [typed]
    element: Block = {
        "type": "multi_static_select",
        "action_id": ACTION_KNOWN_TAGS,
        "options": list(options.values()),
        "max_selected_items": _TAGS_MAX,
    }
    if chosen:
        element["initial_options"] = [options[tag] for tag in chosen]
    return [input_block(ACTION_KNOWN_TAGS, "Tags", element, optional=True), typed]
