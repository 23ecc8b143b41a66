"""The HTTP app over real HTTP: who may speak for a job, and what a link allows."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from functions.model.events import Event, EventBatch, LogLine
from functions.model.job import Job
from functions.model.signing import job_token, request_signature
from functions.ports import MODEL_ARTIFACTS
from infra.http.app import MAX_BATCH_BYTES, create_http_app
from infra.local_files import LocalFiles, staged
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import SetClock, add_demo_file, start
from tests.serving import served

SECRET = "the service's own"


class Service:
    """The app with one launched job."""

    def __init__(self, db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> None:
        self.clock = SetClock()
        # The links' host is known once the app is up: the port is taken from the address that it got.
        self.files = LocalFiles(tmp_path / "files", secret=SECRET, base_url="http://nowhere", clock=self.clock)
        self.app = create_http_app(db, self.files, secret=SECRET, clock=self.clock)
        file = add_demo_file(db, self.files, demo_file, self.clock)
        self.job: Job = start(db, self.files, file, self.clock)
        with db.transaction() as tx:
            tx.jobs.begin_attempt(self.job.id, self.clock())
        self.url = ""

    def post(self, path: str, body: bytes, *, token: str = "", age: float = 0.0, attempt: int = 1) -> httpx.Response:
        token = token or job_token(SECRET, job_id=str(self.job.id), attempt=1)
        timestamp = str(time.time() - age)
        headers = {
            "x-brightrun-attempt": str(attempt),
            "x-brightrun-timestamp": timestamp,
            "x-brightrun-signature": request_signature(token, timestamp=timestamp, body=body),
        }
        return httpx.post(f"{self.url}/ingest/{self.job.id}/{path}", content=body, headers=headers, trust_env=False)

    def link(self, link: str) -> str:
        return link.replace("http://nowhere", self.url)

    def events(self, count: int = 1) -> bytes:
        events = tuple(
            Event(
                job_id=self.job.id,
                attempt=1,
                seq=seq,
                at=self.clock(),
                body=LogLine(level="info", message=f"line {seq}"),
            )
            for seq in range(1, count + 1)
        )
        return EventBatch(events=events).model_dump_json().encode()


@pytest.fixture
def service(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Service]:
    stand = Service(db, tmp_path, demo_file)
    with served(stand.app) as url:
        stand.url = url
        yield stand


def test_a_signed_batch_is_stored_once(service: Service) -> None:
    assert service.post("events", service.events(3)).json()["new"] == 3
    assert service.post("events", service.events(3)).json()["new"] == 0


def test_who_may_not_speak_for_a_job(service: Service) -> None:
    body = service.events()
    other = job_token(SECRET, job_id="another job", attempt=1)
    assert service.post("events", body, token=other).status_code == 401
    assert service.post("events", body, age=301).status_code == 401
    assert service.post("events", body, attempt=2).status_code == 401
    unsigned = httpx.post(f"{service.url}/ingest/{service.job.id}/events", content=body, trust_env=False)
    assert unsigned.status_code == 401


def test_what_is_no_batch_is_refused_with_the_place(service: Service) -> None:
    answer = service.post("events", json.dumps({"events": [{"seq": 0}]}).encode())
    assert answer.status_code == 422
    assert "job_id" in answer.text
    assert service.post("events", b"{").status_code == 422
    assert service.post("events", b"x" * (MAX_BATCH_BYTES + 1)).status_code == 413


def test_a_job_uploads_where_it_was_told_and_nowhere_else(service: Service) -> None:
    ask = json.dumps({"name": "adapters.zip", "bytes": 4, "sha256": "0" * 64}).encode()
    place = service.post("uploads", ask).json()
    assert place["path"] == f"{service.job.id}/adapters/adapters.zip"
    url = service.link(place["url"])
    assert httpx.put(url.replace("adapters.zip", "other.zip"), content=b"data", trust_env=False).status_code == 403
    assert httpx.put(url, content=b"too large", trust_env=False).status_code == 413
    assert not service.files.exists(MODEL_ARTIFACTS, place["path"])
    assert httpx.put(url, content=b"data", trust_env=False).json() == {"bytes": 4}
    assert service.files.locate(MODEL_ARTIFACTS, place["path"]).read_bytes() == b"data"
    for name in ("../../etc/passwd", "", ".hidden", "a\\b"):
        bad = json.dumps({"name": name, "bytes": 4, "sha256": "0" * 64}).encode()
        assert service.post("uploads", bad).status_code == 422


def test_what_a_killed_process_was_writing_goes_and_what_is_being_written_stays(service: Service) -> None:
    target = service.files.locate(MODEL_ARTIFACTS, "a/b.zip")
    target.parent.mkdir(parents=True)
    abandoned = target.parent / ".partial-abandoned"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (1, 1))
    with staged(target) as stream:
        stream.write(b"whole")
        [live] = set(target.parent.iterdir()) - {abandoned}
        os.utime(live, (1, 1))
        service.files.remove_abandoned()
        assert set(target.parent.iterdir()) == {live}
    assert target.read_bytes() == b"whole"


def test_a_machine_that_goes_away_in_mid_request_is_no_error(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    ask = json.dumps({"name": "adapters.zip", "bytes": 9, "sha256": "0" * 64}).encode()
    url = httpx.URL(service.link(service.post("uploads", ask).json()["url"]))
    with socket.create_connection((url.host, url.port or 80)) as line:
        head = f"PUT {url.raw_path.decode()} HTTP/1.1\r\nhost: {url.host}\r\ncontent-length: 9\r\n\r\nhalf"
        line.sendall(head.encode())
        time.sleep(0.2)
    assert service.post("events", service.events(1)).json()["new"] == 1
    assert not [path for path in service.files.locate(MODEL_ARTIFACTS, "x").parent.rglob("*") if path.is_file()]
    assert "Traceback" not in caplog.text


def test_a_download_link_works_until_it_expires_and_not_when_altered(service: Service) -> None:
    service.files.put(MODEL_ARTIFACTS, "a/b.zip", b"weights")
    link = service.link(
        service.files.download_url(MODEL_ARTIFACTS, "a/b.zip", expires_in=timedelta(hours=24), name="näme 🎉.zip")
    )
    got = httpx.get(link, trust_env=False)
    assert got.content == b"weights"
    assert "attachment" in got.headers["content-disposition"]
    for altered in (link.replace("b.zip", "c.zip"), link + "0", link.replace("expires=1", "expires=2")):
        refused = httpx.get(altered, trust_env=False)
        assert refused.status_code == 403
        assert "altered" in refused.text
    service.clock.forward(hours=24, seconds=1)
    late = httpx.get(link, trust_env=False)
    assert late.status_code == 410
    assert "Press Download on the job's card" in late.text.replace("&#x27;", "'")


def test_a_path_never_leaves_its_bucket(service: Service) -> None:
    from functions.errors import InvalidInput

    for path in ("../training-files/x", "/etc/passwd", "a/../../x", ""):
        with pytest.raises(InvalidInput):
            service.files.locate(MODEL_ARTIFACTS, path)
