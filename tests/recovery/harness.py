"""Keeps jobs coming, makes faults, lets everything come to rest, and looks whether it adds up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from blocks.again import AGAIN_CALLBACK
from blocks.card import ACTION_RETRY
from infra.workspace.client import PersonError
from tests.recovery.chooser import Chooser, Pair
from tests.recovery.evidence import Evidence, gather, leftovers, trainers_alive
from tests.recovery.faults import AFTER_LOSS, LOSSES, STATES, Faults
from tests.recovery.installation import Installation, LiveJob, installation
from tests.recovery.invariants import violations
from tests.recovery.people import People
from tests.recovery.reference import begin_references, curve
from tests.recovery.report import Happened, Report
from tests.scenario.house import CHANNEL

_TICK_S = 0.05
_LOSE = 0.3
_PRESS_AGAIN_S = 6.0
_REST_OF_A_PAUSE_S = 2.5
_REST_S = 300.0
_REFERENCES_S = 240.0
_LOGGED = re.compile(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception|Unavailable|Timeout|Disconnect)\b.{0,80})", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """How much of what. `running` jobs at once, one more always waits; times in seconds; no `kinds`: all."""

    faults: int
    seed: int
    training_files: int = 4
    running: int = 2
    pause: tuple[float, float] = (0.1, 1.0)
    wait_for_state: float = 1.5
    at_most: float = 3600.0
    kinds: tuple[str, ...] = ()


class Chaos:
    """One run over one installation."""

    def __init__(self, house: Installation, plan: Plan, folder: Path) -> None:
        self._house = house
        self._plan = plan
        self._folder = folder
        self._rng = Random(plan.seed)  # noqa: S311 - chosen to be repeatable
        self._faults = Faults(house, self._rng)
        self._chooser = Chooser(self._rng, plan.kinds or list(self._faults.kinds), STATES, self._faults.applies)
        self._references: subprocess.Popen[bytes] | None = None
        self._pressed: dict[str, float] = {}
        self._people = People(house)
        self._paused: dict[UUID, float] = {}
        self._confirmed: set[str] = set()
        self.cut_short: frozenset[UUID] = frozenset()
        self._began = time.monotonic()
        self.report = Report(seed=plan.seed, hits=self._chooser.hits, pairs=self._chooser.pairs)

    def run(self) -> Evidence:
        """Faults, rest, evidence."""
        self._make_faults()
        self.report.seconds["faults"] = time.monotonic() - self._began
        self._faults.calm()
        calm = time.monotonic()
        self._come_to_rest()
        self.report.seconds["rest"] = time.monotonic() - calm
        return self._look()

    def _make_faults(self) -> None:
        next_one = time.monotonic() + self._rng.uniform(*self._plan.pause)
        wanted, until = self._chooser.wanted(), 0.0
        while len(self.report.trail) < self._plan.faults and time.monotonic() - self._began < self._plan.at_most:
            time.sleep(_TICK_S)
            jobs = self._tend()
            now = time.monotonic()
            if not jobs or now < next_one:
                until = max(until, now + self._plan.wait_for_state)
                continue
            states = {job.state for job in jobs}
            if wanted.state not in states and now < until:
                continue
            # What follows a lost machine is rare; where it is wanted, a machine is lost, if not each time.
            lose = wanted.state in AFTER_LOSS and self._rng.random() < _LOSE
            kinds = LOSSES if lose else None
            pair = wanted if wanted.state in states else self._chooser.possible(states, kinds)
            if pair is not None:
                self._hit(pair, jobs)
            if wanted.state not in states:
                self._chooser.missed(wanted)
            wanted = self._chooser.wanted()
            next_one = time.monotonic() + self._rng.uniform(*self._plan.pause)
            until = next_one + self._plan.wait_for_state

    def _hit(self, pair: Pair, jobs: list[LiveJob]) -> None:
        candidates = [job for job in jobs if job.state == pair.state]
        job = self._rng.choice(candidates)
        if pair.kind in LOSSES:
            # Again and again the same one: it has three recoveries, and what comes then has to be seen as well.
            job = max(candidates, key=lambda job: job.attempt)
        if not self._faults.do(pair.kind, job):
            self._chooser.missed(pair)
            return
        states = {pair.state} if self._faults.is_of_one_job(pair.kind) else {job.state for job in jobs}
        self._chooser.hit(pair.kind, states)
        happened = Happened(time.monotonic() - self._began, pair.kind, job.name, pair.state)
        self.report.trail.append(happened)
        sys.stderr.write(f"{len(self.report.trail):4} {happened}\n")

    def _tend(self) -> list[LiveJob]:
        """Look at the jobs: take up failed ones, start new ones; gives those that a fault may hit."""
        jobs = self._house.jobs()
        if jobs is None:
            return []
        self._take_up(jobs)
        # A failed one counts too, and keeps its file: it is to be tried again.
        open_ones = [job for job in jobs if job.state not in ("completed", "cancelled") and not job.tried]
        if len(open_ones) < self._plan.running + 1:
            self._start(len(self._house.started) + 1, {job.file for job in open_ones})
        self._begin_references(jobs)
        return [job for job in jobs if job.fresh]

    def _take_up(self, jobs: list[LiveJob]) -> None:
        """Try failed jobs again, and let paused ones go on, as people would who look from time to time."""
        for job in jobs:
            if job.state == "failed" and not job.tried:
                self._press_again(job)
            elif job.state == "paused":
                since = self._paused.setdefault(job.id, time.monotonic())
                if time.monotonic() - since > _REST_OF_A_PAUSE_S and self._people.resume(job):
                    del self._paused[job.id]

    def _start(self, number: int, taken: Collection[str]) -> None:
        # Files take turns; the next one is free unless its job was hit again and again.
        for offset in range(self._plan.training_files):
            file = self._house.files[(number - 1 + offset) % self._plan.training_files]
            if file.name not in taken and self._house.start_job(file, f"Run {number} on {file.name}"):
                return

    def _press_again(self, job: LiveJob) -> None:
        """Press the card's button and confirm, as a person would who looks at it from time to time."""
        elena, now = self._house.people.as_user("U0ELENA"), time.monotonic()
        asked = next((view for view in elena.views() if _asks_about(view, job)), None)
        if asked is not None and asked["id"] not in self._confirmed:
            self._confirmed.add(asked["id"])
            elena.submit(asked, {})
        if now - self._pressed.get(str(job.id), 0.0) < _PRESS_AGAIN_S:
            return
        self._pressed[str(job.id)] = now
        cards = self._house.ask("select ts from job_cards where job_id = %s", job.id)
        if not cards:
            return
        for view in elena.views()[-1:]:
            elena.close(view, whole_stack=True)
        for message in elena.messages(CHANNEL):
            if message["ts"] == cards[0]["ts"]:
                try:
                    elena.click(message, ACTION_RETRY)
                except PersonError:
                    return  # the card does not say yet that it failed

    def _begin_references(self, jobs: list[LiveJob], *, at_the_end: bool = False) -> None:
        """The runs to compare with, once there is a spec of each training file; at the end, of those there are."""
        if self._references is not None:
            return
        specs = {}
        for job in jobs:
            path = job.work_dir / "spec-1.json"
            if path.exists() and (job.work_dir / "training-data.jsonl").exists() and _is_whole(path):
                specs[job.file] = path
        if len(specs) == self._plan.training_files or (at_the_end and specs):
            self._references = begin_references(self._folder / "references", list(specs.values()))

    def _come_to_rest(self) -> None:
        deadline = time.monotonic() + _REST_S
        while time.monotonic() < deadline:
            time.sleep(0.25)
            jobs = self._house.jobs()
            if jobs is None:
                continue
            self._take_up(jobs)
            self._begin_references(jobs)
            waiting = self._house.ask("select count(*) as n from outbox where status in ('pending', 'sending')")
            alive = trainers_alive((self._house.data_dir / "runs").resolve())
            watched = self._house.ask("select count(*) as n from job_attempts where call_id <> '' and gone_at is null")
            if not watched or watched[0]["n"]:
                continue
            if (
                waiting
                and not waiting[0]["n"]
                and not alive
                and all(job.state in ("completed", "cancelled") or job.tried for job in jobs)
            ):
                return

    def _look(self) -> Evidence:
        self._begin_references(self._house.jobs() or [], at_the_end=True)
        assert self._references is not None, "no job got as far as to have a spec"
        self._references.wait(_REFERENCES_S)
        names = [path.name for path in (self._folder / "references").iterdir() if path.is_dir()]
        curves = {name: curve(self._folder / "references", name) for name in names}
        seen = gather(self._house, curves, self._faults.lost_trainers)
        report = self.report
        report.violations = violations(seen)
        report.jobs, report.attempts = len(seen.jobs), len(seen.attempts)
        report.interruptions = sum(len(job["progress"].get("interruptions", ())) for job in seen.jobs)
        report.failures = len([row for row in seen.audit if row["action"] == "job.failed"])
        report.retries = len([job for job in seen.jobs if job["parent_id"]])
        self.cut_short = seen.cut_short
        report.events, report.messages = len(seen.events), len(seen.messages)
        report.slowest_notice = _slowest_notice(seen)
        report.line = dict(self._house.wire.met)
        report.log_errors = _log_errors(self._house.data_dir / "logs")
        return seen


