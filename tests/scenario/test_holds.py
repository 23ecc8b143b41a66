"""What is set aside for a run is given back whatever becomes of it; what a run costs beyond it is not overlooked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from functions.accrued import running_since
from functions.budget import budget_status
from functions.errors import OverBudget
from functions.forecast import forecast
from functions.lifecycle import cancel_job, pause_job, resume_paused
from functions.model.events import Failed, Interrupted, Resumed, Stage, StageChanged
from functions.model.money import BudgetStatus, cost_cents
from functions.model.states import JobState
from functions.pace import rest_seconds
from functions.spend import spend_of
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, TEAM, add_demo_file, say, start, try_again
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.test_jobs_live import Stand


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    stand = Stand(db, tmp_path, demo_file)
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    stand.clock.forward(minutes=3)
    return stand


def cancel(stand: Stand) -> None:
    cancel_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, reason="Testing")
    stand.reconciler.step()
    assert stand.job.state is JobState.CANCELLED


def status_of(stand: Stand) -> BudgetStatus:
    with stand.db.transaction() as tx:
        return budget_status(tx, team_id=TEAM, now=stand.clock())


def test_cancelled_in_the_queue_after_a_pause(stand: Stand) -> None:
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    assert stand.sums()[1] > 0
    cancel(stand)
    assert stand.sums() == (stand.job.actual_cost_cents, 0)


def test_cancelled_in_the_queue_after_trying_again(stand: Stand) -> None:
    say(stand.db, stand.clock, stand.job, Failed(code="unknown", what="It broke."), first=len(TRAINED) + 1)
    failed = stand.job
    stand.id = try_again(stand.db, stand.files, stand.clock, failed.id).id
    assert stand.sums()[1] > 0
    cancel(stand)
    assert stand.sums() == (failed.actual_cost_cents, 0)


def test_what_runs_is_spent_first_from_what_is_set_aside(stand: Stand) -> None:
    held = stand.job.estimate.cents_high
    status = status_of(stand)
    assert 0 < status.spent_cents < held
    assert status.spent_cents + status.reserved_cents == held
    assert status.remaining_cents == status.limit_cents - held
    with stand.db.transaction() as tx:
        assert forecast(tx, team_id=TEAM, now=stand.clock()).spent_cents == status.spent_cents


def test_a_run_that_waits_to_go_on_is_forecast_with_what_it_cost_and_what_is_left_of_it(stand: Stand) -> None:
    stand.clock.forward(seconds=stand.job.estimate.seconds.expected)
    say(stand.db, stand.clock, stand.job, TRAINED[-1], first=len(TRAINED) + 1)
    stand.lose_machine()
    stand.reconciler.step()
    job = stand.job
    assert job.state is JobState.INTERRUPTED
    spent, rest = job.cost_of(job.billed_seconds), cost_cents(rest_seconds(job), job.rate_cents_per_hour)
    assert 0 < rest < job.estimate.cents_expected <= spent
    with stand.db.transaction() as tx:
        made = forecast(tx, team_id=TEAM, now=stand.clock())
    assert (made.accrued_cents, made.committed.expected) == (spent, pytest.approx(spent + rest, abs=1))
    assert spent <= made.committed.best <= made.committed.expected <= made.committed.worst


def test_a_run_beyond_what_is_set_aside_uses_the_budget(stand: Stand, demo_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(demo_file.read_bytes() + b" ")
    file = add_demo_file(stand.db, stand.files, path, stand.clock)
    seconds = 500_00 / stand.job.rate_cents_per_hour * 3600
    stand.clock.forward(seconds=seconds)
    status = status_of(stand)
    assert status.spent_cents > status.limit_cents
    assert (status.reserved_cents, status.remaining_cents) == (0, 0)
    with pytest.raises(OverBudget):
        start(stand.db, stand.files, file, stand.clock, name="Another")


def test_a_lost_machine_is_told_with_the_step_that_was_reported_and_costs_what_is_trained_twice(stand: Stand) -> None:
    stand.lose_machine()
    stand.reconciler.step()  # step 10 was reported, the checkpoint is of step 5
    assert stand.job.progress.interruptions[-1].step == 10
    stand.clock.forward(minutes=50)
    stand.reconciler.step()
    again = (StageChanged(stage=Stage.PREPROCESSING, status="started"), *TRAINED[2:6], Resumed(step=5), TRAINED[-1])
    say(stand.db, stand.clock, stand.job, *again)
    (lost,) = stand.job.progress.interruptions
    assert lost.machine_at is not None
    assert lost.resumed_at is not None
    assert lost.seconds_per_step > 0
    back = (lost.resumed_at - lost.machine_at).total_seconds()
    assert 0 < back < 60
    assert lost.overhead_seconds == pytest.approx(back + 5 * lost.seconds_per_step)
    with stand.db.transaction() as tx:
        spent = spend_of(stand.job, now=stand.clock(), running_since=running_since(tx, stand.job))
    assert 0 < spent.interruption_cents < spent.total_cents
    say(stand.db, stand.clock, stand.job, *ENDED, first=len(again) + 1)
    with stand.db.transaction() as tx:
        (record,) = tx.history.interruptions(TEAM, stand.clock() - timedelta(days=1)).values()
    assert record.recovery_seconds == pytest.approx(lost.overhead_seconds)
