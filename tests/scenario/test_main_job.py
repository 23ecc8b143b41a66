"""The main job as people do it, from the training file to the downloaded adapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from blocks.again import AGAIN_CALLBACK, AGAIN_STARTED_CALLBACK
from blocks.card import ACTION_DETAILS, ACTION_DOWNLOAD, ACTION_RETRY
from blocks.jobs import DETAILS_CALLBACK, LIST_CALLBACK
from blocks.review import CHECKLIST_ACTION, CHECKLIST_BLOCK, REVIEW_CALLBACK, STARTED_CALLBACK
from blocks.train_form import ACTION_NAME, ACTION_PRESET, TRAIN_CALLBACK
from functions.model.events import ArtifactStored, Failed
from functions.ports import MODEL_ARTIFACTS
from infra.postgres.database import PostgresDatabase
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, CHECKS, Stage, staged, words


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as ready:
        ready.add_demo_file(demo_file)
        yield ready


def test_from_the_form_to_the_download(stage: Stage) -> None:
    form = stage.open_form()
    assert "66 conversations" in words(form)
    assert "No finished runs" in words(form)
    stage.elena.fill(form, {ACTION_PRESET: "balanced"})
    form = stage.elena.wait_view(TRAIN_CALLBACK, when=lambda view: "Balanced" in str(view["blocks"]))
    assert "from " in words(form)  # the change against the last choice

    assert stage.elena.submit(form) == {"ok": True}
    review = stage.elena.wait_view(REVIEW_CALLBACK)
    refused = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS[:2]})
    assert list(refused["errors"]) == [CHECKLIST_BLOCK]
    assert stage.jobs() == 0
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    assert stage.elena.wait_view(STARTED_CALLBACK)
    assert stage.job().configuration.preset == "balanced"

    stage.post()
    assert "Queued" in words(stage.card())
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()
    card = words(stage.card())
    assert "step 10 of 10" in card
    assert "2.100" in card
    stage.files.put(MODEL_ARTIFACTS, "p/a.zip", b"adapter")
    stage.tell(*ENDED, first=len(TRAINED) + 1)
    stage.post()
    card_message = stage.card()
    assert "20.0 → 13.0" in words(card_message)
    assert "Production ready" in words(card_message)
    texts = [message["text"] for message in stage.thread()]
    assert len(texts) == 3
    pictures = [block for message in stage.thread() for block in message["blocks"] if block["type"] == "image"]
    assert [picture["alt_text"] != "" for picture in pictures] == [True, True]
    for picture in pictures:
        assert stage.elena.download(picture["slack_file"]["id"]).startswith(b"\x89PNG")

    assert stage.elena.click(card_message, ACTION_DOWNLOAD) == {"ok": True}
    link = stage.elena.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA")
    url = next(e["url"] for b in link["blocks"] for e in b.get("elements", []) if "url" in e)
    assert httpx.get(url, trust_env=False).content == b"adapter"
    with stage.db.transaction() as tx:
        assert tx.jobs.artifacts(stage.job().id)[0].downloads == 1


def test_pressing_twice_and_repeated_deliveries_start_one_job(stage: Stage) -> None:
    stage.elena.submit(stage.open_form())
    review = stage.elena.wait_view(REVIEW_CALLBACK)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    for _ in range(3):
        stage.client.control("redeliver", {"envelope": "last"})
    assert stage.jobs() == 1
    stage.post()
    assert len([m for m in stage.client.all_messages(CHANNEL) if "bot_id" in m]) == 1


def test_a_name_that_is_taken_or_too_long_is_refused_at_its_field(stage: Stage) -> None:
    job = stage.start(**{ACTION_NAME: "Nell, first try"})
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    form = stage.open_form(**{ACTION_NAME: job.name.upper()})
    answer = stage.elena.submit(form)
    assert "exists already" in next(iter(answer["errors"].values()))
    long = stage.elena.submit(form, {ACTION_NAME: "n" * 101})
    assert long["ok"] is False
    assert stage.elena.submit(form, {ACTION_NAME: "../../a/b 🎉 <script>"}) == {"ok": True}
    assert "&lt;script&gt;" in words(stage.elena.wait_view(REVIEW_CALLBACK))


def test_a_typed_name_survives_later_choices(stage: Stage) -> None:
    form = stage.open_form(**{ACTION_NAME: "My own name"})
    for preset in ("balanced", "aggressive"):
        stage.elena.fill(form, {ACTION_PRESET: preset})
        form = stage.elena.wait_view(TRAIN_CALLBACK, when=lambda view, hash_=form["hash"]: view["hash"] != hash_)
    stage.elena.fill(form, {ACTION_NAME: "My own name, longer"})
    stage.elena.fill(form, {ACTION_PRESET: "balanced"})
    form = stage.elena.wait_view(TRAIN_CALLBACK, when=lambda view: view["hash"] != form["hash"])
    assert stage.elena.submit(form) == {"ok": True}
    assert "My own name, longer" in words(stage.elena.wait_view(REVIEW_CALLBACK))


def test_a_viewer_may_look_and_not_start(stage: Stage) -> None:
    assert stage.vic.command(CHANNEL, "/train") == {"ok": True}
    assert "viewer" in words(stage.vic.wait_view("", when=lambda view: "Loading" not in words(view)))
    stage.vic.close(stage.vic.views()[-1], whole_stack=True)
    stage.start()
    stage.post()
    card = stage.vic.wait_message(CHANNEL, lambda m: "bot_id" in m)
    assert stage.vic.click(card, ACTION_DETAILS) == {"ok": True}
    assert stage.job().name in words(stage.vic.wait_view(DETAILS_CALLBACK))


def test_a_failed_job_says_why_and_is_tried_again(stage: Stage) -> None:
    stage.start()
    stage.reconciler.step()
    failure = Failed(
        code="disk_full",
        what="The disk is full: packing the adapter needs 40 MB, 3 MB are free.",
        fixes=("Free some space, then try again: training is not repeated.",),
        step=10,
    )
    stage.tell(*TRAINED, failure)
    stage.post()
    card = stage.card()
    assert "packing the adapter needs 40 MB" in words(card)
    assert "It goes on from its last checkpoint" in words(card)
    stage.elena.click(card, ACTION_RETRY)
    assert stage.elena.submit(stage.elena.wait_view(AGAIN_CALLBACK), {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    stage.reconciler.step()
    first, second = stage.compute.launched
    assert second.resume_from is not None
    assert (second.attempt, second.resume_from.work_dir) == (1, first.work_dir)


def test_lists_details_home_and_help(stage: Stage) -> None:
    job = stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.elena.command(CHANNEL, "/jobs")
    listed = stage.elena.wait_view(LIST_CALLBACK)
    assert job.name in words(listed)
    stage.elena.click(listed, ACTION_DETAILS)
    details = words(stage.elena.wait_view(DETAILS_CALLBACK))
    for expected in ("Rank", "0.0008", "2.6", "nell", "66 conversations"):
        assert expected.lower() in details.lower(), expected
    stage.elena.open_home()
    home = words(stage.elena.wait_home())
    assert job.name in home
    assert "$500" in home
    stage.elena.command(CHANNEL, "/brightrun help")
    help_text = stage.elena.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA")
    assert "/train" in words(help_text)


def test_a_result_whose_file_is_gone_says_so(stage: Stage) -> None:
    stage.start()
    stage.reconciler.step()
    gone = ArtifactStored(name="a.zip", path="nowhere/a.zip", bytes=5, sha256="0" * 64)
    stage.tell(*TRAINED, gone, *ENDED[-1:])
    stage.post()
    stage.elena.click(stage.card(), ACTION_DOWNLOAD)
    told = stage.elena.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA")
    assert "gone from storage" in words(told) + told["text"]
