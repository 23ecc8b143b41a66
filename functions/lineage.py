"""Who tried whom again, with what changed: the words for it, and the relatives of a run."""

from __future__ import annotations

from collections.abc import Sequence

from functions.fixes import changes_between
from functions.model.diagnosis import Change, Setting
from functions.model.job import Job, Lineage
from functions.model.lineage import Family, Relative
from functions.names import NOTES_MAX
from functions.ports import Transaction
from functions.words import listed

_NAMES = {
    "batch_size": "batch",
    "max_length": "sequences of",
    "learning_rate": "learning rate",
    "lr_scheduler": "schedule",
    "max_steps": "last step",
    "warmup_ratio": "warm-up",
    "base_model": "base model",
    "tier": "machine",
    "checkpoint_every_steps": "checkpoints every",
    "held_out_fraction": "held out",
}
# They follow from another change that is told already.
_FOLLOWS = {"gradient_accumulation_steps": "batch_size", "alpha": "rank"}
_TOLD = 4


def family_of(tx: Transaction, job: Job) -> Family | None:
    """What the job came of and what came of it; None for one that stands alone."""
    parent = tx.jobs.get(job.lineage.parent_id) if job.lineage else None
    tries = tuple(_relative(item) for item in tx.jobs.tries_of(job.id))
    if parent is None and not tries:
        return None
    differs = differences(changes_between(parent.configuration, job.configuration)) if parent else ""
    return Family(parent=_relative(parent) if parent else None, differs=differs, tries=tries)


def origin_of(tx: Transaction, job: Job) -> str:
    """Which run the job tried again, with what changed, as a sentence; empty for a first try."""
    family = family_of(tx, job)
    return origin_words(job.lineage, family.parent.name, family.differs) if family and family.parent else ""


def _relative(job: Job) -> Relative:
    return Relative(id=job.id, name=job.name, state=job.state)


def differences(changes: Sequence[Change]) -> str:
    """`batch 2 instead of 4 and rank 8 instead of 32`; empty where nothing is changed."""
    names = {change.name for change in changes}
    told = [change for change in changes if _FOLLOWS.get(change.name) not in names]
    parts = [_difference(change) for change in told[:_TOLD]]
    more = len(told) - len(parts)
    return listed([*parts, f"{more} more"] if more else parts) if parts else ""


def _difference(change: Change) -> str:
    before, after = change.called or (_value(change.before), _value(change.after))
    if change.name == "epochs":
        return f"{after} instead of {before} epochs"
    return f"{_NAMES.get(change.name, change.name.replace('_', ' '))} {after} instead of {before}"


def _value(value: Setting) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def origin_words(lineage: Lineage | None, parent_name: str, differs: str) -> str:
    """`Retry #2 of Elena v1, from its step 850, with batch 2 instead of 4.`; empty for a first try."""
    if lineage is None:
        return ""
    step = f", from its step {lineage.resume_step:,}" if lineage.resume_step else ""
    changed = f"{',' if step else ''} with {differs}" if differs else ""
    return f"Retry #{lineage.retry_number} of {parent_name}{step}{changed}."


def inherited_notes(notes: str, lineage: Lineage, parent_name: str, differs: str) -> str:
    """The notes of a new try: first what it is a retry of, then those of the run that it came of, cut at the end.

    What an earlier retry began its notes with is left out: one line says where a run comes from.
    """
    first, _, rest = notes.partition("\n")
    kept = rest.lstrip("\n") if first.startswith("Retry #") and " of " in first else notes
    said = origin_words(lineage, parent_name, differs)
    return f"{said}\n\n{kept}"[:NOTES_MAX].rstrip() if kept else said
