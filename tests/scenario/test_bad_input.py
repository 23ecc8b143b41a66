"""What people, Slack and strangers get wrong: each time a sentence that helps, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from blocks.again import AGAIN_CALLBACK
from blocks.card import ACTION_DOWNLOAD, ACTION_RETRY
from blocks.datasets import ACTION_ADD, ADD_CALLBACK, ADD_FILE_ACTION, LIST_CALLBACK
from blocks.review import CHECKLIST_ACTION, CHECKLIST_BLOCK, REVIEW_CALLBACK, STARTED_CALLBACK
from blocks.train_form import ACTION_FILE, ACTION_NAME
from functions.model.conversation import TrainingSequence
from functions.model.events import ArtifactStored
from functions.model.people import Role
from functions.model.states import JobState
from functions.ports import CallState
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import TEAM, WordCounter
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, CHECKS, Json, Stage, staged, words

GENERAL = "C0GENERAL"


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as ready:
        yield ready


def lines(count: int, **more: Any) -> bytes:
    """So many conversations, each with one turn of either side, as JSONL."""
    talks = [
        {
            "conversation_id": f"talk-{number}",
            "messages": [
                {"role": "user", "content": f"How do I price job {number}?"},
                {"role": "assistant", "content": f"Name the feeling first, then job {number}."},
            ],
            **more,
        }
        for number in range(count)
    ]
    return "\n".join(json.dumps(talk, ensure_ascii=False) for talk in talks).encode()


def with_numbers_for_replies(demo_file: Path, count: int) -> bytes:
    """The demo's file, where the first replies are numbers."""
    document = json.loads(demo_file.read_bytes())
    records = [record for talk in document["conversations"] for record in talk["training_pairs"]]
    for record in [record for record in records if record.get("target_response")][:count]:
        record["target_response"] = 7
    return json.dumps(document, indent=1).encode()


def told_about(stage: Stage, name: str, data: bytes) -> str:
    """What the person reads after adding a file of this name."""
    elena = stage.elena
    assert elena.command(CHANNEL, "/datasets") == {"ok": True}
    elena.click(elena.wait_view(LIST_CALLBACK), ACTION_ADD)
    form = elena.wait_view(ADD_CALLBACK)
    assert elena.submit(form, {ADD_FILE_ACTION: [elena.upload(name, data)]}) == {"ok": True}
    view = elena.wait_view(None, 10, lambda shown: shown["id"] == form["id"] and "Checking" not in words(shown))
    elena.close(view, whole_stack=True)
    return words(view)


def ephemeral(stage: Stage, said: str, channel: str = CHANNEL) -> Json:
    """The message that only Elena sees and that says this."""
    return stage.elena.wait_message(
        channel, lambda m: m.get("ephemeral_for") == "U0ELENA" and said in m["text"] + words(m)
    )


def test_a_broken_file_says_where_and_how_to_mend_it(stage: Stage, demo_file: Path, subtests: Any) -> None:
    good = lines(60)
    broken = good.replace(b'"role": "user", "content": "How do I price job 3?"', b'"role" "user"')
    windows = good + '\n{"note": "don’t"}'.encode("cp1252")
    mixed = lines(60, note="Grüße") + '\n{"note": "don’t"}'.encode("cp1252")
    cases: list[tuple[str, bytes, tuple[str, ...]]] = [
        ("empty.jsonl", b"", ("The file is empty", "Export it again")),
        ("blank.jsonl", b" \n\n", ("white space",)),
        ("broken.jsonl", broken, ("ine 4", "at column 52", "^\n```", "was not imported")),
        ("cut.json", demo_file.read_bytes()[:5000], ("line", "column", "cut off")),
        (
            "field.json",
            with_numbers_for_replies(demo_file, 1),
            ("target_response", "1 problem", "number", "It reads: "),
        ),
        ("seven.json", with_numbers_for_replies(demo_file, 12), ("12 problems", "and 7 more", "upload the file again")),
        ("windows.jsonl", windows, ("Line 61", "0x92", "Windows-1252", "save it as UTF-8")),
        ("mixed.jsonl", mixed, ("Line 61", "mixes encodings")),
        ("report.json", b"%PDF-1.7 ...", ("PDF",)),
    ]
    for name, data, parts in cases:
        with subtests.test(name):
            told = told_about(stage, name, data)
            assert name in told
            for part in parts:
                assert part in told, told
            assert "Traceback" not in told
    with stage.db.transaction() as tx:
        assert tx.files.search(TEAM, "", 10) == []


