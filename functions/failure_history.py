"""What failures teach: how jobs of a configuration ended, and whether the fixes that people took did help."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from functions import catalog
from functions.diagnosis import diagnose, memory_needs
from functions.model.diagnosis import ConfigurationKey, Diagnosis, FailureCode, FailureHistory, Fix
from functions.model.job import Configuration, Job
from functions.model.states import JobState
from functions.ports import Transaction

# A configuration is warned of once it failed this often, and in this share of its runs.
_WARN_FROM = 2
_WARN_SHARE = 1 / 3

_IN_WORDS: dict[str, str] = {
    FailureCode.OUT_OF_MEMORY: "out of memory",
    FailureCode.HOST_OUT_OF_MEMORY: "out of main memory",
    FailureCode.HOST_KILLED: "ended from outside",
    FailureCode.DATASET_FORMAT: "a record that cannot be trained on",
    FailureCode.DATA_UNREADABLE: "a training file that could not be read",
    FailureCode.DATA_ALTERED: "a training file that was altered",
    FailureCode.TIMEOUT: "too long a run",
    FailureCode.NO_CAPACITY: "no free GPU",
    FailureCode.LAUNCH_FAILED: "a launch that did not work",
    FailureCode.MODEL_MISSING: "a base model that was not found",
    FailureCode.MODEL_GATED: "a base model whose licence was not accepted",
    FailureCode.MODEL_UNREACHABLE: "a model hub that did not answer",
    FailureCode.DISK_FULL: "a full disk",
    FailureCode.NAN_LOSS: "a loss that was no number",
    FailureCode.SETTINGS_INVALID: "settings that do not go together",
    FailureCode.UPLOAD_FAILED: "a result that could not be stored",
    FailureCode.INTERRUPTED: "too many interruptions",
    FailureCode.UNKNOWN: "something unforeseen",
}


def configuration_key(configuration: Configuration) -> ConfigurationKey:
    """What failures of this configuration are counted under."""
    return ConfigurationKey(
        preset=configuration.preset,
        tier=configuration.tier,
        base_model=configuration.base_model,
        batch_size=configuration.hyperparameters.batch_size,
    )


def failure_words(code: str) -> str:
    """A failure's code after "failed with"."""
    return _IN_WORDS.get(code, "something unforeseen")


def note_ending(tx: Transaction, *, job: Job, state: JobState, now: datetime) -> None:
    """Count the ending of a job, in the transaction in which it ends. Cancelled jobs teach nothing."""
    code = None
    if state is JobState.FAILED:
        code = job.progress.failure.code if job.progress.failure else FailureCode.UNKNOWN.value
    if state is not JobState.CANCELLED:
        tx.failures.record_ending(job, configuration_key(job.configuration), failure_code=code, at=now)
    tx.failures.settle_suggestions(job.id, completed=state is JobState.COMPLETED, failure_code=code)
    tx.failures.end_wait(job.id, served=False, at=now)


def take_suggestion(tx: Transaction, *, failed: Job, fix: Fix, retry_job_id: UUID, by: str, now: datetime) -> None:
    """Note that somebody retries a failed job with a fix. What comes of it is noted as the retry ends."""
    code = failed.progress.failure.code if failed.progress.failure else FailureCode.UNKNOWN.value
    tx.failures.take_suggestion(
        failed,
        configuration_key(failed.configuration),
        code=code,
        fix_key=fix.key,
        retry_job_id=retry_job_id,
        by=by,
        at=now,
    )


def diagnosis_of(tx: Transaction, *, job: Job) -> Diagnosis | None:
    """Why a job failed and what helps, with how that did so far; None while it has not failed."""
    if job.state is not JobState.FAILED:
        return None
    file = tx.files.get(job.team_id, job.training_file_id)
    machine = job.progress.plan.device_memory_bytes if job.progress.plan else None
    code = job.progress.failure.code if job.progress.failure else FailureCode.UNKNOWN.value
    history = FailureHistory(suggestions=tx.failures.suggestion_records(job.team_id, code))
    return diagnose(job, file=file, memory_need=memory_needs(file, machine_bytes=machine), history=history)


def failure_warnings(tx: Transaction, *, team_id: str, configuration: Configuration) -> tuple[str, ...]:
    """What to say before a configuration is started that failed often: at most one sentence."""
    key = configuration_key(configuration)
    counts = tx.failures.endings(team_id, key)
    code, failed = max(counts.failed.items(), key=lambda item: item[1], default=("", 0))
    if failed < _WARN_FROM or failed < _WARN_SHARE * counts.total:
        return ()
    preset, model, tier = catalog.preset(key.preset), catalog.base_model(key.base_model), catalog.tier(key.tier)
    return (
        f"{preset.name} with batch {key.batch_size} on {model.name} ({tier.name}) failed {failed:,} of "
        f"{counts.total:,} times with {failure_words(code)}. The details of those runs say what helps.",
    )
