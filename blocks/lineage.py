"""Which run a run tries again, and what became of its own tries."""

from __future__ import annotations

from blocks.text import Block, bounded, context, safe, section
from functions.model.job import Job
from functions.model.lineage import Family, Relative
from functions.model.states import TERMINAL

LINEAGE_BLOCK = "lineage"
_NAME = 100


def lineage_line(job: Job, family: Family | None) -> list[Block]:
    """One line on the card: what it is a retry of, and the last try of it; nothing for a run that stands alone."""
    if family is None:
        return []
    last = [f"Tried again as {_relative(family.tries[-1])}"] if family.tries else []
    return [context("\n".join([*_origin(job, family), *last])) | {"block_id": LINEAGE_BLOCK}]


def lineage_section(job: Job, family: Family | None) -> list[Block]:
    """The same in the details, with every try."""
    if family is None:
        return []
    tries = [f"Tried again as {_relative(item)}" for item in family.tries]
    return [section(bounded(["*Tries*", *_origin(job, family), *tries]))]


def _origin(job: Job, family: Family) -> list[str]:
    lineage, parent = job.lineage, family.parent
    if lineage is None or parent is None:
        return []
    step = f", from its step {lineage.resume_step:,}" if lineage.resume_step else ""
    what = f"{',' if step else ''} with {safe(family.differs, 200)}" if family.differs else ""
    return [f"Retry #{lineage.retry_number} of {safe(parent.name, _NAME)}{step}{what}"]


def _relative(item: Relative) -> str:
    # Cards are drawn anew when a try ends, not at each of its steps.
    state = item.state.value if item.state in TERMINAL else "under way"
    return f"{safe(item.name, _NAME)}: {state}"
