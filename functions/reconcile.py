"""Brings jobs and machines into agreement: admits, launches, recovers, gives up. Safe to run twice at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from functions import catalog
from functions.alerting import raise_alerts
from functions.approvals import sweep
from functions.capacity import due, no_gpu
from functions.checkpoints import checkpoint_source
from functions.errors import BrightRunError, NoCapacity
from functions.ingest import move
from functions.lost import gave_up
from functions.model.job import MAX_RECOVERIES, Attempt, Job, StopKind
from functions.model.job_spec import JobSpec, ResumeFrom, TrainingData
from functions.model.outbox import Notice
from functions.model.signing import job_token
from functions.model.states import IN_QUEUE, RUNNING, JobState, is_legal
from functions.ports import TRAINING_FILES, CallState, Clock, Compute, Database, Files, Transaction
from functions.progress import halted, interrupted, stopped, stopped_as
from functions.spend import band_reached
from functions.spend_watch import watch_spend
from functions.time_limit import begin_stop, over_limit

log = logging.getLogger(__name__)

# A launch whose call id was never stored died in between; it is launched again after this time. The job's row is
# locked while it is launched, so this only spares the other reconciler the wait; lost machines are noticed in 30 s.
LAUNCH_GRACE = timedelta(seconds=15)
# Longer than the longest silence of a healthy job: loading 70B weights.
SILENCE = timedelta(minutes=30)
# How long a run may take to save where it is and go; after that its machine is ended, and the last checkpoint counts.
PAUSE_PATIENCE = timedelta(seconds=60)
# FR3.1.3: "Waited 10 minutes, no spot GPU allocated."
GPU_PATIENCE = timedelta(minutes=10)
CARD_AGE = timedelta(seconds=15)
LINK_LIFE = timedelta(hours=24)


class Reconciler:
    """One step of the loop, over everything that is not at rest."""

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
        time_limit: timedelta | None = None,
    ) -> None:
        self._db = db
        self._files = files
        self._compute = compute
        self._clock = clock
        self._secret = secret
        self._service_url = service_url
        self._max_running = max_running
        self._time_limit = time_limit
        # When a silent job's card was last drawn; forgetting it costs one drawing.
        self._drawn: dict[UUID, datetime] = {}

    def step(self) -> None:
        """Look at every job once. One job's trouble does not hold up the others."""
        sweep(self._db, clock=self._clock)
        with self._db.transaction() as tx:
            running = tx.jobs.in_states(RUNNING | {JobState.INTERRUPTED})
            queued = due(tx, tx.jobs.in_states(IN_QUEUE), self._clock())
        for job in running:
            self._guarded(job, self._watch)
        free = self._max_running - len(running)
        for job in queued[: max(0, free)]:
            self._guarded(job, self._admit)

    def _guarded(self, job: Job, action: Callable[[UUID], None]) -> None:
        try:
            action(job.id)
        except BrightRunError as error:
            log.warning("job %s: %s", job.id, error)

    def _admit(self, job_id: UUID) -> None:
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            if job is None or job.state not in IN_QUEUE:
                return
            now = self._clock()
            tx.jobs.begin_attempt(job_id, now)
            tx.jobs.update(job_id, state=JobState.PROVISIONING)
            tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
        self._launch(job_id)

    def _launch(self, job_id: UUID) -> None:
        """Start the current attempt, which is recorded already; its row is locked while it starts."""
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id)
        if job is None:
            return
        # Before the lock: the embedded model is unpacked at its first use, which takes half a minute.
        model_path = self._compute.model_path(catalog.base_model(job.configuration.base_model).hub_id)
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            attempt = tx.jobs.attempt(job_id, job.attempt) if job else None
            if job is None or attempt is None or attempt.call_id or attempt.ended_at:
                return
            token = job_token(self._secret, job_id=str(job.id), attempt=job.attempt)
            spec = self._spec(tx, job, model_path)
            try:
                call_id = self._compute.launch(spec, token=token, tier=job.configuration.tier)
            except NoCapacity as full:
                no_gpu(tx, job=job, reason=full.what, now=self._clock())
                return
            tx.jobs.set_call(job.id, job.attempt, call_id)
        log.info("job %s: attempt %s launched as %s", job.id, job.attempt, call_id)

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

    def _watch(self, job_id: UUID) -> None:
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id)
            attempt = tx.jobs.attempt(job_id, job.attempt) if job else None
        if job is None:
            return
        if job.stop is not None:
            self._stop(job, attempt)
        elif job.state in (JobState.INTERRUPTED, JobState.RECOVERING) and (attempt is None or attempt.ended_at):
            if not self._goes_on(job, attempt):
                self._recover(job_id)
        elif attempt is not None and not attempt.call_id:
            if self._clock() - attempt.launched_at > LAUNCH_GRACE:
                self._launch(job_id)
        elif attempt is not None:
            self._check(job, attempt)

    def _goes_on(self, job: Job, attempt: Attempt | None) -> bool:
        """Whether the call behind an interrupted attempt is not over: its machine's owner may start it again."""
        lost = job.progress.interruptions[-1] if job.progress.interruptions else None
        if attempt is None or not attempt.call_id or lost is None or not lost.wait_for_call:
            return False
        if not self._compute.poll(attempt.call_id).running:
            return False
        if lost.planned or job.recoveries < MAX_RECOVERIES:
            return True
        self._compute.cancel(attempt.call_id)
        return False

    def _check(self, job: Job, attempt: Attempt) -> None:
        call = self._compute.poll(attempt.call_id)
        heard = attempt.last_event_at or attempt.launched_at
        if call.running and self._stopped_for_time(job, attempt):
            call = CallState(running=False, note="stopped at its limit")
        if call.running and attempt.last_event_at is None and self._finds_no_gpu(attempt):
            self._without_gpu(job.id, attempt)
            return
        if call.running and self._clock() - heard <= SILENCE:
            self._watch_spend(job, attempt)
            self._keep_fresh(job, heard)
            return
        if call.running:
            self._compute.cancel(attempt.call_id)
            call = CallState(running=False, note=f"no sign of life for {SILENCE.seconds // 60} minutes")
        self._lost(job.id, job.attempt, call)

    def _finds_no_gpu(self, attempt: Attempt) -> bool:
        """Whether a launched attempt has waited long enough for a machine, and still waits for one."""
        waited = self._clock() - attempt.launched_at > GPU_PATIENCE
        return waited and self._compute.waits_for_gpu(attempt.call_id)

    def _without_gpu(self, job_id: UUID, attempt: Attempt) -> None:
        self._compute.cancel(attempt.call_id)
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            now = self._clock()
            if job is None or job.attempt != attempt.attempt:
                return
            if is_legal(job.state, JobState.QUEUED_WAITING_FOR_GPU):
                minutes = round((now - attempt.launched_at).total_seconds() / 60)
                no_gpu(tx, job=job, reason=f"waited {minutes} minutes and none was allocated", now=now)

    def _stop(self, job: Job, attempt: Attempt | None) -> None:
        """End the machine of a job that a person wants to stop; a pause first has time to save where it is."""
        running = attempt is not None and not attempt.ended_at and bool(attempt.call_id)
        if running and attempt is not None and self._compute.poll(attempt.call_id).running:
            patience = PAUSE_PATIENCE if job.stop and job.stop.kind is StopKind.PAUSE else timedelta(0)
            if job.stop and self._clock() - job.stop.at < patience:
                return
            self._compute.cancel(attempt.call_id)
        with self._db.transaction() as tx:
            job_now = tx.jobs.get(job.id, lock=True)
            # By its own word, the attempt may have ended while its machine was being stopped.
            if job_now is None or job_now.stop is None or job_now.state not in RUNNING | {JobState.INTERRUPTED}:
                return
            now, state = self._clock(), stopped_as(job_now.stop.kind)
            if not is_legal(job_now.state, state):
                return
            progress = halted(job_now.progress, at=now)
            tx.jobs.update(job.id, progress=progress)
            move(tx, job=job_now.model_copy(update={"progress": progress}), state=state, now=now)

    def _stopped_for_time(self, job: Job, attempt: Attempt) -> bool:
        """Stop the attempt, which saves a checkpoint first, if the job has passed its time limit."""
        now = self._clock()
        why = over_limit(job=job, attempt=attempt, configured=self._time_limit, now=now)
        if why is None:
            return False
        begin_stop(self._db, job_id=job.id, attempt=attempt.attempt, why=why, now=now)
        self._compute.cancel(attempt.call_id)
        return True

    def _watch_spend(self, job: Job, attempt: Attempt) -> None:
        """A job that says nothing goes on costing money."""
        now = self._clock()
        if band_reached(job, now=now, running_since=attempt.launched_at) is not None:
            with self._db.transaction() as tx:
                watch_spend(tx, job=job, now=now)

    def _keep_fresh(self, job: Job, heard: datetime) -> None:
        """Have the card drawn anew while a job is busy without a word: time and money go on."""
        now = self._clock()
        if now - max(heard, self._drawn.get(job.id, heard)) > CARD_AGE:
            self._drawn[job.id] = now
            with self._db.transaction() as tx:
                raise_alerts(tx, job=job, now=now)
                tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})

    def _lost(self, job_id: UUID, attempt: int, call: CallState) -> None:
        """The attempt's machine is gone and the job did not end: note it, so that it is recovered."""
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            if job is None or job.attempt != attempt or job.state not in RUNNING:
                return
            now = self._clock()
            cause = call.note or f"exit code {call.exit_code}"
            progress, state = stopped(job.progress, JobState.INTERRUPTED, at=now)
            if state is JobState.INTERRUPTED:
                step = progress.checkpoint_step or 0
                progress = interrupted(progress, at=now, step=step, cause=cause, log_tail=call.log_tail)
            tx.jobs.update(job_id, progress=progress)
            move(tx, job=job.model_copy(update={"progress": progress}), state=state, now=now)
        log.warning("job %s: attempt %s lost (%s)", job_id, attempt, cause)

    def _recover(self, job_id: UUID) -> None:
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            if job is None or job.state not in (JobState.INTERRUPTED, JobState.RECOVERING):
                return
            now = self._clock()
            planned = bool(job.progress.interruptions) and job.progress.interruptions[-1].planned
            counts = job.state is JobState.INTERRUPTED and not planned
            if counts and job.recoveries >= MAX_RECOVERIES:
                _give_up(tx, job, now)
                return
            recoveries = job.recoveries + counts
            tx.jobs.begin_attempt(job_id, now)
            tx.jobs.update(job_id, state=JobState.RECOVERING, recoveries=recoveries)
            tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
        self._launch(job_id)


def _give_up(tx: Transaction, job: Job, now: datetime) -> None:
    failure = gave_up(job)
    log.error("job %s: %s %s", job.id, failure.what, failure.why)
    progress = job.progress.model_copy(update={"failure": failure})
    tx.jobs.update(job.id, progress=progress)
    move(tx, job=job.model_copy(update={"progress": progress}), state=JobState.FAILED, now=now)
