"""Whether jobs can be launched at Modal as things are set; what `brightrun doctor` says of it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import modal

from functions import catalog
from functions.errors import BrightRunError
from infra.modal.compute import ModalCompute
from infra.modal.names import Names, model_folder
from infra.settings import Settings

_NOT_FROM_OUTSIDE = frozenset({"", "localhost", "127.0.0.1", "0.0.0.0", "::1"})  # noqa: S104 - compared, not bound


class ModalVerdict(NamedTuple):
    """Whether it works, and what is there or what to do."""

    ok: bool
    detail: str


def examine_modal(settings: Settings, *, client: modal.Client | None = None) -> ModalVerdict:
    """Look for the app, its GPU function and the base models, with the token that is set."""
    if urlsplit(settings.public_url).hostname in {*_NOT_FROM_OUTSIDE, None}:
        return ModalVerdict(
            False, "jobs there cannot reach this service; set BRIGHTRUN_PUBLIC_URL to an address of the internet"
        )
    compute = ModalCompute(Names.of(settings), client=client)
    try:
        gpus = compute.deployed_gpus()
        stored = compute.stored_models()
    except BrightRunError as error:
        return ModalVerdict(False, str(error))
    known = catalog.models_of(compute.provider)
    there = [model.name for model in known if model_folder(model.hub_id) in stored]
    missing = [model for model in known if model.name not in there]
    detail = f"{settings.modal_app} is deployed on {', '.join(gpus)}; base models there: {', '.join(there) or 'none'}"
    if missing:
        detail += f". To add one: modal run -m infra.modal.models --model {missing[0].hub_id}"
    return ModalVerdict(True, detail)
