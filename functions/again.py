"""Trying a job again: as it was, with a suggested fix, or from its checkpoint with other settings."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import uuid4

from functions import catalog
from functions.access import require
from functions.approval_rules import require_no_approval
from functions.budget import budget_status
from functions.checkpoints import checkpoint_source
from functions.configure import quote_for
from functions.errors import Conflict, InvalidInput
from functions.estimate import planned_steps
from functions.failure_history import diagnosis_of, failure_warnings, take_suggestion
from functions.file_options import chosen_file, get_file, require_eligible
from functions.find_job import get_job
from functions.fixes import apply_fix, changes_between, settings_of
from functions.history import team_history
from functions.lineage import differences, inherited_notes
from functions.model.again import SCHEDULES, AgainChoice, AgainView
from functions.model.diagnosis import Fix
from functions.model.events import Stage
from functions.model.job import Configuration, Job, JobChoice, Lineage, NewJob
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.model.states import TERMINAL, JobState
from functions.model.views import QueueLimits
from functions.names import NAME_MAX
from functions.pace import elapsed_seconds
from functions.ports import Clock, Database, Files, Transaction
from functions.queue import place_of_next, require_place_in_queue
from functions.rest import ASK_ANEW, require_tier_of_same, rest_of
from functions.start import enqueue
from functions.start_warnings import over_budget_warning

_SUFFIX = re.compile(r" \(Retry #\d+\)$")
# What a checkpoint holds is of these; another value of one of them needs another training.
_MUST_STAY = ("base_model", "rank", "alpha", "dropout", "max_length", "seed", "quantization", "held_out_fraction")


def again_view(tx: Transaction, *, team_id: str, choice: AgainChoice, now: datetime, limits: QueueLimits) -> AgainView:
    """What trying again would make, with what it costs and when it would start.

    Raises:
        NotFound: no such job in the team.
        Conflict: it has not ended, another run is on its file, or the suggestion is of other settings.
        InvalidInput: a setting that cannot be used.
    """
    parent = get_job(tx, team_id=team_id, job_id=choice.job_id)
    if parent.state not in TERMINAL:
        raise Conflict(f"{parent.name} has not ended: it is {parent.state.value}.")
    file = get_file(tx, team_id=team_id, file_id=parent.training_file_id)
    other = tx.jobs.active_on_file(file.id)
    if other is not None:
        raise Conflict(f"{other} is running on the same training file.", fix="Try again when it has ended.")
    fix = _fix(tx, parent, choice.fix_key)
    configuration = changed(parent.configuration, choice, fix)
    source = checkpoint_source(tx, parent)
    total = planned_steps(file.stats, configuration.hyperparameters, configuration.held_out_fraction)
    no_resume = why_no_resume(parent, source, configuration, total)
    how = "restart" if no_resume else choice.how or "resume"
    step = _kept_step(source, total) if source and not no_resume else None
    number = tx.jobs.tries_again(parent.id) + 1
    history = team_history(tx, team_id=team_id, now=now)
    whole = quote_for(history, file=file, configuration=configuration, now=now)
    estimate = rest_of(whole, step=step if how == "resume" else None, total_steps=total)
    place = place_of_next(tx, like=parent, seconds=estimate.seconds.expected, limits=limits, now=now)
    budget = budget_status(tx, team_id=team_id, now=now)
    tier = catalog.tier(configuration.tier)
    return AgainView(
        parent=parent,
        choice=choice.model_copy(update={"how": how}),
        name=next_name(parent.name, number),
        configuration=configuration,
        changes=changes_between(parent.configuration, configuration),
        fix=fix,
        resume_step=step,
        no_resume=no_resume,
        total_steps=total,
        estimate=estimate,
        tiers=catalog.tiers_for(tier.provider, configuration.base_model),
        batch_sizes=batch_sizes(parent.configuration),
        retry_number=number,
        record=tx.jobs.retry_record(team_id),
        budget=budget,
        warnings=(
            *over_budget_warning(estimate, budget),
            *failure_warnings(tx, team_id=team_id, configuration=configuration),
        ),
        elapsed_seconds=elapsed_seconds(parent, now),
        spent_cents=parent.actual_cost_cents,
        position=place.position,
        starts_at=place.starts_at,
    )


def start_again(
    db: Database,
    files: Files,
    *,
    clock: Clock,
    person: Person,
    choice: AgainChoice,
    request_key: str,
    limits: QueueLimits,
) -> Job:
    """Make the linked job, which takes its turn in the queue. The same request again is one job.

    Raises:
        NotAllowed: the person may not start jobs.
        NotFound, Conflict, NotEligible, QueueFull, OverBudget, ApprovalNeeded, InvalidInput: as they say; nothing was
            started.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)
        made = tx.jobs.by_request(person.team_id, request_key)
        if made is not None:
            return made
        now = clock()
        view = again_view(tx, team_id=person.team_id, choice=choice, now=now, limits=limits)
        return _enqueue(tx, files, person, view, request_key, limits, now)


