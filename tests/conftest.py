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

from infra.postgres.database import PostgresDatabase
from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate

# Trainers that tests start share the cores with the other workers; threads that wait for one another on a
# busy core make each of them many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """A database of this test's own."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template blueprint")
    yield _in(postgres_server, name)
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
