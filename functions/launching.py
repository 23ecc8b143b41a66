"""Gives queued and recovering jobs their machines: admits, launches, recovers. Safe to run twice at once."""

from __future__ import annotations

import errno
import logging
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from functions import catalog
from functions.capacity import accepted, due, no_gpu
from functions.checkpoints import checkpoint_source
from functions.errors import BrightRunError, NoCapacity
from functions.ingest import move
from functions.lost import gave_up
from functions.model.diagnosis import FailureCode
from functions.model.events import Failed
from functions.model.job import MAX_RECOVERIES, Attempt, Job
from functions.model.job_spec import JobSpec, ResumeFrom, TrainingData
from functions.model.outbox import Notice
from functions.model.signing import job_token
from functions.model.states import IN_QUEUE, JobState
from functions.ports import TRAINING_FILES, Clock, Compute, Database, Files, Transaction
from functions.progress import failed
from functions.queue import PLACED

log = logging.getLogger(__name__)

# A launch whose call id was never stored died in between; it is launched again after this time. The job's row is
# locked while it is launched, so this only spares the other reconciler the wait; lost machines are noticed in 30 s.
LAUNCH_GRACE = timedelta(seconds=15)
# A launch that failed is tried again after this time, and given up when it has failed for so long.
LAUNCH_PAUSE = timedelta(seconds=30)
LAUNCH_PATIENCE = timedelta(minutes=10)
LINK_LIFE = timedelta(hours=24)


class Launcher:
    """What starts attempts. Every attempt is recorded before it is launched, its call id as soon as there is one."""

    def __init__(
        self,
        db: Database,
        files: Files,
        compute: Compute,
        *,
        clock: Clock,
        secret: str,
        service_url: str,
        max_running: int,
    ) -> None:
        self._db = db
        self._files = files
        self._compute = compute
        self._clock = clock
        self._secret = secret
        self._service_url = service_url
        self.max_running = max_running

    def admit(self, job_id: UUID) -> None:
        """Give a queued job a machine, if there is still a place: two loops at once count one after the other."""
        with self._db.transaction() as tx:
            tx.jobs.lock_places()
            if len(tx.jobs.in_states(PLACED)) >= self.max_running:
                return
            job = tx.jobs.get(job_id, lock=True)
            # Another loop may have been faster, and found no GPU.
            if job is None or job.state not in IN_QUEUE or not due(tx, [job], self._clock()):
                return
            self._begin(tx, job, JobState.PROVISIONING)
        self.launch(job_id)

    def recover(self, job_id: UUID) -> None:
        """Give an interrupted job another machine, or give it up where it was lost too often."""
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            if job is None or job.state not in (JobState.INTERRUPTED, JobState.RECOVERING):
                return
            attempt = tx.jobs.attempt(job_id, job.attempt)
            if attempt is not None and attempt.ended_at is None:
                return  # another loop was faster, or its machine's owner
            lost = job.progress.last_loss
            counts = job.state is JobState.INTERRUPTED and not (lost and lost.planned)
            if counts and job.recoveries >= MAX_RECOVERIES:
                failure = gave_up(job)
                log.error("job %s: %s %s", job.id, failure.what, failure.why)
                _fail(tx, job, failure, self._clock())
                return
            tx.jobs.update(job_id, recoveries=job.recoveries + counts)
            self._begin(tx, job, JobState.RECOVERING)
        self.launch(job_id)

    def _begin(self, tx: Transaction, job: Job, state: JobState) -> None:
        now = self._clock()
        tx.jobs.begin_attempt(job.id, now)
        tx.jobs.update(job.id, state=state)
        tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})

    def launch(self, job_id: UUID) -> None:
        """Start the current attempt, which is recorded already; where that fails, it is noted and tried again."""
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id)
        if job is None:
            return
        try:
            self._start(job)
        except BrightRunError as error:
            log.warning("job %s: attempt %s not launched: %s", job.id, job.attempt, error)
            self._note(job, _explain(error))
        except Exception as error:
            trouble = _explain(error)
            log.exception("job %s: attempt %s not launched%s", job.id, job.attempt, trouble.reference_words)
            self._note(job, trouble)

    def launch_again(self, attempt: Attempt) -> None:
        """Launch what has no call id, once it has had its time: its launch died, or failed a while ago.

        Where that launch may have started a machine all the same, another attempt takes its place: the first
        machine is told to stop as soon as it says a word.
        """
        now, failed = self._clock(), attempt.launch_failed_at
        if now - attempt.launched_at <= LAUNCH_GRACE or (failed is not None and now - failed < LAUNCH_PAUSE):
            return
        if not self._compute.repeatable:
            with self._db.transaction() as tx:
                job, unlaunched = _unlaunched(tx, attempt.job_id, attempt.attempt)
                if job is None or unlaunched is None:
                    return
                tx.jobs.end_attempt(job.id, job.attempt, unlaunched.launched_at)
                number = tx.jobs.begin_attempt(job.id, now)
                if unlaunched.launch_failing_since and failed:
                    tx.jobs.launch_failed(job.id, number, since=unlaunched.launch_failing_since, at=failed)
        self.launch(attempt.job_id)

    def _start(self, job: Job) -> None:
        # Before the lock: the embedded model is unpacked at its first use, which takes half a minute.
        model_path = self._compute.model_path(catalog.base_model(job.configuration.base_model).hub_id)
        number = job.attempt
        with self._db.transaction() as tx:
            locked, attempt = _unlaunched(tx, job.id, number)
            if locked is None or attempt is None:
                return
            token = job_token(self._secret, job_id=str(job.id), attempt=number)
            spec = self._spec(tx, locked, model_path)
            try:
                call_id = self._compute.launch(spec, token=token, tier=locked.configuration.tier)
            except NoCapacity as full:
                no_gpu(tx, job=locked, reason=full.what, now=self._clock())
                return
            tx.jobs.set_call(job.id, number, call_id)
            accepted(tx, job=locked, now=self._clock())
        log.info("job %s: attempt %s launched as %s", job.id, number, call_id)

    def _note(self, job: Job, trouble: _Trouble) -> None:
        """Remember that the launch failed; a job whose launch has failed for too long fails."""
        with self._db.transaction() as tx:
            locked, attempt = _unlaunched(tx, job.id, job.attempt)
            if locked is None or attempt is None:
                return
            now = self._clock()
            since = attempt.launch_failing_since or now
            tx.jobs.launch_failed(job.id, job.attempt, since=since, at=now)
            if now - since >= LAUNCH_PATIENCE:
                tx.jobs.end_attempt(job.id, job.attempt, attempt.launched_at)  # nothing ran that could be billed
                _fail(tx, locked, trouble.failure(job), now)

    def _spec(self, tx: Transaction, job: Job, model_path: str | None) -> JobSpec:
        file = tx.files.get(job.team_id, job.training_file_id)
        if file is None:
            raise BrightRunError(f"The training file of {job.name} is gone.")
        settings = job.configuration
        url = self._files.download_url(
            TRAINING_FILES, file.sequences_path, expires_in=LINK_LIFE, name="sequences.jsonl"
        )
        return JobSpec(
            job_id=job.id,
            job_name=job.name,
            attempt=job.attempt,
            base_model=catalog.base_model(settings.base_model).hub_id,
            base_model_path=model_path,
            data=TrainingData(
                url=url, sha256=file.sequences_sha256, name=file.name, held_out_fraction=settings.held_out_fraction
            ),
            hyperparameters=settings.hyperparameters,
            engine=settings.engine,
            work_dir=self._compute.work_dir(job.id),
            checkpoint_every_steps=settings.checkpoint_every_steps,
            service_url=self._service_url,
            rate_cents_per_hour=job.rate_cents_per_hour,
            preset=settings.preset,
            resume_from=self._resume_from(tx, job),
        )

    def _resume_from(self, tx: Transaction, job: Job) -> ResumeFrom | None:
        """Where a linked job goes on from; its own checkpoints, once it has any, go before."""
        if job.lineage is None or job.lineage.kind != "resume":
            return None
        parent = tx.jobs.get(job.lineage.parent_id)
        source = checkpoint_source(tx, parent) if parent else None
        if source is None:
            raise BrightRunError(f"The run that {job.name} goes on from has no checkpoint any more.")
        return ResumeFrom(
            work_dir=self._compute.work_dir(source.id),
            hyperparameters=source.configuration.hyperparameters,
            engine=source.configuration.engine,
            step=job.lineage.resume_step,
        )