def _enqueue(
    tx: Transaction,
    files: Files,
    person: Person,
    view: AgainView,
    request_key: str,
    limits: QueueLimits,
    now: datetime,
) -> Job:
    parent, configuration = view.parent, view.configuration
    option = chosen_file(tx, files, team_id=parent.team_id, file_id=parent.training_file_id)
    require_eligible(option)
    require_place_in_queue(tx, team_id=parent.team_id, limits=limits)
    require_no_approval(view.estimate, catalog.tier(configuration.tier), fix=ASK_ANEW)
    lineage = Lineage(
        parent_id=parent.id,
        kind="resume" if view.resumes else "retry",
        retry_number=view.retry_number,
        resume_step=view.resume_step if view.resumes else None,
    )
    notes = inherited_notes(parent.notes, lineage, parent.name, differences(view.changes))
    new = NewJob(
        id=uuid4(),
        team_id=parent.team_id,
        training_file_id=parent.training_file_id,
        request_key=request_key,
        choice=_choice_of(parent, configuration, view.name, notes),
        configuration=configuration,
        estimate=view.estimate,
        rate_cents_per_hour=catalog.tier(configuration.tier).cents_per_hour or 0,
        created_by=person.user_id,
        channel_id=parent.channel_id,
        created_at=now,
        lineage=lineage,
    )
    job = enqueue(tx, new, file=option.file, now=now)
    tx.outbox.put(job=parent, notice=Notice.CARD, key="", at=now, data={})  # it says that it was tried again
    if view.resumes:
        tx.jobs.copy_points(parent.id, job.id, up_to=view.resume_step or 0)
    if view.fix is not None and _is_followed(view.fix, configuration):
        take_suggestion(tx, failed=parent, fix=view.fix, retry_job_id=job.id, by=person.user_id, now=now)
    return job


def _is_followed(fix: Fix, configuration: Configuration) -> bool:
    """Whether a try still has what its suggestion changed: the form may have been changed after it."""
    made = settings_of(configuration)
    return all(made[change.name] == change.after for change in fix.changes)


def _choice_of(parent: Job, configuration: Configuration, name: str, notes: str) -> JobChoice:
    return JobChoice(
        training_file_id=parent.training_file_id,
        preset=configuration.preset,
        tier=configuration.tier,
        base_model=configuration.base_model,
        name=name,
        description=parent.description,
        notes=notes,
        tags=parent.tags,
        client=parent.client,
        project=parent.project,
        max_steps=configuration.hyperparameters.max_steps,
    )


def _fix(tx: Transaction, parent: Job, key: str) -> Fix | None:
    if not key:
        return None
    diagnosis = diagnosis_of(tx, job=parent)
    found = next((fix for fix in diagnosis.fixes if fix.key == key and fix.changes), None) if diagnosis else None
    if found is None:
        raise Conflict("This suggestion does not hold any more.", fix="Open the run's details again.")
    return found


