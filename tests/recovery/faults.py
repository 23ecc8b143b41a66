"""The faults: what may happen to a process, a line or Slack, each done for real."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from functions.errors import NotFound
from tests.recovery.installation import Installation, LiveJob
from tests.recovery.people import CANCELLABLE, PAUSABLE, People

# While a trainer has a process of its own.
TRAINER_STATES = ("provisioning", "recovering", "preprocessing", "loading_model", "training", "finalizing")
STATES = ("queued", *TRAINER_STATES, "interrupted", "paused", "failed", "completed")
AFTER_LOSS = ("interrupted", "recovering", "failed")
LOSSES = ("trainer killed", "trainer terminated", "trainer killed in a save")
_WHERE = {
    "trainer killed in a save": ("training",),
    "person pauses": PAUSABLE,
    "person cancels": CANCELLABLE,
    "person moves to the front": ("queued",),
}
_SAVE_PATIENCE_S = 4.0
_SAVE_LOOK_S = 0.0005
_SLACK_METHODS = ("chat.postMessage", "chat.postMessage", "chat.update", "files.completeUploadExternal", "*")


class Faults:
    """Makes faults, and takes back those that end. What ends does so in threads: nobody may wait for this one."""

    def __init__(self, house: Installation, rng: Random) -> None:
        self._house = house
        self._rng = rng
        self._ends: list[threading.Timer] = []
        people = People(house)
        # (when, job, attempt) of trainers that were killed without a word, for how soon it was noticed.
        self.lost_trainers: list[tuple[float, str, int]] = []
        self.kinds: dict[str, Callable[[LiveJob], bool]] = {}
        for name in ("bot", "http", "reconcile"):
            self.kinds |= {
                f"{name} killed": self._signals(name, signal.SIGKILL),
                f"{name} terminated": self._signals(name, signal.SIGTERM),
                f"{name} stopped": self._stops(name),
            }
        self.kinds |= {
            "database killed": self._signals("database", signal.SIGKILL),
            # What service managers send it: end now, roll back what is open.
            "database terminated": self._signals("database", signal.SIGINT),
            "database stopped": self._stop_database,
            "database session killed": self._kill_session,
            "trainer killed": self._kill_trainer,
            "trainer terminated": self._terminate_trainer,
            "trainer stopped": self._stop_trainer,
            "trainer killed in a save": self._kill_in_save,
            "ingest cut": self._cut,
            "ingest slow": self._slow,
            "ingest answers lost": self._counted("lost_answers"),
            "ingest repeated": self._counted("repeats"),
            "ingest out of order": self._counted("late"),
            "ingest cut in a request": self._counted("halves"),
            "ingest bad gateway": self._counted("bad_gateways"),
            "slack says later": self._slack("ratelimit", retry_after=1),
            "slack fails": self._slack("status", status=500),
            "slack drops after": self._slack("drop_after"),
            "person pauses": people.pause,
            "person cancels": people.cancel,
            "person moves to the front": people.promote,
        }

    def applies(self, kind: str, state: str) -> bool:
        """Whether a fault can happen to a job in a state."""
        if kind in _WHERE:
            return state in _WHERE[kind]
        return state in TRAINER_STATES if kind.startswith("trainer") else state in STATES

    def is_of_one_job(self, kind: str) -> bool:
        """Whether it hits one job alone."""
        return kind.startswith(("trainer", "person"))

    def do(self, kind: str, job: LiveJob) -> bool:
        """Make it happen; False where there was nothing to hit."""
        return self.kinds[kind](job)

    def calm(self) -> None:
        """Every fault off."""
        for end in self._ends:
            end.join()
        self._house.wire.calm()
        self._house.people.control("calm")

    def _later(self, seconds: float, end: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        self._ends.append(timer)

    def _signals(self, name: str, sent: signal.Signals) -> Callable[[LiveJob], bool]:
        def send(_: LiveJob) -> bool:
            try:
                return _signal(self._house.tree.pid(name), sent)
            except NotFound:
                return False

        return send

    def _stops(self, name: str) -> Callable[[LiveJob], bool]:
        return lambda _: self._stop([self._house.tree.pid(name)], self._rng.uniform(0.5, 4.0))

    def _stop(self, pids: list[int], seconds: float) -> bool:
        stopped = [pid for pid in pids if _signal(pid, signal.SIGSTOP)]
        self._later(seconds, lambda: [_signal(pid, signal.SIGCONT) for pid in stopped])
        return bool(stopped)

    def _stop_database(self, _: LiveJob) -> bool:
        seconds = self._rng.uniform(0.5, 3.0)
        try:
            postmaster = self._house.tree.pid("database")
        except NotFound:
            return False
        return self._stop([postmaster, *_children(postmaster)], seconds)

    def _kill_session(self, _: LiveJob) -> bool:
        """One server process dies: Postgres then ends all sessions and recovers."""
        choice = self._rng.random()
        rows = self._house.ask("select pid from pg_stat_activity where backend_type = 'client backend' order by pid")
        if not rows:
            return False
        return _signal(rows[int(choice * len(rows))]["pid"], signal.SIGKILL)

    def _kill_trainer(self, job: LiveJob) -> bool:
        pid = job.trainer_pid
        if pid is None or not _signal(pid, signal.SIGKILL):
            return False
        self.lost_trainers.append((time.time(), str(job.id), job.attempt))
        return True

    def _terminate_trainer(self, job: LiveJob) -> bool:
        return job.trainer_pid is not None and _signal(job.trainer_pid, signal.SIGTERM)

    def _stop_trainer(self, job: LiveJob) -> bool:
        seconds = self._rng.uniform(0.5, 4.0)
        return job.trainer_pid is not None and self._stop([job.trainer_pid], seconds)

    def _kill_in_save(self, job: LiveJob) -> bool:
        """Kill it while a checkpoint is half written: its staging folder is there."""
        folder = job.work_dir / "checkpoints"
        deadline = time.monotonic() + _SAVE_PATIENCE_S
        while time.monotonic() < deadline and job.trainer_pid is not None:
            for _ in range(200):
                if _is_saving(folder):
                    return self._kill_trainer(job)
                time.sleep(_SAVE_LOOK_S)
        return False

    def _cut(self, _: LiveJob) -> bool:
        self._house.wire.mood.cut_until = time.monotonic() + self._rng.uniform(0.5, 6.0)
        return True

    def _slow(self, _: LiveJob) -> bool:
        mood = self._house.wire.mood
        mood.slow_s = self._rng.uniform(0.2, 1.5)
        mood.slow_until = time.monotonic() + self._rng.uniform(1.0, 4.0)
        return True

    def _counted(self, name: str) -> Callable[[LiveJob], bool]:
        def count(_: LiveJob) -> bool:
            setattr(self._house.wire.mood, name, self._rng.randint(1, 3))
            return True

        return count

    def _slack(self, kind: str, **how: int) -> Callable[[LiveJob], bool]:
        def arm(_: LiveJob) -> bool:
            fault = {"method": self._rng.choice(_SLACK_METHODS), "kind": kind, "times": self._rng.randint(1, 3), **how}
            return bool(self._house.people.control("faults", [fault])["ok"])

        return arm


def _signal(pid: int, sent: signal.Signals) -> bool:
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return False
    return True


def _is_saving(folder: Path) -> bool:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return any(entry.name.startswith(".step-") for entry in entries)
    return False


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int((entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found
