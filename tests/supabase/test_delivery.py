"""A whole job whose files live in Supabase Storage, and what people read when Storage is in trouble."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.card import ACTION_DOWNLOAD, ACTION_REPORT
from functions.model.job_spec import JobSpec
from functions.model.signing import job_token
from functions.model.states import JobState
from functions.ports import MODEL_ARTIFACTS
from gpu_jobs.artifacts import Archive, store
from gpu_jobs.failures import JobFailed
from gpu_jobs.service import Service
from gpu_jobs.training_data import read_training_data
from infra.postgres.database import PostgresDatabase
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, SECRET, Stage, staged, words
from tests.supabase.conftest import Project
from tests.supabase.storage_server import out_of_order

ADAPTER = b"adapter" * 10_000


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path, project: Project) -> Iterator[Stage]:
    """The demo's file added, over Storage."""
    with staged(
        db, tmp_path, files=project.files, change=lambda context: replace(context, files=project.files)
    ) as ready:
        ready.add_demo_file(demo_file)
        yield ready


def launched(stage: Stage) -> JobSpec:
    """A started job's spec, as its machine gets it."""
    stage.start()
    stage.reconciler.step()
    return stage.compute.launched[-1]


def uploaded(spec: JobSpec, folder: Path, content: bytes, *, pauses: tuple[float, ...] = (0,)) -> Any:
    """What the machine does when it has packed the adapter: it holds the token of its attempt, nothing else."""
    path = folder / "adapters.zip"
    path.write_bytes(content)
    token = job_token(SECRET, job_id=str(spec.job_id), attempt=spec.attempt)
    with Service(url=spec.service_url, job_id=spec.job_id, attempt=spec.attempt, token=token) as service:
        archive = Archive(path, len(content), hashlib.sha256(content).hexdigest())
        return store(archive, service, lambda: None, pauses=pauses)


def delivered(stage: Stage, folder: Path) -> dict[str, Any]:
    """A completed job's card."""
    stored = uploaded(launched(stage), folder, ADAPTER)
    stage.tell(*TRAINED, *ENDED[:-2], stored, ENDED[-1])
    stage.post()
    return stage.card()


def press(stage: Stage, card: dict[str, Any], action: str) -> dict[str, Any]:
    """The button, and what only the one who pressed it sees then."""
    seen = {m["ts"] for m in stage.elena.messages(CHANNEL)}
    assert stage.elena.click(card, action) == {"ok": True}
    return stage.elena.wait_message(
        CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA" and m["ts"] not in seen, timeout=20
    )


def link_in(message: dict[str, Any]) -> str:
    """The address behind the message's button."""
    return str(next(e["url"] for b in message["blocks"] for e in b.get("elements", []) if "url" in e))


def test_a_job_reads_and_delivers_over_storage(stage: Stage, tmp_path: Path, project: Project) -> None:
    card = delivered(stage, tmp_path)
    assert stage.job().state is JobState.COMPLETED
    spec = stage.compute.launched[-1]
    assert spec.data.url.startswith(f"{project.url}/storage/v1/object/sign/training-files/")
    assert len(read_training_data(spec.data, tmp_path, lambda: None)) == 66

    url = link_in(press(stage, card, ACTION_DOWNLOAD))
    got = httpx.get(url, trust_env=False)
    assert got.content == ADAPTER
    assert 'attachment; filename="adapters.zip"' in got.headers["content-disposition"]
    assert httpx.get(url.replace("token=", "token=A"), trust_env=False).status_code == 400
    project.clock.forward(hours=24, seconds=1)
    assert httpx.get(url, trust_env=False).status_code == 400
    report = httpx.get(link_in(press(stage, card, ACTION_REPORT)), trust_env=False)
    assert report.content.startswith(b"%PDF-")


def test_storage_that_is_away_at_the_click_is_said_and_the_next_click_works(
    stage: Stage, tmp_path: Path, project: Project
) -> None:
    card = delivered(stage, tmp_path)
    project.server.broken[""] = out_of_order()
    told = press(stage, card, ACTION_DOWNLOAD)
    assert "Supabase Storage is out of order" in words(told)
    assert "try again in a minute" in words(told)
    with stage.db.transaction() as tx:
        assert tx.jobs.artifacts(stage.job().id)[0].downloads == 0
    project.server.broken.clear()
    assert httpx.get(link_in(press(stage, card, ACTION_DOWNLOAD)), trust_env=False).content == ADAPTER


def test_an_upload_survives_a_storage_that_was_away(stage: Stage, tmp_path: Path, project: Project) -> None:
    spec = launched(stage)
    project.server.broken["PUT"] = out_of_order()
    with pytest.raises(JobFailed) as failed:
        uploaded(spec, tmp_path, ADAPTER)
    assert "status 503: The database has reached its maximum." in failed.value.why
    project.server.broken.clear()
    stored = uploaded(spec, tmp_path, ADAPTER)
    assert project.server.located(MODEL_ARTIFACTS, stored.path).read_bytes() == ADAPTER


def test_an_adapter_that_is_too_large_fails_with_both_sizes(stage: Stage, tmp_path: Path, project: Project) -> None:
    spec = launched(stage)
    with pytest.raises(JobFailed) as failed:
        uploaded(spec, tmp_path, b"x" * ((2 << 20) + 1), pauses=(0, 60))
    assert "2097153 bytes does not fit: model-artifacts takes at most 2097152" in failed.value.why
    project.server.buckets[MODEL_ARTIFACTS].file_size_limit = None  # as where only the project has a limit
    url = project.files.upload_url(MODEL_ARTIFACTS, f"{spec.job_id}/adapters/a.zip", max_bytes=10)
    project.server.buckets[MODEL_ARTIFACTS].file_size_limit = 5
    assert httpx.put(url, content=b"too large", trust_env=False).json()["statusCode"] == "413"
    assert not project.files.exists(MODEL_ARTIFACTS, f"{spec.job_id}/adapters/a.zip")
