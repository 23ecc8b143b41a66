"""Cancel, pause, resume and the queue, clicked by people in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.lifecycle import (
    ACTION_CANCEL,
    ACTION_PAUSE,
    ACTION_PROMOTE,
    ACTION_RESUME,
    ACTION_SWITCH,
    CANCEL_CALLBACK,
    NOTES_ACTION,
    REASON_ACTION,
    RESUME_CALLBACK,
    STOPPED_CALLBACK,
    SURE_ACTION,
    SWITCH_CALLBACK,
    TIER_ACTION,
)
from functions.capacity import no_gpu, taken_back
from functions.model.events import Interrupted
from functions.model.states import JobState
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.workspace.client import Person
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, Stage, staged, words


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        yield stage


def training(stage: Stage) -> None:
    stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()


def marcus(stage: Stage) -> Person:
    return stage.client.as_user("U0MARCUS")


def ephemeral(person: Person, text: str) -> str:
    return words(
        person.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == person.user and text in m.get("text", ""))
    )


def test_a_run_is_cancelled_from_its_card(stage: Stage) -> None:
    training(stage)
    stage.elena.click(stage.card(), ACTION_CANCEL)
    form = stage.elena.wait_view(CANCEL_CALLBACK)
    said = words(form)
    assert "done, step 10 of 10" in said
    assert "\nAfter " in said
    assert "pause it instead" in said
    filled = {REASON_ACTION: "Too expensive", NOTES_ACTION: "The client left."}
    refused = stage.elena.submit(form, filled)
    assert "tick" in str(refused) or not refused["ok"]
    assert stage.job().stop is None
    assert stage.elena.submit(form, {**filled, SURE_ACTION: ["sure"]}) == {"ok": True}
    assert "gone within a minute" in words(stage.elena.wait_view(STOPPED_CALLBACK))
    stage.post()
    assert "is cancelling it: its machine is being shut down" in words(stage.card())
    assert ACTION_PAUSE not in str(stage.card())
    stage.reconciler.step()
    stage.post()
    card = words(stage.card())
    assert "Cancelled" in card
    assert "Too expensive\nThe client left." in card
    assert "Final cost" in stage.thread()[-1]["text"]
    assert stage.job().state is JobState.CANCELLED


def test_pressing_cancel_on_an_ended_run_says_so(stage: Stage) -> None:
    training(stage)
    old = stage.card()
    stage.tell(*ENDED, first=len(TRAINED) + 1)
    stage.elena.click(old, ACTION_CANCEL)
    view = stage.elena.wait_view("", when=lambda view: "ended already" in words(view))
    assert "ended already: it is completed" in words(view)


def test_a_run_is_paused_and_goes_on(stage: Stage) -> None:
    training(stage)
    stage.elena.click(stage.card(), ACTION_PAUSE)
    ephemeral(stage.elena, "saves where it is and frees its machine")
    stage.post()
    assert "is pausing it" in words(stage.card())
    stage.tell(Interrupted(step=10, signal="pause"), first=len(TRAINED) + 1)
    stage.post()
    card = words(stage.card())
    assert "Paused" in card
    assert "costs nothing until it is resumed" in card
    assert "It costs nothing while it rests" in stage.thread()[-1]["text"]

    stage.elena.click(stage.card(), ACTION_RESUME)
    form = stage.elena.wait_view(RESUME_CALLBACK)
    assert "goes on from the checkpoint of step 5" in words(form)
    assert "practice money" in words(form)
    assert stage.elena.submit(form, {}) == {"ok": True}
    assert "in the queue again" in words(stage.elena.wait_view(STOPPED_CALLBACK))
    assert stage.job().state is JobState.QUEUED
    stage.reconciler.step()
    assert stage.job().state is JobState.PROVISIONING


def test_a_viewer_may_not_pause(stage: Stage) -> None:
    training(stage)
    stage.vic.click(stage.card(), ACTION_PAUSE)
    ephemeral(stage.vic, "may not stop training runs")
    assert stage.job().stop is None


def test_the_queue_says_when_and_a_manager_moves_a_run_to_the_front(
    stage: Stage, demo_file: Path, tmp_path: Path
) -> None:
    training(stage)
    for number in (1, 2):
        path = tmp_path / f"copy-{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        stage.add_demo_file(path)
        stage.start(name=f"Waiting {number}")
        stage.post()
    assert "Number 2 in the queue, starts about" in words(stage.card())
    assert stage.elena.command(CHANNEL, "/jobs") == {"ok": True}
    listed = words(stage.elena.wait_view("job_list"))
    assert "1. Waiting 1, starts about" in listed
    assert listed.count("\nConservative · This computer · <@U0ELENA>") == 5  # two that wait, three in the list
    assert "1 run may train at once, 3 may wait." in listed
    assert "Who is no manager says why" in str(stage.card())
    marcus(stage).click(stage.card(), ACTION_PROMOTE)
    ephemeral(marcus(stage), "is the next one to start")
    stage.post()
    assert "Next in the queue" in words(stage.card())


@pytest.mark.parametrize("try_under_way", [False, True])
def test_a_run_that_waits_for_a_gpu_is_sent_to_another_machine_from_its_card(
    stage: Stage, *, try_under_way: bool
) -> None:
    job = stage.start()
    configuration = job.configuration.model_copy(update={"tier": "modal-h100"})
    with stage.db.transaction() as tx:
        tx.jobs.change_tier(job.id, configuration, 395, job.estimate)
    stage.reconciler.step()
    with stage.db.transaction() as tx:
        if try_under_way:
            taken_back(tx, job=stage.job(), since=utc_now(), now=utc_now())
        else:
            no_gpu(tx, job=stage.job(), reason="no room", now=utc_now())
    stage.reconciler.step()
    assert (stage.job().state is JobState.PROVISIONING) is try_under_way
    stage.post()
    stage.elena.click(stage.card(), ACTION_SWITCH)
    form = stage.elena.wait_view(SWITCH_CALLBACK)
    said = words(form)
    assert "It waits for its machine since" in said
    assert "H200, preemptible: about " in said
    assert ", up to $" in said
    assert "H100, preemptible:" not in said
    assert stage.elena.submit(form, {TIER_ACTION: "modal-a100-80gb"}) == {"ok": True}
    assert "in the queue for the other machine" in words(stage.elena.wait_view(STOPPED_CALLBACK))
    assert stage.job().configuration.tier == "modal-a100-80gb"
    stage.post()
    assert "Next in the queue" in words(stage.card())
    assert ACTION_SWITCH not in str(stage.card())
