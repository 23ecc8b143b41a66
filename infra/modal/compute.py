"""GPU jobs at Modal: the `Compute` port over the deployed app's `train`, by stored call id."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import grpclib
import modal
from modal import exception as modal_errors

from functions import catalog
from functions.errors import InvalidInput, NoCapacity, Unavailable
from functions.model.catalog import Tier
from functions.model.job_spec import JobSpec
from functions.ports import CallState
from gpu_jobs.job import FAILED, FINISHED, INTERRUPTED, SPEC_UNREADABLE
from infra.modal.limits import require_known_gpu
from infra.modal.names import TRAIN, Names, model_folder
from infra.modal.trainer import TrainerCrashed

log = logging.getLogger(__name__)

# So long before Modal ends a call the job saves itself: a checkpoint of 70B-class adapters takes a minute to write.
_SAVING_SECONDS = 300
_MODELS_REMEMBERED_SECONDS = 60.0

_ENDINGS = {
    FINISHED: "finished",
    FAILED: "failed",
    SPEC_UNREADABLE: "the trainer could not read the job's spec; deploy the same version everywhere",
    INTERRUPTED: "stopped to go on in a new call",
}
# How a call is known to be over: Modal or the trainer says so. Anything else is trouble of this process or of the
# way to Modal, and says nothing about the call: to take that for its end would start a second machine.
_OVER = (
    TrainerCrashed,
    modal_errors.FunctionTimeoutError,
    modal_errors.InternalFailure,
    modal_errors.NotFoundError,
    modal_errors.OutputExpiredError,
    modal_errors.RemoteError,
)
# Whatever Modal's client raises; `RuntimeError` is what a closed event loop ends in.
_TROUBLE = (modal_errors.Error, grpclib.GRPCError, grpclib.exceptions.StreamTerminatedError, OSError, RuntimeError)


class ModalCompute:
    """The `Compute` port over Modal. Safe to use from several processes: Modal holds all state."""

    provider = "modal"
    # Every spawn is a call of its own.
    repeatable = False

    def __init__(self, names: Names, *, client: modal.Client | None = None) -> None:
        self._names = names
        self._client = client
        self._models: tuple[float, frozenset[str]] = (0.0, frozenset())
        # It is polled every second; each trouble is logged once.
        self._said: set[tuple[str, str]] = set()

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        """Spawn an attempt on the tier's GPU; the call id is there before the attempt does anything.

        Raises:
            InvalidInput: the tier is not one of Modal's.
            NoCapacity: Modal takes no more calls now.
            Unavailable: Modal cannot be reached, or the app is not deployed.
        """
        chosen = _modal_tier(tier)
        timeout = self._names.timeout_seconds
        spec = spec.model_copy(
            update={
                "restarted_by_owner": True,
                "stop_after_seconds": timeout - min(_SAVING_SECONDS, timeout // 4),
            }
        )
        with _reaching_modal("launch the job", deployed=self._names.app):
            function = modal.Function.from_name(self._names.app, TRAIN, client=self._client)
            call = _with_tier(function, chosen, timeout).spawn(spec.model_dump(mode="json"), token)
        return str(call.object_id)

    def poll(self, call_id: str) -> CallState:
        """How it stands, without waiting. Where that cannot be found out, it is taken to run; the note says so."""
        try:
            code = modal.FunctionCall.from_id(call_id, client=self._client).get(timeout=0)
        except _OVER as error:
            return CallState(running=False, note=_words(error))
        except Exception as error:  # noqa: BLE001 - a container's exception is raised here as it was raised there
            if _of_a_container(error):
                return CallState(running=False, note=f"its container failed: {_words(error)}")
            # The builtin one alone means that there is no result yet; Modal's own is of another family.
            return CallState(running=True) if isinstance(error, TimeoutError) else self._unknown(call_id, error)
        return CallState(running=False, exit_code=_exit_code(code), note=_note(code))

    def _unknown(self, call_id: str, error: Exception) -> CallState:
        note = f"Modal could not be asked: {_words(error)}"
        if (call_id, note) not in self._said:
            self._said.add((call_id, note))
            log.warning("call %s: %s; it is taken to run on", call_id, note)
        return CallState(running=True, note=note, known=False)

    def waits_for_gpu(self, call_id: str) -> bool:
        """Whether inputs of the trainer wait for a container. Modal does not say which; one that is silent is one.

        Raises:
            Unavailable: Modal cannot be reached, or the app is not deployed.
        """
        with _reaching_modal("look after the job", deployed=self._names.app):
            function = modal.Function.from_name(self._names.app, TRAIN, client=self._client)
            return function.get_current_stats().backlog > 0

    def cancel(self, call_id: str) -> None:
        """End it and its container; the trainer gets a signal and a few seconds to save where it is.

        Raises:
            Unavailable: Modal cannot be reached.
        """
        try:
            with _reaching_modal("cancel the job"):
                modal.FunctionCall.from_id(call_id, client=self._client).cancel(terminate_containers=True)
        except modal_errors.NotFoundError:
            log.info("Modal does not know call %s, so there is nothing to cancel.", call_id)

    def work_dir(self, job_id: UUID) -> str:
        """The job's folder on the runs volume, as its containers see it."""
        return self._names.work_dir(job_id)

    def model_path(self, base_model: str) -> str | None:
        """The base model's folder on the models volume; None where it is not there and comes from the hub.

        Raises:
            Unavailable: Modal cannot be reached, or the app is not deployed.
        """
        folder = model_folder(base_model)
        return str(PurePosixPath(self._names.models) / folder) if folder in self.stored_models() else None

    def deployed_gpus(self) -> list[str]:
        """The GPUs that the deployed function asks for, the preferred one first.

        Raises:
            Unavailable: Modal cannot be reached, or the app is not deployed.
        """
        with _reaching_modal("look at the app", deployed=self._names.app):
            function = modal.Function.from_name(self._names.app, TRAIN, client=self._client)
            return [gpu for gpu, _ in function.info().gpus]

    def stored_models(self) -> frozenset[str]:
        """Folders of whole base models on their volume; what was seen in the last minute is not asked for again.

        Raises:
            Unavailable: Modal cannot be reached, or the app is not deployed.
        """
        seen_at, folders = self._models
        if seen_at and time.monotonic() - seen_at < _MODELS_REMEMBERED_SECONDS:
            return folders
        with _reaching_modal("look at the base models", deployed=self._names.app):
            volume = modal.Volume.from_name(self._names.models_volume, client=self._client)
            entries = [entry.path.strip("/") for entry in volume.listdir("/")]
        # One that is still being fetched is in a folder of ours, whose name begins with a dot.
        folders = frozenset(name for name in entries if not name.startswith("."))
        self._models = (time.monotonic(), folders)
        return folders


