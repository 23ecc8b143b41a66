"""A lost machine and a run out of time, as people read them: what is kept, what was wished for, what helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.card import job_card
from blocks.milestones import milestone
from functions.again import again_view
from functions.jobs import card_view
from functions.lifecycle import cancel_job, pause_job
from functions.model.again import AgainChoice
from functions.model.diagnosis import FailureCode
from functions.model.events import CheckpointSaved, Failed, Interrupted, Metrics, Resumed, Stage
from functions.model.states import JobState
from functions.model.views import CardView
from functions.ports import CallState
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, LIMITS, TEAM, say, try_again
from tests.scenario.paper import ENDED, PLAN, TRAINED
from tests.scenario.stage import words
from tests.scenario.test_jobs_live import Stand

LONG = PLAN.model_copy(update={"total_steps": 28})


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def view(stand: Stand) -> CardView:
    with stand.db.transaction() as tx:
        return card_view(tx, job=stand.job, now=stand.clock(), limits=LIMITS)


def card(stand: Stand) -> str:
    return words({"blocks": job_card(view(stand))[1]})


def thread(stand: Stand) -> list[str]:
    """What the job's thread has been told since it was last read."""
    told = (message for message in stand.messages() if message.job_id == stand.id)
    return [milestone(message.notice, view(stand), message.data, None)[0] for message in told]


def measured(step: int, loss: float) -> Metrics:
    return Metrics(step=step, epoch=step / 14, loss=loss, learning_rate=1e-3, tokens_trained=50 * step)


def test_what_is_called_saved_is_what_it_goes_on_from(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)  # step 10, its checkpoint of step 5
    stand.lose_machine()
    stand.reconciler.step()

    assert "Everything up to step 5 is saved." in thread(stand)[-1]


def test_without_a_checkpoint_nothing_is_called_saved(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED[:7])
    stand.lose_machine()
    stand.reconciler.step()

    assert "No checkpoint was saved yet, so it starts over." in thread(stand)[-1]


def test_a_stop_of_its_own_is_no_lost_recovery(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    with stand.db.transaction() as tx:
        tx.jobs.update(stand.id, recoveries=3)
    say(stand.db, stand.clock, stand.job, Interrupted(step=5, signal="time limit"), first=20)

    assert thread(stand)[-1].endswith("Everything up to step 5 is saved. It goes on by itself.")
    assert "Its machine's time was over. It goes on by itself from the checkpoint of step 5." in card(stand)
    assert "no automatic recovery" not in card(stand)


@pytest.mark.parametrize(("wish", "ends"), [(cancel_job, JobState.CANCELLED), (pause_job, JobState.PAUSED)])
def test_a_wish_that_comes_while_the_loop_finds_the_machine_gone_is_kept(
    stand: Stand, wish: object, ends: JobState
) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    poll = stand.compute.poll

    def gone_while_somebody_clicks(call_id: str) -> CallState:
        stand.compute.poll = poll  # type: ignore[method-assign]
        stand.lose_machine()
        if wish is cancel_job:
            cancel_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, reason="Too expensive")
        else:
            pause_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id)
        return poll(call_id)

    stand.compute.poll = gone_while_somebody_clicks  # type: ignore[method-assign]
    stand.reconciler.step()
    stand.reconciler.step()

    assert stand.job.state is ends
    assert stand.compute.running() == []


def test_lost_once_too_often_it_shows_the_stage_that_failed_and_what_another_try_does(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    for _ in range(4):
        stand.lose_machine()
        stand.reconciler.step()
        stand.reconciler.step()
        if stand.job.state is not JobState.FAILED:
            say(stand.db, stand.clock, stand.job, *TRAINED[:6], Resumed(step=5))

    assert stand.job.state is JobState.FAILED
    assert stand.job.progress.stage(Stage.TRAINING).status == "failed"
    assert "✗ Training" in card(stand)
    assert thread(stand)[-1].endswith("Another try goes on from the checkpoint of step 5.")


def test_what_never_began_is_not_called_failed(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, Failed(code=FailureCode.MODEL_MISSING, what="No such model."))

    assert {item.status for item in stand.job.progress.stages} == {"pending"}


def train_long(stand: Stand) -> None:
    """A run of 28 steps begins to train."""
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, TRAINED[0], LONG, *TRAINED[2:6])


