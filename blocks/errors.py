"""Errors as people read them: what is wrong, where, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from blocks.over_budget import ask_for_limit
from blocks.text import Block, View, bounded, context, mention, modal, safe, section, verbatim
from functions.errors import BrightRunError, NotEligible, OverBudget, TooLate, TrainingFileInvalid

_SHOWN = 10


def error_blocks(error: BrightRunError) -> list[Block]:
    """The error, its particulars, and the way out."""
    where = f" ({safe(error.where, 100)})" if error.where else ""
    told = _told(error)
    lines = [f"⚠ *{safe(error.what.replace('*', '∗'), 400)}*{where}", *_listed(told)]
    if isinstance(error, TooLate) and error.by:
        return [section(f"{lines[0]}\nDecided by {mention(error.by)}.")]
    blocks = [section(bounded(lines))]
    if error.fix and not any(error.fix in sentence for sentence in told):
        blocks.append(section(safe(error.fix, 600)))
    return [*blocks, ask_for_limit(error.needed_cents)] if isinstance(error, OverBudget) else blocks


def unexpected_blocks(reference: str) -> list[Block]:
    """An error that nobody foresaw; the log has the same reference."""
    return [
        section("⚠ *Something went wrong on our side.* It is not your doing, and trying again may help."),
        context(f"If it happens again, give an admin this reference: `{safe(reference.replace('`', ''), 40)}`"),
    ]


def failure_view(title: str, text: str, blocks: Sequence[Block]) -> View:
    """A modal that could not be filled; `text` stands in where there are no blocks."""
    return modal(title, list(blocks) or [section(safe(text, 2000))])


def failure_home(text: str, blocks: Sequence[Block]) -> View:
    """An App Home that could not be filled."""
    return {"type": "home", "blocks": list(blocks)[:100] or [section(safe(text, 2000))]}


def _told(error: BrightRunError) -> list[str]:
    """The particulars, without what the sentence above them says already."""
    if isinstance(error, TrainingFileInvalid):
        rest = (problem.removeprefix(error.what).strip() for problem in error.problems)
        return [problem for problem in rest if problem]
    if isinstance(error, NotEligible):
        return [reason for reason in error.reasons if reason not in error.what]
    return []


def _listed(sentences: Sequence[str]) -> list[str]:
    lines = [_told_in_full(sentence) for sentence in sentences[:_SHOWN]]
    more = len(sentences) - _SHOWN
    return [*lines, f"… and {more:,} more."] if more > 0 else lines


def _told_in_full(sentence: str) -> str:
    """A problem; what follows its first line is an excerpt, where every blank counts."""
    first, _, detail = sentence.partition("\n")
    return f"• {safe(first, 480)}" + (f"\n{verbatim(detail)}" if detail else "")
