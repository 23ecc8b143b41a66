"""Completed runs for a client, as Modal would have billed them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from functions.model.job import Job
from functions.model.people import Person, Role
from functions.ports import Files
from infra.clock import utc_now
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import TEAM, SetClock, add_demo_file
from tests.scenario.past import finished_run

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)


class Runs:
    """Makes runs one after the other; each costs what it is said to."""

    def __init__(self, db: PostgresDatabase, files: Files, demo_file: Path) -> None:
        self._db = db
        self._files = files
        self._clock = SetClock(utc_now() - timedelta(days=60))
        self._file = add_demo_file(db, files, demo_file, self._clock)
        self._number = 0

    def add(self, client: str, cents: int, *, tier: str = "modal-h100") -> Job:
        """A run that is done."""
        self._number += 1
        job = finished_run(self._db, self._files, self._file, self._clock, name=f"Run {self._number}", faster=20.0)
        # There is no other way to a run on a machine that bills: nothing of Modal is here.
        with self._db._pool.connection() as connection:
            connection.execute(
                "update training_jobs set client = %s, tier = %s, actual_cost_cents = %s where id = %s",
                (client, tier, cents, job.id),
            )
        return job


def runs_in(db: PostgresDatabase, folder: Path, demo_file: Path) -> Runs:
    """Runs over files in a folder."""
    return Runs(db, LocalFiles(folder, secret="s", base_url="http://x", clock=utc_now), demo_file)
