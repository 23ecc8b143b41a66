"""A failure as people read it: the problem, its cause in numbers, what helps, and one press to try the best."""

from __future__ import annotations

from blocks.text import Block, bounded, button, code_block, context, safe, section, verbatim
from blocks.units import count, rate
from functions.model.diagnosis import Change, Diagnosis, Fix
from functions.model.events import FailedRecord
from functions.model.job import Job

ACTION_RETRY = "job_retry"
ACTION_RETRY_FIX = "job_retry_fix"

_FIXES_SHOWN = 4
_LOG_LINES = 6
_SETTING_NAMES = {
    "batch_size": "Batch",
    "gradient_accumulation_steps": "Accumulate",
    "max_length": "Longest sequence",
    "learning_rate": "Learning rate",
    "epochs": "Epochs",
    "max_steps": "Stop after steps",
    "rank": "Rank",
    "alpha": "Alpha",
    "warmup_ratio": "Warm-up",
    "base_model": "Base model",
    "tier": "Machine",
    "preset": "Preset",
    "quantization": "Quantization",
    "checkpoint_every_steps": "Checkpoint every",
}


def failure_section(diagnosis: Diagnosis) -> list[Block]:
    """Cause, the record that is to blame, the last lines, and the ranked fixes; the problem stands above it."""
    blocks: list[Block] = []
    if diagnosis.cause:
        blocks.append(section(safe(diagnosis.cause, 900)))
    if diagnosis.record is not None:
        blocks += _record(diagnosis.record)
    if diagnosis.code == "unknown" and diagnosis.log_tail:
        blocks.append(section(f"The last lines of its log:\n{code_block(diagnosis.log_tail[-_LOG_LINES:], 1200)}"))
    if diagnosis.fixes:
        lines = [_fix(rank, fix) for rank, fix in enumerate(diagnosis.fixes[:_FIXES_SHOWN], 1)]
        blocks.append(section(bounded(["*What helps*", *lines])))
    if diagnosis.reference:
        reference = safe(diagnosis.reference.replace("`", ""), 40)
        blocks.append(context(f"If you ask for help, give this reference: `{reference}`. It is in the log too."))
    return blocks


def retry_buttons(diagnosis: Diagnosis | None, job: Job, *, can_retry: bool) -> list[Block]:
    """One button for the best fix that can be pressed, and one to try again as it is, where that makes sense."""
    if not can_retry:
        return []
    best = best_fix(diagnosis)
    found = []
    if best is not None:
        label = f"Retry: {best.label[:1].lower()}{best.label[1:]}"
        found.append(button(label, ACTION_RETRY_FIX, value=f"{job.id}:{best.key}", style="primary"))
    if diagnosis is None or diagnosis.again:
        style = "" if best is not None else "primary"
        found.append(button("Try again…", ACTION_RETRY, value=str(job.id), style=style))
    return found


def best_fix(diagnosis: Diagnosis | None) -> Fix | None:
    """The first fix that changes settings."""
    return next((fix for fix in diagnosis.fixes if fix.changes), None) if diagnosis else None


def change_lines(fix: Fix) -> list[str]:
    """What a fix changes, `Batch 4 → 2`, a line each."""
    return [f"{_SETTING_NAMES.get(change.name, safe(change.name, 40))} {_values(change)}" for change in fix.changes]


def success_words(fix: Fix) -> str:
    """`worked 19 of 20 times`; empty while nobody tried it."""
    if not fix.tried:
        return ""
    return f"worked {fix.worked:,} of {count(fix.tried, 'time')}"


def _values(change: Change) -> str:
    before, after = map(_value, change.called or (change.before, change.after))
    return f"{before} → {after}"


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return rate(value)
    return f"{value:,}" if isinstance(value, int) else safe(str(value), 80)


def _fix(rank: int, fix: Fix) -> str:
    worked = success_words(fix)
    why = f"  {safe(fix.why, 300)}" if fix.why else ""
    return f"{rank}. *{safe(fix.label.replace('*', '∗'), 100)}*{why}" + (f" It {worked}." if worked else "")


def _record(record: FailedRecord) -> list[Block]:
    return [section(f"What stands there:\n{verbatim(record.sample, 600)}")] if record.sample else []
