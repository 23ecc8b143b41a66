"""A launch that fails: one job's affair, tried again, and told to people when it does not pass."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.card import job_card
from functions import reconcile
from functions.errors import Unavailable
from functions.jobs import card_view
from functions.model.job_spec import JobSpec
from functions.model.states import JobState
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import LIMITS, job_of, start, try_again
from tests.scenario.stage import words
from tests.scenario.test_jobs_live import Stand
from tests.scenario.test_lifecycle import more_files


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def fails(stand: Stand, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]) -> list[int]:
    """Launches of the stand's own job fail; gives the attempts that were tried."""
    launch, tried = stand.compute.launch, []

    def refuse(spec: JobSpec, *, token: str, tier: str) -> str:
        if spec.job_id != stand.id:
            return launch(spec, token=token, tier=tier)
        tried.append(spec.attempt)
        raise error()

    monkeypatch.setattr(stand.compute, "launch", refuse)
    return tried


def card(stand: Stand) -> str:
    with stand.db.transaction() as tx:
        view = card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)
    return words({"blocks": job_card(view)[1]})


def no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "/data/runs")


def test_one_job_that_cannot_be_launched_holds_up_no_other(
    stand: Stand, demo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(stand, monkeypatch, no_space)
    stand.reconciler._launcher.max_running = 2
    stand.clock.forward(seconds=1)
    other = start(stand.db, stand.files, more_files(stand, demo_file, tmp_path, 1)[0], stand.clock, name="Other")
    stand.reconciler.step()
    assert job_of(stand.db, other.id).state is JobState.PROVISIONING
    assert [spec.job_id for spec in stand.compute.launched] == [other.id]


def test_other_parts_trouble_holds_up_no_job(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise KeyError("approvals")

    monkeypatch.setattr(reconcile, "sweep", breaks)
    stand.reconciler.step()
    assert stand.job.state is JobState.PROVISIONING


def test_a_launch_that_fails_for_a_while_is_tried_again(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        tried = fails(stand, broken, no_space)
        for _ in range(9 * 60):
            stand.reconciler.step()
            stand.clock.forward(seconds=1)
    assert 9 * 60 / 31 <= len(tried) <= 20  # not at every step
    assert stand.job.state is JobState.PROVISIONING
    stand.clock.forward(seconds=31)
    stand.reconciler.step()
    assert len(stand.compute.launched) == 1
    with stand.db.transaction() as tx:
        attempt = tx.jobs.attempt(stand.id, stand.job.attempt)
    assert attempt is not None
    assert attempt.launch_failing_since is None  # a later failure has its ten minutes again


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (no_space, ("no space left on the service's disk, at /data/runs", "Free some space there, then try again.")),
        (
            lambda: PermissionError(errno.EACCES, "Permission denied", "/data/runs"),
            ("may not write to /data/runs", "BRIGHTRUN_DATA_DIR"),
        ),
        (
            lambda: Unavailable("Modal refused to launch the job.", fix="Set MODAL_TOKEN_ID anew."),
            ("Modal refused to launch the job.", "Set MODAL_TOKEN_ID anew."),
        ),
        (lambda: ZeroDivisionError("boom"), ("Something unforeseen: ZeroDivisionError. (reference", "Ask an admin")),
    ],
)
def test_a_launch_that_keeps_failing_fails_the_job_and_says_what_to_do(
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Callable[[], Exception],
    says: tuple[str, ...],
) -> None:
    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        fails(stand, broken, error)
        for _ in range(22):
            stand.reconciler.step()
            stand.clock.forward(seconds=30)
    assert stand.job.state is JobState.FAILED
    shown = card(stand)
    assert "could not be launched; it was tried for 10 minutes" in shown
    assert all(part in shown for part in says), shown
    failure = stand.job.progress.failure
    assert failure is not None
    assert failure.reference in caplog.text
    assert stand.job.billed_seconds == 0
    assert stand.sums() == (0, 0)
    assert stand.notices() == ["failed"]

    again = try_again(stand.db, stand.files, stand.clock, stand.id)
    stand.reconciler.step()
    assert job_of(stand.db, again.id).state is JobState.PROVISIONING
    assert len(stand.compute.launched) == 1
