"""What can be chosen for a run, and what a choice amounts to: the form and the review."""

from __future__ import annotations

from datetime import datetime

from functions import catalog
from functions.alternatives import Priced, alternatives, saving_tips
from functions.approval_rules import needs_approval
from functions.budget import budget_status
from functions.errors import InvalidInput
from functions.estimate import History, estimate_run
from functions.failure_history import failure_warnings
from functions.file_options import chosen_file, find_files, require_eligible
from functions.forecast import forecast
from functions.history import team_history
from functions.model.catalog import BaseModelCard
from functions.model.estimate import Estimate, InterruptionRecord, MemoryNeed
from functions.model.job import Configuration, JobChoice, PresetRecord
from functions.model.training_file import TrainingFile
from functions.model.views import Alternative, FileOption, PresetOption, ReviewView, SavingTip, TrainFormView
from functions.names import (
    DESCRIPTION_MAX,
    NOTES_MAX,
    check_length,
    clean_name,
    clean_tags,
    suggest_name,
)
from functions.ports import Files, Transaction
from functions.run_memory import run_memory
from functions.start_warnings import start_warnings
from functions.training_files import default_preset

_COUNTED = 1000
COMMON_TAGS = ("experiment", "production", "client-delivery", "test", "poc")


def complete_choice(choice: JobChoice, *, provider: str, file: TrainingFile | None) -> JobChoice:
    """The choice with what follows from it where nothing was chosen: preset by size, first tier and model."""
    preset = choice.preset or (default_preset(file.stats.conversations) if file else catalog.presets()[0].key)
    tier = choice.tier or next(t.key for t in catalog.tiers_of(provider) if t.offered)
    model = choice.base_model or catalog.models_of(provider)[-1].key
    return choice.model_copy(update={"preset": preset, "tier": tier, "base_model": model})


def configuration_of(choice: JobChoice) -> Configuration:
    """What will run for a complete choice.

    Raises:
        InvalidInput: an unknown preset, tier or model, or a tier that is not offered.
    """
    tier = catalog.tier(choice.tier)
    if not tier.offered:
        raise InvalidInput(f"{tier.name} is not offered. {tier.explanation}", field="tier")
    model = catalog.base_model(choice.base_model)
    settings = catalog.hyperparameters_for(catalog.preset(choice.preset), model)
    settings = settings.model_copy(
        update={"max_steps": choice.max_steps, "max_length": min(settings.max_length, model.context)}
    )
    return Configuration(base_model=model.key, tier=tier.key, preset=choice.preset, hyperparameters=settings)


def train_form(
    tx: Transaction,
    files: Files,
    *,
    team_id: str,
    choice: JobChoice,
    provider: str,
    now: datetime,
    previous_cents: int | None = None,
) -> TrainFormView:
    """The form for what has been chosen so far."""
    file = chosen_file(tx, files, team_id=team_id, file_id=choice.training_file_id) if choice.training_file_id else None
    preset_is_default = not choice.preset
    choice = complete_choice(choice, provider=provider, file=file.file if file else None)
    model, chosen = catalog.base_model(choice.base_model), catalog.preset(choice.preset)
    budget = budget_status(tx, team_id=team_id, now=now)
    expected: Estimate | None = None
    memory: MemoryNeed | None = None
    beside: tuple[Alternative, ...] = ()
    tips: tuple[SavingTip, ...] = ()
    record: InterruptionRecord | None = None
    if file is not None:
        memory = run_memory(configuration_of(choice), file.file)
        history = team_history(tx, team_id=team_id, now=now)
        expected = quote_from(history, file=file.file, choice=choice, now=now)
        record = history.interruptions.get(choice.tier)
        beside, tips = _compared(history, file=file.file, choice=choice, provider=provider, now=now)
    return TrainFormView(
        choice=choice,
        file=file,
        ready_files=None if file else _ready_files(tx, team_id),
        presets=_preset_options(model, tx.jobs.preset_records(team_id)),
        tiers=catalog.tiers_of(provider),
        base_models=catalog.models_of(provider),
        estimate=expected,
        memory=memory,
        budget=budget,
        budget_after_cents=budget.limit_cents - budget.used_cents - expected.cents_high if expected else None,
        previous_cents=previous_cents,
        warnings=(
            *start_warnings(expected, memory, budget),
            *failure_warnings(tx, team_id=team_id, configuration=configuration_of(choice)),
        ),
        tags_known=tuple(dict.fromkeys((*COMMON_TAGS, *tx.jobs.tags(team_id)))),
        clients_known=tuple(tx.jobs.clients_used(team_id)),
        projects_known=tuple(tx.jobs.projects_used(team_id)),
        suggested_name=_free_name(tx, team_id, file.file, chosen.name, now) if file else "",
        revision=f"{choice.training_file_id}:{choice.preset}" if file else "",
        preset_is_default=preset_is_default,
        alternatives=beside,
        tips=tips,
        tier_record=record,
    )


def _ready_files(tx: Transaction, team_id: str) -> int:
    found = find_files(tx, team_id=team_id, text="", limit=_COUNTED)
    return sum(not option.reasons for option in found)


