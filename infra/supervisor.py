"""The embedded run: Postgres, the workspace, the bot, the reconcile loop and HTTP as one process tree."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from functions.errors import NotFound, Unavailable
from infra.local_compute import LocalCompute
from infra.postgres.database import PostgresDatabase
from infra.postgres.embedded import EmbeddedPostgres, embedded_server
from infra.postgres.migrations import migrate
from infra.seeding import seed_roles
from infra.settings import Settings

log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_RESTART_PAUSE_SECONDS = 1.0
_PORTS_TRIED = 40


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]


class ProcessTree:
    """The child processes. One that dies is started again, until the tree ends."""

    def __init__(
        self, settings: Settings, environment: dict[str, str], database: EmbeddedPostgres | None = None
    ) -> None:
        self._settings = settings
        self._database = database
        self._environment = environment
        self._children: dict[str, _Child] = {}
        self._ending = threading.Event()
        self._database_watch: threading.Thread | None = None
        self._logs = settings.data_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str) -> None:
        """Start one process; its output goes to `logs/{name}.log` in the data folder."""
        with (self._logs / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and entry point
                [sys.executable, "-m", "infra.cli", "serve", name],
                env=self._environment,
                # Held open as long as we live: the child ends when it closes, however we die.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[name] = _Child(name, process)

    def watch(self) -> None:
        """Start again what died, in the background."""
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        if self._database is not None:
            # A thread of its own: the database takes seconds to recover, and nobody else has to wait for it.
            self._database_watch = threading.Thread(
                target=self._watch_database, args=(self._database,), name="watch database", daemon=True
            )
            self._database_watch.start()

    def _watch_database(self, database: EmbeddedPostgres) -> None:
        while not self._ending.wait(_RESTART_PAUSE_SECONDS):
            if not database.running:
                log.warning("the database ended; starting it again")
                database.ensure_running()

    def _watch(self) -> None:
        while not self._ending.wait(_RESTART_PAUSE_SECONDS):
            for child in list(self._children.values()):
                code = child.process.poll()
                if code is not None and not self._ending.is_set():
                    log.warning("%s ended with %s; starting it again", child.name, code)
                    self.start(child.name)

    def stop(self) -> None:
        """End every child, gently first."""
        self._ending.set()
        if self._database_watch is not None:
            self._database_watch.join()
        for child in self._children.values():
            child.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in self._children.values():
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def pid(self, name: str) -> int:
        """The process id of a child, or of the embedded database.

        Raises:
            NotFound: the database has none at the moment, or is somebody else's.
        """
        if name != "database":
            return self._children[name].process.pid
        found = self._database.pid if self._database else None
        if found is None:
            raise NotFound("The database has no process here.")
        return found


@contextmanager
def embedded_run(settings: Settings) -> Iterator[tuple[Settings, ProcessTree]]:
    """Everything up on this machine; yields the settings as they turned out (ports, database).

    Raises:
        Unavailable: a part did not start; its log says why.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _database_of(settings) as (url, server):
        migrate(url)
        settings = settings.model_copy(
            update={
                "database_url": SecretStr(url),
                "data_dir": settings.data_dir.resolve(),
                "http_port": free_port(settings.host, settings.http_port),
                "workspace_port": free_port(settings.host, settings.workspace_port),
            }
        )
        db = PostgresDatabase(url, default_limit_cents=settings.monthly_budget_cents, max_connections=2)
        seed_roles(db, settings)
        db.close()
        tree = ProcessTree(settings, child_environment(settings), server)
        try:
            _start_all(settings, tree)
            yield settings, tree
        finally:
            tree.stop()
            LocalCompute(settings.data_dir).cancel_all()


def _start_all(settings: Settings, tree: ProcessTree) -> None:
    if settings.uses_local_workspace:
        tree.start("workspace")
        _wait_for(f"{settings.workspace_url}/control/calls", settings.data_dir, "workspace")
    for name in ("http", "bot", "reconcile"):
        tree.start(name)
    _wait_for(f"http://{settings.host}:{settings.http_port}/health", settings.data_dir, "http")
    tree.watch()


@contextmanager
def _database_of(settings: Settings) -> Iterator[tuple[str, EmbeddedPostgres | None]]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
    else:
        with embedded_server(settings.data_dir / "postgres") as server:
            yield server.url, server


def child_environment(settings: Settings) -> dict[str, str]:
    """Our environment with the settings as they turned out."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    return os.environ | {
        "BRIGHTRUN_DATA_DIR": str(settings.data_dir),
        "BRIGHTRUN_DATABASE_URL": url,
        "BRIGHTRUN_HTTP_PORT": str(settings.http_port),
        "BRIGHTRUN_WORKSPACE_PORT": str(settings.workspace_port),
        "BRIGHTRUN_HOST": settings.host,
        "PYTHONUNBUFFERED": "1",
    }


def free_port(host: str, wanted: int) -> int:
    """The wanted port, or the next free one where somebody else has it.

    Raises:
        Unavailable: none of the next forty is free.
    """
    for port in range(wanted, wanted + _PORTS_TRIED):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise Unavailable(f"No free port from {wanted} on.", fix="Set BRIGHTRUN_HTTP_PORT and BRIGHTRUN_WORKSPACE_PORT.")


def _wait_for(url: str, data_dir: Path, name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code < 500:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise Unavailable(f"{name} did not start.", where=str(data_dir / "logs" / f"{name}.log"))
