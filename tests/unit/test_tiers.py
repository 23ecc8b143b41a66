"""The rate card: what is offered can be quoted, and priors that nobody measured say where they come from."""

from __future__ import annotations

import pytest

from functions import catalog
from functions.alternatives import Priced, alternatives
from functions.errors import InvalidInput
from functions.estimate import estimate_run, no_history
from functions.model.estimate import Estimate
from functions.model.job import JobChoice
from infra.modal.limits import require_known_gpu
from tests.unit.block_views import NOW, stats

MODAL = [tier for tier in catalog.tiers_of("modal") if tier.offered]


def quoted(tier: str, model: str = "llama-3-70b") -> Estimate:
    card = catalog.base_model(model)
    return estimate_run(
        stats=stats(),
        model=card,
        tier=catalog.tier(tier),
        settings=catalog.hyperparameters_for(catalog.preset("balanced"), card),
        preset="balanced",
        held_out_fraction=0.2,
        history=no_history(),
        now=NOW,
    )


def test_whatever_is_offered_can_be_had_and_quoted_for_every_model() -> None:
    assert [tier.gpu for tier in MODAL] == ["H100", "H200", "B200", "A100-80GB"]
    for tier in MODAL:
        require_known_gpu(tier.gpu)
        assert tier.preemptible
        assert tier.source
        assert tier.as_of
        for model in catalog.models_of("modal"):
            assert tier in catalog.tiers_for("modal", model.key)
            assert quoted(tier.key, model.key).cents_high > 0


def test_speeds_that_were_not_measured_follow_published_rates_and_say_so() -> None:
    known = catalog.throughput_prior(gpu="H100", model="llama-3-70b")
    slower = catalog.throughput_prior(gpu="A100-80GB", model="llama-3-70b")
    assert slower.train_tokens_per_second == pytest.approx(known.train_tokens_per_second * 312 / 989)
    assert slower.model_loading_seconds == known.model_loading_seconds
    assert slower.source == "0.32 times the H100's prior, by published bf16 rates; not measured"
    with pytest.raises(InvalidInput, match="No speed is known for llama-3-70b on T4"):
        catalog.throughput_prior(gpu="T4", model="llama-3-70b")


def test_a_slower_machine_takes_longer_and_what_trains_for_long_costs_more_there() -> None:
    made = {tier.gpu: quoted(tier.key) for tier in MODAL}
    assert made["A100-80GB"].seconds.expected > made["H100"].seconds.expected > made["B200"].seconds.expected
    assert made["H200"].cents_expected > made["H100"].cents_expected
    # The fixed stages are cheaper by the hour; the training itself is not.
    trained = {
        tier.gpu: made[tier.gpu].tokens / made[tier.gpu].tokens_per_second * (tier.cents_per_hour or 0)
        for tier in MODAL
    }
    assert trained["A100-80GB"] > trained["H100"] > trained["B200"]


def test_a_fallback_is_neither_dearer_nor_slower_nor_smaller_than_what_was_quoted() -> None:
    by_gpu = {tier.gpu: tier for tier in MODAL}
    for tier in MODAL:
        for gpu in tier.fallbacks:
            other = by_gpu[gpu]
            assert (other.cents_per_hour or 0) <= (tier.cents_per_hour or 0)
            assert (other.memory_bytes or 0) >= (tier.memory_bytes or 0)
            for model in catalog.models_of("modal"):
                speeds = [catalog.throughput_prior(gpu=name, model=model.key) for name in (tier.gpu, gpu)]
                assert speeds[1].train_tokens_per_second >= speeds[0].train_tokens_per_second


def test_the_form_compares_the_other_machines_by_their_short_names() -> None:
    choice = JobChoice(preset="balanced", tier="modal-h100", base_model="llama-3-70b")
    shown = alternatives(lambda item: Priced(quoted(item.tier), True), choice=choice, provider="modal")
    assert [item.tier for item in shown if item.other_tier] == ["H200", "B200", "A100-80GB"]
