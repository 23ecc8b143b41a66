"""Base models on their volume, from where jobs load them: `modal run -m infra.modal.models --model HUB_ID`.

The GPU function has no token of the model hub, so gated models have to be put here; others should, as every job
would fetch them anew. `HF_TOKEN`, of the environment that this is run in or of `.env`, is used for this one call.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import modal

from functions.errors import InvalidInput, Unavailable
from functions.model.job_spec import EMBEDDED_MODEL
from infra.modal.images import models_image
from infra.modal.names import PARTIAL, Names, fetch_command, model_folder
from infra.settings import Settings

_SETTINGS = Settings()
NAMES = Names.of(_SETTINGS)
_ONE_FILE = "model.safetensors"
# Other forms of the same weights.
_NOT_NEEDED = ["original/*", "*.pth", "*.gguf"]

app = modal.App(f"{NAMES.app}-models", include_source=False)
models = modal.Volume.from_name(NAMES.models_volume, create_if_missing=True)
_token = modal.Secret.from_dict({"HF_TOKEN": _SETTINGS.hf_token.get_secret_value() if _SETTINGS.hf_token else ""})


@app.function(
    image=models_image(NAMES), volumes={NAMES.models: models}, secrets=[_token], timeout=6 * 3600, memory=4096
)
def fetch(hub_id: str) -> str:
    """Put a model into its folder; what is there of it already is not fetched again.

    Raises:
        InvalidInput: the hub has no such model, or its owner has not agreed yet.
        Unavailable: the hub did not hand over all of it.
        Exception: what else the hub said.
    """
    target = Path(NAMES.models) / model_folder(hub_id)
    try:
        store_model(hub_id, target)
    finally:
        # What came before something failed, too: the next call goes on from there.
        models.commit()
    return str(target)


def store_model(hub_id: str, target: Path) -> None:
    """Put a model into its folder, which is there only when all of the model is.

    Raises:
        InvalidInput: the hub has no such model, or its owner has not agreed yet.
        Unavailable: the hub did not hand over all of it.
    """
    if _has_weights(target):
        return
    partial = target.parent / PARTIAL / target.name
    partial.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # whoever put it there did not come to an end
        shutil.rmtree(target) if partial.exists() else target.rename(partial)
    if hub_id == EMBEDDED_MODEL:
        from gpu_jobs.embedded_model import ensure_embedded_model

        partial = ensure_embedded_model(target.parent / ".embedded")
    else:
        with _telling_why(hub_id):
            _download(hub_id, partial)
    partial.rename(target)


def _has_weights(folder: Path) -> bool:
    index = folder / "model.safetensors.index.json"
    names = set(json.loads(index.read_text("utf-8"))["weight_map"].values()) if index.is_file() else {_ONE_FILE}
    return all((folder / name).is_file() for name in names)


def _download(hub_id: str, folder: Path) -> None:
    from huggingface_hub import HfApi, snapshot_download

    # Asked first: where the hub refuses, `snapshot_download` is content with what an earlier call left in the folder.
    info = HfApi().model_info(hub_id)
    snapshot_download(hub_id, revision=info.sha, local_dir=folder, ignore_patterns=_NOT_NEEDED)
    names = [file.rfilename for file in info.siblings or ()]
    wanted = [name for name in names if not any(fnmatch(name, pattern) for pattern in _NOT_NEEDED)]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise _incomplete(hub_id, f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else missing[0])


def _incomplete(hub_id: str, where: str) -> Unavailable:
    return Unavailable(
        f"The model hub did not hand over all of {hub_id}.",
        where=where,
        fix="Run the same command again; it goes on from where it stopped.",
    )


@contextmanager
def _telling_why(hub_id: str) -> Iterator[None]:
    """Turn the hub's refusals into what to do about them; its own exceptions do not travel well out of a container."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        yield
    except GatedRepoError as error:
        raise InvalidInput(
            f"{hub_id} may only be fetched after its owner has agreed.",
            where=f"https://huggingface.co/{hub_id}",
            fix=f"Accept the licence on its page, then run: HF_TOKEN=hf_... {fetch_command(hub_id)}",
        ) from error
    except RepositoryNotFoundError as error:
        raise InvalidInput(
            f"The model hub has no model {hub_id}, or not for this HF_TOKEN.", fix="Check the model's name."
        ) from error
    except HfHubHTTPError as error:
        raise _incomplete(hub_id, str(error)[:200]) from error


@app.local_entrypoint()
def main(model: str = EMBEDDED_MODEL) -> None:
    """Fetch one model and say where it is."""
    print(f"{model} is at {fetch.remote(model)} on the volume {NAMES.models_volume}.")  # noqa: T201 - for the person who ran it
