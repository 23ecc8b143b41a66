"""The line does what networks do, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.recovery.wire import Wire
from tests.serving import served


@dataclass
class FarEnd:
    """What arrived, in order; `broken` counts requests that ended in the middle."""

    arrived: list[str] = field(default_factory=list)
    broken: int = 0

    async def take(self, request: Request) -> Response:
        """Note the body."""
        try:
            self.arrived.append((await request.body()).decode())
        except ClientDisconnect:
            self.broken += 1
        return PlainTextResponse("taken")


@pytest.fixture
def far_end() -> FarEnd:
    return FarEnd()


@pytest.fixture
def wire(far_end: FarEnd) -> Iterator[Wire]:
    app = Starlette(routes=[Route("/", far_end.take, methods=["POST"])])
    with served(app) as url, Wire(int(url.rsplit(":", 1)[1])) as line:
        yield line


def _post(wire: Wire, text: str) -> str:
    """What the sender gets: the answer, its status, or nothing."""
    try:
        answer = httpx.post(wire.url, content=text, trust_env=False)
    except httpx.TransportError:
        return "nothing"
    return answer.text if answer.is_success else str(answer.status_code)


def test_in_a_good_mood_it_passes_everything_on(wire: Wire, far_end: FarEnd) -> None:
    assert [_post(wire, text) for text in ("a", "b")] == ["taken", "taken"]
    assert far_end.arrived == ["a", "b"]


@pytest.mark.parametrize(
    ("mood", "got", "arrived"),
    [
        ("lost_answers", "nothing", ["a", "b"]),
        ("repeats", "taken", ["a", "a", "b"]),
        ("late", "nothing", ["b", "a"]),
        ("bad_gateways", "502", ["b"]),
        ("halves", "nothing", ["b"]),
    ],
)
def test_each_mood_lasts_as_long_as_it_was_told(
    wire: Wire, far_end: FarEnd, mood: str, got: str, arrived: list[str]
) -> None:
    setattr(wire.mood, mood, 1)
    assert [_post(wire, text) for text in ("a", "b")] == [got, "taken"]
    deadline = time.monotonic() + 5
    while (len(far_end.arrived) < len(arrived) or far_end.broken != (mood == "halves")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert far_end.arrived == arrived
    assert far_end.broken == (mood == "halves")


def test_a_cut_line_comes_back(wire: Wire, far_end: FarEnd) -> None:
    wire.mood.cut_until = time.monotonic() + 60
    assert _post(wire, "a") == "nothing"
    wire.calm()
    assert _post(wire, "b") == "taken"
    assert far_end.arrived == ["b"]
