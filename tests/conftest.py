"""Real Postgres for every test that asks for it: one server a worker, one database a test."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import settings

from infra.postgres.database import PostgresDatabase
from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate
from tests import pooler

# Trainers that tests start share the cores with the other workers; threads that wait for one another on a
# busy core make each of them many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The suite tries the same examples every time: red by chance helps nobody. `make explore` looks for new ones.
EXPLORING = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
settings.register_profile("suite", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("explore" if EXPLORING else "suite")

BUDGET_CENTS = 500_00


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server with one migrated database, the template of all others."""
    # Not below pytest's own folder: the next pytest to start takes that away from the server's user.
    with tempfile.TemporaryDirectory(prefix="brightrun-pg-") as folder, embedded_postgres(Path(folder) / "data") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create database blueprint")
        migrate(_in(url, "blueprint"))
        yield url


def _in(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@pytest.fixture
def bare_database_url(postgres_server: str) -> Iterator[str]:
    """An empty database of this test's own: nothing is migrated yet."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield _in(postgres_server, name)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def pooler_port(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a pooler in transaction mode before the server."""
    if pooler.program() is None:
        if pooler.WANTED:
            pytest.exit(pooler.MISSING, 1)
        pytest.skip(pooler.MISSING)
    with pooler.pooled(postgres_server, tmp_path_factory.mktemp("pooler")) as port:
        yield port


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A missing pooler is said where nobody overlooks it."""
    if pooler.program() is None:
        terminalreporter.write_line(pooler.MISSING, red=True, bold=True)


@pytest.fixture
def pooled_database_url(database_url: str, pooler_port: int) -> str:
    """This test's database by way of the pooler."""
    return pooler.through(database_url, pooler_port)


@pytest.fixture
def database_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this test's own; behind a pooler where `BRIGHTRUN_TEST_POOLER` says so."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template blueprint")
    url = _in(postgres_server, name)
    yield pooler.through(url, request.getfixturevalue("pooler_port")) if pooler.WANTED else url
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def db(database_url: str) -> Iterator[PostgresDatabase]:
    """Transactions over this test's database."""
    database = PostgresDatabase(database_url, default_limit_cents=BUDGET_CENTS, max_connections=12)
    yield database
    database.close()


@pytest.fixture(scope="session")
def demo_file() -> Path:
    """The demo's own training file."""
    return Path(__file__).resolve().parents[1] / "infra" / "demo" / "nell-harrow.json"
