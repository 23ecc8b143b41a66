"""The report from its button to the PDF, and who may have it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from blocks.card import ACTION_REPORT
from functions.deliver import ReportLink, report_link
from functions.errors import Conflict, NotAllowed, NotFound
from functions.model.people import Person
from functions.ports import MODEL_ARTIFACTS
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.pictures import FigurePictures
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, VIC, SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute
from tests.scenario.stage import CHANNEL, Json, Stage, staged, words


def complete(stage: Stage, demo_file: Path) -> Json:
    """A run from the form to its end; its card."""
    stage.add_demo_file(demo_file)
    stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    stage.post()
    return stage.card()


def audited(database_url: str) -> list[tuple[str, str]]:
    """(actor, target) of every report that was handed out."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "select actor, target from audit_log where action = 'report.download' order by id"
        ).fetchall()


def test_button_link_pdf_and_a_viewer_is_refused(
    db: PostgresDatabase, database_url: str, tmp_path: Path, demo_file: Path
) -> None:
    with staged(db, tmp_path) as stage:
        card = complete(stage, demo_file)
        assert "Report (PDF)" in words(card)
        assert isinstance(stage.files, LocalFiles)
        folder = stage.files.locate(MODEL_ARTIFACTS, f"{stage.job().id}/report")
        assert stage.vic.click(card, ACTION_REPORT) == {"ok": True}
        told = stage.vic.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0VIEWER", 30)
        assert "viewer" in words(told) + told["text"]
        assert audited(database_url) == []
        assert not folder.exists()

        assert stage.elena.click(card, ACTION_REPORT) == {"ok": True}
        told = stage.elena.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA", 60)
        assert stage.job().name in words(told)
        url = next(e["url"] for b in told["blocks"] for e in b.get("elements", []) if "url" in e)
        got = httpx.get(url, trust_env=False)
        assert got.content.startswith(b"%PDF-")
        assert got.headers["content-type"] == "application/pdf"
        assert "-report.pdf" in got.headers["content-disposition"]
        assert folder.is_dir()
        assert audited(database_url) == [("U0ELENA", str(stage.job().id))]


def test_only_completed_runs_of_the_own_team_have_one(
    db: PostgresDatabase, database_url: str, tmp_path: Path, demo_file: Path
) -> None:
    clock = SetClock()
    files = LocalFiles(tmp_path / "files", secret="s", base_url="http://nowhere", clock=clock)
    file = add_demo_file(db, files, demo_file, clock)
    job = start(db, files, file, clock, name="../../a/b 🎉 <script>")

    def ask(person: Person) -> ReportLink:
        return report_link(db, files, FigurePictures(), clock=clock, person=person, job_id=job.id)

    with pytest.raises(Conflict, match="completed"):
        ask(ELENA)
    Reconciler(db, files, PaperCompute(), clock=clock, secret="s", service_url="http://nowhere", max_running=1).step()
    say(db, clock, job_of(db, job.id), *TRAINED, *ENDED)
    with pytest.raises(NotFound):
        ask(ELENA.model_copy(update={"team_id": "T0OTHER"}))
    with pytest.raises(NotAllowed):
        ask(VIC)
    assert audited(database_url) == []

    link = ask(ELENA)
    assert link.name == "a-b-script-report.pdf"
    assert link.expires_at - clock() == timedelta(hours=24)
    stored = files.locate(MODEL_ARTIFACTS, f"{job.id}/report/a-b-script.pdf").read_bytes()
    assert stored.startswith(b"%PDF-")
    assert len(stored) == link.size_bytes
    assert audited(database_url) == [("U0ELENA", str(job.id))]
