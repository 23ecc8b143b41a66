"""Brings jobs and machines into agreement: watches what runs, ends what is stuck. Safe to run twice at once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from functions.alerting import raise_alerts
from functions.approvals import sweep
from functions.capacity import due, taken_back
from functions.gpu_wait import open_wait
from functions.guarding import guarded
from functions.ingest import move
from functions.launching import LAUNCH_GRACE, Launcher
from functions.model.job import MAX_RECOVERIES, Attempt, Job, StopKind
from functions.model.outbox import Notice
from functions.model.states import IN_QUEUE, RUNNING, JobState, is_legal
from functions.ports import CallState, Clock, Compute, Database, Files
from functions.progress import halted, interrupted, stopped, stopped_as
from functions.queue import PLACED
from functions.reaping import Reaper
from functions.spend import band_reached
from functions.spend_watch import watch_spend
from functions.time_limit import begin_stop, over_limit

log = logging.getLogger(__name__)

# Longer than the longest silence of a healthy job: loading 70B weights. It counts only while somebody looks: what a
# run says while the service is away comes later.
SILENCE = timedelta(minutes=30)
# A loop that did not look for longer than this was away. In the cloud each run of it ends before the next begins.
GAP = timedelta(minutes=2)
# How often it is noted that an attempt was seen to run.
_NOTE_EVERY = timedelta(seconds=10)
# How long a run may take to save where it is and go; after that its machine is ended, and the last checkpoint counts.
PAUSE_PATIENCE = timedelta(seconds=60)
# FR3.1.3: "Waited 10 minutes, no spot GPU allocated."
GPU_PATIENCE = timedelta(minutes=10)
CARD_AGE = timedelta(seconds=15)


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
        self._compute = compute
        self._clock = clock
        self._launcher = Launcher(
            db, files, compute, clock=clock, secret=secret, service_url=service_url, max_running=max_running
        )
        self._reaper = Reaper(db, compute, clock=clock)
        self._time_limit = time_limit
        # When a silent job's card was last drawn; forgetting it costs one drawing.
        self._drawn: dict[UUID, datetime] = {}

    def step(self) -> None:
        """Look at every job once. One job's trouble does not hold up the others, nor does that of another part."""
        guarded("approvals", partial(sweep, self._db, clock=self._clock))
        with self._db.transaction() as tx:
            placed = tx.jobs.in_states(PLACED)
        for job in placed:
            guarded(f"job {job.id}", partial(self._watch, job.id))
        guarded("machines of ended attempts", self._reaper.step)
        # Only now: a job whose call was taken back is tried again at once.
        with self._db.transaction() as tx:
            places = self._launcher.max_running - len(tx.jobs.in_states(PLACED))
            queued = due(tx, tx.jobs.in_states(IN_QUEUE), self._clock())
        for job in queued[: max(0, places)]:
            guarded(f"job {job.id}", partial(self._launcher.admit, job.id))

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
                self._launcher.recover(job_id)
        elif attempt is not None and not attempt.call_id:
            self._unlaunched(job, attempt)
        elif attempt is not None:
            self._check(job, attempt)

    def _unlaunched(self, job: Job, attempt: Attempt) -> None:
        """The launch was cut off, failed, or is being made. A machine that nobody can look after counts as lost."""
        if attempt.last_event_at is None or self._compute.repeatable:
            self._launcher.launch_again(attempt)
        elif self._clock() - attempt.launched_at > LAUNCH_GRACE:
            self._lost(job.id, attempt, CallState(running=False, note="its launch was cut off"))

    def _goes_on(self, job: Job, attempt: Attempt | None) -> bool:
        """Whether the call behind an interrupted attempt is not over: its machine's owner may start it again."""
        lost = job.progress.last_loss
        if attempt is None or not attempt.call_id or lost is None or not lost.wait_for_call:
            return False
        call = self._compute.poll(attempt.call_id)
        if not call.running:
            return False
        attempt = self._seen(attempt, call)
        hopeless = not lost.planned and job.recoveries >= MAX_RECOVERIES
        if not hopeless and not self._finds_no_gpu(attempt, since=lost.at):
            return True
        self._compute.cancel(attempt.call_id)
        return False

    def _check(self, job: Job, attempt: Attempt) -> None:
        call = self._compute.poll(attempt.call_id)
        attempt = self._seen(attempt, call)
        heard = attempt.last_event_at or attempt.launched_at
        if call.running and self._stopped_for_time(job, attempt):
            call = CallState(running=False, note="stopped at its limit")
        if call.running and attempt.last_event_at is None and self._try_is_over(job, attempt):
            self._without_gpu(job.id, attempt)
            return
        if call.running and self._clock() - _looked_after(attempt, heard) <= SILENCE:
            self._watch_spend(job, attempt)
            self._keep_fresh(job, heard)
            return
        until = None
        if call.running:
            # Its machine's owner took it away without a word, and has no other one: none was had since its last word.
            until = attempt.last_word_at if self._compute.waits_for_gpu(attempt.call_id) else None
            self._compute.cancel(attempt.call_id)
            known = f" ({call.note})" if call.note else ""
            call = CallState(running=False, note=f"no sign of life for {SILENCE.seconds // 60} minutes{known}")
        self._lost(job.id, attempt, call, until)

    def _seen(self, attempt: Attempt, call: CallState) -> Attempt:
        """The attempt; that it runs is noted from time to time, for the process that looks after it next."""
        now, last = self._clock(), attempt.seen_at
        if not (call.running and call.known):
            return attempt
        if last is not None and now - last < _NOTE_EVERY:
            return attempt
        since = attempt.watched_since if last is not None and now - last <= GAP else None
        with self._db.transaction() as tx:
            tx.jobs.note_seen(attempt.job_id, attempt.attempt, since=since or now, at=now)
        return attempt.model_copy(update={"seen_at": now, "watched_since": since or now})

    def _last_sign(self, attempt: Attempt) -> datetime:
        """Until when an attempt whose machine is gone is known to have had it."""
        now, last = self._clock(), attempt.seen_at
        if last is not None and now - last <= GAP:
            return now  # it is looked at every second
        return max(time for time in (attempt.launched_at, last, attempt.last_word_at) if time is not None)

    def _try_is_over(self, job: Job, attempt: Attempt) -> bool:
        """Whether a call that never had a machine is to be taken back: its patience is over, or the next try is due."""
        with self._db.transaction() as tx:
            wait = open_wait(tx, job)
        patience = wait.next_try_at - attempt.launched_at if wait else GPU_PATIENCE
        return self._finds_no_gpu(attempt, since=attempt.launched_at, patience=patience)

    def _finds_no_gpu(self, attempt: Attempt, since: datetime, patience: timedelta = GPU_PATIENCE) -> bool:
        """Whether an attempt without a machine since then has waited long enough for one, and still waits."""
        waited = self._clock() - _looked_after(attempt, since) >= patience
        return waited and self._compute.waits_for_gpu(attempt.call_id)

    def _without_gpu(self, job_id: UUID, attempt: Attempt) -> None:
        self._compute.cancel(attempt.call_id)
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            now = self._clock()
            if job is None or job.attempt != attempt.attempt or job.stop is not None:
                return
            # Meanwhile it may have spoken after all, or been given up for another machine.
            current = tx.jobs.attempt(job_id, attempt.attempt)
            if current is None or current.ended_at or current.last_event_at:
                return
            if is_legal(job.state, JobState.QUEUED_WAITING_FOR_GPU):
                taken_back(tx, job=job, since=_looked_after(attempt, attempt.launched_at), now=now)

    def _stop(self, job: Job, attempt: Attempt | None) -> None:
        """End the machine of a job that a person wants to stop; a pause first has time to save where it is."""
        until = self._clock()
        if attempt is not None and not attempt.ended_at and attempt.call_id:
            call = self._compute.poll(attempt.call_id)
            if call.running:
                patience = PAUSE_PATIENCE if job.stop and job.stop.kind is StopKind.PAUSE else timedelta(0)
                if job.stop and self._clock() - job.stop.at < patience:
                    self._seen(attempt, call)
                    return
                self._compute.cancel(attempt.call_id)
                until = self._clock()
            else:
                until = self._last_sign(attempt)
        with self._db.transaction() as tx:
            job_now = tx.jobs.get(job.id, lock=True)
            # By its own word, the attempt may have ended while its machine was being stopped.
            if job_now is None or job_now.stop is None or job_now.state not in PLACED:
                return
            now, state = self._clock(), stopped_as(job_now.stop.kind)
            if not is_legal(job_now.state, state):
                return
            progress = halted(job_now.progress, at=now)
            tx.jobs.update(job.id, progress=progress)
            stopped_job = job_now.model_copy(update={"progress": progress})
            move(tx, job=stopped_job, state=state, now=now, until=min(until, now))
            tx.failures.end_wait(job.id, served=False, at=now)  # who rests waits for nothing

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
        if band_reached(job, now=now, running_since=attempt.billed_from) is not None:
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

    def _lost(self, job_id: UUID, attempt: Attempt, call: CallState, until: datetime | None = None) -> None:
        """The attempt's machine is gone, since `until` if that is known, and the job did not end: it is recovered."""
        with self._db.transaction() as tx:
            job = tx.jobs.get(job_id, lock=True)
            current = tx.jobs.attempt(job_id, attempt.attempt) if job and job.attempt == attempt.attempt else None
            if job is None or current is None or job.state not in RUNNING:
                return
            if job.stop is not None:
                return  # somebody stopped it meanwhile: the next step ends it as they wished
            now, until = self._clock(), until or self._last_sign(current)
            cause = call.note or f"exit code {call.exit_code}"
            progress, state = stopped(job.progress, JobState.INTERRUPTED, at=until)
            if state is JobState.INTERRUPTED:
                step = progress.checkpoint_step or 0
                progress = interrupted(progress, at=until, step=step, cause=cause, log_tail=call.log_tail)
            tx.jobs.update(job_id, progress=progress)
            move(tx, job=job.model_copy(update={"progress": progress}), state=state, now=now, until=until)
        log.warning("job %s: attempt %s lost (%s)", job_id, attempt.attempt, cause)


def _looked_after(attempt: Attempt, since: datetime) -> datetime:
    """Since when something can have been waited for: not while nobody looked."""
    return max(since, attempt.watched_since or since)
