"""No GPU is free, or the run takes too long: what the job does, and what people read meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blocks.card import job_card
from blocks.job_rows import job_row
from blocks.lifecycle import ACTION_SWITCH
from blocks.milestones import milestone
from functions.errors import NoCapacity
from functions.jobs import card_view, job_list
from functions.lifecycle import cancel_job
from functions.model.events import CheckpointSaved, Interrupted, Resumed
from functions.model.job import Job
from functions.model.job_spec import JobSpec
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.model.views import CardView
from functions.queue import queue
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM, SetClock, add_demo_file, job_of, say, start, try_again
from tests.scenario.paper import ENDED, TRAINED, PaperCompute
from tests.scenario.stage import words


class FullCompute(PaperCompute):
    """Machines on paper, of which none is free until the test says so. They stop with a last word."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__()
        self.clock = clock
        self.full = True
        self.asked = 0
        self.launched_at: list[datetime] = []
        self.cancelled: list[str] = []

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        self.asked += 1
        self.launched_at.append(self.clock())
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
        self.compute = FullCompute(self.clock)
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

    def view(self) -> CardView:
        with self.db.transaction() as tx:
            return card_view(tx, job=self.job, now=self.clock(), limits=LIMITS)

    def card(self) -> str:
        return words({"blocks": job_card(self.view())[1]})

    def to_modal(self) -> None:
        """As if it had been started at Modal, which has other machines too."""
        configuration = self.job.configuration.model_copy(update={"tier": "modal-h100"})
        with self.db.transaction() as tx:
            tx.jobs.change_tier(self.id, configuration, 395, self.job.estimate)

    def no_machine_comes(self, *, seconds: float, for_minutes: float, look: Callable[[], None] = lambda: None) -> None:
        """The loop steps every so many seconds, at a provider that queues each call and has no GPU for it."""
        self.compute.full = False
        until = self.clock() + timedelta(minutes=for_minutes)
        self.reconciler.step()
        while self.clock() < until:
            self.compute.without_gpu.add(f"{self.id}:{self.job.attempt}")
            self.clock.forward(seconds=seconds)
            self.reconciler.step()
            look()

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
    for _ in range(9):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert (stand.job.attempt, stand.notices()) == (1, [])
    assert "Starting the machine" in stand.card()
    stand.clock.forward(minutes=1)
    stand.reconciler.step()
    assert (stand.state(), stand.job.attempt) == (JobState.PROVISIONING, 2)  # tried again at once
    assert stand.compute.running() == [f"{stand.id}:2"]
    assert "waited 10 minutes and none was allocated" in stand.card()
    assert stand.job.billed_seconds == 0


def test_where_calls_are_queued_it_is_tried_every_five_minutes_and_given_up_at_the_promised_time(
    stand: Stand,
) -> None:
    begun = stand.clock()
    stand.no_machine_comes(seconds=10, for_minutes=59)
    minutes = [(at - begun).total_seconds() / 60 for at in stand.compute.launched_at]
    assert minutes == [0, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]
    promised = f"it gives up <!date^{int((begun + timedelta(hours=1)).timestamp())}^"
    assert "tried 10 times, being tried now; it gives up" in stand.card()
    assert promised in stand.card()
    stand.no_machine_comes(seconds=10, for_minutes=1)
    assert (stand.state(), stand.compute.running()) == (JobState.FAILED, [])
    assert "Tried 11 times in 1 h. The last answer: waited 60 minutes and none was allocated" in stand.card()
    assert stand.notices() == ["waiting_for_gpu", "failed"]
    with stand.db.transaction() as tx:
        assert tx.ledger.sums(TEAM, stand.clock().replace(day=1)) == (0, 0)


@pytest.mark.parametrize("seconds", [1 * 60, 70])
def test_a_loop_that_looks_seldom_is_late_but_never_drifts(stand: Stand, seconds: int) -> None:
    begun = stand.clock()
    stand.no_machine_comes(seconds=seconds, for_minutes=62)
    assert len(stand.compute.launched_at) == 11
    for number, at in enumerate(stand.compute.launched_at[1:]):
        late = at - begun - timedelta(minutes=10 + 5 * number)
        assert timedelta(0) <= late < timedelta(seconds=seconds)
    assert stand.state() is JobState.FAILED


