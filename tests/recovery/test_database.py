"""The embedded database, killed: it comes back at the same address with all that was committed."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import psycopg

from infra.postgres.embedded import embedded_server


def test_a_killed_database_comes_back_with_what_was_committed() -> None:
    # Not in pytest's folder: Postgres runs as a user of its own, to whom another pytest closes it.
    with (
        tempfile.TemporaryDirectory(prefix="brightrun-postgres-") as folder,
        embedded_server(Path(folder) / "postgres") as server,
    ):
        url, first = server.url, server.pid
        assert first is not None
        assert server.ensure_running()
        assert server.pid == first
        with psycopg.connect(url) as connection:
            connection.execute("create table kept (word text)")
            connection.execute("insert into kept values ('committed')")
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while server.running:
            time.sleep(0.005)
        while not server.ensure_running():
            assert time.monotonic() < deadline, server.url
            time.sleep(0.2)
        second = server.pid
        assert second not in (None, first)
        with psycopg.connect(url) as connection:
            assert connection.execute("select word from kept").fetchall() == [("committed",)]