def test_a_record_without_a_field_names_its_conversation_and_shows_it(stage: Stage) -> None:
    said = b'"assistant", "content": "Name the feeling first, then job 7."'
    data = lines(60).replace(said, b'"assistant"')
    told = told_about(stage, "field.jsonl", data)
    for part in ('conversation "talk-7"', "messages[1].content", "Give it as text", '{"role": "assistant"}'):
        assert part in told, told


def test_49_conversations_can_be_kept_but_not_trained_on(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "forty-nine.jsonl"
    path.write_bytes(lines(49))
    report = stage.add_file(path)
    assert "49 of the 50" in words(report)
    stage.elena.submit(report)
    stage.elena.wait_view(LIST_CALLBACK, 10, lambda view: "one of the team's training files now" in words(view))
    form = stage.open_form()
    assert "49 of the 50" in words(form)
    answer = stage.elena.submit(form)
    assert "49 of the 50" in answer["errors"][ACTION_FILE]
    assert "Add at least 1 more" in answer["errors"][ACTION_FILE]
    assert stage.jobs() == 0


def test_a_file_that_is_too_large_is_not_even_fetched(db: PostgresDatabase, tmp_path: Path) -> None:
    fetched: list[str] = []
    with staged(
        db,
        tmp_path,
        change=lambda context: replace(context, max_file_bytes=4000, fetch=lambda url, _: fetched.append(url)),
    ) as stage:
        told = told_about(stage, "large.jsonl", lines(60))
    assert "at most 4.0 KB" in told
    assert "Split it" in told
    assert fetched == []


def test_200_mb_are_refused_at_the_real_limit_and_nothing_is_kept(stage: Stage) -> None:
    line = lines(1)
    told = told_about(stage, "huge.jsonl", line * (200_000_000 // len(line)))
    assert "200.0 MB" in told
    assert "at most 150.0 MB" in told
    assert "Split it" in told
    with stage.db.transaction() as tx:
        assert tx.files.search(TEAM, "", 5) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>.jsonl", "&lt;"),
        ("../../etc/passwd.jsonl", "passwd"),
        ("nell 🎉 <!channel>.jsonl", "🎉 &lt;!channel&gt;"),
        ("abc\u202egnp.jsonl", "abc"),
        ("n" * 240 + ".jsonl", "nnn"),
    ],
)
def test_a_files_name_is_only_text(stage: Stage, name: str, shown: str) -> None:
    told = told_about(stage, name, lines(50))
    assert "Ready for training" in told
    assert shown in told
    assert "<script>" not in told
    assert "<!channel>" not in told
    assert "\u202e" not in told


def test_confirming_twice_adds_one_file(stage: Stage, demo_file: Path) -> None:
    report = stage.add_file(demo_file)
    assert stage.elena.submit(report) == {"ok": True}
    stage.elena.wait_view(LIST_CALLBACK, 10)
    stage.client.control("redeliver", {"envelope": "last"})
    again = stage.add_file(demo_file)
    stage.elena.submit(again)
    stage.elena.wait_view(LIST_CALLBACK, 10, lambda view: "training files now" in words(view))
    with stage.db.transaction() as tx:
        assert len(tx.files.search(TEAM, "", 10)) == 1


def test_who_closes_the_window_too_early_reads_the_result_directly(db: PostgresDatabase, tmp_path: Path) -> None:
    closed = threading.Event()

    class SlowCounter(WordCounter):
        def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
            closed.wait(5)
            return super().count(base_model, sequences)

    with staged(db, tmp_path, change=lambda context: replace(context, counter=SlowCounter())) as stage:
        elena = stage.elena
        elena.command(CHANNEL, "/datasets")
        elena.click(elena.wait_view(LIST_CALLBACK), ACTION_ADD)
        form = elena.wait_view(ADD_CALLBACK)
        elena.submit(form, {ADD_FILE_ACTION: [elena.upload("small.jsonl", lines(49))]})
        elena.close(form, whole_stack=True)
        closed.set()
        elena.wait_message(elena.im(), lambda m: "49 of the 50" in words(m), timeout=8)


@pytest.mark.parametrize("error", ["expired_trigger_id", "exchanged_trigger_id"])
def test_an_expired_trigger_is_told_in_words(stage: Stage, error: str) -> None:
    for command in ("/train", "/jobs", "/datasets"):
        stage.client.control("faults", {"method": "views.open", "kind": "error", "error": error})
        stage.elena.command(CHANNEL, command)
        ephemeral(stage, f"Type `{command}` again")
    assert stage.elena.views() == []


def test_a_command_where_the_bot_is_not_in_the_channel_is_answered_directly(stage: Stage) -> None:
    stage.client.control("membership", {"channel": GENERAL, "member": False})
    stage.client.control("faults", {"method": "views.open", "kind": "error", "error": "expired_trigger_id"})
    stage.elena.command(GENERAL, "/train")
    stage.elena.wait_message(stage.elena.im(), lambda m: "Type `/train` again" in m["text"])


def test_a_busy_slack_is_waited_for_or_told_of(stage: Stage) -> None:
    stage.client.control("faults", {"method": "views.update", "kind": "ratelimit", "retry_after": 0})
    stage.elena.command(CHANNEL, "/jobs")
    stage.elena.wait_view(None, 10, lambda view: "Loading" not in words(view))
    stage.client.control("faults", {"method": "views.open", "kind": "status", "status": 500, "times": 2})
    stage.elena.command(CHANNEL, "/train")
    ephemeral(stage, "Slack is busy")


def test_who_loses_the_right_meanwhile_is_refused_at_the_next_step(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    report = stage.add_file(demo_file)
    role(stage, Role.VIEWER)
    stage.elena.submit(report)
    told = stage.elena.wait_view(None, 10, lambda view: "may not add training files" in words(view))
    stage.elena.close(told, whole_stack=True)

    role(stage, Role.MEMBER)
    form = stage.open_form()
    role(stage, Role.VIEWER)
    assert "may not start" in stage.elena.submit(form)["errors"][ACTION_FILE]
    role(stage, Role.MEMBER)
    assert stage.elena.submit(form) == {"ok": True}
    review = stage.elena.wait_view(REVIEW_CALLBACK)
    role(stage, Role.VIEWER)
    answer = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})
    assert "viewer, may not start training runs" in answer["errors"][CHECKLIST_BLOCK]
    assert "An admin" in answer["errors"][CHECKLIST_BLOCK]
    assert stage.jobs() == 0


