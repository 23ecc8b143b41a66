"""Which starts somebody else has to agree to."""

from __future__ import annotations

from functions.model.approval import ApprovalKind
from functions.model.catalog import PRACTICE_PROVIDER, Tier
from functions.model.estimate import Estimate

# FR7.1.1: an on-demand job that may cost more than this needs an approval, budget or not.
COSTLY_CENTS = 150_00


# How far a run may pass the upper estimate that was approved, in percent.
_CAP_PERCENT = 10
_WHOLE_DOLLARS_FROM = 10_00


def cap_cents(cents_high: int) -> int:
    """Where an approved run is stopped: a tenth above its upper estimate, in whole dollars unless it is a few cents."""
    unit = 1_00 if cents_high >= _WHOLE_DOLLARS_FROM else 1
    return -(-cents_high * (100 + _CAP_PERCENT) // (100 * unit)) * unit


def needs_approval(estimate: Estimate, tier: Tier, remaining_cents: int) -> ApprovalKind | None:
    """Which approval a start needs, if any."""
    if estimate.cents_high > remaining_cents:
        return ApprovalKind.OVER_BUDGET_START
    if not tier.preemptible and tier.provider != PRACTICE_PROVIDER and estimate.cents_high > COSTLY_CENTS:
        return ApprovalKind.COSTLY_START
    return None