def out_of_time(stand: Stand, step: int, *, hours: float) -> None:
    """The run that trains passes its limit at a step whose checkpoint it saves."""
    stand.clock.forward(hours=hours)
    say(stand.db, stand.clock, stand.job, measured(step, 2.1), CheckpointSaved(step=step, bytes=1), first=30)
    stand.reconciler.step()
    stand.reconciler.step()
    assert stand.job.state is JobState.FAILED


def test_out_of_time_near_the_end_it_is_told_to_go_on_and_not_to_start_over(stand: Stand) -> None:
    train_long(stand)
    out_of_time(stand, 26, hours=3.02)

    diagnosis = view(stand).diagnosis
    assert diagnosis is not None
    assert [(fix.label, fix.changes) for fix in diagnosis.fixes] == [("Try again: it goes on from step 26", ())]
    with stand.db.transaction() as tx:
        again = again_view(tx, team_id=TEAM, choice=AgainChoice(job_id=stand.id), now=stand.clock(), limits=LIMITS)
    assert (again.resumes, again.resume_step) == (True, 26)


def test_out_of_time_early_it_is_offered_what_another_try_reaches_from_its_checkpoint(stand: Stand) -> None:
    train_long(stand)
    out_of_time(stand, 8, hours=3.02)

    diagnosis = view(stand).diagnosis
    assert diagnosis is not None
    (fix,) = diagnosis.fixes
    assert fix.label == "1 epoch"  # 14 steps: 8 are done, 7 more fit
    with stand.db.transaction() as tx:
        choice = AgainChoice(job_id=stand.id, fix_key=fix.key)
        again = again_view(tx, team_id=TEAM, choice=choice, now=stand.clock(), limits=LIMITS)
    assert (again.resumes, again.resume_step) == (True, 8)


def test_the_pace_of_a_run_that_went_on_counts_what_it_trained_itself(stand: Stand) -> None:
    stand.reconciler.step()
    say(
        stand.db, stand.clock, stand.job, TRAINED[0], LONG, *TRAINED[2:6], measured(20, 2.0),
        CheckpointSaved(step=20, bytes=1), Failed(code=FailureCode.NAN_LOSS, what="x", step=20),
    )  # fmt: skip
    stand.id = try_again(stand.db, stand.files, stand.clock, stand.id, how="resume", epochs=4).id
    stand.reconciler.step()
    longer = LONG.model_copy(update={"total_steps": 56, "epochs": 4})
    say(stand.db, stand.clock, stand.job, TRAINED[0], longer, *TRAINED[2:6], Resumed(step=20))
    out_of_time(stand, 24, hours=3.05)

    diagnosis = view(stand).diagnosis
    assert diagnosis is not None
    (fix,) = diagnosis.fixes
    assert fix.label == "Stop after 27 steps"  # four steps took three hours
    assert "At 2745." in fix.why


def test_a_suggestion_that_was_undone_in_the_form_is_not_counted(stand: Stand) -> None:
    train_long(stand)
    out_of_time(stand, 8, hours=3.02)
    epochs = stand.job.configuration.hyperparameters.epochs

    kept = try_again(stand.db, stand.files, stand.clock, stand.id, fix_key="fewer_epochs", epochs=epochs)
    with stand.db.transaction() as tx:
        assert tx.failures.suggestion_records(TEAM, FailureCode.TIMEOUT) == {}
        tx.jobs.update(kept.id, state=JobState.CANCELLED)
    try_again(stand.db, stand.files, stand.clock, stand.id, fix_key="fewer_epochs")
    stand.reconciler.step()
    with stand.db.transaction() as tx:
        second = next(job for job in tx.jobs.in_states((JobState.PROVISIONING,)))
    stand.id = second.id
    say(stand.db, stand.clock, stand.job, TRAINED[0], LONG, *TRAINED[2:6], Resumed(step=8), *ENDED)
    with stand.db.transaction() as tx:
        assert tx.failures.suggestion_records(TEAM, FailureCode.TIMEOUT)["fewer_epochs"].tried == 1


def test_lost_in_the_last_stage_it_is_told_that_it_went_on(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED[:2])
    stand.lose_machine()
    stand.reconciler.step()
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, Resumed(step=10), *ENDED[1:])

    assert stand.job.state is JobState.COMPLETED
    assert any("from step 10. Nothing before it is trained twice." in said for said in thread(stand))
    assert "recovered" in card(stand)
