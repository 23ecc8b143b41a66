"""Reads the data files behind the choices: presets, rate card, base models, throughput priors."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from functions.errors import InvalidInput
from functions.model.catalog import BaseModelCard, Preset, Throughput, Tier
from functions.model.job_spec import Hyperparameters

_T = TypeVar("_T", Preset, BaseModelCard, Tier)

# "LoRA Without Regret" (Thinking Machines, 2025; tinker-cookbook hyperparam_utils): the best rate of a
# LoRA run falls with the base model's width as hidden_size ** -0.781 for Llama-like models.
_LEARNING_RATE_POWER = 0.781


@cache
def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files("functions") / "data" / name).read_text("utf-8"))
    return loaded


@cache
def presets() -> tuple[Preset, ...]:
    """All presets, from the most careful to the boldest."""
    return tuple(Preset.model_validate(item) for item in _load("presets.json")["presets"])


@cache
def base_models() -> tuple[BaseModelCard, ...]:
    """All base models that have a card."""
    return tuple(BaseModelCard.model_validate(item) for item in _load("base_models.json")["models"])


@cache
def tiers() -> tuple[Tier, ...]:
    """The rate card: offered tiers and those that are named only to say why they are not."""
    return tuple(Tier.model_validate(item) for item in _load("rates.json")["tiers"])


def preset(key: str) -> Preset:
    """The preset with this key.

    Raises:
        InvalidInput: there is none.
    """
    return _only(presets(), key, "preset")


def base_model(key: str) -> BaseModelCard:
    """The base model with this key.

    Raises:
        InvalidInput: there is none.
    """
    return _only(base_models(), key, "base model")


def tier(key: str) -> Tier:
    """The tier with this key.

    Raises:
        InvalidInput: there is none.
    """
    return _only(tiers(), key, "price tier")


def preset_name(key: str) -> str:
    """The preset's name; its key where a past run has one that there is no more."""
    return next((item.name for item in presets() if item.key == key), key)


def tier_name(key: str) -> str:
    """The tier's name; its key where a past run has one that there is no more."""
    return next((item.name for item in tiers() if item.key == key), key)


def tiers_of(provider: str) -> tuple[Tier, ...]:
    """The tiers of one provider, offered ones first."""
    return tuple(sorted((t for t in tiers() if t.provider == provider), key=lambda t: not t.offered))


def tiers_for(provider: str, model: str) -> tuple[Tier, ...]:
    """The offered tiers of a provider on which a base model's speed is known."""
    return tuple(item for item in tiers_of(provider) if item.offered and _prior(item.gpu, model) is not None)


def models_of(provider: str) -> tuple[BaseModelCard, ...]:
    """The base models that a provider can train."""
    return tuple(model for model in base_models() if provider in model.providers)


def throughput_prior(*, gpu: str, model: str) -> Throughput:
    """The speed that an estimate rests on while there is no history.

    Raises:
        InvalidInput: nobody has measured or published one.
    """
    found = _prior(gpu, model)
    if found is None:
        raise InvalidInput(f"No speed is known for {model} on {gpu}.", fix="Add a prior to throughput.json.")
    return found


@cache
def _prior(gpu: str, model: str) -> Throughput | None:
    """As the data file has it, or scaled from its reference GPU by what both compute a second."""
    given = {(item["gpu"], item["model"]): item for item in _load("throughput.json")["priors"]}
    if (gpu, model) in given:
        return Throughput.model_validate(given[gpu, model])
    scaled = _load("throughput.json")["scaled"]
    rates, reference = scaled["dense_bf16_tflops"], scaled["reference_gpu"]
    if gpu not in rates or (reference, model) not in given:
        return None
    known = Throughput.model_validate(given[reference, model])
    factor = rates[gpu] / rates[reference]
    return known.model_copy(
        update={
            "gpu": gpu,
            "train_tokens_per_second": known.train_tokens_per_second * factor,
            "forward_tokens_per_second": known.forward_tokens_per_second * factor,
            "source": f"{factor:.2g} times the {reference}'s prior, by published bf16 rates; not measured",
            "as_of": scaled["as_of"],
        }
    )


def storage_cents_per_gib_month() -> float:
    """What a stored gibibyte costs a month."""
    return float(_load("rates.json")["storage"]["cents_per_gib_month"])


def interruption_prior() -> tuple[float, float]:
    """(interruptions an hour, seconds lost by each) of preemptible tiers, until there is history."""
    prior = _load("rates.json")["interruptions"]
    return float(prior["per_hour"]), float(prior["recovery_seconds"])


def hyperparameters_for(chosen: Preset, model: BaseModelCard) -> Hyperparameters:
    """The preset's hyperparameters with the learning rate scaled to the base model's width."""
    reference = int(_load("presets.json")["reference_hidden_size"])
    scale = (reference / model.hidden_size) ** _LEARNING_RATE_POWER
    rate = float(f"{chosen.hyperparameters.learning_rate * scale:.2g}")
    return chosen.hyperparameters.model_copy(update={"learning_rate": rate})


def _only(items: tuple[_T, ...], key: str, what: str) -> _T:
    for item in items:
        if item.key == key:
            return item
    known = ", ".join(item.key for item in items)
    raise InvalidInput(f"There is no {what} called {key!r}.", fix=f"Known: {known}.")