def test_while_it_waits_its_card_always_says_so_and_offers_another_machine(stand: Stand) -> None:
    stand.to_modal()
    stand.no_machine_comes(seconds=60, for_minutes=9)

    def look() -> None:
        view = stand.view()
        text, blocks = job_card(view)
        shown = words({"blocks": blocks})
        assert "waiting for a GPU" in text
        assert "○ Waiting for a GPU" in shown
        assert "and none was allocated)." in shown
        assert "it gives up <!date" in shown
        assert "Nobody has waited for this machine before" in shown
        assert ACTION_SWITCH in str(blocks)
        assert view.wait is not None
        assert view.wait.next_try_at > stand.clock()
        with stand.db.transaction() as tx:
            listed = job_list(tx, team_id=TEAM, now=stand.clock(), limits=LIMITS)
        assert "○ Waiting for a GPU since" in str(job_row(listed.lines[0]))

    stand.no_machine_comes(seconds=60, for_minutes=50, look=look)
    assert stand.state() is JobState.PROVISIONING
    # The machine of the last try comes after all: its first word ends the wait.
    say(stand.db, stand.clock, stand.job, *TRAINED)
    assert "● Training" in stand.card()
    assert set(stand.notices()) == {"waiting_for_gpu", "gpu_found", "started", "held_out"}
    assert stand.job.billed_seconds == 0


def test_two_loops_at_once_make_one_try_of_it(stand: Stand) -> None:
    other = Reconciler(
        stand.db, stand.files, stand.compute, clock=stand.clock, secret="s", service_url="http://localhost",
        max_running=1,
    )  # fmt: skip
    stand.reconciler.step()
    stand.clock.forward(minutes=5)
    stand.reconciler.step()
    other._launcher.admit(stand.id)  # it had found the job due too
    assert stand.compute.asked == 2
    stand.compute.full = False
    stand.clock.forward(minutes=5)
    stand.reconciler.step()
    with stand.db.transaction() as tx:
        seen = tx.jobs.attempt(stand.id, 3)
    assert seen is not None
    stand.compute.without_gpu.add(seen.call_id)
    for _ in range(5):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert stand.job.attempt == 4
    other._without_gpu(stand.id, seen)
    other.step()
    assert (stand.state(), stand.job.attempt) == (JobState.PROVISIONING, 4)
    assert stand.compute.running() == [f"{stand.id}:4"]
    wait = stand.view().wait
    assert wait is not None
    assert wait.tries == 3


def test_a_time_in_which_nobody_looks_ends_no_try(stand: Stand) -> None:
    stand.no_machine_comes(seconds=60, for_minutes=12)
    stand.clock.forward(hours=2)
    stand.reconciler.step()
    assert (stand.state(), stand.job.attempt) == (JobState.PROVISIONING, 2)
    assert "tried 1 time, being tried now.\n" in stand.card()


def test_others_may_start_while_one_waits_at_a_provider_that_queues(stand: Stand) -> None:
    stand.clock.forward(seconds=1)
    second = _second_job(stand)
    stand.no_machine_comes(seconds=60, for_minutes=10)
    assert stand.state() is JobState.QUEUED_WAITING_FOR_GPU
    assert job_of(stand.db, second.id).state is JobState.PROVISIONING
    assert "tried 1 time, and again as soon as a place is free." in stand.card()
    say(stand.db, stand.clock, job_of(stand.db, second.id), *TRAINED)
    stand.clock.forward(minutes=90)
    say(stand.db, stand.clock, job_of(stand.db, second.id), *ENDED, first=len(TRAINED) + 1)
    begun = stand.clock()
    stand.no_machine_comes(seconds=30, for_minutes=1)
    assert stand.state() is JobState.PROVISIONING  # the hour is over, and it still gets its try
    assert "being tried now; it gives up <!date" in stand.card()
    while stand.state() is not JobState.FAILED:
        stand.no_machine_comes(seconds=30, for_minutes=0.5)
    assert timedelta(minutes=4) < stand.clock() - begun < timedelta(minutes=7)


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
