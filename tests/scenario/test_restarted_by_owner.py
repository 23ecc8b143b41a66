"""A machine's owner that starts an interrupted attempt again by itself: waited for, billed for what ran, given up."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.model.events import TIME_LIMIT, Interrupted, Metrics, Resumed, Stage, StageChanged
from functions.model.job import MAX_RECOVERIES, Job
from functions.model.outbox import Notice
from functions.model.states import JobState
from functions.ports import CallState
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute

AGAIN = (
    StageChanged(stage=Stage.PREPROCESSING, status="started"),
    StageChanged(stage=Stage.TRAINING, status="started"),
    Resumed(step=10),
)


class House:
    """A running job, on paper."""

    def __init__(self, db: PostgresDatabase, folder: Path, demo_file: Path) -> None:
        self.db = db
        self.clock = SetClock()
        self.compute = PaperCompute()
        files = LocalFiles(folder / "files", secret="s", base_url="http://here", clock=self.clock)
        self.reconciler = Reconciler(
            db, files, self.compute, clock=self.clock, secret="s", service_url="http://here", max_running=1
        )
        self.id = start(db, files, add_demo_file(db, files, demo_file, self.clock), self.clock).id
        self.reconciler.step()
        self.next = 1
        self.say(*TRAINED)

    @property
    def job(self) -> Job:
        return job_of(self.db, self.id)

    def say(self, *bodies: object) -> None:
        say(self.db, self.clock, self.job, *bodies, first=self.next)  # type: ignore[arg-type]
        self.next += len(bodies)

    def lost(self, signal: str = "SIGINT") -> None:
        self.say(Interrupted(step=10, signal=signal, wait_for_call=True))


@pytest.fixture
def house(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> House:
    return House(db, tmp_path, demo_file)


def test_the_same_attempt_goes_on_and_the_wait_costs_nothing(house: House) -> None:
    house.lost()
    billed = house.job.billed_seconds
    house.clock.forward(hours=2)
    house.reconciler.step()
    assert (house.job.state, house.job.attempt, len(house.compute.launched)) == (JobState.INTERRUPTED, 1, 1)

    house.say(*AGAIN)
    assert (house.job.state, house.job.attempt, house.job.recoveries) == (JobState.TRAINING, 1, 1)
    assert house.job.progress.interruptions[0].resumed_step == 10
    house.reconciler.step()
    house.say(*ENDED)

    assert house.job.state is JobState.COMPLETED
    assert len(house.compute.launched) == 1
    assert billed < house.job.billed_seconds < billed + 60


def test_a_loss_and_the_way_on_may_come_in_one_delivery_and_each_is_told(house: House) -> None:
    for _ in range(2):
        house.say(Interrupted(step=10, signal="SIGKILL", wait_for_call=True), *AGAIN)

    assert (house.job.state, house.job.recoveries) == (JobState.TRAINING, 2)
    with house.db.transaction() as tx:
        rows = tx.jobs._all("select notice from outbox where job_id = %s", house.id)
    notices = [row["notice"] for row in rows]
    assert notices.count(Notice.INTERRUPTED.value) == 2
    assert notices.count(Notice.RECOVERED.value) == 2


def test_a_call_that_ends_is_replaced(house: House) -> None:
    house.lost()
    house.compute.ended[f"{house.id}:1"] = CallState(running=False, exit_code=75)

    house.reconciler.step()

    assert (house.job.state, house.job.attempt, house.job.recoveries) == (JobState.RECOVERING, 2, 1)


def test_time_that_is_over_is_no_loss(house: House) -> None:
    for attempt in range(1, MAX_RECOVERIES + 3):
        house.lost(TIME_LIMIT)
        house.reconciler.step()
        assert house.job.attempt == attempt  # its files are still being put away
        house.compute.ended[f"{house.id}:{attempt}"] = CallState(running=False, exit_code=75)
        house.reconciler.step()
        assert (house.job.attempt, house.job.recoveries) == (attempt + 1, 0)
        house.next = 1
        house.say(*AGAIN, Metrics(step=11, epoch=1.0, loss=2.0, learning_rate=1e-3))


def test_one_loss_too_many_ends_the_call_and_the_job(house: House) -> None:
    for _ in range(MAX_RECOVERIES):
        house.lost()
        house.say(*AGAIN)
    house.lost()
    house.say(*AGAIN)  # its owner has started it once more already
    assert house.job.state is JobState.INTERRUPTED

    house.reconciler.step()

    assert house.job.state is JobState.FAILED
    assert not house.compute.poll(f"{house.id}:1").running
