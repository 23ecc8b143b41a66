"""A job's events reach the service once it listens, and never hold the training up."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from functions.model.events import EventBatch, LogLine
from functions.model.job_spec import JobSpec
from functions.model.signing import ATTEMPT_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_is_valid
from gpu_jobs.event_spool import Spool
from gpu_jobs.events import EventWriter
from tests.unit.gpu_tiny import JOB_ID, job_spec


class IngestServer:
    """A real HTTP server that checks signatures and remembers events. `answers` are statuses to give first."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[tuple[int, int]] = []
        self.answers: list[int] = []
        self.refused: set[int] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status = outer.take(self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"])))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        lower = {name.lower(): value for name, value in headers.items()}
        assert path == f"/ingest/{JOB_ID}/events"
        assert lower[ATTEMPT_HEADER]
        if not signature_is_valid(
            "token", timestamp=lower[TIMESTAMP_HEADER], body=body, signature=lower[SIGNATURE_HEADER], now=time.time()
        ):
            return 401
        if self.answers:
            return self.answers.pop(0)
        events = EventBatch.model_validate_json(body).events
        if any(event.seq in self.refused for event in events):
            return 422
        self.seen += [(event.attempt, event.seq) for event in events]
        return 200

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[IngestServer]:
    found = IngestServer()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_jobs.events._BACKOFF_SECONDS", (0.02, 0.1))
    monkeypatch.setattr("gpu_jobs.events._GATHER_SECONDS", 0.01)


def _writer(spec: JobSpec) -> EventWriter:
    return EventWriter(spec, "token", lambda: datetime.now(UTC))


def _spec(tmp_path: Path, url: str, attempt: int = 1) -> JobSpec:
    return job_spec(tmp_path / "job", service_url=url, attempt=attempt, base_model_path="unused")


def _line(text: str) -> LogLine:
    return LogLine(level="info", message=text)


def test_events_arrive_signed_in_order_and_once(tmp_path: Path, server: IngestServer) -> None:
    server.answers = [503, 401, 429]
    writer = _writer(_spec(tmp_path, server.url))

    for number in range(500):
        writer.emit(_line(f"line {number}"))

    assert writer.close(20)
    assert server.seen == [(1, number) for number in range(1, 501)]


def test_service_that_is_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    writer = _writer(_spec(tmp_path, f"http://127.0.0.1:{port}"))
    started = time.monotonic()
    for number in range(50):
        writer.emit(_line(str(number)))
    assert time.monotonic() - started < 1
    time.sleep(0.2)

    server = IngestServer(port)
    try:
        assert writer.close(20)
        assert server.seen == [(1, number) for number in range(1, 51)]
    finally:
        server.stop()


def test_what_an_earlier_attempt_left_unsent_goes_first(tmp_path: Path, server: IngestServer) -> None:
    first = _writer(_spec(tmp_path, server.url))
    first.emit(_line("arrives"))
    assert first.close(20)
    away = _writer(_spec(tmp_path, "http://127.0.0.1:9"))
    away.emit(_line("waits"))
    assert not away.close(0.1)

    second = _writer(_spec(tmp_path, server.url, attempt=2))
    second.emit(_line("news"))

    assert second.close(20)
    assert server.seen == [(1, 1), (1, 2), (2, 1)]


def test_event_that_is_refused_for_good_does_not_hold_up_the_others(tmp_path: Path, server: IngestServer) -> None:
    server.refused = {4}
    writer = _writer(_spec(tmp_path, server.url))

    for number in range(9):
        writer.emit(_line(str(number)))

    assert writer.close(20)
    assert sorted({seq for _, seq in server.seen}) == [1, 2, 3, 5, 6, 7, 8, 9]


def test_same_attempt_started_again_goes_on_counting_after_a_torn_line(tmp_path: Path) -> None:
    spec = _spec(tmp_path, "")
    _writer(spec).emit(_line("whole"))
    path = Path(spec.work_dir) / "events-1.jsonl"
    with path.open("a") as file:
        file.write('{"job_id":"5b0')

    assert _writer(spec).emit(_line("next")).seq == 2
    assert [json.loads(line)["body"]["message"] for line in path.read_text().splitlines()] == ["whole", "next"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_full_disk_does_not_silence_a_job(tmp_path: Path, server: IngestServer) -> None:
    spec = _spec(tmp_path, server.url)
    writer = _writer(spec)
    writer.emit(_line("written"))
    while not server.seen:
        time.sleep(0.01)
    path = Path(spec.work_dir) / "events-1.jsonl"
    path.rename(path.with_suffix(".kept"))
    path.symlink_to("/dev/full")

    writer.emit(_line("not written"))
    writer.emit(_line("nor this"))

    assert writer.close(20)
    assert server.seen == [(1, 1), (1, 2), (1, 3)]


def test_spool_gives_batches_within_their_limits(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    for number in range(10):
        spool.append(f"{number}" * 10)

    assert len(spool.pending(3, 10_000)) == 3
    assert len(spool.pending(10, 33)) == 3
    assert len(spool.pending(10, 5)) == 1
    spool.acknowledge(9)
    assert Spool(tmp_path, 1).pending(10, 10_000) == [b"9999999999\n"]


def test_a_half_noted_place_is_tidied_away(tmp_path: Path) -> None:
    (tmp_path / "events-1.acked.partial").write_text("1")
    Spool(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
