"""What else could be chosen, with its price: the presets and tiers side by side, and what would save money."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from functions import catalog
from functions.model.estimate import Estimate
from functions.model.job import JobChoice
from functions.model.views import Alternative, SavingTip

# A tip that saves less than this share of the expected cost is not worth reading.
_WORTHWHILE = 0.10
_TIPS = 3


class Priced(NamedTuple):
    """A choice's estimate, and whether its memory fits the card."""

    estimate: Estimate
    fits: bool


Price = Callable[[JobChoice], Priced]


def alternatives(price: Price, *, choice: JobChoice, provider: str) -> tuple[Alternative, ...]:
    """Every preset on the chosen tier, then the chosen preset on every other tier that is offered.

    Args:
        price: prices a complete choice.
        choice: the complete choice that is compared with.
        provider: whose tiers are shown.
    """
    beside = [choice.model_copy(update={"preset": preset.key}) for preset in catalog.presets()]
    elsewhere = [tier for tier in catalog.tiers_of(provider) if tier.offered and tier.key != choice.tier]
    beside += [choice.model_copy(update={"tier": tier.key}) for tier in elsewhere]
    return tuple(_alternative(price(item), item, choice) for item in beside)


def _alternative(priced: Priced, item: JobChoice, choice: JobChoice) -> Alternative:
    return Alternative(
        preset=catalog.preset(item.preset).name,
        tier=catalog.tier(item.tier).name.partition(",")[0],
        other_tier=item.tier != choice.tier,
        chosen=item == choice,
        estimate=priced.estimate,
        fits=priced.fits,
    )


def saving_tips(price: Price, *, choice: JobChoice, shown: tuple[Alternative, ...]) -> tuple[SavingTip, ...]:
    """What would make the run cheaper, the largest saving first; each priced by the same estimator."""
    mine = next((item.estimate for item in shown if item.chosen), None)
    if mine is None or mine.cents_expected <= 0:
        return ()
    found = [(_switch(item), item.estimate) for item in shown if not item.chosen and item.fits]
    shorter = _one_epoch_less(choice, mine)
    if shorter is not None:
        epochs = _epochs(choice)
        words = f"{epochs - 1} instead of {epochs} epochs (stop after {shorter.max_steps:,} steps)"
        found.append((words, price(shorter).estimate))
    tips = [
        SavingTip(text=text, saved_cents=saved, share=saved / mine.cents_expected)
        for text, other in found
        if (saved := mine.cents_expected - other.cents_expected) >= _WORTHWHILE * mine.cents_expected
    ]
    return tuple(sorted(tips, key=lambda tip: -tip.saved_cents)[:_TIPS])


def _switch(item: Alternative) -> str:
    return f"{item.tier} as the machine" if item.other_tier else f"{item.preset} as the preset"


def _epochs(choice: JobChoice) -> int:
    return catalog.preset(choice.preset).hyperparameters.epochs


def _one_epoch_less(choice: JobChoice, mine: Estimate) -> JobChoice | None:
    """The form has no field for epochs, but stopping after all but the last one's steps is the same."""
    epochs = _epochs(choice)
    if choice.max_steps is not None or epochs < 2:
        return None
    return choice.model_copy(update={"max_steps": max(1, mine.steps // epochs * (epochs - 1))})
