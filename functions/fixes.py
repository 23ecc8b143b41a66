"""What would help after a failure: changed configurations, each checked by the model that explains the failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from functions import catalog
from functions.errors import BrightRunError, Conflict
from functions.model.catalog import BaseModelCard, Preset, Tier
from functions.model.diagnosis import LABEL_MAX, Change, Fix, Setting
from functions.model.estimate import MemoryNeed
from functions.model.events import Stage
from functions.model.job import Configuration, Job
from functions.model.training_file import TrainingFile
from functions.words import counted, gigabytes

NeedOf = Callable[[Configuration], MemoryNeed]

_SHORTEST = 512
# Where the model said that it fits it was too low: a fix must take this share off what the run itself holds.
_CLEARLY_LESS = 0.85
_OWN_FIELDS = ("base_model", "tier", "preset", "held_out_fraction", "checkpoint_every_steps")


class Candidate(NamedTuple):
    """A changed configuration that may help."""

    key: str
    label: str
    why: str
    configuration: Configuration


def settings_of(configuration: Configuration) -> dict[str, Setting]:
    """Every setting by its name; lists are left out."""
    given: dict[str, Any] = {name: getattr(configuration, name) for name in _OWN_FIELDS}
    given |= configuration.hyperparameters.model_dump() | configuration.engine.model_dump()
    return {name: value for name, value in given.items() if not isinstance(value, tuple)}


def changes_between(before: Configuration, after: Configuration) -> tuple[Change, ...]:
    """What differs, to be shown as a diff."""
    old, new = settings_of(before), settings_of(after)
    return tuple(
        Change(name=name, before=old[name], after=new[name], called=_called(name, old[name], new[name]))
        for name in old
        if old[name] != new[name]
    )


def _called(name: str, *keys: Setting) -> tuple[str, ...]:
    """What people call the values of a setting that are keys of the catalogue."""
    known: dict[str, Sequence[Tier | BaseModelCard | Preset]] = {
        "tier": catalog.tiers(), "base_model": catalog.base_models(), "preset": catalog.presets(),
    }  # fmt: skip
    names = {item.key: item.name for item in known.get(name, ())}
    called = tuple(names.get(str(key), str(key)) for key in keys) if names else ()
    # `H200` instead of `H200, preemptible`, where that tells them apart.
    short = tuple(item.partition(",")[0] for item in called)
    return short if len(set(short)) == len(called) else called


def apply_fix(configuration: Configuration, fix: Fix) -> Configuration:
    """The configuration with the fix's changes.

    Raises:
        Conflict: a setting is not what the fix was made for.
    """
    current = settings_of(configuration)
    stale = [change.name for change in fix.changes if current.get(change.name) != change.before]
    if stale:
        raise Conflict(
            f"This suggestion was made for other settings ({', '.join(stale)}).", fix="Open the run's details again."
        )
    new = {change.name: change.after for change in fix.changes}
    own = {name: new.pop(name) for name in _OWN_FIELDS if name in new}
    engine = {name: value for name, value in new.items() if name in type(configuration.engine).model_fields}
    settings = {name: value for name, value in new.items() if name not in engine}
    changed = configuration.model_dump() | own
    changed["engine"] |= engine
    changed["hyperparameters"] |= settings
    return Configuration.model_validate(changed)


def fix_of(before: Configuration, candidate: Candidate) -> Fix:
    """The candidate as a fix."""
    changes = changes_between(before, candidate.configuration)
    return Fix(key=candidate.key, label=candidate.label[:LABEL_MAX], why=candidate.why, changes=changes)


def _with(configuration: Configuration, **settings: object) -> Configuration:
    changed = configuration.hyperparameters.model_copy(update=settings)
    return configuration.model_copy(update={"hyperparameters": changed})


def memory_fixes(configuration: Configuration, need: NeedOf, file: TrainingFile | None) -> tuple[Fix, ...]:
    """What makes the run fit: a smaller batch, a lower rank, shorter sequences, another model, a larger card.

    Of each kind the mildest that fits; none that does not.
    """
    before = need(configuration)
    kinds = [_smaller_batch, _lower_rank, _shorter, _smaller_model, _larger_card]
    found = [_first_that_helps(kind(configuration, file), before, need) for kind in kinds]
    if not (found[0] or found[2]):
        found.insert(0, _first_that_helps(_least(configuration, file), before, need))
    return tuple(
        fix_of(configuration, item._replace(why=_fits_words(need(item.configuration), item.why)))
        for item in found
        if item
    )


def _first_that_helps(candidates: Iterator[Candidate], before: MemoryNeed, need: NeedOf) -> Candidate | None:
    return next((item for item in candidates if helps(before, need(item.configuration))), None)


def helps(before: MemoryNeed, after: MemoryNeed) -> bool:
    """Whether a run that ran out of memory is expected to fit after a change."""
    if not after.fits:
        return False
    if not before.fits:
        return True
    larger = before.available is not None and after.available is not None and after.available > before.available
    own_before, own_after = before.total - before.overhead, after.total - after.overhead
    return larger or own_after <= _CLEARLY_LESS * own_before


def _fits_words(after: MemoryNeed, why: str) -> str:
    there = f" of {gigabytes(after.available)}" if after.available is not None else ""
    return f"{why} Needs about {gigabytes(after.total)}{there}."


def _batches(size: int) -> Iterator[int]:
    while size > 1:
        size //= 2
        yield size


def _smaller_batch(configuration: Configuration, _: TrainingFile | None) -> Iterator[Candidate]:
    settings = configuration.hyperparameters
    for size in _batches(settings.batch_size):
        steps = -(-settings.batch_size * settings.gradient_accumulation_steps // size)
        changed = _with(configuration, batch_size=size, gradient_accumulation_steps=steps)
        why = "The same result, a little slower."
        yield Candidate("smaller_batch", f"Batch {size}, accumulate {steps}", why, changed)


def _lower_rank(configuration: Configuration, _: TrainingFile | None) -> Iterator[Candidate]:
    settings = configuration.hyperparameters
    for rank in (16, 8):
        if rank < settings.rank:
            alpha = max(1, settings.alpha * rank // settings.rank)
            why = f"The adapter learns less than with rank {settings.rank}."
            yield Candidate("lower_rank", f"Rank {rank}", why, _with(configuration, rank=rank, alpha=alpha))


def _lengths(configuration: Configuration, file: TrainingFile | None) -> Iterator[int]:
    longest = file.stats.tokens.longest if file and file.stats.tokens else configuration.hyperparameters.max_length
    length = 2 ** (min(longest, configuration.hyperparameters.max_length) - 1).bit_length()
    while length > _SHORTEST:
        length //= 2
        yield length


def _shorter(configuration: Configuration, file: TrainingFile | None) -> Iterator[Candidate]:
    for length in _lengths(configuration, file):
        changed = _with(configuration, max_length=length)
        yield Candidate("shorter", f"Sequences of {length:,} tokens", _split_words(file, length), changed)


def _split_words(file: TrainingFile | None, length: int) -> str:
    lengths = file.stats.tokens.lengths if file and file.stats.tokens else ()
    if not lengths:
        return "Longer conversations are split between turns."
    longer = sum(tokens > length for tokens in lengths)
    are = "is" if longer == 1 else "are"
    return f"{longer:,} of {counted(len(lengths), 'conversation')} {are} longer and would be split between turns."


def _least(configuration: Configuration, file: TrainingFile | None) -> Iterator[Candidate]:
    settings = configuration.hyperparameters
    steps = settings.batch_size * settings.gradient_accumulation_steps
    for length in _lengths(configuration, file):
        changed = _with(configuration, batch_size=1, gradient_accumulation_steps=steps, max_length=length)
        label = f"Batch 1, accumulate {steps}, sequences of {length:,} tokens"
        yield Candidate("batch_and_length", label, _split_words(file, length), changed)


def _smaller_model(configuration: Configuration, _: TrainingFile | None) -> Iterator[Candidate]:
    now = catalog.base_model(configuration.base_model)
    for model in sorted(other_models(configuration), key=lambda item: -item.parameters):
        if model.parameters < now.parameters:
            why = "Trains faster and costs less, and knows less."
            yield Candidate("smaller_model", f"Base model {model.name}", why, with_model(configuration, model))


def _larger_card(configuration: Configuration, _: TrainingFile | None) -> Iterator[Candidate]:
    now = catalog.tier(configuration.tier)
    for tier in catalog.tiers_of(now.provider):
        larger = tier.memory_bytes is not None and tier.memory_bytes > (now.memory_bytes or 0)
        if tier.offered and larger and _has_speed(tier.gpu, configuration.base_model):
            changed = configuration.model_copy(update={"tier": tier.key})
            yield Candidate("larger_card", f"Run on {tier.name}", _price_words(now.key, tier.key), changed)


def _price_words(before: str, after: str) -> str:
    old, new = catalog.tier(before).cents_per_hour or 0, catalog.tier(after).cents_per_hour or 0
    if new == old:
        return "The same price an hour."
    return f"${abs(new - old) / 100:.2f} an hour {'more' if new > old else 'less'}."


def other_models(configuration: Configuration) -> tuple[BaseModelCard, ...]:
    """Base models that the same provider can train at a known speed."""
    tier = catalog.tier(configuration.tier)
    return tuple(
        model
        for model in catalog.models_of(tier.provider)
        if model.key != configuration.base_model and _has_speed(tier.gpu, model.key)
    )


def _has_speed(gpu: str, model: str) -> bool:
    try:
        catalog.throughput_prior(gpu=gpu, model=model)
    except BrightRunError:
        return False
    return True


def with_model(configuration: Configuration, model: BaseModelCard) -> Configuration:
    """The configuration on another base model, its learning rate scaled to that model's width as presets are."""
    preset = catalog.preset(configuration.preset)
    old = catalog.hyperparameters_for(preset, catalog.base_model(configuration.base_model)).learning_rate
    new = catalog.hyperparameters_for(preset, model).learning_rate
    settings = configuration.hyperparameters
    rate = float(f"{settings.learning_rate * new / old:.2g}")
    changed = _with(configuration, learning_rate=rate, max_length=min(settings.max_length, model.context))
    return changed.model_copy(update={"base_model": model.key})


