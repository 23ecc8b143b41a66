"""Base models on their volume, from where jobs load them: `modal run -m infra.modal.models --model HUB_ID`.

The GPU function has no token of the model hub, so gated models have to be put here; others should, as every job
would fetch them anew. `HF_TOKEN` of the environment that this is run in is used for this one call.
"""

from __future__ import annotations

import os

import modal

from functions.model.job_spec import EMBEDDED_MODEL
from gpu_jobs.embedded_model import FOLDER
from infra.modal.images import models_image
from infra.modal.names import Names, model_folder
from infra.settings import Settings

NAMES = Names.of(Settings())

app = modal.App(f"{NAMES.app}-models", include_source=False)
models = modal.Volume.from_name(NAMES.models_volume, create_if_missing=True)
_token = modal.Secret.from_dict({"HF_TOKEN": os.environ.get("HF_TOKEN", "")})


@app.function(
    image=models_image(NAMES), volumes={NAMES.models: models}, secrets=[_token], timeout=6 * 3600, memory=4096
)
def fetch(hub_id: str) -> str:
    """Put a model into its folder; what is there of it already is not fetched again.

    Raises:
        Exception: what the hub said: unknown, gated, out of reach.
    """
    from pathlib import Path

    target = Path(NAMES.models) / model_folder(hub_id)
    if hub_id == EMBEDDED_MODEL:
        from gpu_jobs.embedded_model import ensure_embedded_model

        converted = ensure_embedded_model(Path(NAMES.models) / ".embedded")
        if not target.exists():
            (converted.parent / FOLDER).rename(target)
    else:
        from huggingface_hub import snapshot_download

        snapshot_download(hub_id, local_dir=target, ignore_patterns=["original/*", "*.pth", "*.gguf"])
    models.commit()
    return str(target)


@app.local_entrypoint()
def main(model: str = EMBEDDED_MODEL) -> None:
    """Fetch one model and say where it is."""
    print(f"{model} is at {fetch.remote(model)} on the volume {NAMES.models_volume}.")  # noqa: T201 - for the person who ran it
