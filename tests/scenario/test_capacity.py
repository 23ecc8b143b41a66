"""No GPU is free, or the run takes too long: what the job does, and what people read meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from blocks.card import job_card
from blocks.milestones import milestone
from functions.errors import NoCapacity
from functions.jobs import card_view
from functions.lifecycle import cancel_job
from functions.model.events import CheckpointSaved, Interrupted, Resumed
from functions.model.job import Job
from functions.model.job_spec import JobSpec
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.queue import queue
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM, SetClock, add_demo_file, job_of, say, start, try_again
from tests.scenario.paper import TRAINED, PaperCompute
from tests.scenario.stage import words


class FullCompute(PaperCompute):
    """Machines on paper, of which none is free until the test says so. They stop with a last word."""

    def __init__(self) -> None:
        super().__init__()
        self.full = True
        self.asked = 0
        self.cancelled: list[str] = []

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        self.asked += 1
        if self.full:
            raise NoCapacity("all H100s are in use")
        return super().launch(spec, token=token, tier=tier)

    def cancel(self, call_id: str) -> None:
        self.cancelled.append(call_id)
        super().cancel(call_id)


class Stand:
    """A team with a queued job."""

    def __init__(self, db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
        self.db = db
        self.clock = SetClock()
        self.files = LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=self.clock)
        self.compute = FullCompute()
        self.reconciler = Reconciler(
            db, self.files, self.compute, clock=self.clock, secret="s", service_url="http://localhost", max_running=1
        )
        self.file = add_demo_file(db, self.files, demo_file, self.clock)
        self.id = start(db, self.files, self.file, self.clock).id

    @property
    def job(self) -> Job:
        return job_of(self.db, self.id)

    def state(self) -> JobState:
        return self.job.state

    def card(self) -> str:
        with self.db.transaction() as tx:
            view = card_view(tx, job=self.job, now=self.clock(), limits=LIMITS)
        return words({"blocks": job_card(view)[1]})

    def notices(self) -> list[str]:
        with self.db.transaction() as tx:
            found = []
            while (message := tx.outbox.claim(self.clock() + timedelta(hours=1))) is not None:
                tx.outbox.sent(message.id, ts="1.1", at=self.clock())
                found.append(message.notice.value)
        return [notice for notice in found if notice != "card"]


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def test_a_job_without_a_gpu_waits_tries_every_five_minutes_and_says_so(stand: Stand) -> None:
    stand.reconciler.step()
    assert stand.state() is JobState.QUEUED_WAITING_FOR_GPU
    stand.reconciler.step()
    assert stand.compute.asked == 1  # not yet due
    shown = stand.card()
    assert "○ Waiting for a GPU" in shown
    assert "No GPU is free right now (all H100s are in use)." in shown
    assert "tried 1 time, next try <!date" in shown
    assert "Nobody has waited for this machine before" in shown
    stand.clock.forward(minutes=5)
    stand.reconciler.step()
    assert stand.compute.asked == 2
    assert "tried 2 times" in stand.card()

    stand.compute.full = False
    stand.clock.forward(minutes=6)
    stand.reconciler.step()
    assert stand.state() is JobState.PROVISIONING
    assert stand.notices() == ["waiting_for_gpu"]
    say(stand.db, stand.clock, stand.job, *TRAINED)
    assert stand.state() is JobState.TRAINING
    assert "gpu_found" in stand.notices()  # not before its machine has said a word
    assert stand.job.billed_seconds == 0  # waiting was free
    with stand.db.transaction() as tx:
        assert tx.failures.past_waits("local", 5) == [pytest.approx(660.0, abs=60)]


def test_a_launch_that_is_accepted_and_gets_no_machine_is_taken_back_after_ten_minutes(stand: Stand) -> None:
    stand.compute.full = False
    stand.reconciler.step()
    call = f"{stand.id}:1"
    stand.compute.without_gpu.add(call)
    for _ in range(10):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert stand.state() is JobState.PROVISIONING
    stand.clock.forward(minutes=1)
    stand.reconciler.step()
    assert stand.state() is JobState.QUEUED_WAITING_FOR_GPU
    assert not stand.compute.poll(call).running
    assert "waited 11 minutes and none was allocated" in stand.card()
    assert stand.job.billed_seconds == 0
    stand.clock.forward(minutes=5)
    stand.reconciler.step()
    assert (stand.state(), stand.job.attempt) == (JobState.PROVISIONING, 2)


def test_after_an_hour_it_gives_up_with_a_way_out_and_money_back(stand: Stand) -> None:
    while stand.state() is not JobState.FAILED:
        stand.reconciler.step()
        stand.clock.forward(minutes=1)
        assert stand.compute.asked < 20
    assert stand.compute.asked == 13  # at once, and every five minutes of an hour
    shown = stand.card()
    assert "No cpu was free (This computer)." in shown
    assert "Tried 13 times in 1 h. The last answer: all H100s are in use" in shown
    assert "*Try again later*" in shown
    with stand.db.transaction() as tx:
        assert tx.ledger.sums(TEAM, stand.clock().replace(day=1)) == (0, 0)
        assert tx.failures.wait(stand.id) is None
    assert stand.notices() == ["waiting_for_gpu", "failed"]


def test_cancelled_while_it_waits_it_never_had_a_machine_and_cost_nothing(stand: Stand) -> None:
    stand.reconciler.step()
    with stand.db.transaction() as tx:
        entry = queue(tx, limits=LIMITS, now=stand.clock())[0]
        wait = tx.failures.wait(stand.id)
    assert wait is not None
    assert entry.starts_at == wait.next_try_at
    cancel_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, reason="Testing")
    assert stand.job.attempt == 1
    with stand.db.transaction() as tx:
        view = card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)
    told, _ = milestone(Notice.CANCELLED, view, {"by": "U0ELENA", "reason": "Testing"}, None)
    assert told == "Cancelled by <@U0ELENA>: Testing.\nIt had not started; nothing was spent."
    assert "It had not started; nothing was spent. Its budget is free again." in stand.card()


def test_how_often_none_came_is_told_in_all_and_about_this_time_of_day(stand: Stand) -> None:
    now = stand.clock()  # nine in the morning

    def wait(hours_ago: float, outcome: str, minutes: int) -> None:
        since = now - timedelta(hours=hours_ago)
        with stand.db.transaction() as tx:
            tx.jobs._run(
                "insert into gpu_waits (job_id, team_id, tier, since, next_try_at, gives_up_at, ended_at, outcome)"
                " values (%s, %s, 'local', %s, %s, %s, %s, %s)",
                stand.id, TEAM, since, since, since + timedelta(hours=1), since + timedelta(minutes=minutes), outcome,
            )  # fmt: skip

    wait(24, "given_up", 61)
    wait(49, "served", 12)  # eight in the morning
    wait(38, "given_up", 65)  # in the evening
    wait(24, "given_up", 4)  # somebody cancelled it
    wait(24 * 91, "given_up", 61)  # too long ago
    stand.reconciler.step()
    shown = stand.card()
    assert "The last wait took 12 min." in shown
    assert "In 90 days 2 of 3 waits ended without a GPU; about this time of day 1 of 2." in shown


def test_others_may_start_while_one_waits(stand: Stand) -> None:
    stand.reconciler.step()
    stand.compute.full = False
    second = _second_job(stand)
    stand.reconciler.step()
    assert job_of(stand.db, second.id).state is JobState.PROVISIONING
    assert stand.state() is JobState.QUEUED_WAITING_FOR_GPU


def test_a_recovery_that_finds_no_gpu_waits_too_and_goes_on_from_its_checkpoint(stand: Stand) -> None:
    stand.compute.full = False
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED, Interrupted(step=5, signal="SIGINT"))
    stand.compute.full = True
    stand.reconciler.step()
    assert stand.state() is JobState.QUEUED_WAITING_FOR_GPU
    stand.compute.full = False
    stand.clock.forward(minutes=5)
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:6], Resumed(step=5))
    assert stand.state() is JobState.TRAINING
    assert stand.job.progress.interruptions[-1].resumed_step == 5


def test_a_run_past_its_time_limit_is_stopped_at_a_checkpoint_and_told_as_that(stand: Stand) -> None:
    stand.compute.full = False
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    for _ in range(10):  # it is heard of all the time, but does not end
        stand.clock.forward(minutes=20)
        say(
            stand.db,
            stand.clock,
            stand.job,
            CheckpointSaved(step=9, bytes=10),
            first=100 + stand.clock.now.hour * 60 + stand.clock.now.minute,
        )
        stand.reconciler.step()
    assert stand.state() is JobState.FAILED
    assert stand.compute.cancelled == [f"{stand.id}:1"]
    assert stand.job.progress.interruptions == ()
    shown = stand.card()
    assert "it ran longer than its limit of 3 h." in shown
    assert "It did 10 of 10 steps." in shown
    assert "checkpoint of step 9 is kept" in shown
    # Trying again grants a limit of its own.
    stand.id = try_again(stand.db, stand.files, stand.clock, stand.id).id
    stand.reconciler.step()
    stand.reconciler.step()
    assert stand.state() is JobState.PROVISIONING


def test_the_last_word_of_a_run_that_is_stopped_for_time_fails_it(stand: Stand) -> None:
    stand.compute.full = False
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    cancel = stand.compute.cancel

    def last_word(call_id: str) -> None:
        say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="SIGTERM"), first=100)
        cancel(call_id)

    stand.compute.cancel = last_word  # type: ignore[method-assign]
    for _ in range(7):
        stand.clock.forward(minutes=28)
        say(stand.db, stand.clock, stand.job, CheckpointSaved(step=9, bytes=10), first=20 + stand.clock.now.minute)
        stand.reconciler.step()
    assert stand.state() is JobState.FAILED
    assert stand.job.progress.failure is not None
    assert (stand.job.progress.failure.code, stand.job.progress.interruptions) == ("timeout", ())
    assert stand.notices() == ["started", "held_out", "spend", "failed"]


def _second_job(stand: Stand) -> Job:
    with stand.db.transaction() as tx:
        file = tx.files.get(TEAM, stand.file.id)
        assert file is not None
        other = file.model_copy(
            update={"id": file.id.__class__(int=file.id.int ^ 1), "sha256": "f" * 64, "name": "Other"}
        )
        tx.files.add(other)
    return start(stand.db, stand.files, other, stand.clock, name="Second")
