"""What somebody should know before they start a run, in a sentence each."""

from __future__ import annotations

from functions.model.estimate import Estimate, MemoryNeed
from functions.model.money import BudgetStatus, dollars

_HIGH_COST_CENTS = 100_00
_LONG_SECONDS = 24 * 3600
# FR1.2.2: soft warnings before the limit.
_HIGH_PERCENT, _CRITICAL_PERCENT = 80, 90


def start_warnings(estimate: Estimate | None, memory: MemoryNeed | None, budget: BudgetStatus) -> tuple[str, ...]:
    """What somebody should know before they start: cost, length, budget, memory."""
    warnings = []
    if estimate and estimate.cents_high > _HIGH_COST_CENTS:
        warnings.append(f"High cost: up to {dollars(estimate.cents_high)}. A smaller preset costs less.")
    if estimate and estimate.seconds.high > _LONG_SECONDS:
        hours = estimate.seconds.high / 3600
        warnings.append(f"Long run: up to {hours:.0f} hours. Fewer epochs or less data shorten it.")
    over = over_budget_warning(estimate, budget) if estimate else ()
    warnings += over
    warnings += budget_warning(estimate, budget) if estimate and not over else ()
    if memory and not memory.fits and memory.available is not None:
        needed, there = memory.total / 1024**3, memory.available / 1024**3
        warnings.append(f"Needs about {needed:.0f} GB of GPU memory, the card has {there:.0f}.")
    return tuple(warnings)


def budget_warning(estimate: Estimate, budget: BudgetStatus) -> tuple[str, ...]:
    """What to say where the upper estimate fits, but leaves little."""
    used, left = budget.used_cents + estimate.cents_high, budget.remaining_cents - estimate.cents_high
    percent = used * 100 // budget.limit_cents if budget.limit_cents > 0 else 100
    if percent >= _CRITICAL_PERCENT:
        return (
            f"With this run {percent} % of the budget is taken ({dollars(used)} of {dollars(budget.limit_cents)}); "
            f"only {dollars(left)} would be left. Keep it for the runs that matter most.",
        )
    if percent >= _HIGH_PERCENT:
        return (
            f"With this run {percent} % of the budget is taken ({dollars(used)} of {dollars(budget.limit_cents)}).",
        )
    if budget.remaining_cents < estimate.cents_high * 3 // 2:
        return (f"This run may leave only {dollars(left)} of the budget.",)
    return ()


def over_budget_warning(estimate: Estimate, budget: BudgetStatus) -> tuple[str, ...]:
    """What to say where the upper estimate does not fit in what is left."""
    if estimate.cents_high <= budget.remaining_cents:
        return ()
    short = estimate.cents_high - budget.remaining_cents
    return (
        f"Over budget: up to {dollars(estimate.cents_high)} needed, {dollars(budget.remaining_cents)} left, "
        f"{dollars(short)} short. A budget manager can raise the limit.",
    )
