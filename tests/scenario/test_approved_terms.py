"""An approved run sets aside what was quoted, and is stopped at what was approved."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions import configure
from functions.failure_history import diagnosis_of
from functions.model.events import Failed
from functions.model.money import dollars
from functions.model.states import JobState
from infra.postgres.database import PostgresDatabase
from tests.scenario.deciding import Desk
from tests.scenario.house import job_of, say
from tests.scenario.paper import TRAINED


@pytest.fixture
def desk(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Desk:
    return Desk(db, tmp_path, demo_file)


def test_a_higher_estimate_by_then_takes_no_more_than_was_quoted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = desk.ask()
    assert request.quoted.cap_cents == -(-request.quoted.cents_high * 11 // 10)
    real = configure.quote
    monkeypatch.setattr(
        "functions.start.quote",
        lambda *args, **given: (made := real(*args, **given)).model_copy(update={"cents_high": made.cents_high + 90}),
    )
    decided = desk.decide(request.id)
    assert decided.job_id is not None
    with desk.db.transaction() as tx:
        assert tx.ledger.booked_for(decided.job_id).reserved_cents == request.quoted.cents_high


def test_an_approved_run_is_stopped_at_what_was_approved(desk: Desk) -> None:
    request = desk.ask()
    job_id = desk.decide(request.id).job_id
    assert job_id is not None
    desk.reconciler.step()
    say(desk.db, desk.clock, desk.job, *TRAINED[:1], Failed(code="unknown", what="Broke."))
    desk.reconciler.step()
    job = job_of(desk.db, job_id)
    say(desk.db, desk.clock, job, *TRAINED)
    desk.clock.forward(seconds=request.quoted.cap_cents / job.rate_cents_per_hour * 3600 - 60)
    desk.reconciler.step()
    assert job_of(desk.db, job_id).state is JobState.TRAINING
    desk.clock.forward(seconds=60)
    desk.reconciler.step()
    job = job_of(desk.db, job_id)
    assert job.state is JobState.FAILED
    assert f"{job.id}:{job.attempt}" not in desk.compute.running()
    with desk.db.transaction() as tx:
        told = diagnosis_of(tx, job=job)
    assert told is not None
    assert f"it reached {dollars(request.quoted.cap_cents)}, the most that was approved" in told.problem
