"""Whether a training file may be trained on now, and with which preset one would begin."""

from __future__ import annotations

from dataclasses import dataclass

from functions.model.training_file import MINIMUM_CONVERSATIONS, EnrichmentStatus, TrainingFile

_BALANCED_FROM = 150
_BALANCED_TO = 300


@dataclass(frozen=True)
class Eligibility:
    """`ok`, or the reasons why not: each says what is wrong and how to mend it."""

    ok: bool
    reasons: tuple[str, ...] = ()


def eligibility(file: TrainingFile, *, file_present: bool, active_job_name: str | None) -> Eligibility:
    """Decide by the rules of FR1.1.1.

    Args:
        file: the training file.
        file_present: whether its sequences are where `sequences_path` says.
        active_job_name: a job that is queued or running on this file, if there is one.
    """
    reasons = tuple(
        reason
        for reason in (
            _archived(file),
            _not_enriched(file.enrichment_status),
            _too_small(file.stats.conversations),
            "" if file_present else "Storage file missing: its contents are gone. Import the file again.",
            _in_use(active_job_name),
        )
        if reason
    )
    return Eligibility(ok=not reasons, reasons=reasons)


def _archived(file: TrainingFile) -> str:
    return "" if file.status == "active" else f"Training file is {file.status}: choose an active one."


def _not_enriched(status: EnrichmentStatus) -> str:
    if status is EnrichmentStatus.PROCESSING:
        return "Training file not enriched: it is still being checked. Try again in a few minutes."
    if status is EnrichmentStatus.FAILED:
        return "Training file not enriched: checking it failed. Import the file again."
    return ""


def _too_small(conversations: int) -> str:
    missing = MINIMUM_CONVERSATIONS - conversations
    if missing <= 0:
        return ""
    return (
        f"Insufficient conversations: {conversations} of the {MINIMUM_CONVERSATIONS} needed. "
        f"Add at least {missing} more and import the file again."
    )


def _in_use(job: str | None) -> str:
    if job is None:
        return ""
    return f'Already in use: job "{job}" is active on this file. Wait until it ends, or cancel it.'


def default_preset(conversations: int) -> str:
    """The preset that the form begins with: bolder as there is more to learn from (FR1.1.1)."""
    if conversations < _BALANCED_FROM:
        return "conservative"
    return "balanced" if conversations <= _BALANCED_TO else "aggressive"
