"""What is billed is the time in which there was a machine: from the first word to the last sign of life."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from functions.ingest import ingest
from functions.jobs import card_view
from functions.model.events import SEQ_STRIDE as STRIDE
from functions.model.events import Body, Event, EventBatch, Interrupted, Resumed
from functions.model.states import JobState
from functions.ports import CallState
from functions.reconcile import SILENCE
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import LIMITS, say
from tests.scenario.paper import TRAINED
from tests.scenario.test_jobs_live import Stand
from tests.scenario.test_lifecycle import cancel, running

AGAIN = (*TRAINED[:6], Resumed(step=5))


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def deliver(stand: Stand, *events: tuple[int, datetime, Body]) -> None:
    """Events with their own times, in one batch, now."""
    batch = [Event(job_id=stand.id, attempt=1, seq=seq, at=at, body=body) for seq, at, body in events]
    ingest(stand.db, clock=stand.clock, job_id=stand.id, attempt=1, batch=EventBatch(events=tuple(batch)))


def owed(stand: Stand) -> None:
    """What was settled or is recorded is what the billed seconds cost."""
    job = stand.job
    assert job.actual_cost_cents == job.cost_of(job.billed_seconds)
    with stand.db.transaction() as tx:
        attempt = tx.jobs.attempt(job.id, 1)
    assert attempt is not None
    assert attempt.ended_at is None or attempt.ended_at <= stand.clock()


def spent(stand: Stand) -> int:
    with stand.db.transaction() as tx:
        return card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS).spent_cents


def test_a_wait_for_a_container_is_free_from_the_first_second_on(stand: Stand) -> None:
    stand.reconciler.step()
    stand.clock.forward(minutes=9)
    stand.reconciler.step()
    assert spent(stand) == 0
    say(stand.db, stand.clock, stand.job, *TRAINED)
    stand.clock.forward(minutes=10)
    assert spent(stand) == 67  # 609 s at $3.95 an hour, rounded up
    cancel(stand)
    stand.reconciler.step()
    assert stand.job.billed_seconds == pytest.approx(609)
    owed(stand)


def test_a_machine_that_never_spoke_costs_nothing(stand: Stand) -> None:
    stand.reconciler.step()
    stand.clock.forward(minutes=1)
    stand.lose_machine()
    stand.reconciler.step()
    assert (stand.job.state, stand.job.billed_seconds) == (JobState.INTERRUPTED, 0)


def test_while_nobody_looked_only_signs_of_life_are_billed(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=1)
    stand.reconciler.step()  # it was there a minute after its last word
    stand.lose_machine()
    stand.clock.forward(hours=2)
    stand.reconciler.step()
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 60)
    lost = stand.job.progress.interruptions[0]
    assert stand.clock() - lost.at == timedelta(hours=2)
    owed(stand)


def test_while_somebody_looks_a_loss_is_billed_until_it_is_seen(stand: Stand) -> None:
    running(stand)
    for _ in range(600):
        stand.reconciler.step()
        stand.clock.forward(seconds=1)
    stand.lose_machine()
    stand.reconciler.step()
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 600)


def test_a_wish_to_stop_that_finds_a_dead_machine_bills_until_its_last_sign(stand: Stand) -> None:
    running(stand)
    stand.lose_machine()
    stand.clock.forward(hours=2)
    cancel(stand)
    stand.reconciler.step()
    assert stand.job.state is JobState.CANCELLED
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1)
    owed(stand)


def test_a_lost_host_is_billed_until_it_was_lost_however_late_another_is_found(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=10)
    died = stand.clock()
    stand.clock.forward(minutes=30)
    again = [(STRIDE + 2 + number, stand.clock(), body) for number, body in enumerate(AGAIN)]
    deliver(stand, (STRIDE + 1, died, Interrupted(step=5, signal="SIGKILL", wait_for_call=True)), *again)
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 600)
    loss = stand.job.progress.interruptions[0]
    assert loss.resumed_at is not None
    assert loss.resumed_at - loss.at == timedelta(minutes=30)

    stand.clock.forward(minutes=1)
    cancel(stand)
    stand.reconciler.step()
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 660)
    owed(stand)


def test_a_loss_is_never_before_what_is_known_of_the_machine(stand: Stand) -> None:
    """The volume had less than the service; a clock may be wrong in either direction."""
    running(stand)
    heard = stand.clock()
    deliver(stand, (50, heard - timedelta(minutes=5), Interrupted(step=5, signal="SIGKILL", wait_for_call=True)))
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1)
    ahead = stand.clock() + timedelta(hours=3)
    deliver(stand, *((60 + number, ahead, body) for number, body in enumerate(AGAIN)))
    stand.clock.forward(minutes=1)
    deliver(stand, (99, ahead, Interrupted(step=5, signal="SIGINT", wait_for_call=True)))
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 60)
    owed(stand)


def test_what_comes_in_many_batches_after_an_outage_bills_as_if_it_had_come_at_once(stand: Stand) -> None:
    running(stand)
    began = stand.clock()
    stand.clock.forward(hours=1)  # the service was away; the host died in the meantime, another one went on
    died, back = began + timedelta(minutes=20), began + timedelta(minutes=50)
    deliver(stand, (50, died - timedelta(seconds=5), TRAINED[6]))
    deliver(stand, (STRIDE + 1, died, Interrupted(step=5, signal="SIGKILL", wait_for_call=True)))
    deliver(stand, *((STRIDE + 2 + number, back, body) for number, body in enumerate(AGAIN)))
    assert stand.job.state is JobState.TRAINING
    cancel(stand)
    stand.reconciler.step()
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1 + 20 * 60 + 10 * 60)
    owed(stand)


def test_a_silent_call_that_waits_for_a_gpu_had_none(stand: Stand) -> None:
    running(stand)
    stand.compute.without_gpu.add(f"{stand.id}:1")
    for _ in range(SILENCE.seconds // 60 + 2):
        stand.reconciler.step()
        stand.clock.forward(minutes=1)
    assert stand.job.state is not JobState.TRAINING
    assert stand.job.billed_seconds == pytest.approx(len(TRAINED) - 1)


def test_a_healthy_run_outlives_an_absence_of_the_service(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=40)
    stand.reconciler.step()
    assert stand.job.state is JobState.TRAINING
    for _ in range(29):  # its spool may take a while
        stand.clock.forward(minutes=1)
        stand.other_reconciler(stand.compute).step()  # in the cloud another process every minute
    assert (stand.job.state, stand.compute.ended) == (JobState.TRAINING, {})
    say(stand.db, stand.clock, stand.job, *TRAINED[6:], first=50)
    assert stand.job.state is JobState.TRAINING


def test_silence_counts_across_processes(stand: Stand) -> None:
    running(stand)
    for _ in range(SILENCE.seconds // 60 + 2):
        stand.other_reconciler(stand.compute).step()
        stand.clock.forward(minutes=1)
    assert stand.job.progress.interruptions[0].cause == "no sign of life for 30 minutes"


def test_while_the_provider_cannot_be_asked_nothing_is_known_to_run(stand: Stand) -> None:
    running(stand)
    call, last_word = f"{stand.id}:1", stand.clock()
    stand.compute.ended[call] = CallState(running=True, note="Modal could not be asked", known=False)
    for _ in range(20):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    stand.compute.ended[call] = CallState(running=False, note="killed by SIGKILL")
    stand.reconciler.step()
    assert stand.job.state is JobState.INTERRUPTED
    assert stand.job.billed_seconds <= (last_word - stand.job.created_at).total_seconds()
    owed(stand)
