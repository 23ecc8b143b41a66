"""What can go wrong in a job, in words for the person who pays for it and for the one who mends it."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from functions.errors import BrightRunError
from functions.memory import in_parts
from functions.model.diagnosis import FailureCode
from functions.model.estimate import MemoryNeed
from functions.model.events import Failed, FailedRecord
from functions.model.job_spec import JobSpec

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
)
# oneDNN says no more than this where it cannot have its scratch memory, but for other reasons too.
_PERHAPS_OUT_OF_MEMORY = "could not create a primitive"
_SHORT_SHARE = 0.9


class JobFailed(BrightRunError):
    """The job cannot go on. `code` is for programs; `fixes` are ranked, the best first.

    `record` is the one of the training file that is to blame; `reference` stands in the log beside the trace.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        why: str = "",
        fixes: Sequence[str] = (),
        record: FailedRecord | None = None,
        reference: str = "",
    ) -> None:
        super().__init__(what, fix=fixes[0] if fixes else "")
        self.code = code
        self.why = why
        self.fixes = tuple(fixes)
        self.record = record
        self.reference = reference


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
        code=known.code,
        what=known.what,
        why=known.why,
        fixes=known.fixes,
        step=step,
        log_tail=tuple(log_tail),
        reference=known.reference,
        record=known.record,
        memory_bytes=most_memory_held() if known.code == FailureCode.OUT_OF_MEMORY else None,
    )


