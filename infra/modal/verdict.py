"""Whether jobs can be launched at Modal as things are set; what `brightrun doctor` says of it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import grpclib
import modal
from modal import exception as modal_errors

from functions import catalog
from functions.errors import BrightRunError
from functions.model.catalog import BaseModelCard
from infra.modal.compute import ModalCompute
from infra.modal.names import Names, fetch_command, model_folder
from infra.settings import Settings

_NOT_FROM_OUTSIDE = frozenset({"", "localhost", "127.0.0.1", "0.0.0.0", "::1"})  # noqa: S104 - compared, not bound


class ModalVerdict(NamedTuple):
    """Whether it works, and what is there or what to do."""

    ok: bool
    detail: str


def examine_modal(settings: Settings, *, client: modal.Client | None = None) -> ModalVerdict:
    """Look for the app, its GPU function, the base models and the secret, with the token that is set."""
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
    found = f"{settings.modal_app} is deployed on {', '.join(gpus)}"
    if not there:
        why = "no base model is stored there: jobs cannot have gated ones, and would fetch others anew each time"
        return ModalVerdict(False, f"{found}; {why}. {_add(missing[0])}")
    if settings.modal_service and not _has_secret(settings, client):
        return ModalVerdict(
            False,
            f"{found}; the secret {settings.modal_secret} is missing, which the service's containers get. "
            "Make it: README, “Going live on Modal”, step 4",
        )
    detail = f"{found}; base models there: {', '.join(there)}"
    return ModalVerdict(True, f"{detail}. {_add(missing[0])}" if missing else detail)


def _add(model: BaseModelCard) -> str:
    return f"To add one: {fetch_command(model.hub_id)}"


def _has_secret(settings: Settings, client: modal.Client | None) -> bool:
    try:
        modal.Secret.from_name(settings.modal_secret, client=client).hydrate()
    except modal_errors.NotFoundError:
        return False
    except (modal_errors.Error, grpclib.GRPCError, OSError):
        # It was reached a moment ago, and this token may not see secrets.
        return True
    return True
