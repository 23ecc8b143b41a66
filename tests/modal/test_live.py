"""A job on Modal from its start to its adapter: taken away, lost, started again with the same input, delivered.

Real are the reconciler, ingest over HTTP, Postgres, the deployed app, Modal's container entrypoint and the trainer;
the base model is a tiny random one, so that it takes seconds.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from functions.model.events import SEQ_STRIDE
from functions.model.job import Job, JobChoice
from functions.model.states import TERMINAL, JobState
from functions.ports import MODEL_ARTIFACTS
from functions.reconcile import Reconciler
from functions.start import start_job
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.modal.conftest import SECRETS, Cloud, store_model, until
from tests.scenario.house import CHANNEL, ELENA, LIMITS, TEAM, SetClock, add_demo_file, job_of
from tests.scenario.stage import free_port
from tests.serving import served

SECRET = "the service's own"
STEPS = 45

# Three starts of a real trainer; on a machine that is busy with others they take minutes.
pytestmark = pytest.mark.timeout(600)


class Live:
    """A started job and the loop that looks after it."""

    def __init__(self, cloud: Cloud, db: PostgresDatabase, folder: Path, port: int) -> None:
        self.db = db
        self.plane = cloud.plane
        url = f"http://127.0.0.1:{port}"
        self.files = LocalFiles(folder / "files", secret=SECRET, base_url=url, clock=utc_now)
        self.http = create_http_app(db, self.files, secret=SECRET, clock=utc_now)
        self.compute = cloud.compute()
        self.reconciler = Reconciler(
            db, self.files, self.compute, clock=utc_now, secret=SECRET, service_url=url, max_running=1
        )
        clock = SetClock(utc_now())
        file = add_demo_file(db, self.files, short_conversations(folder), clock)
        choice = JobChoice(
            training_file_id=file.id,
            name="On Modal",
            preset="balanced",
            tier="modal-h100",
            base_model="smollm2-135m",
            max_steps=STEPS,
        )
        self.id = start_job(
            db,
            self.files,
            clock=clock,
            provider="modal",
            limits=LIMITS,
            person=ELENA,
            choice=choice,
            request_key="once",
            channel_id=CHANNEL,
        ).id

    @property
    def job(self) -> Job:
        return job_of(self.db, self.id)

    @property
    def call_id(self) -> str:
        with self.db.transaction() as tx:
            attempt = tx.jobs.attempt(self.id, self.job.attempt)
        assert attempt is not None
        return attempt.call_id

    def until(self, reached: Callable[[Job], bool], patience: float = 180.0) -> Job:
        """Let the loop run until the job is so far."""
        deadline = time.monotonic() + patience
        while not reached(job := self.job):
            assert time.monotonic() < deadline, (job.state, job.progress, self.plane.log(self.call_id)[-3000:])
            assert reached is ended or job.state not in TERMINAL, job.progress.failure
            self.reconciler.step()
            time.sleep(0.1)
        return job


def short_conversations(folder: Path) -> Path:
    """A training file of which a step takes a moment."""
    turns = (("user", "What now?"), ("assistant", "Breathe."), ("user", "And then?"), ("assistant", "One small step."))
    path = folder / "short.jsonl"
    with path.open("w") as file:
        for number in range(80):
            messages = [{"role": role, "content": f"{text} ({number})"} for role, text in turns]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


def ended(job: Job) -> bool:
    return job.state in TERMINAL


def at_step(step: int) -> Callable[[Job], bool]:
    return lambda job: job.state is JobState.TRAINING and job.progress.step >= step


@pytest.fixture
def live(cloud: Cloud, db: PostgresDatabase, tmp_path: Path) -> Iterator[Live]:
    store_model(cloud)
    port = free_port()
    stand = Live(cloud, db, tmp_path, port)
    with served(stand.http, port):
        yield stand
        if not ended(stand.job):
            stand.compute.cancel(stand.call_id)


def test_a_job_outlives_its_machines(live: Live) -> None:
    live.until(at_step(4))
    call = live.plane.call(live.call_id)
    assert call.process is not None
    environment = Path(f"/proc/{call.process.pid}/environ").read_bytes().decode()
    assert not any(secret in environment for secret in SECRETS.values())

    live.plane.take_away(call.id)
    job = live.until(lambda job: at_step(12)(job) and call.starts == 2)
    assert (job.attempt, job.recoveries) == (1, 1)
    first = job.progress.interruptions[0]
    assert first.cause == "SIGINT"
    assert first.resumed_step is not None
    assert first.resumed_step >= 4

    live.plane.kill(call.id)
    job = live.until(ended)

    assert job.state is JobState.COMPLETED, job.progress.failure
    assert (job.attempt, job.recoveries, call.starts) == (1, 2, 3)
    assert [loss.cause for loss in job.progress.interruptions] == ["SIGINT", "SIGKILL"]
    until(lambda: live.compute.poll(call.id).exit_code == 0)
    _nothing_is_lost(live, job)


def _nothing_is_lost(live: Live, job: Job) -> None:
    with live.db.transaction() as tx:
        (artifact,) = tx.jobs.artifacts(job.id)
        assert tx.ledger.sums(TEAM, job.created_at.replace(day=1)) == (job.actual_cost_cents, 0)
        steps = [point.step for point in tx.jobs.points(job.id, 1000) if point.training_loss is not None]
    assert steps == list(range(1, STEPS + 1))
    with zipfile.ZipFile(live.files.locate(MODEL_ARTIFACTS, artifact.path)) as archive:
        assert archive.testzip() is None
    with live.db.transaction() as tx:
        told = [row["seq"] for row in tx.jobs._all("select seq from job_events where job_id = %s", job.id)]
    kept = (Path(live.compute.work_dir(job.id)) / "events-1.jsonl").read_text("utf-8").splitlines()
    # The dead machine took events along that the service has; none of their numbers was given again.
    assert len(kept) < len(told)
    assert {seq // SEQ_STRIDE for seq in told} == {0, 1, 2}