def _is_whole(spec: Path) -> bool:
    """Whether it begins at the beginning; one that goes on from another job cannot be run by itself."""
    return json.loads(spec.read_text("utf-8"))["resume_from"] is None


def _asks_about(view: dict[str, Any], job: LiveJob) -> bool:
    return view["callback_id"] == AGAIN_CALLBACK and json.loads(view["private_metadata"])["job"] == str(job.id)


def run_chaos(plan: Plan, folder: Path) -> Report:
    """Bring everything up, run the plan, take everything down; the report says whether all is well."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with installation(folder, training_files=plan.training_files, running=plan.running) as house:
        chaos = Chaos(house, plan, folder)
        chaos.run()
    report = chaos.report
    report.seconds["total"] = time.monotonic() - began
    data = folder / "data"
    left = trainers_alive((data / "runs").resolve()) + leftovers(data, besides=chaos.cut_short)
    if left:
        report.violations.setdefault("nothing_outlives_the_installation", left)
    return report


def _slowest_notice(seen: Evidence) -> float:
    ended = {(str(row["job_id"]), row["attempt"]): row["ended_at"] for row in seen.attempts}
    waits = [
        (ended[job, attempt] - datetime.fromtimestamp(at, UTC)).total_seconds()
        for at, job, attempt in seen.lost_trainers
        if ended.get((job, attempt))
    ]
    return max(waits, default=0.0)


def _log_errors(logs: Path) -> dict[str, int]:
    """The last lines of tracebacks by process, counted: what nobody had foreseen shows up here."""
    found: Counter[str] = Counter()
    for path in sorted(logs.glob("*.log")):
        found.update(f"{path.stem}: {line}" for line in _LOGGED.findall(path.read_text("utf-8", errors="replace")))
    return dict(found.most_common(40))