def changed(configuration: Configuration, choice: AgainChoice, fix: Fix | None) -> Configuration:
    """The configuration with the fix, and what was chosen besides.

    Raises:
        InvalidInput: a tier that is not offered, an unknown schedule, or a batch that does not divide the step.
    """
    if fix is not None:
        configuration = apply_fix(configuration, fix)
    settings = configuration.hyperparameters
    update: dict[str, object] = {}
    if choice.epochs is not None:
        if not 1 <= choice.epochs <= 50:
            raise InvalidInput("1 to 50 epochs.", field="epochs")
        update["epochs"] = choice.epochs
    if choice.lr_scheduler is not None:
        if choice.lr_scheduler not in SCHEDULES:
            raise InvalidInput(f"Choose one of {', '.join(SCHEDULES)}.", field="lr_scheduler")
        update["lr_scheduler"] = choice.lr_scheduler
    if choice.batch_size is not None and choice.batch_size != settings.batch_size:
        step = settings.batch_size * settings.gradient_accumulation_steps
        if choice.batch_size < 1 or step % choice.batch_size:
            raise InvalidInput(f"A batch must divide the {step} sequences of a step.", field="batch_size")
        update |= {"batch_size": choice.batch_size, "gradient_accumulation_steps": step // choice.batch_size}
    tier = require_tier_of_same(configuration, choice.tier or configuration.tier)
    return configuration.model_copy(update={"tier": tier.key, "hyperparameters": settings.model_copy(update=update)})


def _kept_step(source: Job, total_steps: int) -> int:
    """The step that a try goes on from: the checkpoint's, or the last one where only packing was left."""
    trained = source.progress.stage(Stage.TRAINING).status == "complete"
    return total_steps if trained else source.progress.checkpoint_step or 0


def batch_sizes(configuration: Configuration) -> tuple[int, ...]:
    """Micro-batches that make the same optimizer step, the largest first."""
    settings = configuration.hyperparameters
    step = settings.batch_size * settings.gradient_accumulation_steps
    return tuple(size for size in range(step, 0, -1) if step % size == 0 and size <= max(8, settings.batch_size))


def why_no_resume(parent: Job, source: Job | None, configuration: Configuration, total_steps: int) -> str:
    """Why a try cannot go on from a checkpoint; empty where it can."""
    if parent.state is not JobState.FAILED:
        return f"A run that is {parent.state.value} starts over."
    if source is None:
        return "No checkpoint was saved, so it starts over."
    differing = [
        change.name for change in changes_between(source.configuration, configuration) if change.name in _MUST_STAY
    ]
    if _step_size(source.configuration) != _step_size(configuration):
        differing.append("sequences a step")
    if differing:
        return f"Its checkpoint does not fit another {', '.join(differing).replace('_', ' ')}, so it starts over."
    trained = source.progress.stage(Stage.TRAINING).status == "complete"
    # Where it is packed changes nothing of what was trained.
    if trained and any(
        change.name not in ("tier", "preset") for change in changes_between(source.configuration, configuration)
    ):
        return "Its training is complete; with other settings it starts over."
    if not trained and (source.progress.checkpoint_step or 0) >= total_steps:
        return f"Its checkpoint is of step {source.progress.checkpoint_step}, beyond the {total_steps} of this try."
    return ""


def _step_size(configuration: Configuration) -> int:
    settings = configuration.hyperparameters
    return settings.batch_size * settings.gradient_accumulation_steps


def next_name(name: str, number: int) -> str:
    """`Elena v1 (Retry #2)`, cut in the name where it would be too long."""
    ending = f" (Retry #{number})"
    return _SUFFIX.sub("", name)[: NAME_MAX - len(ending)].rstrip() + ending
