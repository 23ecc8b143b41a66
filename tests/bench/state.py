"""Event ingest, a job's details, the modal's new drawing: all over real Postgres."""

from __future__ import annotations

import resource
import tempfile
import time
import uuid
from pathlib import Path

from blocks.jobs import job_details as details_view
from blocks.train_form import train_form
from functions import configure
from functions.ingest import ingest
from functions.jobs import job_details
from functions.model.events import Event, EventBatch, Metrics
from functions.model.job import JobChoice
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate
from tests.bench.result import Result, percentile
from tests.scenario.house import LIMITS, TEAM, SetClock, add_demo_file, start
from tests.scenario.past import finished_run

_DEMO_FILE = Path(__file__).resolve().parents[2] / "infra" / "demo" / "nell-harrow.json"
_EVENTS = 20_000
_BATCH = 500
_REPEATS = 40
_PAST_RUNS = 60


def measure() -> list[Result]:
    """Rates and latencies with 20,000 events in one job."""
    with (
        tempfile.TemporaryDirectory(prefix="brightrun-bench-") as folder,
        embedded_postgres(Path(folder) / "pg") as url,
    ):
        migrate(url)
        db = PostgresDatabase(url, default_limit_cents=500_00)
        try:
            return _measure(db, Path(folder))
        finally:
            db.close()


def _measure(db: PostgresDatabase, folder: Path) -> list[Result]:
    clock = SetClock()
    files = LocalFiles(folder / "files", secret="bench", base_url="http://localhost", clock=clock)
    file = add_demo_file(db, files, _DEMO_FILE, clock)
    for number in range(_PAST_RUNS):
        finished_run(db, files, file, clock, name=f"Past {number}", faster=0.8)
    job = start(db, files, file, clock)
    with db.transaction() as tx:
        tx.jobs.begin_attempt(job.id, clock())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = _ingest_rate(db, clock, job.id)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    def details() -> None:
        with db.transaction() as tx:
            details_view(job_details(tx, team_id=TEAM, job_id=job.id, now=clock(), limits=LIMITS))

    def form() -> None:
        with db.transaction() as tx:
            choice = JobChoice(training_file_id=file.id, preset="balanced")
            train_form(
                configure.train_form(
                    tx, files, team_id=TEAM, choice=choice, provider="local", now=clock(), previous_cents=1
                ),
                metadata="{}",
            )

    return [
        Result("event ingest into Postgres", rate, "events/s", at_least=2000),
        Result("memory grown while ingesting 20,000 events", grown, "MB", at_most=25),
        Result("details of a job with 20,000 points, median", _median_ms(details), "ms", at_most=150),
        Result("modal drawn anew with 60 finished runs, median", _median_ms(form), "ms", at_most=100),
    ]


def _ingest_rate(db: PostgresDatabase, clock: SetClock, job_id: uuid.UUID) -> float:
    took = 0.0
    for first in range(1, _EVENTS + 1, _BATCH):
        events = tuple(
            Event(
                job_id=job_id,
                attempt=1,
                seq=seq,
                at=clock(),
                body=Metrics(step=seq, epoch=seq / _EVENTS, loss=2.0 + 1 / seq, learning_rate=1e-4, tokens_trained=seq),
            )
            for seq in range(first, first + _BATCH)
        )
        began = time.perf_counter()
        ingest(db, clock=clock, job_id=job_id, attempt=1, batch=EventBatch(events=events))
        took += time.perf_counter() - began
    return _EVENTS / took


def _median_ms(action: object) -> float:
    assert callable(action)
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        action()
        times.append((time.perf_counter() - began) * 1000)
    return percentile(times, 0.5)