class _Trouble(NamedTuple):
    """Why a launch failed, for people; `reference` stands in the log too where nobody foresaw it."""

    why: str
    fix: str
    reference: str = ""

    @property
    def reference_words(self) -> str:
        return f" (reference {self.reference})" if self.reference else ""

    def failure(self, job: Job) -> Failed:
        minutes = LAUNCH_PATIENCE.seconds // 60
        return Failed(
            code=FailureCode.LAUNCH_FAILED,
            what=f"The run could not be launched; it was tried for {minutes} minutes.",
            why=f"{self.why}{self.reference_words}",
            fixes=(self.fix,),
            step=job.progress.step,
            reference=self.reference,
        )


def _explain(error: Exception) -> _Trouble:
    if isinstance(error, BrightRunError):
        where = f" ({error.where})" if error.where else ""
        return _Trouble(f"{error.what}{where}", error.fix or "Mend that, then try again.")
    if isinstance(error, OSError) and error.errno in _OS_TROUBLE:
        what, fix = _OS_TROUBLE[error.errno]
        place = error.filename or error.filename2 or "the service's data folder"
        return _Trouble(what.format(place=place), fix.format(place=place))
    reference = uuid4().hex[:8]
    return _Trouble(
        f"Something unforeseen: {type(error).__name__}.", "Ask an admin; the service's log says more.", reference
    )


_FULL = ("There is no space left on the service's disk, at {place}.", "Free some space there, then try again.")
_FORBIDDEN = (
    "The service may not write to {place}.",
    "Let the user that the service runs as write to {place} (or set BRIGHTRUN_DATA_DIR), then try again.",
)
_BUSY = (
    "The service's machine has no room for another process.",
    "End what else runs there, or raise its limits of processes and open files; then try again.",
)
_MEMORY = ("The service's machine has no memory left to start a process.", "Free some memory there, then try again.")
_OS_TROUBLE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.EAGAIN: _BUSY,
    errno.EMFILE: _BUSY,
    errno.ENFILE: _BUSY,
    errno.ENOMEM: _MEMORY,
}


def _unlaunched(tx: Transaction, job_id: UUID, number: int) -> tuple[Job, Attempt] | tuple[None, None]:
    """The job, its row locked, and its attempt, if that is the current one and still to be launched.

    One that somebody has asked to stop meanwhile is not.
    """
    job = tx.jobs.get(job_id, lock=True)
    attempt = tx.jobs.attempt(job_id, number) if job and job.attempt == number else None
    if job is None or job.stop is not None or attempt is None or attempt.call_id or attempt.ended_at:
        return None, None
    return job, attempt


def _fail(tx: Transaction, job: Job, failure: Failed, now: datetime) -> None:
    progress = failed(job.progress, failure, now)
    tx.jobs.update(job.id, progress=progress)
    move(tx, job=job.model_copy(update={"progress": progress}), state=JobState.FAILED, now=now)
