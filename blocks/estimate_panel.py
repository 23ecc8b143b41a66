"""What a run is expected to take and cost, as the form and the review show it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from blocks.text import clip, one_line, safe, verbatim
from blocks.units import (
    count,
    duration,
    duration_range,
    memory,
    memory_of,
    money,
    money_range,
    percent,
    practice,
    rate,
    rough,
    share,
    when,
)
from functions.budget import period_words
from functions.model.catalog import Tier
from functions.model.estimate import Estimate, InterruptionRecord, MemoryNeed
from functions.model.job import PresetRecord
from functions.model.job_spec import Hyperparameters
from functions.model.money import BudgetStatus, dollars
from functions.model.views import Alternative, SavingTip

_NAME_WIDTH = 16
_LONGEST_S = 30 * 24 * 3600


def headline(estimate: Estimate, tier: Tier) -> str:
    """`About 1 h 45 m (1 h 30 m – 2 h)` and `$4.90–6.60`, both in bold."""
    seconds = estimate.seconds
    span = duration_range(seconds.low, seconds.high)
    price = f"*{money_range(estimate.cents_low, estimate.cents_high)}*{practice(tier.key)}"
    about = f"*About {rough(seconds.expected)}*"
    return f"{about} ({span})  ·  {price}" if span != rough(seconds.expected) else f"{about}  ·  {price}"


def practice_rate(tier: Tier) -> str:
    """`, practice money` after the hourly rate of the tier that bills nobody."""
    marked = practice(tier.key)
    return f",{marked}" if marked else ""


def change(estimate: Estimate, previous_cents: int | None) -> str:
    """`↑ $1.10 from your last choice`, or nothing."""
    if previous_cents is None or previous_cents == estimate.cents_expected:
        return ""
    more = estimate.cents_expected - previous_cents
    return f"{'↑' if more > 0 else '↓'} {dollars(abs(more))} from your last choice"


def breakdown(estimate: Estimate, tier: Tier) -> str:
    """`GPU $5.53 · evaluation $0.41 · interruption buffer $0.24 · storage $0.02`."""
    machine = "GPU" if tier.memory_bytes is not None else "Computing"
    parts = [f"{machine} {dollars(estimate.gpu_cents)}", f"evaluation {dollars(estimate.evaluation_cents)}"]
    if tier.preemptible:
        parts.append(f"interruption buffer {dollars(estimate.interruption_cents)}")
    storage = dollars(estimate.storage_cents) if estimate.storage_cents else "under $0.01"
    return " · ".join([*parts, f"storage {storage}"])


def basis(estimate: Estimate, preset: str) -> str:
    """What the estimate rests on, and how good those of this preset were; `preset` is its name."""
    spread = _spread(estimate)
    if estimate.history_jobs:
        rests = f"Rests on {count(estimate.history_jobs, 'finished run')} like this one; the range is ± {spread}."
    else:
        source = safe(estimate.source.rstrip(". "), 200)
        rests = f"No finished runs like this one yet, so the range is ± {spread}. Speed: {source}."
    return f"{rests} {accuracy(estimate, preset)}"


def accuracy(estimate: Estimate, preset: str) -> str:
    """`Past estimates for Balanced were within ±12 % on average; 8 of 9 runs …`, or that there is none yet."""
    name = safe(preset, 60)
    if estimate.past_error is None or not estimate.past_runs:
        return f"Past estimates for {name}: no history yet."
    runs = count(estimate.past_runs, "run")
    told = f"{estimate.past_in_range:,} of {runs} in 90 days ended in their range"
    return f"Past estimates for {name} were within ±{share(estimate.past_error)} on average; {told}."


def reliability(record: InterruptionRecord) -> str:
    """`Last 90 days: 19 of 20 runs completed, 3 were interrupted; a recovery took 9 min on average.`"""
    said = f"Last 90 days: {record.completed:,} of {count(record.runs, 'run')} completed"
    if not record.interrupted_runs:
        return f"{said}, none was interrupted."
    were = "was" if record.interrupted_runs == 1 else "were"
    each = ""
    if record.recoveries > 0:
        each = f"; a recovery took {duration(record.recovery_seconds / record.recoveries)} on average"
    return f"{said}, {record.interrupted_runs:,} {were} interrupted{each}."


def completion(estimate: Estimate) -> str:
    """`Started now, it is done about Nov 21 at 3:40 PM.` in the reader's own time; empty where that is far away."""
    if not 0 <= estimate.seconds.expected <= _LONGEST_S:
        return ""
    return f"Started now, it is done about {when(estimate.made_at + timedelta(seconds=estimate.seconds.expected))}."


