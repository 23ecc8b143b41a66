"""A whole installation as `brightrun up` starts it, with a tiny model, and a hand on each of its processes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from functions.errors import BrightRunError
from functions.model.training_file import TrainingFile
from gpu_jobs.embedded_model import FOLDER
from infra.clock import utc_now
from infra.settings import Settings
from infra.supervisor import ProcessTree, embedded_run
from infra.wiring import Parts, build_parts
from infra.workspace.client import WorkspaceClient
from tests.recovery.wire import Wire
from tests.scenario.house import SetClock, add_demo_file, start
from tests.scenario.stage import free_port
from tests.unit.gpu_tiny import tiny_model_folder

Row = dict[str, Any]
# Two epochs of 40 steps: long enough to be hit, short enough to be repeated often.
CONVERSATIONS = 200
# The form does not offer it; the default, 100 steps, would leave hardly a save to hit.
SAVE_EVERY = 8


@dataclass(frozen=True)
class LiveJob:
    """A job as the database has it now; `fresh`: it has not ended, or only just now.

    `file` is its training file's name; `tried`: another one tried it again.
    """

    id: UUID
    name: str
    state: str
    attempt: int
    fresh: bool
    file: str
    tried: bool
    work_dir: Path

    @property
    def trainer_pid(self) -> int | None:
        """The process of its attempt, if it lives: a number that was given to somebody else does not count."""
        try:
            pid = int((self.work_dir / f"pid-{self.attempt}").read_text("utf-8"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.id).encode() in command else None


class Installation:
    """Everything up. Questions to the database are answered with None while it is away."""

    def __init__(self, settings: Settings, tree: ProcessTree, wire: Wire, parts: Parts) -> None:
        self.settings = settings
        self.tree = tree
        self.wire = wire
        self.parts = parts
        self.people = WorkspaceClient(settings.workspace_url)
        self.files: list[TrainingFile] = []
        self.started: dict[str, UUID] = {}
        self._connection: psycopg.Connection[Row] | None = None

    @property
    def data_dir(self) -> Path:
        """Where everything is kept."""
        return self.settings.data_dir

    def ask(self, statement: str, *values: object) -> list[Row] | None:
        """The rows of a question; None where the database does not answer."""
        try:
            if self._connection is None or self._connection.closed:
                url = self.settings.database_url.get_secret_value() if self.settings.database_url else ""
                # A postmaster that is stopped accepts nothing and refuses nothing.
                self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=2)
            return self._connection.execute(statement.encode(), values).fetchall()
        except psycopg.OperationalError:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            return None

    def jobs(self) -> list[LiveJob] | None:
        """Every job, oldest first."""
        rows = self.ask(
            "select j.id, j.name, j.status, attempt, f.name as file,"
            " exists (select from training_jobs t where t.parent_id = j.id) as tried,"
            " coalesce(ended_at > now() - interval '4 seconds', true) as fresh"
            " from training_jobs j join training_files f on f.id = j.training_file_id order by j.created_at"
        )
        if rows is None:
            return None
        runs = (self.data_dir / "runs").resolve()
        return [
            LiveJob(
                row["id"],
                row["name"],
                row["status"],
                row["attempt"],
                row["fresh"],
                row["file"],
                row["tried"],
                runs / str(row["id"]),
            )
            for row in rows
        ]

    def start_job(self, file: TrainingFile, name: str) -> bool:
        """Start a run, as often as it takes: the same request makes one job; whether it is there now."""
        try:
            job = start(
                self.parts.db, self.parts.files, file, SetClock(utc_now()), name=name, key=name, preset="conservative"
            )
        except BrightRunError:
            return False
        self.started[name] = job.id
        self.ask(
            "update training_jobs set configuration = jsonb_set(configuration, '{checkpoint_every_steps}', %s::jsonb)"
            " where id = %s returning id",
            str(SAVE_EVERY),
            job.id,
        )
        return True

    def close(self) -> None:
        """Let go of it."""
        self.people.close()
        if self._connection is not None:
            self._connection.close()


def training_file(folder: Path, number: int) -> Path:
    """A training file of short conversations; every number makes another one."""
    lines = []
    for index in range(CONVERSATIONS):
        filler = "and I worry about it again " * ((index + number) % 4)
        turns = [
            {"role": "user", "content": f"I owe {index * number + number} hundred dollars, {filler}what now?"},
            {"role": "assistant", "content": f"Breathe first. {index} is a number; we take {number} small steps."},
        ]
        given = {"persona": ("anxious", "hopeful")[index % 2], "emotional_arc": ("shame", "hope")[index % 2]}
        lines.append(json.dumps({"conversation_id": f"c{index}", "turns": turns, **given}))
    path = folder / f"worries-{number}.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@contextmanager
def installation(folder: Path, *, training_files: int, running: int) -> Iterator[Installation]:
    """Everything up, some training files added."""
    data = (folder / "data").resolve()
    # Where the embedded model is unpacked at its first use; what is there already is taken as it is.
    shutil.copytree(tiny_model_folder(), data / "models" / FOLDER)
    http_port = free_port()
    with Wire(http_port) as wire, patch.dict(os.environ, _environment(wire, running)):
        settings = Settings(
            _env_file=None,
            data_dir=data,
            http_port=http_port,
            workspace_port=free_port(),
        )
        with embedded_run(settings) as (settled, tree):
            assert settled.http_port == http_port, "somebody else took the port"
            parts = build_parts(settled)
            house = Installation(settled, tree, wire, parts)
            # Slack's real rates are met as faults; a hundred milestones would otherwise take a hundred seconds.
            house.people.control("rate_limits", {"scale": 20})
            clock = SetClock(utc_now())
            for number in range(1, training_files + 1):
                house.files.append(add_demo_file(parts.db, parts.files, training_file(folder, number), clock))
            try:
                yield house
            finally:
                house.close()
                parts.db.close()


def _environment(wire: Wire, running: int) -> dict[str, str]:
    return {
        "BRIGHTRUN_PUBLIC_URL": wire.url,
        "BRIGHTRUN_MAX_RUNNING_JOBS": str(running),
        "BRIGHTRUN_MONTHLY_BUDGET_CENTS": str(10_000_000_00),
        # Trainers share the cores with all that is killed and started again.
        "OMP_NUM_THREADS": "1",
    }