def _modal_tier(key: str) -> Tier:
    tier = catalog.tier(key)
    if tier.provider != ModalCompute.provider or not tier.offered:
        raise InvalidInput(f"{tier.name} cannot be had at Modal.", where=key, fix="Choose one of Modal's price tiers.")
    for gpu in (tier.gpu, *tier.fallbacks):
        require_known_gpu(gpu)
    return tier


def _with_tier(function: Any, tier: Tier, timeout: int) -> Any:
    """The function with the tier's GPU. A call names one GPU only: fallbacks are had by what is deployed."""
    deployed = [gpu for gpu, _ in function.info().gpus]
    if deployed == [tier.gpu.upper(), *map(str.upper, tier.fallbacks)]:
        return function.with_options(timeout=timeout)
    return function.with_options(gpu=tier.gpu, timeout=timeout)


def _exit_code(code: object) -> int | None:
    return code if isinstance(code, int) else None


def _note(code: object) -> str:
    return _ENDINGS.get(code, f"exit code {code}") if isinstance(code, int) else f"it gave {code!r:.100}"


def _of_a_container(error: Exception) -> bool:
    """Whether Modal brought the exception along: one at import, say, where the image lacks a package.

    Its client marks such an exception with the lines of its trace; one that this process cannot read it replaces.
    """
    unreadable = isinstance(error, modal_errors.ExecutionError) and "remote exception" in str(error)
    return unreadable or hasattr(error, "__line_cache__")


def _words(error: BaseException) -> str:
    if isinstance(error, modal_errors.OutputExpiredError):
        return "its result expired: it ended more than seven days ago"
    if isinstance(error, modal_errors.FunctionTimeoutError):
        return "Modal ended it at its time limit"
    if isinstance(error, modal_errors.NotFoundError):
        return "Modal does not know this call"
    text = " ".join(str(error).split())[:200]
    if isinstance(error, TrainerCrashed):
        return f"the trainer crashed: {text}"
    if isinstance(error, modal_errors.RemoteError) and "cancel" in text.lower():
        return "cancelled at Modal"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _reaching_modal(what: str, *, deployed: str = "") -> Iterator[None]:
    """Turn trouble on the way into `Unavailable`. `deployed` names the app that has to be there."""
    try:
        yield
    except modal_errors.AuthError as error:
        raise Unavailable(
            f"Modal refused to {what}.", where=str(error)[:200], fix="Set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET anew."
        ) from error
    except modal_errors.NotFoundError as error:
        if not deployed:
            raise
        raise Unavailable(
            f"Modal could not {what}: the app {deployed} is not deployed.",
            where=str(error)[:200],
            fix="Run: modal deploy -m infra.modal.app",
        ) from error
    except modal_errors.ResourceExhaustedError as error:
        raise NoCapacity(f"Modal has no room to {what} now: {str(error)[:200]}") from error
    except modal_errors.PermissionDeniedError as error:
        raise Unavailable(
            f"Modal refused to {what}.",
            where=str(error)[:200],
            fix="Use a token of the workspace and environment that the app is deployed in.",
        ) from error
    except modal_errors.InvalidError as error:
        raise Unavailable(
            f"Modal cannot {what} as it is asked to.",
            where=str(error)[:200],
            fix="Deploy this very version: modal deploy -m infra.modal.app",
        ) from error
    except _TROUBLE as error:
        raise Unavailable(
            f"Modal could not be reached to {what}.", where=f"{type(error).__name__}: {error}"[:200], fix="Try again."
        ) from error
