"""What can be chosen: presets, base models and the rate card. Values come from data files with a source."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from functions.model.job_spec import Hyperparameters

# Where runs are practice: their rate exists so that budgets behave as they will later; nobody is billed.
PRACTICE_PROVIDER = "local"
PRACTICE_TIER = "local"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Preset(_Record):
    """A set of hyperparameters with what a person needs to choose it."""

    key: str
    name: str
    icon: str
    summary: str
    risk: str
    risk_explained: str
    use_cases: tuple[str, ...]
    hyperparameters: Hyperparameters


class BaseModelCard(_Record):
    """A base model: its public id, its shape (for the memory estimate) and where it can run."""

    key: str
    name: str
    hub_id: str
    parameters: int
    hidden_size: int
    layers: int
    intermediate_size: int
    vocabulary: int
    kv_heads: int
    heads: int
    context: int
    providers: tuple[str, ...]
    licence: str
    embedded: bool = False


class Tier(_Record):
    """A way to buy compute. A tier that is not offered is shown with the reason, never priced.

    `fallbacks` are the GPUs that serve where `gpu` has no room, in this order: none of them dearer or slower than
    this tier and none with less memory, so that a quote holds on each. An A100 is no fallback of an H100: it takes
    three times as long and twice the money; people may switch to it.
    """

    key: str
    provider: str
    name: str
    gpu: str
    memory_bytes: int | None
    offered: bool
    cents_per_hour: int | None
    preemptible: bool
    explanation: str
    source: str
    as_of: str
    fallbacks: tuple[str, ...] = ()
    fallbacks_source: str = ""


class Throughput(_Record):
    """A measured or published speed that estimates rest on until there is history."""

    gpu: str
    model: str
    train_tokens_per_second: float
    forward_tokens_per_second: float
    preprocessing_seconds: float
    model_loading_seconds: float
    finalization_seconds: float
    source: str
    as_of: str
