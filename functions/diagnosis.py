"""Explains a failed job: the problem in a sentence, its cause in numbers, and what helps, checked and ranked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from functions import catalog
from functions.fixes import (
    NeedOf,
    apply_fix,
    learning_rate_fixes,
    memory_fixes,
    model_fixes,
    tier_fixes,
    time_fixes,
)
from functions.model.diagnosis import Diagnosis, FailureCode, FailureHistory, Fix, SuggestionRecord
from functions.model.estimate import MemoryNeed
from functions.model.events import Failed
from functions.model.job import Configuration, Job
from functions.model.money import dollars
from functions.model.training_file import TrainingFile
from functions.run_memory import run_memory
from functions.words import gigabytes, listed, span

__all__ = ["apply_fix", "diagnose", "memory_needs"]

# A fix that was tried this often and mostly failed is suggested after those that were not.
_ENOUGH_TRIES = 3


class _Found(NamedTuple):
    problem: str
    cause: str
    fixes: tuple[Fix, ...] = ()
    again: bool = True
    memory: MemoryNeed | None = None


def memory_needs(file: TrainingFile | None, *, machine_bytes: int | None) -> NeedOf:
    """The memory model over this file; `machine_bytes` is what the machine had, for tiers without a fixed card."""

    def need(configuration: Configuration) -> MemoryNeed:
        needed = run_memory(configuration, file)
        fixed = catalog.tier(configuration.tier).memory_bytes is not None
        return needed if fixed else needed.model_copy(update={"available": machine_bytes})

    return need


def diagnose(job: Job, *, file: TrainingFile | None, memory_need: NeedOf, history: FailureHistory) -> Diagnosis:
    """Why the job failed and what would help.

    Args:
        job: a failed job; one that never said why is explained as unknown.
        file: its training file, if it is still there.
        memory_need: the memory model over that file, see `memory_needs`.
        history: how fixes did after this failure before.
    """
    failure = job.progress.failure or Failed(code=FailureCode.UNKNOWN, what="The run stopped without saying why.")
    explain = _EXPLAIN.get(failure.code, _as_told)
    found = explain(_Case(job, failure, file, memory_need))
    return Diagnosis(
        code=failure.code,
        problem=found.problem,
        cause=found.cause,
        fixes=_ranked(found.fixes, history),
        again=found.again,
        memory=found.memory,
        record=failure.record,
        reference=failure.reference,
        log_tail=failure.log_tail,
    )


class _Case(NamedTuple):
    job: Job
    failure: Failed
    file: TrainingFile | None
    need: NeedOf

    @property
    def at_step(self) -> str:
        step = self.failure.step if self.failure.step is not None else self.job.progress.step
        return f"at step {step:,}" if step else "before the first step"

    @property
    def tier_fixes(self) -> tuple[Fix, ...]:
        return tier_fixes(self.job.configuration, steadier=True)


def _ranked(fixes: tuple[Fix, ...], history: FailureHistory) -> tuple[Fix, ...]:
    """Each with its record; the order stays, but for those that were tried enough and mostly did not help."""

    def recorded(fix: Fix) -> Fix:
        record = history.suggestions.get(fix.key, SuggestionRecord())
        return fix.model_copy(update={"tried": record.tried, "worked": record.worked})

    def disappointed(fix: Fix) -> bool:
        return fix.tried >= _ENOUGH_TRIES and 2 * fix.worked < fix.tried

    return tuple(sorted(map(recorded, fixes), key=disappointed))


def _out_of_memory(case: _Case) -> _Found:
    job = case.job
    on_gpu = catalog.tier(job.configuration.tier).memory_bytes is not None
    need = case.need(job.configuration)
    problem = f"Out of {'GPU ' if on_gpu else ''}memory {case.at_step}."
    fixes = memory_fixes(job.configuration, case.need, case.file)
    return _Found(problem, _memory_words(case, need), fixes, memory=need)


def _memory_words(case: _Case, need: MemoryNeed) -> str:
    job, settings = case.job, case.job.configuration.hyperparameters
    tier = catalog.tier(job.configuration.tier)
    machine = f"the {tier.gpu}" if tier.memory_bytes is not None else "this machine"
    room = f"{machine} has {gigabytes(need.available)}" if need.available is not None else f"{machine} has less"
    if need.fits and need.available is not None:
        words = f"By our reckoning it needs about {gigabytes(need.total)} and {room}, yet it ran out"
        held = case.failure.memory_bytes
        words += f" while it held {gigabytes(held)}." if held else "."
    else:
        words = f"This run needs about {gigabytes(need.total)}; {room}."
    longest = case.file.stats.tokens.longest if case.file and case.file.stats.tokens else settings.max_length
    length = min(longest, settings.max_length)
    # Without a card conversations go through one by one, whatever the batch.
    at_once = f"batch {settings.batch_size} at" if tier.memory_bytes is not None else "a conversation of"
    parts = {
        f"{at_once} {length:,} tokens": need.activations,
        "the base model's weights": need.weights,
        f"rank {settings.rank} with its optimizer": need.adapters + need.optimizer,
        "the words it chooses from": need.logits,
        "what the machine keeps for itself": need.overhead,
    }
    shown = sorted(parts.items(), key=lambda part: -part[1])[:3]
    return f"{words} Most of it: {listed([f'{name} {gigabytes(size)}' for name, size in shown])}."


def _host_out_of_memory(case: _Case) -> _Found:
    need = case.need(case.job.configuration)
    fixes = memory_fixes(case.job.configuration, case.need, case.file)
    cause = "The operating system ended the trainer to free memory (signal SIGKILL, exit code 137)."
    return _Found(
        f"The machine ran out of main memory {case.at_step}.", f"{cause} {case.failure.why}".strip(), fixes, memory=need
    )


def _host_killed(case: _Case) -> _Found:
    return _Found(
        f"The trainer was ended from outside {case.at_step}.",
        case.failure.why or "It had no time to say anything: the machine went away or somebody ended the process.",
        case.tier_fixes,
    )


def _dataset_format(case: _Case) -> _Found:
    record = case.failure.record
    if record is None:
        return _Found("The training file has a record that cannot be trained on.", case.failure.why, again=False)
    conversation = f"Conversation {record.conversation_id}" if record.conversation_id else f"Line {record.line:,}"
    where = f"line {record.line:,}" + (f", field {record.field}" if record.field else "")
    labels = [label for label in (record.persona, record.emotional_arc, record.topic) if label]
    of = f" It is about {listed(labels)}." if labels else ""
    mend = Fix(
        key="mend_file",
        label="Mend the record and add the file again",
        why="In /datasets, Add training file; then start a new run. brightrun check FILE finds all such records.",
    )
    return _Found(f"{conversation} cannot be trained on ({where}).", f"{record.problem}{of}", (mend,), again=False)


def _timeout(case: _Case) -> _Found:
    job, limit = case.job, case.failure.limit_seconds or 0.0
    expected = job.estimate.seconds
    plan, step = job.progress.plan, job.progress.step
    done = f" It did {step:,} of {plan.total_steps:,} steps." if plan else ""
    if case.failure.cap_cents is not None:
        quoted = f"{dollars(job.estimate.cents_low)} to {dollars(job.estimate.cents_high)}"
        return _Found(
            f"Stopped {case.at_step}: it reached {dollars(case.failure.cap_cents)}, the most that was approved for it.",
            f"It was expected to cost {quoted}.{done}",
            time_fixes(job, limit),
        )
    return _Found(
        f"Stopped {case.at_step}: it ran longer than its limit of {span(limit)}.",
        f"It was expected to take {span(expected.low)} to {span(expected.high)}.{done}",
        time_fixes(job, limit),
    )


def _no_capacity(case: _Case) -> _Found:
    later = Fix(key="later", label="Try again later", why="Outside office hours GPUs are free more often.")
    fixes = (*tier_fixes(case.job.configuration, steadier=False), later)
    tier = catalog.tier(case.job.configuration.tier)
    return _Found(f"No {tier.gpu} was free ({tier.name}).", case.failure.why, fixes)


def _model_missing(case: _Case) -> _Found:
    model = catalog.base_model(case.job.configuration.base_model)
    look = Fix(
        key="check_model",
        label="Look for the model at the hub",
        why=f"It is asked for as {model.hub_id}. An admin can correct the name, or put its weights where jobs look.",
    )
    fixes = (*model_fixes(case.job.configuration), look)
    return _Found(f"The base model {model.name} was not found.", _first_line(case.failure.why), fixes)


def _model_unreachable(case: _Case) -> _Found:
    model = catalog.base_model(case.job.configuration.base_model)
    why = f"The model hub did not answer. {_first_line(case.failure.why)}"
    return _Found(f"The base model {model.name} could not be fetched.", why)


def _model_gated(case: _Case) -> _Found:
    model = catalog.base_model(case.job.configuration.base_model)
    accept = Fix(
        key="accept_licence",
        label="Accept the licence on the model's page",
        why=f"{model.hub_id}, with the account whose HF_TOKEN the GPU job has; then try again.",
    )
    cause = f"Its licence ({model.licence}) must be accepted first, and the GPU job's token has no access."
    fixes = (*model_fixes(case.job.configuration), accept)
    return _Found(f"The base model {model.name} may not be used yet.", cause, fixes)


def _disk_full(case: _Case) -> _Found:
    free = Fix(
        key="free_space",
        label="Free some space, then try again",
        why="Old runs and model caches are the largest. It goes on from its last checkpoint.",
    )
    return _Found(f"The disk is full {case.at_step}.", case.failure.why or case.failure.what, (free,))


def _nan_loss(case: _Case) -> _Found:
    settings = case.job.configuration.hyperparameters
    cause = f"At a learning rate of {settings.learning_rate:.3g} the steps became too large. {case.failure.why}"
    problem = f"The training went off course {case.at_step}: its loss is not a number any more."
    return _Found(problem, cause.strip(), learning_rate_fixes(case.job.configuration))


def _interrupted(case: _Case) -> _Found:
    return _Found(case.failure.what, case.failure.why, case.tier_fixes)


def _unknown(case: _Case) -> _Found:
    return _Found(f"Something unforeseen stopped the run {case.at_step}.", case.failure.why)


def _as_told(case: _Case) -> _Found:
    """What the trainer itself explains well enough."""
    fixes = tuple(
        Fix(key=f"told:{number}", label=_label(text), why="" if len(text) <= 75 else text)
        for number, text in enumerate(case.failure.fixes, 1)
    )
    return _Found(case.failure.what, case.failure.why, fixes)


def _label(text: str) -> str:
    return text if len(text) <= 75 else text[:74].rsplit(" ", 1)[0] + "…"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else ""


_EXPLAIN: dict[str, Callable[[_Case], _Found]] = {
    FailureCode.OUT_OF_MEMORY: _out_of_memory,
    FailureCode.HOST_OUT_OF_MEMORY: _host_out_of_memory,
    FailureCode.HOST_KILLED: _host_killed,
    FailureCode.DATASET_FORMAT: _dataset_format,
    FailureCode.TIMEOUT: _timeout,
    FailureCode.NO_CAPACITY: _no_capacity,
    FailureCode.MODEL_MISSING: _model_missing,
    FailureCode.MODEL_UNREACHABLE: _model_unreachable,
    FailureCode.MODEL_GATED: _model_gated,
    FailureCode.DISK_FULL: _disk_full,
    FailureCode.NAN_LOSS: _nan_loss,
    FailureCode.INTERRUPTED: _interrupted,
    FailureCode.UNKNOWN: _unknown,
}