def check_choice(choice: JobChoice) -> JobChoice:
    """The choice with its texts cleaned.

    Raises:
        InvalidInput: a text is too long, too short or of the wrong form; `field` says which.
    """
    return choice.model_copy(
        update={
            "name": clean_name(choice.name),
            "description": check_length(choice.description, limit=DESCRIPTION_MAX, field="description"),
            "notes": check_length(choice.notes, limit=NOTES_MAX, field="notes"),
            "tags": clean_tags(choice.tags),
            "client": check_length(choice.client, limit=80, field="client"),
            "project": check_length(choice.project, limit=80, field="project"),
        }
    )


def startable(
    tx: Transaction, files: Files, *, team_id: str, choice: JobChoice, provider: str
) -> tuple[FileOption, JobChoice]:
    """The chosen file and the completed, cleaned choice, if a run could be started from them now.

    Raises:
        InvalidInput: something is missing, malformed or taken; `field` says what.
        NotFound, NotEligible: the file is gone, or may not be trained on now.
    """
    if choice.training_file_id is None:
        raise InvalidInput("Choose a training file first.", field="training_file")
    option = chosen_file(tx, files, team_id=team_id, file_id=choice.training_file_id)
    require_eligible(option)
    choice = check_choice(complete_choice(choice, provider=provider, file=option.file))
    if tx.jobs.name_taken(team_id, choice.name):
        raise InvalidInput("A run of this name exists already. Add a version number or a detail.", field="name")
    return option, choice


def review(
    tx: Transaction,
    files: Files,
    *,
    team_id: str,
    choice: JobChoice,
    provider: str,
    now: datetime,
    may_override: bool = False,
) -> ReviewView:
    """Everything chosen, checked, with what it costs. `may_override`: the reader may pass the limit.

    Raises:
        InvalidInput: something is missing or malformed; `field` says what.
        NotEligible: the file may not be trained on now.
    """
    option, choice = startable(tx, files, team_id=team_id, choice=choice, provider=provider)
    configuration = configuration_of(choice)
    model, tier = catalog.base_model(choice.base_model), catalog.tier(choice.tier)
    budget = budget_status(tx, team_id=team_id, now=now)
    history = team_history(tx, team_id=team_id, now=now)
    expected = quote_from(history, file=option.file, choice=choice, now=now)
    memory = run_memory(configuration_of(choice), option.file)
    beside, tips = _compared(history, file=option.file, choice=choice, provider=provider, now=now)
    presets = _preset_options(model, tx.jobs.preset_records(team_id))
    return ReviewView(
        choice=choice,
        configuration=configuration,
        file=option.file,
        preset=next(item for item in presets if item.preset.key == choice.preset),
        tier=tier,
        base_model=model,
        estimate=expected,
        memory=memory,
        budget=budget,
        warnings=(
            *start_warnings(expected, memory, budget),
            *failure_warnings(tx, team_id=team_id, configuration=configuration),
        ),
        within_budget=expected.cents_high <= budget.remaining_cents,
        approval=needs_approval(expected, tier, budget.remaining_cents),
        alternatives=beside,
        tips=tips,
        forecast=forecast(tx, team_id=team_id, now=now),
        may_override=may_override and not budget.hard_stop,
    )


def quote(tx: Transaction, *, team_id: str, file: TrainingFile, choice: JobChoice, now: datetime) -> Estimate:
    """The estimate of a complete choice, from the team's own history where there is any."""
    return quote_from(team_history(tx, team_id=team_id, now=now), file=file, choice=choice, now=now)


def quote_from(history: History, *, file: TrainingFile, choice: JobChoice, now: datetime) -> Estimate:
    """The estimate of a complete choice from history that was gathered before."""
    return quote_for(history, file=file, configuration=configuration_of(choice), now=now)


def quote_for(history: History, *, file: TrainingFile, configuration: Configuration, now: datetime) -> Estimate:
    """The estimate of a configuration from history that was gathered before."""
    return estimate_run(
        stats=file.stats,
        model=catalog.base_model(configuration.base_model),
        tier=catalog.tier(configuration.tier),
        settings=configuration.hyperparameters,
        preset=configuration.preset,
        held_out_fraction=configuration.held_out_fraction,
        history=history,
        now=now,
    )


def _compared(
    history: History, *, file: TrainingFile, choice: JobChoice, provider: str, now: datetime
) -> tuple[tuple[Alternative, ...], tuple[SavingTip, ...]]:
    def price(other: JobChoice) -> Priced:
        return Priced(
            quote_from(history, file=file, choice=other, now=now), run_memory(configuration_of(other), file).fits
        )

    shown = alternatives(price, choice=choice, provider=provider)
    return shown, saving_tips(price, choice=choice, shown=shown)


def _preset_options(model: BaseModelCard, records: dict[str, PresetRecord]) -> tuple[PresetOption, ...]:
    return tuple(
        PresetOption(
            preset=preset,
            hyperparameters=catalog.hyperparameters_for(preset, model),
            record=records.get(preset.key, PresetRecord()),
        )
        for preset in catalog.presets()
    )


def _free_name(tx: Transaction, team_id: str, file: TrainingFile, preset_name: str, now: datetime) -> str:
    """The suggested name, with `v2`, `v3` … where it is taken."""
    base = suggest_name(file_name=file.name, preset_name=preset_name, day=now.date())
    name, version = base, 1
    while tx.jobs.name_taken(team_id, name):
        version += 1
        ending = f" v{version}"
        name = base[: 100 - len(ending)] + ending
    return name