def comparison(alternatives: Sequence[Alternative]) -> str:
    """The presets, and the other machines, as a small table of expected time and cost; empty where there is one."""
    if len(alternatives) < 2:
        return ""
    return verbatim("\n".join(_compared(item) for item in alternatives[:8]), 900)


def _compared(item: Alternative) -> str:
    name = clip(one_line(item.tier if item.other_tier else item.preset), _NAME_WIDTH)
    time, cost = rough(item.estimate.seconds.expected), dollars(item.estimate.cents_expected)
    mark = "◂" if item.chosen else "" if item.fits else "does not fit"
    return f"{name:<{_NAME_WIDTH}}{time:>10}{cost:>10} {mark}".rstrip()


def tips(found: Sequence[SavingTip]) -> str:
    """`To save: Conservative as the preset, $1.10 less (34 %) · …`; empty where nothing saves enough."""
    parts = [f"{safe(tip.text, 120)}, {money(tip.saved_cents)} less ({share(tip.share)})" for tip in found[:5]]
    return f"To save: {' · '.join(parts)}" if parts else ""


def _spread(estimate: Estimate) -> str:
    seconds = estimate.seconds
    if seconds.expected <= 0:
        return "15 %"
    return share((seconds.high - seconds.expected) / seconds.expected)


def budget_after(budget: BudgetStatus, estimate: Estimate) -> str:
    """What would be left of the budget if the run cost its upper estimate."""
    left = budget.limit_cents - budget.used_cents - estimate.cents_high
    if left < 0:
        return (
            f"Budget: {left_words(budget)}; this run would reserve {money(estimate.cents_high)}, "
            f"{money(estimate.cents_high - budget.remaining_cents)} too much."
        )
    return f"Budget after this: at least {money(left)} of {money(budget.limit_cents)} left {_period(budget)}."


def left_words(budget: BudgetStatus) -> str:
    """`$120.00 of $500.00 is left this month`."""
    return f"{money(budget.remaining_cents)} of {money(budget.limit_cents)} is left {_period(budget)}"


def _period(budget: BudgetStatus) -> str:
    return period_words(budget.period)


def memory_line(need: MemoryNeed) -> str:
    """`Needs about 66 of 80 GB of GPU memory: fits.`"""
    if need.available is None:
        return f"Needs about {memory(need.total)} of memory."
    verdict = "fits" if need.fits else "⚠ does not fit"
    return f"Needs about {memory_of(need.total, need.available)} of GPU memory: {verdict}."


def settings_in_words(settings: Hyperparameters) -> str:
    """The settings that people ask about, each with what it does."""
    batch = settings.batch_size * settings.gradient_accumulation_steps
    epochs = "1 epoch" if settings.epochs == 1 else f"{settings.epochs} epochs"
    pieces = f"{settings.batch_size} at once, {settings.gradient_accumulation_steps} times before each step"
    if settings.gradient_accumulation_steps == 1:
        pieces = "examples before each step"
    return "\n".join(
        (
            f"*Rank {settings.rank}*: how much it can learn; higher is slower",
            f"*Learning rate {rate(settings.learning_rate)}*: how big each step is; higher is faster and riskier",
            f"*{epochs}*: how often it reads the whole file",
            f"*Batch {batch}*: {pieces}; larger is steadier",
        )
    )


def success(record: PresetRecord) -> str:
    """`96 % of 25 finished runs succeeded`, or that there is none yet."""
    share = record.success_rate
    if share is None:
        return "No finished runs yet"
    ended = record.completed + record.failed
    return (
        f"{percent(share)} of {ended:,} finished runs succeeded"
        if ended > 1
        else f"{record.completed} of 1 finished run succeeded"
    )