def _recognize(error: BaseException, spec: JobSpec, memory: MemoryNeed | None) -> JobFailed:
    text = str(error)
    if is_out_of_memory(error):
        return out_of_memory(spec, why=text, memory=memory)
    if is_disk_full(error):
        return disk_full(spec, error)
    if isinstance(error, BrightRunError):
        return JobFailed(
            FailureCode.SETTINGS_INVALID, error.what, why=error.where, fixes=(error.fix,) if error.fix else ()
        )
    reference = uuid.uuid4().hex[:8]
    return JobFailed(
        FailureCode.UNKNOWN,
        f"Something unforeseen stopped the training (reference {reference}).",
        why=f"{type(error).__name__}: {text}"[:500],
        fixes=("Start the job again; it goes on from its last checkpoint.", f"Send support the reference {reference}."),
        reference=reference,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on the GPU or on the machine.

    Besides torch's own error there are those of the CPU's allocator, of cuBLAS, of the kernel and of plain C++.
    """
    return any(
        type(cause).__name__ == "OutOfMemoryError"
        or isinstance(cause, MemoryError)
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        or any(words in str(cause) for words in _OUT_OF_MEMORY_WORDS)
        or (_PERHAPS_OUT_OF_MEMORY in str(cause) and _memory_is_short())
        for cause in _causes(error)
    )


def _memory_is_short() -> bool:
    """Whether nine tenths are taken: of the machine's memory, or of the address space that this process may have."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        held = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return False
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    limited = limit != resource.RLIM_INFINITY and held > _SHORT_SHARE * limit
    return limited or sizes.get("MemAvailable", 1) < (1 - _SHORT_SHARE) * sizes.get("MemTotal", 1)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def most_memory_held() -> int:
    """The most bytes that this process has held: on the GPU where there is one, else of main memory."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception means that there is no room.

    torch and safetensors wrap the system's error: in a chain of exceptions or in the words of their own.
    """
    return bool(_disk_words(error))


def _disk_words(error: BaseException) -> str:
    """What the system said of the full disk, such as "No space left on device"."""
    for cause in _causes(error):
        for number in _DISK_FULL_ERRNOS:
            if (isinstance(cause, OSError) and cause.errno == number) or os.strerror(number) in str(cause):
                return os.strerror(number)
    return ""


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
    return JobFailed(
        FailureCode.OUT_OF_MEMORY, "The job needs more memory than the machine has.", why=why[:500], fixes=fixes
    )


def disk_full(spec: JobSpec, error: BaseException, *, needed: int | None = None) -> JobFailed:
    """No room to write; says how much is free where the job keeps its files, and how many bytes are needed.

    A quota or a limit on the size of files is not told by what is free, so nothing is said of that then.
    """
    work_dir, said = Path(spec.work_dir), _disk_words(error)
    room = min(map(shutil.disk_usage, [work_dir, *filter(Path.is_dir, work_dir.iterdir())]), key=lambda disk: disk.free)
    figures = [f"{_megabytes(needed)} are needed"] if needed is not None else []
    if needed is not None or said == os.strerror(errno.ENOSPC):
        figures.append(f"{_megabytes(room.free)} of {_megabytes(room.total)} are free where the run keeps its files")
    return JobFailed(
        FailureCode.DISK_FULL,
        "The disk is full. What was trained so far is kept.",
        why=f"{', '.join([*figures, said or 'writing failed'])}.",
        fixes=("Free some space and start the job again; only what is missing is done.", "Keep fewer checkpoints."),
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def diverged(step: int, *, loss: float, grad_norm: float, learning_rate: float) -> JobFailed:
    """The loss or its gradient is no number any more; going on would only burn money."""
    return JobFailed(
        FailureCode.NAN_LOSS,
        f"The training went off course at step {step} and was stopped: its loss is no longer a number.",
        why=f"loss {loss}, gradient norm {grad_norm}, learning rate {learning_rate:g}.",
        fixes=(
            f"Lower the learning rate to {learning_rate / 4:.1g} or choose a more careful preset.",
            "Lengthen the warm-up.",
            "Look for odd records in the training file (empty or very long replies).",
        ),
    )


def dataset_format(name: str, record: FailedRecord) -> JobFailed:
    """A record of the training file cannot be trained on."""
    which = f"conversation {record.conversation_id}" if record.conversation_id else f"line {record.line}"
    field = f", field {record.field}" if record.field else ""
    return JobFailed(
        FailureCode.DATASET_FORMAT,
        f"The training file “{name}” cannot be trained on: {which} (line {record.line}{field}).",
        why=record.problem,
        fixes=("Mend the record, add the training file again and start a new job.",),
        record=record,
    )


def data_unreadable(name: str, *, why: str) -> JobFailed:
    """The training data could not be fetched or parsed."""
    return JobFailed(
        FailureCode.DATA_UNREADABLE,
        f"The training file “{name}” could not be read.",
        why=why[:500],
        fixes=("Start the job again: its link may have expired.", "Import the training file again."),
    )


def data_altered(name: str, *, expected: str, found: str) -> JobFailed:
    """The training data are not those that were approved."""
    return JobFailed(
        FailureCode.DATA_ALTERED,
        f"The training file “{name}” is not the one that was approved for this job.",
        why=f"Its SHA-256 is {found}, expected {expected}.",
        fixes=("Import the training file again and start a new job.",),
    )


def model_missing(base_model: str, *, why: str) -> JobFailed:
    """There is no such model, or it cannot be reached."""
    return JobFailed(
        FailureCode.MODEL_MISSING,
        f"The base model “{base_model}” was not found.",
        why=why[:500],
        fixes=("Check the model's name.", "Without network: put it into the model cache first, or name its folder."),
    )


def model_unreachable(base_model: str, *, why: str) -> JobFailed:
    """The model hub did not answer; the model may well be there."""
    return JobFailed(
        FailureCode.MODEL_UNREACHABLE,
        f"The base model “{base_model}” could not be fetched: the model hub did not answer.",
        why=why[:500],
        fixes=("Start the job again in a few minutes.", "Without network: put the model into the cache first."),
    )


def model_gated(base_model: str) -> JobFailed:
    """The model's owner must let us in first."""
    return JobFailed(
        FailureCode.MODEL_GATED,
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
        FailureCode.UPLOAD_FAILED,
        f"The adapter “{name}” is trained and packed, but could not be stored.",
        why=why[:500],
        fixes=("Start the job again: only the upload is repeated.",),
    )
