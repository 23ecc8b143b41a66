"""Tokenizers of base models that are stored at Modal, for the service's containers there and for a bot elsewhere."""

from __future__ import annotations

from pathlib import Path

from functions import catalog
from functions.errors import NotFound, Unavailable
from functions.model.job_spec import EMBEDDED_MODEL
from gpu_jobs.embedded_model import ensure_embedded_model
from infra.modal.compute import ModalCompute
from infra.modal.names import Names, fetch_command, model_folder


class ModalTokenizers:
    """The `Tokenizers` of base models on their volume. `models_dir` is where the embedded one may be unpacked."""

    def __init__(self, compute: ModalCompute, names: Names, *, models_dir: Path) -> None:
        self._compute = compute
        self._volume = Path(names.models)
        self._models_dir = models_dir

    def largest(self) -> str:
        """The largest base model that is stored; the catalogue goes from small to large.

        Raises:
            NotFound: none is stored.
            Unavailable: Modal cannot be reached.
        """
        known = catalog.models_of(self._compute.provider)
        stored = self._compute.stored_models()
        there = [model.hub_id for model in known if model_folder(model.hub_id) in stored]
        if not there:
            raise NotFound(
                "Tokens cannot be counted: no base model is stored at Modal yet.",
                fix=f"Whoever runs Bright Run stores one: {fetch_command(known[0].hub_id)}",
            )
        return there[-1]

    def source(self, base_model: str) -> str:
        """The model's folder where the volume is mounted; elsewhere the embedded model's, or the name at the hub.

        Raises:
            Unavailable: the volume is mounted and does not show the model.
        """
        if self._volume.is_dir():
            return self._mounted(self._volume / model_folder(base_model), base_model)
        return str(ensure_embedded_model(self._models_dir)) if base_model == EMBEDDED_MODEL else base_model

    def _mounted(self, folder: Path, base_model: str) -> str:
        if not folder.is_dir():
            # A container sees the volume as it was when it started, and the one that answers Slack lives for days.
            self._compute.reload_models()
        if not folder.is_dir():
            raise Unavailable(
                f"Tokens cannot be counted: {base_model} was stored at Modal and cannot be seen here yet.",
                fix=f"Try again in a minute. If that does not help: {fetch_command(base_model)}",
            )
        return str(folder)
