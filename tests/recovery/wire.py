"""The line between trainers and the HTTP app: it passes requests on, or does with them what networks do."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import httpx

# Headers that belong to one connection.
_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"})
_PATIENCE_S = 60.0
# A copy that was kept back arrives after this time, or behind the next request.
_LATE_S = 1.5


@dataclass
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Mood:
    """What the line does at the moment. Times are of `time.monotonic`; counts are of requests still to come."""

    cut_until: float = 0.0
    slow_until: float = 0.0
    slow_s: float = 0.0
    lost_answers: int = 0
    repeats: int = 0
    late: int = 0
    halves: int = 0
    bad_gateways: int = 0
    kept: list[_Request] = field(default_factory=list)


class Wire:
    """A proxy in threads of this process. `mood` is changed by whoever makes the faults."""

    def __init__(self, target_port: int) -> None:
        self.mood = Mood()
        self.met: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._target_port = target_port
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{target_port}", timeout=_PATIENCE_S, trust_env=False)
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                wire.handle(self)

            do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="wire", daemon=True)

    @property
    def url(self) -> str:
        """Where trainers and people reach the HTTP app."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Wire:
        """Begin to pass on."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def calm(self) -> None:
        """Every fault off; what was kept back is delivered."""
        with self._lock:
            kept, self.mood = self.mood.kept, Mood()
        for request in kept:
            self._late(request)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass one request on, in the mood of the moment."""
        handler.close_connection = True
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        request = _Request(handler.command, handler.path, headers, body)
        fault = self._fault_of(request)
        if fault:
            self.met[fault] += 1
        if fault == "slow":
            time.sleep(self.mood.slow_s)
        if fault == "half":
            self._send_half(request)
        if fault == "late":
            self._keep(request)
        if fault in ("cut", "half", "late"):
            self._hang_up(handler)
        elif fault == "bad_gateway":
            _answer(handler, 502, {}, b"")
        else:
            self._pass_on(handler, request, twice=fault == "repeat", answer=fault != "lost_answer")
            self._deliver_kept(but=request)

    def _fault_of(self, request: _Request) -> str:
        """The fault that this request meets; counted ones are used up."""
        counted = (
            ("lost_answer", "lost_answers"), ("repeat", "repeats"), ("late", "late"), ("half", "halves"),
            ("bad_gateway", "bad_gateways"),
        )  # fmt: skip
        with self._lock:
            mood, now = self.mood, time.monotonic()
            if now < mood.cut_until:
                return "cut"
            for fault, name in counted:
                left = getattr(mood, name)
                if left and (request.body or fault in ("lost_answer", "bad_gateway")):
                    setattr(mood, name, left - 1)
                    return fault
            return "slow" if now < mood.slow_until else ""

    def _pass_on(self, handler: BaseHTTPRequestHandler, request: _Request, *, twice: bool, answer: bool) -> None:
        try:
            given = self._forward(request)
            if twice:
                given = self._forward(request)
        except httpx.HTTPError:
            self._hang_up(handler)
            return
        if not answer:
            self._hang_up(handler)
            return
        kept = {name: value for name, value in given.headers.items() if name not in _HOP | {"content-encoding"}}
        _answer(handler, given.status_code, kept, given.content)

    def _forward(self, request: _Request) -> httpx.Response:
        return self._client.request(request.method, request.path, headers=request.headers, content=request.body)

    def _keep(self, request: _Request) -> None:
        with self._lock:
            self.mood.kept.append(request)
        threading.Timer(_LATE_S, self._deliver_kept).start()

    def _deliver_kept(self, but: _Request | None = None) -> None:
        with self._lock:
            kept, self.mood.kept = self.mood.kept, []
        for request in kept:
            self._late(request)

    def _late(self, request: _Request) -> None:
        try:
            self._forward(request)
        except httpx.HTTPError:
            self.met["late and lost"] += 1

    def _send_half(self, request: _Request) -> None:
        """Half of the body, as when a machine goes away in the middle of an upload."""
        head = f"{request.method} {request.path} HTTP/1.1\r\nhost: localhost\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name.lower() != "host")
        head += f"content-length: {len(request.body)}\r\n\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self._target_port), timeout=2) as line:
                line.sendall(head.encode() + request.body[: len(request.body) // 2])
                time.sleep(0.05)
        except OSError:
            self.met["half and refused"] += 1

    @staticmethod
    def _hang_up(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # they went first


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    try:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
    except OSError:
        return  # a trainer that was killed does not listen any more
