"""What Modal allows and its SDK does not check: asserted when the app is imported, before anything is deployed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from modal.types import FunctionInfo

from functions.errors import InvalidInput

_F = TypeVar("_F", bound=Callable[..., Any])

MAX_TIMEOUT_SECONDS = 24 * 3600
MAX_RETRIES = 10
# https://modal.com/docs/guide/gpu, November 2026. `!` pins a type that would otherwise be served by a better one.
GPUS = frozenset(
    {
        "T4", "L4", "A10", "A100", "A100-40GB", "A100-80GB", "L40S", "RTX-PRO-6000", "H100", "H100!", "H200",
        "B200", "B200+",
    }
)  # fmt: skip


def require_known_gpu(name: str) -> None:
    """A GPU as Modal spells it, with or without a count (`H100:2`).

    Raises:
        InvalidInput: there is none of that name, or the count is no number from 1 to 8.
    """
    kind, _, count = name.partition(":")
    if kind not in GPUS or (count and (not count.isdecimal() or not 1 <= int(count) <= 8)):
        raise InvalidInput(f"Modal has no GPU called {name!r}.", fix=f"Known: {', '.join(sorted(GPUS))}.")


def synchronous(function: _F) -> _F:
    """The function, which is to be decorated as a GPU function.

    Raises:
        InvalidInput: it is async: its preemption would be reported as a cancellation, and nothing would resume.
    """
    _require(
        not inspect.iscoroutinefunction(function) and not inspect.isasyncgenfunction(function),
        f"{function.__name__}: a GPU function must not be async, or a preemption counts as a cancellation.",
    )
    return function


def require_trainer(info: FunctionInfo) -> None:
    """Whether a GPU function can be preempted, resumed and cancelled as the service expects.

    Raises:
        InvalidInput: it cannot, with the reason.
    """
    _require(1 <= info.timeout <= MAX_TIMEOUT_SECONDS, "train: Modal ends every call after 24 hours at the latest.")
    _require((info.max_retries or 0) <= MAX_RETRIES, "train: Modal tries a call again at most 10 times.")
    _require(bool(info.gpus), "train: it has no GPU.")
    for name, count in info.gpus:
        require_known_gpu(f"{name}:{count}")
    _require(not info.nonpreemptible, "train: every GPU at Modal can be taken away; it refuses to promise otherwise.")
    _require(info.single_use_containers, "train: each start needs a fresh process (single_use_containers=True).")
    _require(not info.secrets, "train: a GPU container holds its job's token and nothing else.")
    _require(info.concurrency_info is None, "train: one job a container.")


def require_service(info: FunctionInfo, name: str) -> None:
    """Whether a function of the service itself is on a machine that nobody takes away.

    Raises:
        InvalidInput: it is not.
    """
    _require(1 <= info.timeout <= MAX_TIMEOUT_SECONDS, f"{name}: Modal ends every call after 24 hours at the latest.")
    _require(info.nonpreemptible and not info.gpus, f"{name}: the service runs on CPUs that are not taken away.")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise InvalidInput(what, where="infra/modal/app.py")
