"""A running job's money: spent so far, bands of the estimate, what the end will cost, what to do about it."""

from __future__ import annotations

import math
from datetime import datetime

from functions import catalog
from functions.model.job import Job
from functions.model.money import cost_cents
from functions.model.spend import Advice, Projection, Spend, TrackRecord

# Percent of the expected cost at which people are told, once each.
BANDS = (80, 100, 120)
# Percent of the work at which a projection is kept, to be held against the end.
MARKS = (25, 50, 75)
# A projection counts for a mark only soon after it.
_MARK_WIDTH = 15
# From so many ended runs on, the projections' own record says how wide the range is.
_ENOUGH_RECORD = 5
# Half width of the interval that holds 90 % of a normal distribution, in mean absolute errors.
_WIDTH_PER_MEAN_ERROR = 1.645 / math.sqrt(2 / math.pi)
_LATE = 0.8


def spend_of(job: Job, *, now: datetime, running_since: datetime | None) -> Spend:
    """What the job has cost: billed seconds at its rate, recoveries from interruptions told apart.

    Args:
        job: the job.
        now: the moment to bill up to.
        running_since: since when the attempt that runs is billed; None where none does.
    """
    seconds = job.billed_now(now, running_since)
    lost = sum(loss.overhead_seconds for loss in job.progress.interruptions)
    total = job.cost_of(seconds)
    return Spend(total_cents=total, interruption_cents=total - job.cost_of(max(0.0, seconds - lost)))


def band_reached(job: Job, *, now: datetime, running_since: datetime | None) -> int | None:
    """The highest band that the spending has reached; None below the first.

    The spending is not rounded to cents: a trial that costs one is not at 100 % after its first second.
    """
    share = used_share(job, now=now, running_since=running_since)
    return max((band for band in BANDS if share * 100 >= band), default=None)


def used_share(job: Job, *, now: datetime, running_since: datetime | None) -> float:
    """Spending as a share of what was expected; 0 where nothing was."""
    # Nobody is billed for storage by the hour.
    expected = job.estimate.cents_expected - job.estimate.storage_cents
    # A run may have changed its tier: what it cost before is kept in cents.
    seconds = max(0.0, job.billed_now(now, running_since) - job.seconds_before)
    spent = job.cents_before + seconds / 3600 * job.rate_cents_per_hour
    return spent / expected if expected > 0 else 0.0


def mark_reached(fraction: float) -> int | None:
    """The mark that a job, done to this share, has just passed; None if it is far from the last one."""
    percent = fraction * 100
    return next((mark for mark in reversed(MARKS) if mark <= percent < mark + _MARK_WIDTH), None)


def record_mark(fraction: float) -> int:
    """The mark whose track record speaks for a projection made at this share of the work."""
    return min(MARKS, key=lambda mark: abs(mark - fraction * 100))


def project(job: Job, *, spent_cents: int, remaining_seconds: float, record: TrackRecord | None = None) -> Projection:
    """What the job will have cost at its end.

    Best and worst differ from the expected cost by the estimate's own uncertainty, applied to what remains, until
    enough projections at this point have been held against the end; then by how far those were off. The worst case
    holds one more interruption where machines may be taken away.
    """
    rate = job.rate_cents_per_hour
    expected = spent_cents + cost_cents(remaining_seconds, rate)
    if record is not None and record.runs >= _ENOUGH_RECORD:
        margin = math.ceil(expected * record.mean_error * _WIDTH_PER_MEAN_ERROR)
        best, worst = max(spent_cents, expected - margin), expected + margin
    else:
        seconds = job.estimate.seconds
        # No estimate is made wider than this; one that is stored wider is none.
        spread = min(1.0, max(0.0, seconds.high / seconds.expected - 1)) if seconds.expected > 0 else 0.0
        best = spent_cents + cost_cents(remaining_seconds / (1 + spread), rate)
        worst = spent_cents + cost_cents(remaining_seconds * (1 + spread), rate)
    if remaining_seconds > 0 and catalog.tier(job.configuration.tier).preemptible:
        worst += cost_cents(catalog.interruption_prior()[1], rate)
    return Projection(spent_cents=spent_cents, best_cents=best, expected_cents=expected, worst_cents=worst)


def advise(job: Job, projection: Projection, *, fraction: float) -> Advice:
    """What to do about a projection."""
    limit = job.estimate.cents_high
    if projection.expected_cents <= limit:
        return Advice.WATCH if projection.worst_cents > limit else Advice.NOTHING
    return Advice.LET_FINISH if fraction >= _LATE else Advice.CONSIDER_CANCELLING