def learning_rate_fixes(configuration: Configuration) -> tuple[Fix, ...]:
    """Smaller and gentler steps, after a loss that is no number any more."""
    settings = configuration.hyperparameters
    found = []
    for key, divisor in (("lower_rate", 4), ("much_lower_rate", 20)):
        rate = float(f"{settings.learning_rate / divisor:.2g}")
        warm_up = max(settings.warmup_ratio, 0.1)
        changed = _with(configuration, learning_rate=rate, warmup_ratio=warm_up)
        why = f"A {'quarter' if divisor == 4 else 'twentieth'} of {settings.learning_rate:.3g}, with a warm-up of 10 %."
        found.append(fix_of(configuration, Candidate(key, f"Learning rate {rate:.3g}", why, changed)))
    return tuple(found)


def tier_fixes(configuration: Configuration, *, steadier: bool) -> tuple[Fix, ...]:
    """Other tiers of the same provider; with `steadier` only those that are not taken away."""
    now = catalog.tier(configuration.tier)
    found = []
    for tier in catalog.tiers_of(now.provider):
        usable = tier.offered and tier.key != now.key and not (steadier and tier.preemptible)
        if usable and _has_speed(tier.gpu, configuration.base_model):
            changed = configuration.model_copy(update={"tier": tier.key})
            why = _price_words(now.key, tier.key)
            found.append(fix_of(configuration, Candidate(f"tier:{tier.key}", f"Run on {tier.name}", why, changed)))
    return tuple(found)


