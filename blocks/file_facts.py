"""What is said of a training file wherever one is chosen, reviewed, listed or added."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.text import safe
from blocks.units import count, decimal, share
from functions.model.conversation import UNKNOWN
from functions.model.training_file import (
    HIGH_QUALITY,
    EnrichmentStatus,
    QualityScores,
    TokenCounts,
    TrainingFile,
    TrainingFileStats,
)
from functions.model.views import FileOption

_SHOWN = 3


def readiness(option: FileOption) -> str:
    """One word with its sign: whether the file may be trained on."""
    if not option.reasons:
        return "✓ Ready for training"
    processing = option.file.enrichment_status is EnrichmentStatus.PROCESSING
    return "⏳ Still being checked" if processing else "⚠ Cannot be used now"


def refusals(option: FileOption) -> list[str]:
    """The reasons why not, one a line."""
    return [f"• {safe(reason, 300)}" for reason in option.reasons[:8]]


def counts(stats: TrainingFileStats) -> str:
    """`242 conversations · 1,567 training pairs`."""
    return f"{count(stats.conversations, 'conversation')} · {count(stats.training_pairs, 'training pair')}"


def quality(scores: QualityScores) -> str:
    """`Quality 4.5 of 5 ✓ high`, or that nobody scored it."""
    if scores.average is None:
        return "Quality not scored"
    verdict = "✓ high" if scores.average >= HIGH_QUALITY else "⚠ review"
    return f"Quality {decimal(scores.average, 1)} of 5 {verdict}"


def quality_parts(scores: QualityScores) -> str:
    """`lowest 3.8 · empathy 4.6 · … · 12 pairs reviewed by people`, or none of them."""
    named = {
        "lowest": scores.lowest,
        "empathy": scores.empathy,
        "clarity": scores.clarity,
        "appropriateness": scores.appropriateness,
        "brand voice": scores.brand_voice,
    }
    parts = [f"{name} {decimal(value, 1)}" for name, value in named.items() if value is not None]
    people = count(scores.human_reviewed, "pair") if scores.human_reviewed else "none"
    return " · ".join([*parts, f"{people} reviewed by people"])


def distribution(name: str, shares: Mapping[str, int]) -> str:
    """`Personas: Anxious Investor 34 %, Skeptic 21 %, and 3 more`; empty where nothing is known."""
    known = {key: number for key, number in shares.items() if key != UNKNOWN and number > 0}
    if not known:
        return ""
    total = sum(number for number in shares.values() if number > 0)
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{safe(_title(key), 40)} {share(number / total)}" for key, number in ranked[:_SHOWN]]
    if len(ranked) > _SHOWN:
        shown.append(f"and {len(ranked) - _SHOWN:,} more")
    return f"{name}: {', '.join(shown)}"


def scaffolding(stats: TrainingFileStats) -> list[str]:
    """Personas, emotional arcs and topics, as far as the file names any."""
    lines = (
        distribution("Personas", stats.personas),
        distribution("Emotional arcs", stats.emotional_arcs),
        distribution("Topics", stats.topics),
    )
    return [line for line in lines if line]


def tokens(found: TokenCounts | None) -> str:
    """`138,822 tokens an epoch, 89,528 of them learned from; the longest conversation has 3,739`."""
    if found is None:
        return "Tokens are not counted yet"
    return (
        f"{count(found.total, 'token')} an epoch, {found.trainable:,} of them learned from; "
        f"the longest conversation has {found.longest:,}"
    )


def saving(found: TokenCounts | None) -> str:
    """What telling a conversation once saves: `2.1 times fewer tokens than one sequence per pair`."""
    if found is None or found.total <= 0 or found.per_pair < 1.05 * found.total:
        return ""
    return f"{found.per_pair / found.total:.1f} times fewer tokens than one sequence per pair"


def summary(file: TrainingFile) -> str:
    """`242 conversations · 1,567 training pairs · Quality 4.5 of 5 ✓ high`."""
    return f"{counts(file.stats)} · {quality(file.stats.quality)}"


def _title(key: str) -> str:
    """`anxious_investor` as people write it."""
    return key.replace("_", " ") if " " in key or not key.islower() else key.replace("_", " ").capitalize()
