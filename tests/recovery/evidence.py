"""What is left behind when everything is at rest: rows, messages, files, processes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.workspace.state import DEFAULT_USERS
from tests.recovery.installation import Installation
from tests.recovery.reference import Curve
from tests.scenario.house import CHANNEL

Row = dict[str, Any]
_TABLES = {
    "jobs": "select j.*, f.name as file_name from training_jobs j join training_files f on f.id = j.training_file_id"
    " order by j.created_at",
    "attempts": "select * from job_attempts order by job_id, attempt",
    "events": "select job_id, attempt, seq, kind, body from job_events order by job_id, attempt, seq",
    "points": "select * from training_metrics_history order by training_job_id, step",
    "ledger": "select * from ledger order by id",
    "outbox": "select * from outbox order by id",
    "cards": "select * from job_cards",
    "audit": "select * from audit_log order by id",
    "artifacts": "select * from model_artifacts",
}
_STAGED = re.compile(r"\.(partial|part|tmp)$|^\.partial-|^\.step-|^\.adapter")


@dataclass
class Evidence:
    """Everything that the invariants look at. `spools` are the trainers' own records: (seq, kind) by attempt."""

    started: dict[str, UUID]
    jobs: list[Row]
    attempts: list[Row]
    events: list[Row]
    points: list[Row]
    ledger: list[Row]
    outbox: list[Row]
    cards: list[Row]
    audit: list[Row]
    artifacts: list[Row]
    messages: list[Row]
    spools: dict[tuple[UUID, int], list[tuple[int, str]]]
    curves: dict[str, Curve]
    buckets: Path
    leftovers: list[str]
    processes: list[str]
    lost_trainers: list[tuple[float, str, int]] = field(default_factory=list)

    @property
    def continued(self) -> frozenset[UUID]:
        """Jobs that failed and were tried again: what is not whole of them is whole in the job that went on."""
        parents = {job["parent_id"] for job in self.jobs}
        return frozenset(job["id"] for job in self.jobs if job["status"] == "failed" and job["id"] in parents)

    @property
    def cut_short(self) -> frozenset[UUID]:
        """Jobs that nothing whole is expected of: tried again, or cancelled by somebody."""
        return self.continued | {job["id"] for job in self.jobs if job["status"] == "cancelled"}

    def of(self, rows: list[Row], job: Row, key: str = "job_id") -> list[Row]:
        """The rows of one job."""
        return [row for row in rows if row[key] == job["id"]]


def gather(house: Installation, curves: dict[str, Curve], lost_trainers: list[tuple[float, str, int]]) -> Evidence:
    """Look at everything, once it is at rest."""
    tables: dict[str, list[Row]] = {}
    for name, statement in _TABLES.items():
        rows = house.ask(statement)
        assert rows is not None, "the database does not answer, with all faults off"
        tables[name] = rows
    runs = (house.data_dir / "runs").resolve()
    seen = Evidence(
        started=dict(house.started),
        **tables,
        messages=[message for place in _places() for message in house.people.all_messages(place)],
        spools=_spools(runs),
        curves=curves,
        buckets=house.data_dir / "files",
        leftovers=[],
        processes=trainers_alive(runs),
        lost_trainers=lost_trainers,
    )
    seen.leftovers = leftovers(house.data_dir, besides=seen.cut_short)
    return seen


def _spools(runs: Path) -> dict[tuple[UUID, int], list[tuple[int, str]]]:
    found = {}
    for path in runs.glob("*/events-*.jsonl"):
        attempt = int(path.stem.removeprefix("events-"))
        whole = path.read_text("utf-8").rpartition("\n")[0]
        events = [json.loads(line) for line in whole.splitlines()]
        found[UUID(path.parent.name), attempt] = [(event["seq"], event["body"]["kind"]) for event in events]
    return found


def leftovers(data_dir: Path, *, besides: Collection[UUID] = ()) -> list[str]:
    """Files and folders that are no more than half of something, and checkpoints that nobody needs any more.

    `besides`: runs that were tried again or cancelled may keep their checkpoints and what they were writing.
    """
    found, kept = [], {str(job_id) for job_id in besides}
    for root in ("runs", "files"):
        for path in (data_dir / root).rglob("*"):
            if root == "runs" and kept & set(path.parts):
                continue
            if _STAGED.search(path.name) or (path.name == "checkpoints" and path.is_dir()):
                found.append(str(path.relative_to(data_dir)))
    return sorted(found)


def trainers_alive(runs: Path) -> list[str]:
    """Command lines of processes that work on a spec of these runs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if "gpu_jobs" in command and str(runs) in command:
                    found.append(f"{entry.name} {command.strip()}")
    return found


def _places() -> list[str]:
    """The jobs' channel, and everybody's direct messages with the bot: the team's money is told there too."""
    return [CHANNEL, *("D" + user.id[1:] for user in DEFAULT_USERS)]
