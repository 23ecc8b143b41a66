"""Cancelled, paused, resumed, moved to the front: what people do to a job, and what it costs them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from psycopg.errors import CheckViolation

from blocks.card import job_card
from blocks.lifecycle import cancel_view
from blocks.milestones import milestone
from functions import catalog
from functions.errors import ApprovalNeeded, BrightRunError, Conflict, InvalidInput, NotAllowed, QueueFull
from functions.ingest import stop_asked
from functions.jobs import card_view
from functions.lifecycle import cancel_job, pause_job, promote_job, resume_paused, resume_view, switch_machine
from functions.model.events import CheckpointSaved, Interrupted, Metrics, Resumed
from functions.model.job import Job, StopKind
from functions.model.outbox import Notice
from functions.model.people import Person, Role
from functions.model.progress import Progress
from functions.model.states import LEGAL, TERMINAL, JobState
from functions.model.training_file import TrainingFile
from functions.model.views import CardView, QueueLimits
from functions.pace import remaining_seconds
from functions.ports import CallState
from functions.queue import Delays, plan_starts, queue
from functions.reaping import ENDING_GRACE
from functions.reconcile import PAUSE_PATIENCE
from infra.postgres.database import PostgresDatabase
from reports import run_facts
from tests.conftest import EXPLORING
from tests.scenario.house import ELENA, LIMITS, TEAM, VIC, add_demo_file, job_of, say, start, try_again
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import words
from tests.scenario.test_jobs_live import Stand

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def running(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)


def cancel(stand: Stand, person: Person = ELENA, reason: str = "Too expensive") -> Job:
    return cancel_job(stand.db, clock=stand.clock, person=person, job_id=stand.id, reason=reason, notes="Enough.")


def test_the_database_has_the_same_table_and_keeps_to_it(stand: Stand, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = connection.execute("select before, after from job_transitions").fetchall()
        assert {(before, after) for before, after in rows} == {
            (before.value, after.value) for before, all_after in LEGAL.items() for after in all_after
        }
        with pytest.raises(CheckViolation, match="cannot go from queued to completed"):
            connection.execute("update training_jobs set status = 'completed' where id = %s", (stand.id,))
        with pytest.raises(CheckViolation, match="cannot begin as training"):
            connection.execute(
                "insert into training_jobs select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(),"
                " 'name', 'other', 'request_key', 'other', 'status', 'training'))).* from training_jobs j"
            )


def test_cancel_ends_the_machine_bills_it_and_keeps_the_curves(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=10)
    assert cancel(stand).state is JobState.TRAINING
    assert stop_asked(stand.db, job_id=stand.id, attempt=1) is StopKind.CANCEL
    stand.reconciler.step()
    job = stand.job
    assert job.state is JobState.CANCELLED
    assert not stand.compute.poll(f"{stand.id}:1").running
    assert job.stop is not None
    assert (job.stop.by, job.stop.reason, job.stop.notes) == ("U0ELENA", "Too expensive", "Enough.")
    assert job.actual_cost_cents == job.cost_of(job.billed_seconds) > 0
    assert stand.sums() == (job.actual_cost_cents, 0)
    with stand.db.transaction() as tx:
        assert [point.step for point in tx.jobs.points(stand.id, 10)] == [5, 10]
    assert stand.notices() == ["started", "held_out", "cancelled"]
    with pytest.raises(Conflict, match="ended already: it is cancelled"):
        cancel(stand)
    say(stand.db, stand.clock, stand.job, *ENDED, first=len(TRAINED) + 1)
    assert stand.job.state is JobState.CANCELLED


def test_a_waiting_job_is_cancelled_at_once_and_costs_nothing(stand: Stand) -> None:
    assert cancel(stand).state is JobState.CANCELLED
    assert stand.sums() == (0, 0)
    stand.reconciler.step()
    assert stand.compute.launched == []


def test_who_may_cancel_and_with_which_words(stand: Stand) -> None:
    with pytest.raises(NotAllowed, match="viewer"):
        cancel(stand, VIC)
    with pytest.raises(InvalidInput, match="reason"):
        cancel(stand, reason="because")
    with pytest.raises(NotAllowed, match="front of the queue"):
        promote_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)


def test_a_job_that_ends_by_itself_before_it_is_stopped_has_ended(stand: Stand) -> None:
    running(stand)
    cancel(stand)
    say(stand.db, stand.clock, stand.job, *ENDED, first=len(TRAINED) + 1)
    stand.reconciler.step()
    assert stand.job.state is JobState.COMPLETED
    assert stand.job.stop is None


def test_pause_waits_for_the_checkpoint_and_then_costs_nothing(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=10)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    assert stop_asked(stand.db, job_id=stand.id, attempt=1) is StopKind.PAUSE
    stand.reconciler.step()
    assert stand.job.state is JobState.TRAINING  # it is saving
    say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    job = stand.job
    assert job.state is JobState.PAUSED
    assert job.progress.interruptions == ()
    assert job.stop is None
    paid = job.actual_cost_cents
    assert stand.sums() == (paid, 0)

    stand.clock.forward(hours=5)
    stand.reconciler.step()
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.reconciler.step()
    job = stand.job
    assert (job.state, job.attempt) == (JobState.PROVISIONING, 2)
    assert job.paused_seconds == pytest.approx(5 * 3600)
    assert 0 < stand.sums()[1] < job.estimate.cents_high  # the rest alone is reserved
    say(stand.db, stand.clock, job, *TRAINED[:6], Resumed(step=10), *ENDED)
    assert stand.job.state is JobState.COMPLETED
    assert stand.job.actual_cost_cents == stand.sums()[0]
    assert stand.job.actual_cost_cents < paid + 10  # the five hours of rest are not in it
    assert stand.notices() == ["started", "held_out", "paused", "resumed", "recovered", "completed"]


def test_what_a_run_took_is_told_without_its_rests(stand: Stand) -> None:
    running(stand)
    stand.clock.forward(minutes=10)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)

    def card() -> CardView:
        with stand.db.transaction() as tx:
            return card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)

    stand.clock.forward(hours=2)
    assert (round(card().elapsed_seconds / 60), round(card().paused_seconds / 60)) == (10, 120)
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.clock.forward(hours=3)  # nobody's work either: it waits for its turn
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:6], Resumed(step=10), *ENDED)
    assert stand.job.state is JobState.COMPLETED
    assert (round(card().elapsed_seconds / 60), round(card().paused_seconds / 60)) == (10, 300)
    _, drawn = job_card(card())
    assert "Took 10 min, paused 5 h " in str(drawn)
    assert "done in 10 min for $0.69 practice money, paused 5 h." in milestone(Notice.COMPLETED, card(), {}, None)[0]
    assert dict(run_facts.time_and_cost(stand.job))["Took"].startswith("10 min, paused 5 h; ")


def test_cancelled_while_it_waits_after_a_rest_it_keeps_its_figures(stand: Stand) -> None:
    running(stand)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.clock.forward(hours=1)
    cancel(stand)
    assert (stand.job.state, stand.sums()[1]) == (JobState.CANCELLED, 0)  # what the resume reserved is free again
    assert stand.job.paused_seconds == pytest.approx(3600, abs=5)


def test_a_pause_that_is_not_heard_ends_the_machine_and_the_last_checkpoint_counts(stand: Stand) -> None:
    running(stand)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    with pytest.raises(Conflict, match="being stopped already"):
        pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.clock.forward(seconds=PAUSE_PATIENCE.total_seconds() + 1)
    stand.reconciler.step()
    assert stand.job.state is JobState.PAUSED
    assert stand.job.progress.checkpoint_step == 5


def test_a_paused_job_that_lost_its_machine_rests_all_the_same(stand: Stand) -> None:
    running(stand)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.lose_machine()
    stand.reconciler.step()
    assert stand.job.state is JobState.PAUSED


def to_modal(stand: Stand) -> None:
    """As if it had been started at Modal."""
    configuration = stand.job.configuration.model_copy(update={"tier": "modal-h100"})
    with stand.db.transaction() as tx:
        tx.jobs.change_tier(stand.id, configuration, 395, stand.job.estimate)


def rest(stand: Stand) -> None:
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.lose_machine()
    stand.reconciler.step()
    assert stand.job.state is JobState.PAUSED


def test_another_tier_bills_only_what_comes_and_reserves_what_the_rest_takes_there(stand: Stand) -> None:
    to_modal(stand)
    running(stand)
    stand.clock.forward(hours=1)
    rest(stand)
    before = stand.job
    with stand.db.transaction() as tx:
        view = resume_view(tx, team_id=TEAM, job_id=stand.id, now=stand.clock())
    offered = {offer.tier.gpu: offer.rest for offer in view.offers}
    assert list(offered) == ["H100", "H200", "B200", "A100-80GB"]  # its own first
    # Slower by more than it is cheaper.
    assert offered["A100-80GB"].seconds.expected > offered["H100"].seconds.expected
    assert offered["B200"].seconds.expected < offered["H100"].seconds.expected
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, tier="modal-b200")
    assert stand.sums()[1] == offered["B200"].cents_high
    assert stand.job.estimate.cents_high == before.actual_cost_cents + offered["B200"].cents_high
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:1])
    stand.clock.forward(hours=1)
    cancel(stand)
    stand.reconciler.step()
    job = stand.job
    assert (job.configuration.tier, job.rate_cents_per_hour) == ("modal-b200", 625)
    assert job.actual_cost_cents == pytest.approx(before.actual_cost_cents + 625, abs=3)
    assert stand.sums() == (job.actual_cost_cents, 0)


def test_a_run_stays_with_its_provider(stand: Stand) -> None:
    running(stand)
    rest(stand)
    with pytest.raises(InvalidInput, match="H100, preemptible is another provider's"):
        resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, tier="modal-h100")
    assert (stand.job.state, stand.sums()[1]) == (JobState.PAUSED, 0)


def test_a_dear_machine_that_is_not_interrupted_takes_an_approval(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = [
        tier.model_copy(update={"preemptible": False, "cents_per_hour": 1_000_000}) if tier.gpu == "H200" else tier
        for tier in catalog.tiers()
    ]
    monkeypatch.setattr(catalog, "tiers", lambda: tuple(sure))
    to_modal(stand)
    running(stand)
    rest(stand)
    with pytest.raises(ApprovalNeeded, match="needs an approval") as needed:
        resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, tier="modal-h200")
    assert "/train, whose review asks for an approval" in needed.value.fix
    cancel(stand)
    with pytest.raises(ApprovalNeeded):
        try_again(stand.db, stand.files, stand.clock, stand.id, tier="modal-h200")
    assert try_again(stand.db, stand.files, stand.clock, stand.id).state is JobState.QUEUED


def no_gpu_free(stand: Stand) -> None:
    stand.reconciler.step()
    stand.compute.without_gpu.add(f"{stand.id}:{stand.job.attempt}")
    for _ in range(12):  # a time in which nobody looks does not count
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert (stand.job.state, stand.job.attempt) == (JobState.PROVISIONING, 2)  # the next try is under way


def test_waiting_for_a_gpu_it_can_go_to_another_machine_at_once(stand: Stand) -> None:
    to_modal(stand)
    no_gpu_free(stand)
    held = stand.sums()[1]
    with stand.db.transaction() as tx:
        assert card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS).can_switch
    switch = partial(switch_machine, stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    with pytest.raises(InvalidInput, match="this very machine"):
        switch(tier="modal-h100")
    with pytest.raises(InvalidInput, match="another provider"):
        switch(tier="local")
    assert stand.sums() == (0, held)
    assert switch(tier="modal-a100-80gb").state is JobState.QUEUED
    assert stop_asked(stand.db, job_id=stand.id, attempt=2) is StopKind.CANCEL  # a machine may come all the same
    job = stand.job
    assert (job.configuration.tier, job.rate_cents_per_hour) == ("modal-a100-80gb", 250)
    assert stand.sums() == (0, job.estimate.cents_high)
    assert job.estimate.workload is not None
    assert job.estimate.workload.tier == "modal-a100-80gb"  # what it takes there is learned from
    stand.reconciler.step()  # not in five minutes: now
    assert (stand.job.state, stand.job.attempt) == (JobState.PROVISIONING, 3)
    assert stand.compute.running() == [f"{stand.id}:3"]
    with pytest.raises(Conflict, match="does not wait for a GPU any more"):
        switch(tier="modal-h200")
    say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED)
    assert stand.sums() == (stand.job.actual_cost_cents, 0)


def test_who_has_a_machine_at_last_is_not_sent_to_another_one(stand: Stand) -> None:
    to_modal(stand)
    no_gpu_free(stand)
    say(stand.db, stand.clock, stand.job, *TRAINED)
    held = stand.sums()
    with pytest.raises(Conflict, match="does not wait for a GPU any more: it is training"):
        switch_machine(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, tier="modal-h200")
    assert (stand.job.state, stand.sums()) == (JobState.TRAINING, held)


def test_a_loop_that_saw_the_old_try_leaves_the_switched_run_alone(stand: Stand) -> None:
    to_modal(stand)
    no_gpu_free(stand)
    with stand.db.transaction() as tx:
        seen = tx.jobs.attempt(stand.id, 2)
    assert seen is not None
    switch_machine(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, tier="modal-h200")
    stand.other_reconciler(stand.compute)._without_gpu(stand.id, seen)
    assert stand.job.state is JobState.QUEUED
    with stand.db.transaction() as tx:
        assert tx.failures.wait(stand.id) is None


def test_a_pause_ends_the_wait_for_a_gpu_and_a_resumed_run_waits_anew(stand: Stand) -> None:
    to_modal(stand)
    no_gpu_free(stand)
    rest(stand)
    stand.clock.forward(hours=3)
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.reconciler.step()
    with stand.db.transaction() as tx:
        assert card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS).wait is None
    stand.compute.without_gpu.add(f"{stand.id}:3")
    for _ in range(9):
        stand.clock.forward(minutes=1)
        stand.reconciler.step()
    assert (stand.job.state, stand.job.attempt) == (JobState.PROVISIONING, 3)
    assert stand.job.billed_seconds == 0


def test_a_paused_job_can_be_cancelled(stand: Stand) -> None:
    running(stand)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.lose_machine()
    stand.reconciler.step()
    paid = stand.job.actual_cost_cents
    stand.clock.forward(hours=1)
    assert cancel(stand).state is JobState.CANCELLED
    assert stand.job.actual_cost_cents == paid


def more_files(stand: Stand, demo_file: Path, tmp_path: Path, number: int) -> list[TrainingFile]:
    made = []
    for index in range(number):
        path = tmp_path / f"{index}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * (index + 1))
        made.append(add_demo_file(stand.db, stand.files, path, stand.clock))
    return made


def test_the_queue_is_first_come_first_served_and_says_when(stand: Stand, demo_file: Path, tmp_path: Path) -> None:
    running(stand)
    files = more_files(stand, demo_file, tmp_path, 4)
    waiting = []
    for number, file in enumerate(files[:3]):
        stand.clock.forward(seconds=1)
        waiting.append(start(stand.db, stand.files, file, stand.clock, name=f"Run {number}"))
    with pytest.raises(QueueFull, match="3 of 3 runs are waiting and 1 is training") as full:
        start(stand.db, stand.files, files[3], stand.clock, name="One too many")
    assert "cancel one in /jobs" in full.value.fix
    with stand.db.transaction() as tx:
        entries = queue(tx, limits=LIMITS, now=stand.clock())
    assert [entry.job.name for entry in entries] == ["Run 0", "Run 1", "Run 2"]
    assert [entry.position for entry in entries] == [1, 2, 3]
    assert stand.clock() < entries[0].starts_at < entries[1].starts_at < entries[2].starts_at
    between = (entries[2].starts_at - entries[1].starts_at).total_seconds()
    # Its machine took a second to speak, so theirs are expected to.
    assert between == pytest.approx(waiting[1].estimate.seconds.expected + 1)

    promote_job(stand.db, clock=stand.clock, person=MARCUS, job_id=waiting[2].id)
    with pytest.raises(Conflict, match="the next one already"):
        promote_job(stand.db, clock=stand.clock, person=MARCUS, job_id=waiting[2].id)
    say(stand.db, stand.clock, stand.job, *ENDED, first=len(TRAINED) + 1)
    stand.reconciler.step()
    assert job_of(stand.db, waiting[2].id).state is JobState.PROVISIONING
    assert job_of(stand.db, waiting[0].id).state is JobState.QUEUED


def test_as_many_places_as_may_run_are_planned(stand: Stand, demo_file: Path, tmp_path: Path) -> None:
    jobs = [
        start(stand.db, stand.files, file, stand.clock, name=f"Run {index}", limits=QueueLimits(waiting=9))
        for index, file in enumerate(more_files(stand, demo_file, tmp_path, 4))
    ]
    now, length = stand.clock(), jobs[0].estimate.seconds.expected

    def starts(running_now: list[Job], places: int) -> list[float]:
        entries = plan_starts(running_now, jobs, running=places, now=now)
        return [round((entry.starts_at - now).total_seconds() / length, 3) for entry in entries]

    assert starts([], 2) == [0, 0, 1, 1]
    assert starts([stand.job], 1) == [1, 2, 3, 4]
    assert starts([stand.job, stand.job], 1) == [1, 2, 3, 4]


def left_of(job: Job, stand: Stand) -> float:
    """Seconds after which a job that waits behind this one is expected to start."""
    behind = job.model_copy(update={"state": JobState.QUEUED})
    now = stand.clock()
    return (plan_starts([job], [behind], running=1, now=now)[0].starts_at - now).total_seconds()


def test_an_interruption_does_not_make_those_behind_wait_for_the_whole_run_again(stand: Stand) -> None:
    half = (*TRAINED[:6], Metrics(step=5, epoch=1.0, loss=2.5, learning_rate=1e-3, tokens_trained=500))
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *half, CheckpointSaved(step=5, bytes=1))
    whole = stand.job.estimate.seconds.expected
    stand.lose_machine()
    stand.reconciler.step()
    assert stand.job.state is JobState.INTERRUPTED
    assert left_of(stand.job, stand) == pytest.approx(whole * (0.05 + 0.85 / 2))
    stand.reconciler.step()
    assert stand.job.state is JobState.RECOVERING
    assert left_of(stand.job, stand) == pytest.approx(whole * (0.05 + 0.85 / 2))


def test_steps_beyond_the_checkpoint_are_counted_as_still_to_do_until_it_is_back_there(stand: Stand) -> None:
    running(stand)  # to step 10 of 10, saved at 5
    whole = stand.job.estimate.seconds.expected
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, TRAINED[0])
    assert stand.job.state is JobState.PREPROCESSING
    assert remaining_seconds(stand.job, stand.clock()) == pytest.approx(whole * (0.05 + 0.85 / 2))


def test_a_resumed_run_counts_with_its_rest_for_those_behind_it(stand: Stand) -> None:
    resumed_after_an_hour(stand)
    job, now = stand.job, stand.clock()
    whole = job.estimate.seconds.expected
    behind = job.model_copy(update={"id": stand.file.id, "progress": Progress()})
    first, second = plan_starts([], [job, behind], running=1, now=now)
    assert (second.starts_at - first.starts_at).total_seconds() == pytest.approx(whole * 0.05)
    assert second.seconds == whole
    # On another machine its estimate is what it had taken and the rest there.
    span = job.estimate.seconds.model_copy(update={"expected": job.billed_seconds + 900})
    estimate = job.estimate.model_copy(update={"seconds": span})
    moved = job.model_copy(update={"estimate": estimate, "seconds_before": job.billed_seconds})
    assert plan_starts([], [moved], running=1, now=now)[0].seconds == pytest.approx(900)


def test_one_that_waits_for_a_gpu_starts_at_its_next_try_and_holds_up_nobody(stand: Stand) -> None:
    now = stand.clock()
    job = stand.job
    behind = job.model_copy(update={"id": stand.file.id})
    later = now + timedelta(minutes=5)
    known = Delays(next_tries={job.id: later}, launch_seconds={"local": 40.0})
    first, second = plan_starts([], [job, behind], running=2, now=now, delays=known)
    assert (first.position, first.starts_at) == (1, later + timedelta(seconds=40))
    assert (second.position, second.starts_at) == (2, now + timedelta(seconds=40))
    waits, goes = plan_starts([], [job, behind], running=1, now=now, delays=known)
    assert goes.starts_at == now + timedelta(seconds=40)
    assert waits.starts_at == goes.starts_at + timedelta(seconds=job.estimate.seconds.expected + 40)


def test_the_time_that_machines_took_to_speak_is_learned_from_past_launches(stand: Stand) -> None:
    stand.reconciler.step()
    with stand.db.transaction() as tx:
        assert tx.history.launch_seconds(stand.clock() - timedelta(days=90)) == {}  # none has spoken yet
    stand.clock.forward(seconds=39)
    say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED)
    another = start(stand.db, stand.files, stand.file, stand.clock, name="Another")
    with stand.db.transaction() as tx:
        assert tx.history.launch_seconds(stand.clock() - timedelta(days=90)) == {"local": 40.0}
        entry = queue(tx, limits=LIMITS, now=stand.clock())[0]
    assert entry.job.id == another.id
    assert entry.starts_at == stand.clock() + timedelta(seconds=40)


def view_of(stand: Stand) -> CardView:
    with stand.db.transaction() as tx:
        return card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)


def resumed_after_an_hour(stand: Stand) -> None:
    """Paused at step 10 of 10, and in the queue again."""
    running(stand)
    stand.clock.forward(minutes=60)
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    saved = (CheckpointSaved(step=10, bytes=1), Interrupted(step=10, signal="pause"))
    say(stand.db, stand.clock, stand.job, *saved, first=len(TRAINED) + 1)
    assert stand.job.state is JobState.PAUSED
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)


def test_a_resumed_run_in_the_queue_shows_what_is_done_and_spent(stand: Stand) -> None:
    resumed_after_an_hour(stand)
    text, blocks = job_card(view_of(stand))
    shown = words({"blocks": blocks})
    assert text == "A run: queued, 95 %"
    assert "Next in the queue, starts about" in shown
    assert "*95 %*   goes on from the checkpoint of step 10\n" in shown
    assert "$3.97 of $" in shown
    assert "About 22 s to go   Asked by <@U0ELENA>" in shown
    assert "Estimate" not in shown


def test_cancelling_what_has_run_says_what_stays_spent_and_that_its_checkpoint_is_of_no_more_use(stand: Stand) -> None:
    running(stand)
    shown = words(cancel_view(view_of(stand)))
    assert "its machine is shut down" in shown
    assert "It cannot go on from the checkpoint of step 5 afterwards. To go on later, pause it instead." in shown
    pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    stand.clock.forward(minutes=30)
    say(stand.db, stand.clock, stand.job, Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    shown = words(cancel_view(view_of(stand)))
    assert "It has no machine, and costs nothing while it rests. Cancelled, it ends for good." in shown
    assert "shut down" not in shown
    resume_paused(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    shown = words(cancel_view(view_of(stand)))
    assert "It leaves the queue for good. The $1.99 practice money that it has cost stays spent" in shown
    assert "It cannot go on from the checkpoint of step 5 afterwards." in shown
    assert "Nothing was spent" not in shown


def test_cancelling_what_never_ran_says_that_nothing_was_spent(stand: Stand) -> None:
    assert "It leaves the queue. Nothing was spent" in words(cancel_view(view_of(stand)))


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        (pause_job, "<@U0ELENA> is pausing it: it saves where it is and frees its machine."),
        (partial(cancel_job, reason="Testing"), "<@U0ELENA> is cancelling it: its machine is being shut down."),
    ],
)
def test_a_recovering_run_that_is_being_stopped_says_so(stand: Stand, stop: Callable[..., Job], said: str) -> None:
    running(stand)
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    stop(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
    view = view_of(stand)
    assert view.job.state is JobState.RECOVERING
    shown = words({"blocks": job_card(view)[1]})
    assert said in shown
    assert "A new machine is starting" not in shown
    lost = view.model_copy(update={"job": view.job.model_copy(update={"state": JobState.INTERRUPTED})})
    shown = words({"blocks": job_card(lost)[1]})
    assert said.split(":")[0] + "." in shown
    assert "It goes on by itself" not in shown


class AnybodyDoesAnything(RuleBasedStateMachine):
    """People, machines and the clock in any order: the job stays legal, its money right."""

    stand: Stand
    number = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).number += 1
        stand = self.stand
        with stand.db.transaction() as tx:
            tx.jobs._run("truncate outbox, job_attempts, job_events, training_metrics_history, model_artifacts cascade")
            tx.jobs._run("update training_jobs set name = id::text, request_key = id::text")
            tx.jobs._run(
                "update training_jobs set status = 'cancelled' where status not in ('completed', 'failed', 'cancelled')"
            )
        stand.compute.ended.clear()
        stand.id = start(stand.db, stand.files, stand.file, stand.clock, name=f"Run {self.number}").id
        self.line = [stand.id]
        self.said = 0
        self.attempt = 0

    def _try(self, action: object) -> None:
        assert callable(action)
        try:
            action()
        except BrightRunError:
            return

    @rule()
    def reconcile(self) -> None:
        self.stand.reconciler.step()

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes: int) -> None:
        self.stand.clock.forward(minutes=minutes)

    @precondition(lambda self: self.stand.job.attempt > 0)
    @rule(count=st.integers(1, 16))
    def speak(self, count: int) -> None:
        job = self.stand.job
        if job.attempt != self.attempt:
            self.attempt, self.said = job.attempt, 0
        bodies = (*TRAINED, *ENDED)[self.said : self.said + count]
        if bodies:
            say(self.stand.db, self.stand.clock, job, *bodies, first=self.said + 1)
            self.said += len(bodies)

    @precondition(lambda self: self.stand.job.attempt > 0)
    @rule()
    def lose(self) -> None:
        self.stand.lose_machine()

    @rule()
    def cancel(self) -> None:
        self._try(lambda: cancel(self.stand))

    @rule()
    def pause(self) -> None:
        self._try(lambda: pause_job(self.stand.db, clock=self.stand.clock, person=ELENA, job_id=self.stand.id))

    @rule()
    def resume(self) -> None:
        self._try(lambda: resume_paused(self.stand.db, clock=self.stand.clock, person=ELENA, job_id=self.stand.id))

    @rule()
    def retry(self) -> None:
        stand = self.stand

        def go_on_as_another() -> None:
            stand.id = try_again(stand.db, stand.files, stand.clock, stand.id).id
            self.line.append(stand.id)
            self.said = self.attempt = 0

        self._try(go_on_as_another)

    def teardown(self) -> None:
        """Whatever happened: a job that is cancelled in the end holds no money, and owes what its seconds cost."""
        stand = self.stand
        self._try(lambda: cancel(stand))
        stand.reconciler.step()
        for job_id in self.line:
            self._look(job_of(stand.db, job_id))

    def _look(self, job: Job) -> None:
        stand = self.stand
        assert job.state in TERMINAL
        assert job.actual_cost_cents == job.cost_of(job.billed_seconds)
        with stand.db.transaction() as tx:
            assert tx.ledger.booked_for(job.id).reserved_cents == 0
            assert tx.ledger.booked_for(job.id).settled_cents == job.actual_cost_cents
            attempt = tx.jobs.attempt(job.id, job.attempt)
        assert attempt is None or attempt.ended_at is not None
        if job.state is JobState.CANCELLED:  # one that ended by itself may leave its machine by itself
            assert f"{job.id}:{job.attempt}" not in stand.compute.running()
        stand.clock.forward(seconds=ENDING_GRACE.total_seconds())
        stand.reconciler.step()
        assert not [call for call in stand.compute.running() if call.startswith(str(job.id))]


def test_any_sequence_of_deeds_leaves_a_legal_job_that_owes_what_it_used(stand: Stand) -> None:
    cancel(stand)

    class Machine(AnybodyDoesAnything):
        pass

    Machine.stand = stand
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=400 if EXPLORING else 25,
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_machine_that_is_gone_is_not_asked_twice(stand: Stand) -> None:
    running(stand)
    stand.compute.ended[f"{stand.id}:1"] = CallState(running=False, exit_code=0)
    cancel(stand)
    stand.reconciler.step()
    assert stand.job.state is JobState.CANCELLED
