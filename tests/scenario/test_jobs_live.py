"""A job's life in the database: what events and machines do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.milestones import milestone
from blocks.units import rough
from functions.errors import InvalidInput, NotFound
from functions.ingest import ingest
from functions.jobs import card_view, home, job_details
from functions.model.events import (
    Event,
    EventBatch,
    Failed,
    HeldOut,
    Interrupted,
    Resumed,
    Stage,
)
from functions.model.job import Job
from functions.model.outbox import Notice, OutboxMessage
from functions.model.states import TERMINAL, JobState
from functions.pace import fraction_done, remaining_seconds
from functions.ports import CallState, Compute
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM, SetClock, add_demo_file, job_of, say, start, try_again
from tests.scenario.paper import ENDED, PLAN, TRAINED, PaperCompute


class Stand:
    """A team with a running job."""

    def __init__(self, db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
        self.db = db
        self.clock = SetClock()
        self.files = LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=self.clock)
        self.compute = PaperCompute()
        self.reconciler = self.other_reconciler(self.compute)
        self.file = add_demo_file(db, self.files, demo_file, self.clock)
        self.id = start(db, self.files, self.file, self.clock).id

    def other_reconciler(self, compute: Compute) -> Reconciler:
        return Reconciler(
            self.db, self.files, compute, clock=self.clock, secret="s", service_url="http://localhost", max_running=1
        )

    @property
    def job(self) -> Job:
        return job_of(self.db, self.id)

    def lose_machine(self) -> None:
        self.compute.ended[f"{self.id}:{self.job.attempt}"] = CallState(running=False, note="killed by SIGKILL")

    def messages(self) -> Iterator[OutboxMessage]:
        """What the thread is told, in order; each is sent before it is given."""
        while True:
            self.clock.forward(seconds=10)
            with self.db.transaction() as tx:
                message = tx.outbox.claim(self.clock())
                if message is None:
                    return
                tx.outbox.sent(message.id, ts="1.1", at=self.clock())
            if message.notice is not Notice.CARD:
                yield message

    def notices(self) -> list[str]:
        """The kinds of these messages."""
        return [message.notice.value for message in self.messages()]

    def sums(self) -> tuple[int, int]:
        with self.db.transaction() as tx:
            return tx.ledger.sums(TEAM, self.clock().replace(day=1))


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def test_a_job_runs_is_told_of_and_settles_what_it_took(stand: Stand) -> None:
    stand.reconciler.step()
    assert stand.job.state is JobState.PROVISIONING
    assert stand.compute.launched[0].base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert say(stand.db, stand.clock, stand.job, *TRAINED) == len(TRAINED)
    assert stand.job.state is JobState.TRAINING
    assert stand.job.progress.metrics is not None
    assert (stand.job.progress.metrics.step, stand.job.progress.previous_loss) == (10, 2.5)
    with stand.db.transaction() as tx:
        view = card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)
    assert 0.9 < view.fraction < 1
    assert view.projected_cents is not None
    assert view.projected_cents >= view.spent_cents

    stand.clock.forward(minutes=10)
    say(stand.db, stand.clock, stand.job, *ENDED, first=len(TRAINED) + 1)
    job = stand.job
    assert job.state is JobState.COMPLETED
    # From the first word on: until then nobody had a machine.
    assert job.billed_seconds == pytest.approx(600 + len(TRAINED) + len(ENDED) - 1)
    assert stand.sums() == (job.actual_cost_cents, 0)
    assert job.actual_cost_cents == 68  # 614 s at $3.95 an hour, rounded up
    assert stand.notices() == ["started", "held_out", "completed"]


def test_repeats_change_nothing(stand: Stand) -> None:
    stand.reconciler.step()
    for _ in range(3):
        say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED)
    before = stand.job, stand.sums()
    assert say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED) == 0
    stand.reconciler.step()
    assert (stand.job, stand.sums()) == before
    assert stand.notices() == ["started", "held_out", "completed"]


def test_events_of_another_job_are_refused(stand: Stand) -> None:
    stand.reconciler.step()
    stranger = stand.job.model_copy(update={"id": UUID(int=7)})
    with pytest.raises(NotFound):
        say(stand.db, stand.clock, stranger, *TRAINED)
    with pytest.raises(NotFound):
        say(stand.db, stand.clock, stand.job, *TRAINED, attempt=9)
    event = Event(job_id=stand.id, attempt=1, seq=1, at=stand.clock(), body=PLAN)
    with pytest.raises(InvalidInput):
        ingest(stand.db, clock=stand.clock, job_id=UUID(int=7), attempt=1, batch=EventBatch(events=(event,)))


def test_a_lost_machine_is_recovered_three_times_and_then_handed_to_people(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    for recovery in range(1, 4):
        stand.lose_machine()
        stand.reconciler.step()
        assert stand.job.state is JobState.INTERRUPTED
        stand.reconciler.step()
        assert (stand.job.state, stand.job.attempt, stand.job.recoveries) == (
            JobState.RECOVERING,
            recovery + 1,
            recovery,
        )
        say(stand.db, stand.clock, stand.job, Resumed(step=5), *TRAINED[:7])
        assert stand.job.state is JobState.TRAINING
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    job = stand.job
    assert job.state is JobState.FAILED
    assert job.progress.failure is not None
    assert "step 5" in job.progress.failure.fixes[0]
    assert [loss.resumed_step for loss in job.progress.interruptions] == [5, 5, 5, None]
    assert stand.sums() == (job.actual_cost_cents, 0)

    retried = try_again(stand.db, stand.files, stand.clock, job.id)
    assert stand.sums()[1] == retried.estimate.cents_high < job.estimate.cents_high
    stand.id = retried.id
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, Resumed(step=10), *ENDED)
    assert stand.job.state is JobState.COMPLETED
    assert stand.job.progress.failure is None
    assert stand.sums() == (job.actual_cost_cents + stand.job.actual_cost_cents, 0)


def test_a_failure_is_kept_with_its_fixes_and_settled(stand: Stand) -> None:
    stand.reconciler.step()
    failure = Failed(code="disk_full", what="The disk is full.", fixes=("Free 2 GB.",), step=10)
    say(stand.db, stand.clock, stand.job, *TRAINED, failure)
    assert stand.job.state is JobState.FAILED
    assert stand.job.progress.failure == failure
    assert stand.job.progress.stage(Stage.TRAINING).status == "failed"
    assert stand.sums()[1] == 0
    assert stand.notices()[-1] == "failed"


def test_an_interruption_that_announces_itself_is_recovered(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED, Interrupted(step=5, signal="SIGTERM"))
    assert stand.job.state is JobState.INTERRUPTED
    stand.reconciler.step()
    assert stand.job.state is JobState.RECOVERING
    assert stand.compute.launched[-1].attempt == 2


def test_a_silent_job_is_cancelled_and_recovered(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    for _ in range(30):
        stand.reconciler.step()
        stand.clock.forward(minutes=1)
    assert stand.job.state is JobState.TRAINING
    stand.clock.forward(minutes=1)
    stand.reconciler.step()
    assert stand.job.state is JobState.INTERRUPTED
    assert "no sign of life" in stand.job.progress.interruptions[0].cause


def test_a_launch_that_was_cut_off_is_made_again(stand: Stand) -> None:
    with stand.db.transaction() as tx:
        tx.jobs.begin_attempt(stand.id, stand.clock())
        tx.jobs.update(stand.id, state=JobState.PROVISIONING)
    stand.reconciler.step()
    assert stand.compute.launched == []
    stand.clock.forward(seconds=61)
    stand.reconciler.step()
    assert len(stand.compute.launched) == 1


def test_old_attempts_move_nothing(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:7])
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[7:], *ENDED, first=8, attempt=1)
    assert stand.job.state is JobState.RECOVERING


def test_an_attempt_brings_along_what_an_earlier_one_could_not_deliver(stand: Stand) -> None:
    stand.reconciler.step()
    attempt_one = [
        Event(job_id=stand.id, attempt=1, seq=seq, at=stand.clock(), body=body) for seq, body in enumerate(TRAINED, 1)
    ]
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    resumed = Event(job_id=stand.id, attempt=2, seq=1, at=stand.clock(), body=Resumed(step=5))
    batch = EventBatch(events=(*attempt_one, resumed))
    assert ingest(stand.db, clock=stand.clock, job_id=stand.id, attempt=2, batch=batch) == len(TRAINED) + 1
    with pytest.raises(InvalidInput):
        ingest(stand.db, clock=stand.clock, job_id=stand.id, attempt=1, batch=EventBatch(events=(resumed,)))
    with stand.db.transaction() as tx:
        assert [point.step for point in tx.jobs.points(stand.id, 100)] == [5, 10]
    assert stand.job.progress.interruptions[0].resumed_step == 5


def test_what_an_earlier_attempt_measured_is_told_once_though_it_comes_late(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:3])
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    assert stand.notices() == ["interrupted"]
    say(stand.db, stand.clock, stand.job, *TRAINED[3:], first=4, attempt=1)
    measured = [body for body in TRAINED if isinstance(body, HeldOut) and body.step]
    assert stand.notices() == ["started", *["held_out"] * len(measured)]
    progress = stand.job.progress
    assert (progress.held_out, progress.step, progress.checkpoint_step) == (measured[-1], 10, 5)
    assert stand.job.state is JobState.RECOVERING
    # The second attempt finds the result and goes straight to packing it.
    say(stand.db, stand.clock, stand.job, *ENDED[1:])
    assert stand.job.state is JobState.COMPLETED
    assert [item.status for item in stand.job.progress.stages[:3]] == ["complete"] * 3
    assert stand.notices() == ["completed"]


def test_after_a_recovery_the_bar_and_the_clock_go_on_from_what_was_kept(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, Resumed(step=5), *TRAINED[:1])
    assert fraction_done(stand.job) == pytest.approx(0.02 + 0.08 + 0.85 / 2)
    before = stand.job.progress.stage(Stage.TRAINING).seconds(stand.clock())
    say(stand.db, stand.clock, stand.job, *TRAINED[1:7], first=3)
    stand.clock.forward(seconds=30)
    after = stand.job.progress.stage(Stage.TRAINING).seconds(stand.clock())
    assert before is not None
    assert after is not None
    assert after >= before + 30


def test_what_is_said_of_a_loss_and_of_the_way_on(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)

    def told(notice: Notice, **data: int) -> str:
        with stand.db.transaction() as tx:
            view = card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)
        return milestone(notice, view, data, None)[0]

    stand.lose_machine()
    stand.reconciler.step()
    assert told(Notice.INTERRUPTED, step=5).startswith("Interrupted at 95 %: the machine was lost. Everything up to")
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:6])
    stand.clock.forward(seconds=40)  # the base model is measured before the first step: that is no pace
    say(stand.db, stand.clock, stand.job, Resumed(step=5), first=7)
    rest = stand.job.estimate.seconds.expected * (1 - 0.525)
    assert remaining_seconds(stand.job, stand.clock()) == pytest.approx(rest)
    assert f"Nothing before it is trained twice. About {rough(rest)} to go." in told(Notice.RECOVERED, step=5)


def test_details_and_home_hold_what_happened(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    with stand.db.transaction() as tx:
        details = job_details(tx, team_id=TEAM, job_id=stand.id, now=stand.clock(), limits=LIMITS)
        front = home(tx, person=ELENA, now=stand.clock())
        with pytest.raises(NotFound):
            job_details(tx, team_id="T0OTHER", job_id=stand.id, now=stand.clock(), limits=LIMITS)
    assert [(p.step, p.training_loss, p.held_out_loss) for p in details.points] == [(5, 2.5, 2.6), (10, 2.1, None)]
    told = details.card.expected_seconds
    assert told[Stage.FINALIZATION] == 3.0
    assert sum(told.values()) == pytest.approx(stand.job.estimate.seconds.expected)
    assert [line.job.id for line in front.active] == [stand.id]
    assert front.budget.used_cents == stand.job.estimate.cents_high


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(TRAINED) + len(ENDED))), cut=st.integers(1, 14), again=st.integers(0, 14))
def test_any_order_and_repetition_ends_in_the_right_state(
    db: PostgresDatabase, tmp_path: Path, demo_file: Path, order: list[int], cut: int, again: int
) -> None:
    with db.transaction() as tx:
        tx.jobs._run("truncate outbox, job_attempts, job_events, training_metrics_history, model_artifacts cascade")
        tx.jobs._run("update training_jobs set name = id::text, request_key = id::text")
        tx.jobs._run("update training_jobs set status = 'cancelled' where status not in ('completed', 'failed')")
    stand = Stand(db, tmp_path, demo_file)
    stand.reconciler.step()
    bodies = (*TRAINED, *ENDED)
    events = [Event(job_id=stand.id, attempt=1, seq=seq + 1, at=stand.clock(), body=bodies[seq]) for seq in order]
    for batch in (events[:cut], events[again:], events):
        if batch:
            ingest(db, clock=stand.clock, job_id=stand.id, attempt=1, batch=EventBatch(events=tuple(batch)))
    job = stand.job
    assert job.state is JobState.COMPLETED
    assert job.state in TERMINAL
    assert stand.sums()[1] == 0
    with db.transaction() as tx:
        assert tx.ledger.booked_for(stand.id).settled_cents == job.actual_cost_cents
        assert tx.jobs.artifacts(stand.id)
