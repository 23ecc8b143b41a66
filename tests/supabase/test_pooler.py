"""Behind a pooler in transaction mode: every transaction may get another connection, which others used before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from functions.model.money import EntryKind
from functions.model.states import JobState
from functions.ports import MODEL_ARTIFACTS
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from infra.postgres.migrations import migrate
from tests.conftest import BUDGET_CENTS
from tests.pooler import SERVER_CONNECTIONS, through
from tests.scenario.house import TEAM, SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute
from tests.scenario.stage import staged, words

CONCURRENT = 200


@pytest.fixture
def pooled_db(pooled_database_url: str) -> Iterator[PostgresDatabase]:
    """Transactions by way of the pooler, from more connections than it has itself."""
    database = PostgresDatabase(pooled_database_url, default_limit_cents=BUDGET_CENTS, max_connections=20)
    yield database
    database.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def files(tmp_path: Path, clock: SetClock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=clock)


def backends(url: str) -> int:
    """How many server connections the database has."""
    with psycopg.connect(url, prepare_threshold=None) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and usename = 'postgres'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_main_job_with_three_logins_behind_the_pooler(
    pooled_db: PostgresDatabase, tmp_path: Path, demo_file: Path
) -> None:
    with staged(pooled_db, tmp_path, as_roles=True) as stage:
        stage.add_demo_file(demo_file)
        stage.start()
        stage.post()
        stage.reconciler.step()
        stage.tell(*TRAINED)
        stage.files.put(MODEL_ARTIFACTS, "p/a.zip", b"adapter")
        stage.tell(*ENDED, first=len(TRAINED) + 1)
        stage.post()
        assert "20.0 → 13.0" in words(stage.card())
        assert stage.job().state is JobState.COMPLETED


def test_start_ingest_claim_and_reconcile_share_few_connections(
    pooled_db: PostgresDatabase,
    pooled_database_url: str,
    files: LocalFiles,
    demo_file: Path,
    clock: SetClock,
    tmp_path: Path,
) -> None:
    jobs = []
    for number in range(3):
        path = tmp_path / f"{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        jobs.append(start(pooled_db, files, add_demo_file(pooled_db, files, path, clock), clock, name=f"Run {number}"))
    compute = PaperCompute()
    reconcilers = [
        Reconciler(pooled_db, files, compute, clock=clock, secret="s", service_url="http://nowhere", max_running=4)
        for _ in range(4)
    ]
    claimed: list[int] = []

    def claim() -> None:
        with pooled_db.transaction() as tx:
            message = tx.outbox.claim(clock())
        if message is not None:
            claimed.append(message.id)

    with ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(each.step) for each in reconcilers] + [pool.submit(claim) for _ in range(16)]:
            future.result()
    assert sorted((spec.job_id, spec.attempt) for spec in compute.launched) == sorted((job.id, 1) for job in jobs)
    assert len(claimed) == len(set(claimed)) == 3  # one message of a job at a time

    with ThreadPoolExecutor(8) as pool:
        # Each batch is delivered twice at once; every event counts once.
        told = list(
            pool.map(
                lambda job: say(pooled_db, SetClock(clock()), job_of(pooled_db, job.id), *TRAINED, *ENDED), jobs * 2
            )
        )
    assert sum(told) == 3 * len((*TRAINED, *ENDED))
    assert {job_of(pooled_db, job.id).state for job in jobs} == {JobState.COMPLETED}
    with pooled_db.transaction() as tx:
        assert tx.ledger.sums(TEAM, clock().replace(day=1, hour=0))[1] == 0
    assert backends(pooled_database_url) <= SERVER_CONNECTIONS


def test_two_hundred_transactions_at_once_neither_fail_nor_overspend(
    pooled_db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, pooled_database_url: str
) -> None:
    job = start(pooled_db, files, add_demo_file(pooled_db, files, demo_file, clock), clock)
    clients = [
        PostgresDatabase(pooled_database_url, default_limit_cents=BUDGET_CENTS, max_connections=20) for _ in range(10)
    ]
    together = threading.Barrier(CONCURRENT)

    def spend(number: int) -> bool:
        together.wait(60)
        with clients[number % 10].transaction() as tx:
            limit = tx.ledger.lock_limit(TEAM)
            spent, reserved = tx.ledger.sums(TEAM, clock().replace(day=1, hour=0))
            if limit - spent - reserved < 400:
                return False
            return tx.ledger.append(
                team_id=TEAM, job_id=job.id, kind=EntryKind.RESERVE, cents=400, at=clock(), key=f"concurrent:{number}"
            )

    try:
        with ThreadPoolExecutor(CONCURRENT) as pool:
            taken = sum(pool.map(spend, range(CONCURRENT)))
    finally:
        for client in clients:
            client.close()
    with pooled_db.transaction() as tx:
        reserved = tx.ledger.sums(TEAM, clock().replace(day=1, hour=0))[1]
    assert reserved == job.estimate.cents_high + 400 * taken
    assert BUDGET_CENTS - 400 < reserved <= BUDGET_CENTS


def test_migrating_behind_the_pooler_leaves_nothing_prepared(bare_database_url: str, pooler_port: int) -> None:
    url = through(bare_database_url, pooler_port)
    assert migrate(url)
    assert migrate(url) == []
    with psycopg.connect(url, prepare_threshold=None) as connection:
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)
