"""A real trainer under the real reconciler: events over HTTP, killed in the middle, recovered, delivered.

Everything but the base model is what runs in the demo; the model is a tiny random one, so that it takes seconds.
"""

from __future__ import annotations

import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from functions.model.job import Job
from functions.model.job_spec import JobSpec
from functions.model.states import TERMINAL, JobState
from functions.ports import MODEL_ARTIFACTS
from functions.reconcile import Reconciler
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.local_compute import LocalCompute
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import TEAM, SetClock, add_demo_file, job_of, start
from tests.scenario.stage import free_port
from tests.serving import served
from tests.unit.gpu_tiny import tiny_model_folder

SECRET = "the service's own"

# Two real trainings; on a machine that is busy with others they take minutes.
pytestmark = pytest.mark.timeout(700)


class TinyCompute(LocalCompute):
    """This machine, with a tiny model in place of the embedded one."""

    def model_path(self, base_model: str) -> str | None:
        return str(tiny_model_folder())

    def pid(self, job: Job) -> int:
        """The process of the job's attempt."""
        return int((Path(self.work_dir(job.id)) / f"pid-{job.attempt}").read_text("utf-8"))


class Live:
    """A started job and the loop that looks after it."""

    def __init__(self, db: PostgresDatabase, folder: Path, demo_file: Path, port: int) -> None:
        self.db = db
        url = f"http://127.0.0.1:{port}"
        self.files = LocalFiles(folder / "files", secret=SECRET, base_url=url, clock=utc_now)
        self.compute = TinyCompute(folder / "data")
        self.http = create_http_app(db, self.files, secret=SECRET, clock=utc_now)
        self.reconciler = Reconciler(
            db, self.files, self.compute, clock=utc_now, secret=SECRET, service_url=url, max_running=1
        )
        clock = SetClock(utc_now())
        file = add_demo_file(db, self.files, demo_file, clock)
        self.id = start(db, self.files, file, clock, preset="balanced", max_steps=30).id

    @property
    def job(self) -> Job:
        return job_of(self.db, self.id)

    def until(self, reached: Callable[[Job], bool], patience: float = 240.0) -> Job:
        """Let the loop run until the job is so far."""
        deadline = time.monotonic() + patience
        while not reached(job := self.job):
            assert time.monotonic() < deadline, (job.state, job.progress)
            assert reached is ended or job.state not in TERMINAL, job.progress.failure
            self.reconciler.step()
            time.sleep(0.1)
        return job


def ended(job: Job) -> bool:
    return job.state in TERMINAL


def training(job: Job) -> bool:
    return job.state is JobState.TRAINING and job.progress.step >= 3


@pytest.fixture
def live(db: PostgresDatabase, tmp_path: Path, demo_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv("BRIGHTRUN_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("BRIGHTRUN_SLACK_BOT_TOKEN", "xoxb-secret")
    port = free_port()
    stand = Live(db, tmp_path, demo_file, port)
    with served(stand.http, port):
        yield stand
        stand.compute.cancel_all()


def test_a_killed_trainer_is_recovered_and_delivers(live: Live) -> None:
    job = live.until(training)
    environment = Path(f"/proc/{live.compute.pid(job)}/environ").read_bytes().decode()
    assert "xoxb-secret" not in environment
    assert "postgresql://" not in environment
    assert live.compute.launch(_spec_of(live, job), token="t", tier="local") == f"{job.id}:1"  # runs already

    os.kill(live.compute.pid(job), signal.SIGKILL)
    job = live.until(ended)
    assert job.state is JobState.COMPLETED, job.progress.failure
    assert (job.attempt, job.recoveries) == (2, 1)
    assert "SIGKILL" in job.progress.interruptions[0].cause
    assert job.progress.interruptions[0].resumed_step is not None
    with live.db.transaction() as tx:
        (artifact,) = tx.jobs.artifacts(job.id)
        assert tx.ledger.sums(TEAM, job.created_at.replace(day=1)) == (job.actual_cost_cents, 0)
        steps = [point.step for point in tx.jobs.points(job.id, 1000) if point.training_loss is not None]
    assert steps == list(range(1, 31))
    stored = live.files.locate(MODEL_ARTIFACTS, artifact.path)
    assert stored.stat().st_size == artifact.size_bytes
    with zipfile.ZipFile(stored) as archive:
        assert archive.testzip() is None


def test_another_reconciler_finds_the_jobs_of_one_that_died(live: Live) -> None:
    job = live.until(training)
    call_id = f"{job.id}:{job.attempt}"
    other = LocalCompute(Path(live.compute.work_dir(job.id)).parent.parent)
    assert other.poll(call_id).running
    other.cancel(call_id)
    assert not other.poll(call_id).running


def _spec_of(live: Live, job: Job) -> JobSpec:
    text = (Path(live.compute.work_dir(job.id)) / f"spec-{job.attempt}.json").read_text("utf-8")
    return JobSpec.model_validate_json(text)
