"""What is still to do of a run that has a checkpoint, and what that costs: on its machine, or on another one."""

from __future__ import annotations

from datetime import datetime

from functions import catalog
from functions.approval_rules import require_no_approval
from functions.configure import quote_for
from functions.diagnosis import memory_needs
from functions.errors import ApprovalNeeded, InvalidInput
from functions.estimate import planned_steps
from functions.file_options import get_file
from functions.history import team_history
from functions.model.catalog import Tier
from functions.model.estimate import Estimate, Span
from functions.model.job import Configuration, Job
from functions.model.money import dollars
from functions.model.views import TierOffer
from functions.ports import Transaction
from functions.words import gigabytes

ASK_ANEW = "Choose a cheaper machine; or start it anew with /train, whose review asks for an approval."
# Of a run that goes on from a checkpoint, this much is spent anew on preparing, measuring and packing.
_FIXED_SHARE = 0.15


def rest_of(whole: Estimate, *, step: int | None, total_steps: int) -> Estimate:
    """The estimate of what is left of a run after a step; all of it where nothing is done."""
    if not step:
        return whole
    left = max(0.0, 1 - step / max(1, total_steps))
    return whole.part(_FIXED_SHARE + (1 - _FIXED_SHARE) * left)


def offers(tx: Transaction, *, job: Job, now: datetime) -> tuple[TierOffer, ...]:
    """The machines on which the rest of the job can be done, with what it takes and costs there; its own first.

    Raises:
        NotFound: its training file is gone.
    """
    file = get_file(tx, team_id=job.team_id, file_id=job.training_file_id)
    history = team_history(tx, team_id=job.team_id, now=now)
    need = memory_needs(file, machine_bytes=None)
    own = catalog.tier(job.configuration.tier)
    found = []
    for tier in sorted(
        catalog.tiers_for(own.provider, job.configuration.base_model), key=lambda item: item.key != own.key
    ):
        there = _on(job.configuration, tier)
        settings = there.hyperparameters
        total = planned_steps(file.stats, settings, there.held_out_fraction)
        whole = quote_for(history, file=file, configuration=there, now=now)
        if need(there).fits:
            found.append(TierOffer(tier=tier, rest=rest_of(whole, step=job.kept_step, total_steps=total)))
    return tuple(found)


def offer_of(tx: Transaction, *, job: Job, key: str, now: datetime) -> TierOffer:
    """The rest of the job on one machine.

    Raises:
        InvalidInput: it is not offered, another provider's, too small, or nobody knows the model's speed on it.
        ApprovalNeeded: it is dear and is not interrupted, or passes what was approved.
        NotFound: the training file is gone.
    """
    tier = require_tier_of_same(job.configuration, key)
    found = next((item for item in offers(tx, job=job, now=now) if item.tier.key == tier.key), None)
    if found is None:
        there = gigabytes(tier.memory_bytes or 0)
        raise InvalidInput(
            f"This run does not fit {tier.name}, which has {there}.", field="tier", fix="Choose a larger machine."
        )
    if job.cap_cents is None:
        require_no_approval(found.rest, tier, fix=ASK_ANEW)
    elif tier.key != job.configuration.tier and job.actual_cost_cents + found.rest.cents_expected > job.cap_cents:
        raise ApprovalNeeded(
            f"With the rest on {tier.name} it would pass the {dollars(job.cap_cents)} that was approved for it.",
            fix=ASK_ANEW,
        )
    return found


def require_tier_of_same(configuration: Configuration, key: str) -> Tier:
    """The tier with this key, if a run of this configuration can go there.

    Raises:
        InvalidInput: it is unknown, not offered, another provider's, or nobody knows the model's speed on it.
    """
    own, tier = catalog.tier(configuration.tier), catalog.tier(key)
    if not tier.offered or tier.cents_per_hour is None:
        raise InvalidInput(f"{tier.name} is not offered. {tier.explanation}", field="tier")
    if tier.provider != own.provider:
        raise InvalidInput(
            f"{tier.name} is another provider's: what this run has saved is not there.",
            field="tier",
            fix=f"Stay on {own.name}, or start a new run with /train.",
        )
    if tier.key != own.key:
        catalog.throughput_prior(gpu=tier.gpu, model=configuration.base_model)
    return tier


def on_tier(tx: Transaction, job: Job, offer: TierOffer) -> Job:
    """The job, which is to be billed at the offer's tier from now on; its estimate is what it cost and the rest."""
    if offer.tier.key == job.configuration.tier:
        return job
    configuration = _on(job.configuration, offer.tier)
    estimate = offer.rest if not job.billed_seconds else _with_past(job, offer.rest)
    rate = offer.tier.cents_per_hour or 0
    tx.jobs.change_tier(job.id, configuration, rate, estimate)
    return job.model_copy(
        update={
            "configuration": configuration,
            "estimate": estimate,
            "rate_cents_per_hour": rate,
            "cents_before": job.actual_cost_cents,
            "seconds_before": job.billed_seconds,
        }
    )


def _with_past(job: Job, rest: Estimate) -> Estimate:
    seconds, cents = job.billed_seconds, job.actual_cost_cents
    span = Span(
        low=seconds + rest.seconds.low, expected=seconds + rest.seconds.expected, high=seconds + rest.seconds.high
    )
    return rest.model_copy(
        update={
            "seconds": span,
            "cents_low": cents + rest.cents_low,
            "cents_expected": cents + rest.cents_expected,
            "cents_high": cents + rest.cents_high,
            "gpu_cents": cents + rest.gpu_cents,
            "workload": None,
        }
    )


def _on(configuration: Configuration, tier: Tier) -> Configuration:
    return configuration.model_copy(update={"tier": tier.key})
