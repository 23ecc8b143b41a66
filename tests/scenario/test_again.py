"""A run is tried again: as it was, from its checkpoint with other settings, or with a suggested fix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.again import (
    ACTION_AGAIN,
    ACTION_BATCH,
    ACTION_EPOCHS,
    ACTION_HOW,
    AGAIN_CALLBACK,
    AGAIN_REFUSED_CALLBACK,
    AGAIN_STARTED_CALLBACK,
)
from blocks.card import ACTION_DETAILS
from blocks.failure import ACTION_RETRY, ACTION_RETRY_FIX
from blocks.jobs import DETAILS_CALLBACK
from blocks.over_budget import REFUSAL_CALLBACK
from functions.again import again_view, batch_sizes, changed, next_name, why_no_resume
from functions.errors import Conflict, InvalidInput
from functions.lifecycle import cancel_job
from functions.lineage import origin_of
from functions.model.again import AgainChoice
from functions.model.events import Failed, Resumed
from functions.model.job import Job
from functions.model.people import Role
from functions.model.states import JobState
from infra.postgres.database import PostgresDatabase
from reports import run_facts
from tests.scenario.house import ELENA, LIMITS, TEAM, add_demo_file, job_of, say, start, try_again
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import Stage, staged, words
from tests.scenario.test_jobs_live import Stand

FAILED = Failed(code="nan_loss", what="The loss is not a number any more.", step=10)


@pytest.fixture
def stand(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Stand:
    return Stand(db, tmp_path, demo_file)


def failed(stand: Stand) -> Job:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED, FAILED)
    assert stand.job.state is JobState.FAILED
    return stand.job


def again(stand: Stand, **given: object) -> Job:
    return try_again(stand.db, stand.files, stand.clock, stand.id, **given)


def test_as_it_was_makes_a_linked_job_that_is_counted(stand: Stand) -> None:
    first = failed(stand)
    second = again(stand, how="restart")
    assert second.name == "A run (Retry #1)"
    assert second.configuration == first.configuration
    assert second.lineage is not None
    assert (second.lineage.parent_id, second.lineage.kind, second.lineage.retry_number) == (first.id, "retry", 1)
    assert second.estimate.cents_high == first.estimate.cents_high
    assert stand.sums()[1] == second.estimate.cents_high
    stand.reconciler.step()
    assert stand.compute.launched[-1].job_id == second.id
    assert stand.compute.launched[-1].resume_from is None
    stand.id = second.id
    say(stand.db, stand.clock, stand.job, *TRAINED, FAILED)
    assert again(stand, how="restart").name == "A run (Retry #2)"


def test_with_more_epochs_it_goes_on_from_the_checkpoint_as_a_linked_job(stand: Stand) -> None:
    first = failed(stand)
    with stand.db.transaction() as tx:
        view = again_view(
            tx, team_id=TEAM, choice=AgainChoice(job_id=stand.id, epochs=3), now=stand.clock(), limits=LIMITS
        )
    assert (view.resume_step, view.no_resume, view.resumes) == (5, "", True)
    assert [(change.name, change.before, change.after) for change in view.changes] == [("epochs", 2, 3)]
    second = again(stand, how="resume", epochs=3)
    assert second.lineage is not None
    assert (second.lineage.kind, second.lineage.resume_step) == ("resume", 5)
    assert second.estimate.cents_high < first.estimate.cents_high * 2
    stand.reconciler.step()
    spec = stand.compute.launched[-1]
    assert spec.resume_from is not None
    assert spec.resume_from.work_dir == stand.compute.work_dir(first.id)
    assert spec.resume_from.hyperparameters == first.configuration.hyperparameters
    with stand.db.transaction() as tx:
        assert [point.step for point in tx.jobs.points(second.id, 10)] == [5]
    # It fails before it has a checkpoint of its own: the next try goes on from the first job's.
    stand.id = second.id
    say(stand.db, stand.clock, stand.job, *TRAINED[:2], Resumed(step=5), FAILED)
    third = again(stand, how="resume", epochs=4)
    stand.reconciler.step()
    assert stand.compute.launched[-1].job_id == third.id
    assert stand.compute.launched[-1].resume_from == spec.resume_from
    stand.id = third.id
    say(stand.db, stand.clock, stand.job, *TRAINED[:6], Resumed(step=5), *ENDED)
    assert stand.job.state is JobState.COMPLETED
    with stand.db.transaction() as tx:
        record = tx.jobs.retry_record(TEAM)
        assert tx.history.finished_runs(TEAM, 10) == []  # a part of a run teaches nothing about whole ones
    assert (record.completed, record.ended) == (1, 2)


def test_as_it_was_goes_on_from_the_checkpoint_as_a_linked_job_in_the_queue(stand: Stand) -> None:
    first = failed(stand)
    second = again(stand)
    assert (second.state, second.name) == (JobState.QUEUED, "A run (Retry #1)")
    assert second.lineage is not None
    assert (second.lineage.kind, second.lineage.resume_step) == ("resume", 5)
    assert stand.job.state is JobState.FAILED
    # The rest and the fixed stages are reserved, not the whole once more.
    assert stand.sums()[1] == second.estimate.cents_high < 0.9 * first.estimate.cents_high
    stand.reconciler.step()
    spec = stand.compute.launched[-1]
    assert spec.resume_from is not None
    assert (spec.resume_from.work_dir, spec.resume_from.step) == (stand.compute.work_dir(first.id), 5)


def test_where_only_packing_is_left_that_alone_is_quoted(stand: Stand) -> None:
    stand.reconciler.step()
    full = Failed(code="disk_full", what="The disk is full.", step=10)
    say(stand.db, stand.clock, stand.job, *TRAINED, *ENDED[:2], full)
    first, second = stand.job, again(stand)
    assert second.lineage is not None
    assert second.lineage.resume_step == second.estimate.steps > 5
    assert second.estimate.cents_high < 0.2 * first.estimate.cents_high
    elsewhere = first.configuration.model_copy(update={"tier": "another"})  # where it is packed changes nothing
    assert why_no_resume(first, first, elsewhere, 100) == ""
    longer = first.configuration.hyperparameters.model_copy(update={"epochs": 9})
    other = first.configuration.model_copy(update={"hyperparameters": longer})
    assert why_no_resume(first, first, other, 100) == "Its training is complete; with other settings it starts over."


def test_a_try_waits_for_its_turn_and_the_window_says_when(stand: Stand, demo_file: Path, tmp_path: Path) -> None:
    failed(stand)
    path = tmp_path / "other.json"
    path.write_bytes(demo_file.read_bytes() + b" ")
    start(stand.db, stand.files, add_demo_file(stand.db, stand.files, path, stand.clock), stand.clock, name="Other")
    stand.reconciler.step()
    choice = AgainChoice(job_id=stand.id)
    with stand.db.transaction() as tx:
        view = again_view(tx, team_id=TEAM, choice=choice, now=stand.clock(), limits=LIMITS)
    assert (view.position, view.starts_at > stand.clock()) == (1, True)
    second = again(stand)
    stand.reconciler.step()
    assert job_of(stand.db, second.id).state is JobState.QUEUED


def test_what_a_checkpoint_does_not_fit_starts_over_and_says_why(stand: Stand) -> None:
    first = failed(stand)
    deeper = first.configuration.hyperparameters.model_copy(update={"rank": 64})
    other = first.configuration.model_copy(update={"hyperparameters": deeper})
    assert why_no_resume(first, first, other, 100) == "Its checkpoint does not fit another rank, so it starts over."


def test_batches_keep_the_step_and_only_those(stand: Stand) -> None:
    configuration = failed(stand).configuration
    settings = configuration.hyperparameters
    whole = settings.batch_size * settings.gradient_accumulation_steps
    for size in batch_sizes(configuration):
        chosen = changed(configuration, AgainChoice(job_id=stand.id, batch_size=size), None).hyperparameters
        assert chosen.batch_size * chosen.gradient_accumulation_steps == whole
    with pytest.raises(InvalidInput, match="must divide"):
        changed(configuration, AgainChoice(job_id=stand.id, batch_size=whole + 1), None)
    with pytest.raises(InvalidInput, match="1 to 50"):
        changed(configuration, AgainChoice(job_id=stand.id, epochs=51), None)
    with pytest.raises(InvalidInput, match="not offered"):
        changed(configuration, AgainChoice(job_id=stand.id, tier="modal-h100-on-demand"), None)


def test_what_may_not_be_tried_again(stand: Stand) -> None:
    with pytest.raises(Conflict, match="has not ended: it is queued"):
        again(stand, how="restart")
    failed(stand)
    again(stand, how="restart")
    with pytest.raises(Conflict, match="is running on the same training file"):
        again(stand, how="restart")


def test_a_cancelled_run_can_only_start_over(stand: Stand) -> None:
    stand.reconciler.step()
    say(stand.db, stand.clock, stand.job, *TRAINED)
    cancel_job(stand.db, clock=stand.clock, person=ELENA, job_id=stand.id, reason="Testing")
    stand.reconciler.step()
    made = again(stand, how="resume")
    assert made.lineage is not None
    assert made.lineage.kind == "retry"


def test_names_stay_within_what_a_name_may_be() -> None:
    assert next_name("n" * 100, 12) == "n" * 88 + " (Retry #12)"
    assert next_name("Elena v1 (Retry #1)", 2) == "Elena v1 (Retry #2)"


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        stage.start()
        stage.reconciler.step()
        stage.tell(*TRAINED, FAILED)
        stage.post()
        yield stage


def test_the_window_shows_the_rest_and_every_change(stage: Stage) -> None:
    first = stage.job()
    stage.elena.click(stage.card(), ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    said = words(form)
    assert "The loss is not a number any more." in said
    assert "Go on from step 5" in said
    assert "Its settings are the same." in said
    stage.elena.fill(form, {ACTION_EPOCHS: "3"})
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "Epochs 2 → 3" in words(view))
    assert "(Retry #1)" in words(form)
    assert "*The rest*" in words(form)
    stage.elena.fill(form, {ACTION_HOW: "restart"})
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "*The whole run*" in words(view))
    assert stage.elena.submit(form, {}) == {"ok": True}
    assert "has a card of its own" in words(stage.elena.wait_view(AGAIN_STARTED_CALLBACK))
    made = stage.job()
    assert made.lineage is not None
    assert (made.lineage.parent_id, made.configuration.hyperparameters.epochs) == (first.id, 3)
    assert stage.elena.submit(form, {}) is not None
    assert stage.jobs() == 2


def test_try_again_asks_once_with_a_fresh_estimate_and_then_starts(stage: Stage) -> None:
    first = stage.job()
    for _ in range(2):
        stage.elena.click(stage.card(), ACTION_RETRY)
    asked = stage.elena.wait_view(AGAIN_CALLBACK)
    said = words(asked)
    for expected in (
        "The loss is not a number any more.",
        f"{first.name} (Retry #1)",
        "It goes on from step 5",
        "*The rest* on This computer: *About",
        "left this month",
        "Next in the queue, starts about",
        "learning rate",
    ):
        assert expected in said, expected
    assert stage.jobs() == 1
    stage.elena.click(asked, ACTION_AGAIN)  # Change settings…
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "Epochs in all" in str(view))
    stage.elena.close(form)
    assert stage.elena.submit(asked, {}) == {"ok": True}
    assert "is queued" in words(stage.elena.wait_view(AGAIN_STARTED_CALLBACK))
    assert (stage.job().state, stage.jobs()) == (JobState.QUEUED, 2)
    stage.post()
    assert ACTION_RETRY not in str(stage.card_of(first.id))  # one try is under way


def test_a_try_that_cannot_start_says_why_in_the_window(stage: Stage) -> None:
    stage.elena.click(stage.card(), ACTION_RETRY)
    asked = stage.elena.wait_view(AGAIN_CALLBACK)
    with stage.db.transaction() as tx:
        tx.ledger.set_limit(TEAM, 1)
    stage.elena.submit(asked, {})
    assert "too little" in words(stage.elena.wait_view(REFUSAL_CALLBACK))
    stage.elena.close(stage.elena.views()[-1], whole_stack=True)
    stage.elena.click(stage.card(), ACTION_RETRY)
    asked = stage.elena.wait_view(AGAIN_CALLBACK)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.VIEWER)
    stage.elena.submit(asked, {})
    assert "viewer" in words(stage.elena.wait_view(AGAIN_REFUSED_CALLBACK))
    assert stage.jobs() == 1


def test_a_suggestion_opens_with_its_changes_and_its_record_is_kept(stage: Stage) -> None:
    stage.elena.click(stage.card(), ACTION_RETRY_FIX)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    assert "Learning rate" in words(form)
    assert " → " in words(form)
    assert stage.elena.submit(form, {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    first, made = stage.job().lineage, stage.job()
    assert first is not None
    before = job_of(stage.db, first.parent_id).configuration.hyperparameters.learning_rate
    assert made.configuration.hyperparameters.learning_rate < before
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    with stage.db.transaction() as tx:
        records = tx.failures.suggestion_records(TEAM, "nan_loss")
    assert [(record.tried, record.worked) for record in records.values()] == [(1, 1)]


def test_batches_can_be_chosen(stage: Stage) -> None:
    stage.elena.click(stage.card(), ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    stage.elena.fill(form, {ACTION_BATCH: "1"})
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "→ 1" in words(view))
    assert stage.elena.submit(form, {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    assert stage.job().configuration.hyperparameters.batch_size == 1


def test_everybody_who_looks_sees_which_run_tried_which(stage: Stage) -> None:
    first = stage.job()
    stage.elena.click(stage.card(), ACTION_AGAIN)
    form = stage.elena.wait_view(AGAIN_CALLBACK)
    stage.elena.fill(form, {ACTION_BATCH: "1", ACTION_EPOCHS: "3"})
    form = stage.elena.wait_view(AGAIN_CALLBACK, when=lambda view: "→ 1" in words(view))
    assert stage.elena.submit(form, {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    made, before = stage.job(), first.configuration.hyperparameters.batch_size
    said = f"Retry #1 of {first.name}, from its step 5, with 3 instead of 2 epochs and batch 1 instead of {before}"
    assert made.notes.startswith(f"{said}.")
    stage.post()
    cards = {job.id: words(stage.card_of(job.id)) for job in (first, made)}
    assert said in cards[made.id]
    assert f"Tried again as {made.name}: under way" in cards[first.id]
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    stage.post()
    assert f"Tried again as {made.name}: completed" in words(stage.card_of(first.id))
    stage.elena.click(stage.card_of(made.id), ACTION_DETAILS)
    details = words(stage.elena.wait_view(DETAILS_CALLBACK))
    assert details.count("Retry #1 of") == 2  # the section, and the notes
    with stage.db.transaction() as tx:
        origin = origin_of(tx, stage.job())
    assert origin == made.notes == f"{said}."
    assert origin in [value for _, value in run_facts.trained(stage.job(), origin)]


def test_notes_tell_of_one_origin_and_keep_what_a_person_wrote(stand: Stand) -> None:
    first = failed(stand)
    with stand.db.transaction() as tx:
        tx.jobs._run("update training_jobs set notes = %s where id = %s", "For the client.", first.id)
    second = again(stand, how="restart")
    assert second.notes == "Retry #1 of A run.\n\nFor the client."
    stand.reconciler.step()
    stand.id = second.id
    say(stand.db, stand.clock, stand.job, *TRAINED, FAILED)
    third = again(stand, how="restart", epochs=3)
    assert third.notes == "Retry #2 of A run (Retry #1) with 3 instead of 2 epochs.\n\nFor the client."
