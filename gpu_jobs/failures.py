"""What can go wrong in a job, in words for the person who pays for it and for the one who mends it."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Sequence

from functions.errors import BrightRunError
from functions.memory import in_parts
from functions.model.estimate import MemoryNeed
from functions.model.events import Failed
from functions.model.job_spec import JobSpec

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class JobFailed(BrightRunError):
    """The job cannot go on. `code` is for programs; `fixes` are ranked, the best first."""

    def __init__(self, code: str, what: str, *, why: str = "", fixes: Sequence[str] = ()) -> None:
        super().__init__(what, fix=fixes[0] if fixes else "")
        self.code = code
        self.why = why
        self.fixes = tuple(fixes)


def describe(
    error: BaseException,
    *,
    spec: JobSpec,
    step: int | None,
    log_tail: Sequence[str],
    memory: MemoryNeed | None = None,
) -> Failed:
    """The event that tells of an exception. `memory` is what the run was expected to need, once that is known.

    An exception that nobody foresaw gets a reference that stands in the log beside its traceback.
    """
    known = error if isinstance(error, JobFailed) else _recognize(error, spec, memory)
    return Failed(
        code=known.code, what=known.what, why=known.why, fixes=known.fixes, step=step, log_tail=tuple(log_tail)
    )


def _recognize(error: BaseException, spec: JobSpec, memory: MemoryNeed | None) -> JobFailed:
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError) or "can't allocate memory" in text:
        return out_of_memory(spec, why=text, memory=memory)
    if is_disk_full(error):
        return disk_full(needed=None, free=None)
    if isinstance(error, BrightRunError):
        return JobFailed("settings_invalid", error.what, why=error.where, fixes=(error.fix,) if error.fix else ())
    reference = uuid.uuid4().hex[:8]
    return JobFailed(
        "unknown",
        f"Something unforeseen stopped the training (reference {reference}).",
        why=f"{type(error).__name__}: {text}"[:500],
        fixes=("Start the job again; it goes on from its last checkpoint.", f"Send support the reference {reference}."),
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception means that there is no room.

    torch and safetensors wrap the system's error: in a chain of exceptions or in the words of their own.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_FULL_ERRNOS:
            return True
        if any(os.strerror(number) in str(cause) for number in _DISK_FULL_ERRNOS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def out_of_memory(spec: JobSpec, *, why: str, memory: MemoryNeed | None = None) -> JobFailed:
    """The model, its activations or its logits did not fit; `memory` explains in parts where it went."""
    if memory is not None:
        why = f"{in_parts(memory)} {why}"
    settings = spec.hyperparameters
    fixes = []
    if settings.batch_size > 1:
        smaller = max(1, settings.batch_size // 2)
        steps = settings.gradient_accumulation_steps * settings.batch_size // smaller
        fixes.append(f"Set the batch size to {smaller} and gradient accumulation to {steps}: the same result, slower.")
    if spec.engine.quantization == "none":
        fixes.append("Quantise the base model to NF4: a quarter of its memory, nearly the same quality.")
    if settings.max_length > 1024:
        fixes.append(f"Shorten sequences to {settings.max_length // 2} tokens; longer conversations are then split.")
    fixes.append("Choose a GPU with more memory.")
    return JobFailed("out_of_memory", "The job needs more memory than the machine has.", why=why[:500], fixes=fixes)


def disk_full(*, needed: int | None, free: int | None) -> JobFailed:
    """No room to write. Sizes in bytes, where they are known."""
    sizes = f" {needed:,} bytes are needed, {free:,} are free." if needed is not None and free is not None else ""
    return JobFailed(
        "disk_full",
        f"The disk is full.{sizes} What was trained so far is kept.",
        why="Writing failed with ENOSPC, EDQUOT or EFBIG.",
        fixes=("Free some space and start the job again; only what is missing is done.", "Keep fewer checkpoints."),
    )


def diverged(step: int, *, loss: float, grad_norm: float, learning_rate: float) -> JobFailed:
    """The loss or its gradient is no number any more; going on would only burn money."""
    return JobFailed(
        "diverged",
        f"The training went off course at step {step} and was stopped: its loss is no longer a number.",
        why=f"loss {loss}, gradient norm {grad_norm}, learning rate {learning_rate:g}.",
        fixes=(
            f"Lower the learning rate to {learning_rate / 4:.1g} or choose a more careful preset.",
            "Lengthen the warm-up.",
            "Look for odd records in the training file (empty or very long replies).",
        ),
    )


def data_unreadable(name: str, *, why: str) -> JobFailed:
    """The training data could not be fetched or parsed."""
    return JobFailed(
        "data_unreadable",
        f"The training file “{name}” could not be read.",
        why=why[:500],
        fixes=("Start the job again: its link may have expired.", "Import the training file again."),
    )


def data_altered(name: str, *, expected: str, found: str) -> JobFailed:
    """The training data are not those that were approved."""
    return JobFailed(
        "data_altered",
        f"The training file “{name}” is not the one that was approved for this job.",
        why=f"Its SHA-256 is {found}, expected {expected}.",
        fixes=("Import the training file again and start a new job.",),
    )


def model_missing(base_model: str, *, why: str) -> JobFailed:
    """There is no such model, or it cannot be reached."""
    return JobFailed(
        "model_missing",
        f"The base model “{base_model}” was not found.",
        why=why[:500],
        fixes=("Check the model's name.", "Without network: put it into the model cache first, or name its folder."),
    )


def model_gated(base_model: str) -> JobFailed:
    """The model's owner must let us in first."""
    return JobFailed(
        "model_gated",
        f"The base model “{base_model}” may only be used after its owner has agreed.",
        why="The model hub answered that the repository is gated and the token has no access, or there is no token.",
        fixes=("Accept the licence on the model's page and set HF_TOKEN for the GPU job.", "Choose an open model."),
    )


def killed_by_host(times: int) -> JobFailed:
    """The machine was killed again and again, without a word and without getting anywhere."""
    return JobFailed(
        "host_killed",
        f"The machine was killed {times} times in a row without a word, and nothing was gained in between.",
        why="That is how a machine ends whose main memory (not the GPU's) runs out; a failing host looks the same.",
        fixes=(
            "Start the job again: if a host failed, another one takes it from its last checkpoint.",
            "Make the training file smaller, or its longest conversations shorter.",
        ),
    )


def upload_failed(name: str, *, why: str) -> JobFailed:
    """The artifact is made but could not be stored."""
    return JobFailed(
        "upload_failed",
        f"The adapter “{name}” is trained and packed, but could not be stored.",
        why=why[:500],
        fixes=("Start the job again: only the upload is repeated.",),
    )
