"""Which base model's tokenizer counts a training file's tokens, and where it is read from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from functions import catalog
from functions.ports import Compute


class Tokenizers(Protocol):
    """The tokenizers that an installation can count with."""

    def largest(self) -> str:
        """The hub id of the largest base model that there is to train."""
        ...

    def source(self, base_model: str) -> str:
        """A folder that this process sees, or the model's name at the hub."""
        ...


class LocalTokenizers:
    """Of models that train on this machine."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    def largest(self) -> str:
        """The last one of the catalogue, which goes from small to large."""
        return catalog.models_of(self._compute.provider)[-1].hub_id

    def source(self, base_model: str) -> str:
        """The model's folder, or its name at the hub."""
        path = self._compute.model_path(base_model)
        return path if path and Path(path).is_dir() else base_model
