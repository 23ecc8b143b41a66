"""Estimates at work: history that changes the quote, the quote as a PDF, and a run that costs more than it should."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from blocks.review import ACTION_QUOTE, CHECKLIST_ACTION, REVIEW_CALLBACK
from blocks.train_form import TRAIN_CALLBACK
from functions.history import estimate_accuracy, team_history
from functions.jobs import card_view
from functions.model.events import CheckpointSaved, Metrics
from functions.model.outbox import Notice
from functions.model.spend import TrackRecord
from functions.model.states import JobState
from functions.reconcile import Reconciler
from infra.clock import utc_now
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.bot_house import BOT_TOKEN
from tests.scenario.house import LIMITS, TEAM, SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute
from tests.scenario.past import finished_run
from tests.scenario.stage import CHECKS, SECRET, Json, Stage, staged, words


def chosen_row(form: Json) -> tuple[str, int]:
    """The chosen line of the comparison: the preset, and its expected cents."""
    found = re.search(r"^(\w+) .*\$(\d+)\.(\d\d) ◂$", words(form), re.MULTILINE)
    assert found, words(form)
    return found[1], int(found[2]) * 100 + int(found[3])


def test_history_changes_the_quote_in_the_form(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        stage.open_form(preset="balanced")
        form = stage.elena.wait_view(TRAIN_CALLBACK, when=lambda view: "estimates for Balanced" in words(view))
        shown = words(form)
        assert "No finished runs like this one yet, so the range is ± 15 %." in shown
        assert "Past estimates for Balanced: no history yet." in shown
        assert "Started now, it is done about <!date^" in shown
        assert "To save: Conservative as the preset" in shown
        preset, before = chosen_row(form)
        assert preset == "Balanced"
        stage.elena.close(form, whole_stack=True)

        clock = SetClock(utc_now() - timedelta(days=20))
        with stage.db.transaction() as tx:
            file = tx.files.search(TEAM, "", 1)[0]
        for number in range(7):
            finished_run(stage.db, stage.files, file, clock, name=f"Past {number}", faster=0.5)

        stage.open_form(preset="balanced")
        form = stage.elena.wait_view(TRAIN_CALLBACK, when=lambda view: "estimates for Balanced" in words(view))
        shown = words(form)
        assert "Rests on 7 finished runs like this one" in shown
        assert re.search(r"Past estimates for Balanced were within ±\d+ % on average; \d of 7 runs in 90", shown)
        assert chosen_row(form)[1] > 1.4 * before


def pdf_of(stage: Stage, message: Json) -> bytes:
    (file,) = message["files"]
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    answer = httpx.get(file["url_private"], headers=headers, trust_env=False)
    assert answer.status_code == 200
    return answer.content


def test_the_estimate_comes_as_a_pdf_and_three_alerts_tell_of_a_run_that_gets_dear(
    db: PostgresDatabase, database_url: str, tmp_path: Path, demo_file: Path
) -> None:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        review = stage.open_review(name="Dear run")
        assert stage.elena.click(review, ACTION_QUOTE) == {"ok": True}
        sent = stage.elena.wait_message(stage.elena.im(), lambda m: bool(m.get("files")), 30)
        assert "Dear run" in sent["text"]
        assert sent["files"][0]["name"] == "dear-run-estimate.pdf"
        assert pdf_of(stage, sent).startswith(b"%PDF-")
        review = stage.elena.wait_view(REVIEW_CALLBACK, when=lambda view: "direct messages" in words(view))
        with psycopg.connect(database_url) as connection:
            told = connection.execute(
                "select actor, detail ->> 'name' from audit_log where action = 'estimate.download'"
            ).fetchall()
        assert told == [("U0ELENA", "dear-run-estimate.pdf")]
        assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}

        reconciler = Reconciler(
            stage.db, stage.files, stage.compute, clock=stage.ahead, secret=SECRET, service_url="x", max_running=1
        )
        reconciler.step()
        stage.tell(*TRAINED[:7])
        expected = stage.job().estimate.seconds.expected
        assert spend_alerts(stage) == []
        for share in (0.85, 0.17, 0.2):
            stage.ahead.forward(seconds=expected * share)
            for _ in range(2):
                reconciler.step()
        # More time passes than the worker needs: nothing is told twice.
        told_of = spend_alerts(stage)
        assert [re.search(r"80 %|all of|120 %", text)[0] for text in told_of] == ["80 %", "all of", "120 %"]  # type: ignore[index]
        assert all(text.startswith("<@U0ELENA>") for text in told_of)
        assert all("Projected $" in text for text in told_of)
        assert "over the estimate" in words(stage.card())


def spend_alerts(stage: Stage) -> list[str]:
    stage.post()
    return [message["text"] for message in stage.thread() if "expected." in message["text"]]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def files(tmp_path: Path, clock: SetClock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=clock)


def test_what_is_learned_from_the_table_of_jobs(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    file = add_demo_file(db, files, demo_file, clock)
    for number in range(4):
        finished_run(db, files, file, clock, name=f"Run {number}", faster=0.8, interruptions=number % 2)
    finished_run(db, files, file, clock, name="Other", faster=0.8, preset="conservative")
    with db.transaction() as tx:
        runs = tx.history.finished_runs(TEAM, 60)
        assert [run.lost_seconds for run in runs] == [0, 600, 0, 600, 0]
        assert tx.history.finished_runs("T0OTHER", 60) == []
        newest = tx.history.finished_runs(TEAM, 2)
        assert newest == runs[-2:]
        (record,) = tx.history.interruptions(TEAM, clock() - timedelta(days=90)).values()
        assert (record.runs, record.completed, record.interrupted_runs) == (5, 5, 2)
        assert (record.interruptions, record.recoveries, record.recovery_seconds) == (2, 2, 1200)
        assert record.billed_hours == pytest.approx(sum(run.actual_seconds for run in runs) / 3600)
        accuracy = estimate_accuracy(tx, team_id=TEAM, now=clock())
        assert {preset: found.runs for preset, found in accuracy.items()} == {"balanced": 4, "conservative": 1}
        assert all(found.mean_error > 0 for found in accuracy.values())
        assert estimate_accuracy(tx, team_id=TEAM, now=clock() + timedelta(days=91)) == {}
        assert team_history(tx, team_id="T0OTHER", now=clock()).accuracy == {}


def test_the_quote_is_stored_with_its_version_and_what_it_was_made_from(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    job = start(db, files, add_demo_file(db, files, demo_file, clock), clock)
    stored = job_of(db, job.id).estimate
    assert stored.algorithm == "regression-1"
    assert stored.workload is not None
    assert stored.workload.tier == "local"
    assert stored.workload.tokens == stored.tokens > 0


def test_projections_are_kept_at_their_marks_and_held_against_the_end(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    reconciler = Reconciler(db, files, PaperCompute(), clock=clock, secret="s", service_url="http://x", max_running=1)
    job = start(db, files, add_demo_file(db, files, demo_file, clock), clock)
    reconciler.step()
    job = job_of(db, job.id)
    said = say(db, clock, job, *TRAINED[:6])
    for step in (2, 5, 8):
        clock.forward(seconds=40)
        body = Metrics(step=step, epoch=step / 5, loss=2.0, learning_rate=1e-3, tokens_trained=step * 100)
        for more in (body, CheckpointSaved(step=step, bytes=1)):
            said += say(db, clock, job, more, first=said + 1)
    assert job_of(db, job.id).state is JobState.TRAINING
    with db.transaction() as tx:
        view = card_view(tx, job=job_of(db, job.id), now=clock(), limits=LIMITS)
        assert view.track_record is None
        assert view.projection is not None
        assert view.projection.best_cents <= view.projection.expected_cents <= view.projection.worst_cents
    say(db, clock, job, *ENDED, first=said + 1)
    assert job_of(db, job.id).state is JobState.COMPLETED
    with db.transaction() as tx:
        records = [tx.history.track_record(TEAM, mark, clock() - timedelta(days=1)) for mark in (25, 50, 75)]
        assert [record.runs for record in records if record is not None] == [1, 1, 1]
        assert all(isinstance(record, TrackRecord) and record.mean_error < 1 for record in records)
        assert tx.history.track_record("T0OTHER", 50, clock() - timedelta(days=1)) is None


def test_bands_passed_unseen_are_told_as_one(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    compute = PaperCompute()
    reconciler = Reconciler(db, files, compute, clock=clock, secret="s", service_url="http://x", max_running=1)
    job = start(db, files, add_demo_file(db, files, demo_file, clock), clock)
    reconciler.step()
    say(db, clock, job_of(db, job.id), *TRAINED[:1])
    clock.forward(seconds=min(1700, job.estimate.seconds.expected * 1.3))
    say(db, clock, job_of(db, job.id), *TRAINED[1:], first=2)
    reconciler.step()
    told = []
    for _ in range(20):
        clock.forward(seconds=10)
        with db.transaction() as tx:
            message = tx.outbox.claim(clock())
            if message is None:
                break
            tx.outbox.sent(message.id, ts="1.1", at=clock())
        if message.notice is Notice.SPEND:
            told.append(message.data["band"])
    assert told == [120]