def model_fixes(configuration: Configuration) -> tuple[Fix, ...]:
    """Other base models that can be trained at once, the nearest in size first."""
    size = catalog.base_model(configuration.base_model).parameters
    nearest = sorted(other_models(configuration), key=lambda model: abs(model.parameters - size))
    return tuple(
        fix_of(
            configuration,
            Candidate(
                f"model:{model.key}",
                f"Base model {model.name}",
                f"Licence {model.licence}.",
                with_model(configuration, model),
            ),
        )
        for model in nearest[:2]
    )


def time_fixes(job: Job, limit_seconds: float) -> tuple[Fix, ...]:
    """As many epochs, or steps, as another try reaches within the limit at this run's own pace.

    It goes on from the checkpoint. Where the rest fits from there, nothing has to be given up.
    """
    plan, step = job.progress.plan, job.progress.step
    began = (job.lineage.resume_step if job.lineage else None) or 0
    trained = job.progress.stage(Stage.TRAINING).seconds(job.ended_at) if job.ended_at else None
    if plan is None or step <= began or not trained:
        return ()
    pace = trained / (step - began)
    fixed = max(0.0, job.billed_seconds - trained)
    kept = job.kept_step
    reach = kept + max(0, int((limit_seconds * 0.9 - fixed) / pace))
    if reach >= plan.total_steps:
        why = "The rest fits into the limit; nothing before the checkpoint is trained twice."
        return (Fix(key="go_on", label=f"Try again: it goes on from step {kept:,}", why=why),) if kept else ()
    settings, words = job.configuration.hyperparameters, f"At {pace:.1f} s a step, another try gets to "
    epochs = reach * plan.epochs // max(1, plan.total_steps) if settings.max_steps is None else 0
    if 1 <= epochs < settings.epochs and epochs * plan.total_steps > kept * plan.epochs:
        label = counted(epochs, "epoch")
        changed = _with(job.configuration, epochs=epochs)
        why = f"{words}{label} within the limit."
        return (fix_of(job.configuration, Candidate("fewer_epochs", label.capitalize(), why, changed)),)
    if reach > kept:
        changed = _with(job.configuration, max_steps=reach)
        why = f"{words}step {reach:,} within the limit."
        return (fix_of(job.configuration, Candidate("fewer_steps", f"Stop after {reach:,} steps", why, changed)),)
    return ()