def role(stage: Stage, wanted: Role) -> None:
    """An admin changes Elena's role."""
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", wanted)


def test_buttons_pressed_twice_act_once_and_viewers_are_refused(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    stage.start()
    stage.reconciler.step()
    gone = ArtifactStored(name="a.zip", path="nowhere/a.zip", bytes=5, sha256="0" * 64)
    stage.tell(*TRAINED, gone, *ENDED[-1:])
    stage.post()
    card = stage.card()
    stage.vic.click(card, ACTION_DOWNLOAD)
    refused = stage.vic.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0VIEWER")
    assert "may not download results" in words(refused)
    stage.elena.click(card, ACTION_DOWNLOAD)
    ephemeral(stage, "gone from storage")
    for _ in range(2):
        stage.client.control("redeliver", {"envelope": "last"})
    stage.elena.command(CHANNEL, "/jobs")  # what was delivered again has been heard by now
    stage.elena.wait_view("job_list")
    told = [m for m in stage.elena.messages(CHANNEL) if m.get("ephemeral_for") == "U0ELENA"]
    assert len(told) == 1


def test_a_killed_trainer_is_told_of_and_taken_up(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    job = stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.compute.ended[f"{job.id}:1"] = CallState(running=False, exit_code=-9, note="killed by SIGKILL")
    stage.reconciler.step()
    stage.post()
    assert any("killed by SIGKILL" in message["text"] for message in stage.thread())
    stage.reconciler.step()
    assert stage.job().state is JobState.RECOVERING
    assert [spec.attempt for spec in stage.compute.launched] == [1, 2]


class BrokenCounter(WordCounter):
    """A tokenizer with a defect."""

    def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
        raise ZeroDivisionError("a secret of the house")


def test_what_nobody_foresaw_is_shown_by_its_reference(
    db: PostgresDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        staged(db, tmp_path, change=lambda context: replace(context, counter=BrokenCounter())) as stage,
    ):
        told = told_about(stage, "fine.jsonl", lines(50))
    assert_by_reference(told, caplog)
    assert "a secret of the house" in caplog.text


def assert_by_reference(told: str, caplog: pytest.LogCaptureFixture) -> None:
    """The person reads a reference and no more; the log has the same one."""
    found = re.search(r"reference:? `?([2-9A-Z]{4})", told)
    assert found, told
    assert found[1] in caplog.text
    assert "Traceback" not in told
    assert "secret" not in told


@contextlib.contextmanager
def without_table(database_url: str, name: str) -> Iterator[None]:
    """The database lacks a table, as after a migration that was forgotten."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"alter table {name} rename to hidden")
        yield
        connection.execute(f"alter table hidden rename to {name}")


def test_an_error_outside_of_any_window_still_reaches_the_person(
    stage: Stage, demo_file: Path, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage.add_demo_file(demo_file)
    review = stage.open_review()
    with without_table(database_url, "job_drafts"):
        answer = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})
    assert_by_reference(answer["errors"][CHECKLIST_BLOCK], caplog)
    with without_table(database_url, "slack_deliveries"):
        stage.elena.command(CHANNEL, "/jobs")
        message = ephemeral(stage, "reference")
    assert_by_reference(words(message), caplog)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}


def test_a_strange_name_is_escaped_wherever_it_is_said(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    job = stage.start(**{ACTION_NAME: "a/b <!channel> 🎉 *x*"})
    assert job.name == "a/b <!channel> 🎉 *x*"
    stage.reconciler.step()
    stage.post()
    message = stage.card()
    assert "<!channel>" not in message["text"] + words(message)
    for _ in range(4):
        stage.compute.ended[f"{job.id}:{stage.job().attempt}"] = CallState(running=False, note="gone")
        stage.reconciler.step()
        stage.reconciler.step()
    assert stage.job().state is JobState.FAILED
    stage.post()
    stage.elena.click(stage.card(), ACTION_RETRY)
    asked = stage.elena.wait_view(AGAIN_CALLBACK)
    assert "<!channel>" not in words(asked)
    assert stage.elena.submit(asked, {}) == {"ok": True}
    stage.post()
    assert "<!channel>" not in words(stage.card()) + words(stage.card_of(job.id))


def test_over_http_a_run_starts_and_forgeries_do_nothing(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
    with staged(db, tmp_path, over_http=True) as stage:
        stage.add_demo_file(demo_file)
        review = stage.open_review()
        assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
        stage.elena.wait_view(STARTED_CALLBACK)
        stage.client.control("redeliver", {"envelope": "last"})
        assert stage.jobs() == 1
        stage.post()
        assert "Queued" in words(stage.card())
        calls = len(stage.client.calls())
        for kind in ("bad_signature", "stale"):
            assert stage.client.control("forge", {"kind": kind})["status"] == 401
        assert len(stage.client.calls()) == calls
        assert stage.jobs() == 1


def test_a_start_pressed_three_times_at_once_starts_one_run(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    review = stage.open_review()
    answers: list[Json] = []
    presses = [
        threading.Thread(target=lambda: answers.append(stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})))
        for _ in range(3)
    ]
    for press in presses:
        press.start()
    for press in presses:
        press.join()
    assert stage.jobs() == 1
    assert {"ok": True} in answers
