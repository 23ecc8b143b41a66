"""No machine outlives its attempt: whatever happened, in the end none runs that nobody pays for or sees."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from functions.ingest import stop_asked
from functions.lifecycle import pause_job, resume_paused
from functions.model.events import Interrupted, Resumed
from functions.model.job import MAX_RECOVERIES, StopKind
from functions.model.job_spec import JobSpec
from functions.model.states import JobState
from functions.ports import CallState
from functions.reaping import ENDING_GRACE
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute
from tests.scenario.test_jobs_live import Stand
from tests.scenario.test_lifecycle import cancel, more_files, running

RESTARTED = Interrupted(step=10, signal="SIGINT", wait_for_call=True)


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def after_the_grace(stand: Stand) -> None:
    stand.clock.forward(seconds=ENDING_GRACE.total_seconds())
    stand.reconciler.step()


def asked(stand: Stand, attempt: int = 1) -> StopKind | None:
    return stop_asked(stand.db, job_id=stand.id, attempt=attempt)


def test_a_machine_that_comes_back_under_a_paused_job_is_told_to_stop_and_ended(stand: Stand) -> None:
    running(stand)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    say(stand.db, stand.clock, stand.job, RESTARTED, first=50)  # it was taken away before it heard of the pause
    assert stand.job.state is JobState.PAUSED
    rested = stand.job
    say(stand.db, stand.clock, stand.job, *TRAINED[:6], Resumed(step=10), *ENDED[:2], first=1_000_001)
    assert asked(stand) is StopKind.CANCEL
    assert (stand.job.state, stand.job.progress.stages) == (JobState.PAUSED, rested.progress.stages)
    after_the_grace(stand)
    assert stand.compute.running() == []
    assert stand.job.billed_seconds == rested.billed_seconds

    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    assert asked(stand) is StopKind.CANCEL  # in the queue it has no machine either
    stand.reconciler.step()
    assert stand.compute.running() == [f"{stand.id}:2"]
    assert asked(stand, 2) is None


def test_an_interrupted_job_that_is_cancelled_loses_its_call_at_once(stand: Stand) -> None:
    running(stand)
    say(stand.db, stand.clock, stand.job, RESTARTED, first=50)
    assert asked(stand) is None  # its owner may start it again
    cancel(stand)
    assert stand.job.state is JobState.CANCELLED
    stand.reconciler.step()
    assert stand.compute.running() == []


def test_a_machine_that_ends_by_itself_is_left_to_do_so(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    running(stand)
    say(stand.db, stand.clock, stand.job, *ENDED, first=50)
    cancelled: list[str] = []
    monkeypatch.setattr(stand.compute, "cancel", cancelled.append)
    stand.reconciler.step()
    stand.compute.ended[f"{stand.id}:1"] = CallState(running=False, exit_code=0)
    after_the_grace(stand)
    assert cancelled == []
    stand.compute.ended.clear()
    stand.reconciler.step()  # known to be gone: nobody asks any more
    assert cancelled == []


def test_one_that_does_not_is_ended_again_and_again_until_it_is_gone(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(stand)
    say(stand.db, stand.clock, stand.job, *ENDED, first=50)
    cancelled: list[str] = []
    with monkeypatch.context() as deaf:
        deaf.setattr(stand.compute, "cancel", cancelled.append)
        after_the_grace(stand)
        for _ in range(60):
            stand.clock.forward(seconds=1)
            stand.reconciler.step()
    assert cancelled == [f"{stand.id}:1"] * 3
    stand.clock.forward(seconds=30)
    stand.reconciler.step()
    assert stand.compute.running() == []


def test_a_call_that_was_given_up_too_early_is_ended(stand: Stand) -> None:
    running(stand)
    stand.lose_machine()
    stand.reconciler.step()
    assert asked(stand) is StopKind.CANCEL  # lost, as far as anybody knows; if it speaks, it is to stop
    stand.compute.ended.clear()  # it was there all the time
    stand.reconciler.step()
    assert stand.job.state is JobState.RECOVERING
    after_the_grace(stand)
    assert stand.compute.running() == [f"{stand.id}:2"]


def test_one_loss_too_many_stops_the_machine_that_was_started_once_more(stand: Stand) -> None:
    running(stand)
    for number in range(MAX_RECOVERIES):
        say(stand.db, stand.clock, stand.job, RESTARTED, *TRAINED[:6], first=(number + 1) * 1000)
    say(stand.db, stand.clock, stand.job, RESTARTED, *TRAINED[:6], first=9000)
    assert asked(stand) is StopKind.CANCEL


class OwnersCompute(PaperCompute):
    """Every launch is a call of its own, as at Modal; `dies` ends a launcher after its spawn."""

    repeatable = False

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.dies = False

    def launch(self, spec: JobSpec, *, token: str, tier: str) -> str:
        super().launch(spec, token=token, tier=tier)
        self.calls.append(f"fc-{len(self.calls) + 1}")
        if self.dies:
            raise KeyboardInterrupt
        return self.calls[-1]

    def running(self) -> list[str]:
        return [call for call in self.calls if call not in self.ended]


@pytest.fixture
def cut_off(stand: Stand) -> OwnersCompute:
    """The launcher was killed between the spawn and the commit that stores its call id."""
    compute = OwnersCompute()
    stand.reconciler = stand.other_reconciler(compute)
    compute.dies = True
    with pytest.raises(KeyboardInterrupt):
        stand.reconciler.step()
    compute.dies = False
    return compute


def test_a_launch_that_may_have_worked_is_not_made_twice_for_one_attempt(stand: Stand, cut_off: OwnersCompute) -> None:
    stand.reconciler.step()
    assert cut_off.calls == ["fc-1"]  # another reconciler may still be about to store it
    stand.clock.forward(seconds=16)
    stand.reconciler.step()
    assert cut_off.calls == ["fc-1", "fc-2"]
    assert [spec.attempt for spec in cut_off.launched] == [1, 2]
    assert asked(stand, 1) is StopKind.CANCEL
    assert asked(stand, 2) is None
    say(stand.db, stand.clock, stand.job, *TRAINED[:3], attempt=1)
    assert stand.job.state is JobState.PROVISIONING
    say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED)
    assert (stand.job.state, stand.job.recoveries) == (JobState.COMPLETED, 0)


def test_a_machine_that_speaks_before_it_is_missed_counts_as_lost(stand: Stand, cut_off: OwnersCompute) -> None:
    say(stand.db, stand.clock, stand.job, *TRAINED[:6])
    stand.clock.forward(seconds=16)
    stand.reconciler.step()
    assert stand.job.state is JobState.INTERRUPTED
    assert asked(stand, 1) is StopKind.CANCEL
    stand.reconciler.step()
    assert (stand.job.state, cut_off.calls) == (JobState.RECOVERING, ["fc-1", "fc-2"])


def test_launches_that_fail_for_ten_minutes_fail_the_job_though_each_is_an_attempt(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = OwnersCompute()
    stand.reconciler = stand.other_reconciler(compute)

    def refuse(spec: JobSpec, *, token: str, tier: str) -> str:
        raise ConnectionError("no way")

    monkeypatch.setattr(compute, "launch", refuse)
    for _ in range(21):
        stand.reconciler.step()
        stand.clock.forward(seconds=31)
    assert stand.job.state is JobState.FAILED
    assert stand.job.progress.failure is not None
    assert stand.job.progress.failure.code == "launch_failed"
    assert stand.sums() == (0, 0)


def test_a_restart_that_finds_no_gpu_gives_way_to_the_usual_handling(stand: Stand) -> None:
    running(stand)
    say(stand.db, stand.clock, stand.job, RESTARTED, first=50)
    stand.compute.without_gpu.add(f"{stand.id}:1")
    for _ in range(10):
        stand.reconciler.step()
        stand.clock.forward(minutes=1)
    assert stand.job.attempt == 1
    stand.clock.forward(minutes=1)
    stand.compute.without_gpu.add(f"{stand.id}:2")
    stand.reconciler.step()
    assert (stand.job.state, stand.job.attempt) == (JobState.RECOVERING, 2)
    assert stand.compute.running() == [f"{stand.id}:2"]
    for _ in range(12):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert (stand.job.state, stand.job.attempt) == (JobState.PROVISIONING, 3)
    assert "waiting_for_gpu" in stand.notices()
    assert stand.compute.running() == [f"{stand.id}:3"]


def test_a_restart_that_only_takes_its_time_is_waited_for(stand: Stand) -> None:
    running(stand)
    say(stand.db, stand.clock, stand.job, RESTARTED, first=50)
    for _ in range(30):  # its machine is there: it loads the model
        stand.reconciler.step()
        stand.clock.forward(minutes=1)
    assert (stand.job.state, stand.job.attempt) == (JobState.INTERRUPTED, 1)


def test_two_loops_at_once_admit_no_more_than_may_run(stand: Stand, demo_file: Path, tmp_path: Path) -> None:
    second = start(stand.db, stand.files, more_files(stand, demo_file, tmp_path, 1)[0], stand.clock, name="Second")
    other = stand.other_reconciler(stand.compute)
    with stand.db.transaction() as tx:  # one loop gives the only place away
        tx.jobs.lock_places()
        tx.jobs.begin_attempt(stand.id, stand.clock())
        tx.jobs.update(stand.id, state=JobState.PROVISIONING)
        admits = threading.Thread(target=other._launcher.admit, args=(second.id,))  # the other has found it free
        admits.start()
        admits.join(0.5)
        assert admits.is_alive()
    admits.join(30)
    assert job_of(stand.db, second.id).state is JobState.QUEUED
    assert stand.compute.launched == []


def test_two_loops_at_once_recover_a_job_once(stand: Stand) -> None:
    running(stand)
    stand.lose_machine()
    stand.reconciler.step()
    for loop in (stand.reconciler, stand.other_reconciler(stand.compute)):
        loop._launcher.recover(stand.id)  # each has seen that nothing runs any more
    assert (stand.job.state, stand.job.attempt, stand.job.recoveries) == (JobState.RECOVERING, 2, 1)
    assert stand.compute.running() == [f"{stand.id}:2"]


def test_a_job_that_is_cancelled_while_its_launch_is_prepared_is_not_launched(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked_meanwhile(_: str) -> None:
        cancel(stand)

    monkeypatch.setattr(stand.compute, "model_path", unpacked_meanwhile)
    stand.reconciler.step()
    assert stand.compute.launched == []
    stand.reconciler.step()
    assert stand.job.state is JobState.CANCELLED
    assert stand.sums() == (0, 0)
