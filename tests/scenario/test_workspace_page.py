"""What the workspace tells open pages, and how it keeps Slack's small print, without a bot connected."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient
from websockets.sync.client import ClientConnection, connect

from infra.workspace.app import WorkspaceConfig
from infra.workspace.client import WorkspaceClient
from infra.workspace.elements import complete_state, input_errors, with_ids
from infra.workspace.rate_limits import RateLimits
from infra.workspace.serving import WorkspaceServer

CHANNEL = "C0TRAINING"
COMMANDS = (("/train", "Train a model", "[dataset]"),)


@pytest.fixture
def server() -> Iterator[WorkspaceServer]:
    config = WorkspaceConfig("xoxb-1", "xapp-1", "s3cret", commands=COMMANDS)
    with WorkspaceServer(config) as running:
        yield running


def page_of(server: WorkspaceServer, user: str) -> ClientConnection:
    address = server.base_url.replace("http", "ws")
    return connect(f"{address}/page/events?user={user}", proxy=None)


def heard(page: ClientConnection) -> list[dict[str, Any]]:
    events = []
    try:
        while True:
            events.append(json.loads(page.recv(timeout=0.3)))
    except TimeoutError:
        return events


def test_pages_hear_of_what_their_person_may_see(server: WorkspaceServer) -> None:
    web = WebClient("xoxb-1", base_url=server.api_url)
    with page_of(server, "U0ELENA") as elena, page_of(server, "U0MARCUS") as marcus:
        time.sleep(0.05)  # both pages are connected before the first message
        card = web.chat_postMessage(channel=CHANNEL, text="card")["ts"]
        web.chat_update(channel=CHANNEL, ts=card, text="card, done")
        web.chat_postEphemeral(channel=CHANNEL, user="U0ELENA", text="for elena")
        web.chat_delete(channel=CHANNEL, ts=card)
        web.chat_postMessage(channel="U0MARCUS", text="for marcus")
        web.views_publish(user_id="U0MARCUS", view={"type": "home", "blocks": []})
        kinds = ["message", "message_changed"]
        assert [e["type"] for e in heard(elena)] == [*kinds, "message", "message_deleted"]
        assert [e["type"] for e in heard(marcus)] == [*kinds, "message_deleted", "channels", "message", "home"]


def test_a_failure_is_shown_to_the_person(server: WorkspaceServer) -> None:
    with page_of(server, "U0ELENA") as page, WorkspaceClient(server.base_url) as driver:
        answer = driver.as_user("U0ELENA").command(CHANNEL, "/train")
        toast = json.loads(page.recv(timeout=2))
        assert toast == {"type": "toast", "text": answer["error"], "level": "error"}


def test_the_page_starts_from_one_state(server: WorkspaceServer) -> None:
    with WorkspaceClient(server.base_url) as driver:
        state = driver.as_user("U0ELENA").state()
        assert driver.as_user("").state() == state  # a tab without a name plays the first person
    assert state["me"] == {"id": "U0ELENA", "name": "elena", "title": "AI engineer", "is_bot": False}
    assert state["commands"][0] == {
        "command": "/train",
        "description": "Train a model",
        "usage_hint": "[dataset]",
    }
    assert [c["kind"] for c in state["channels"]] == ["channel", "channel", "app_home"]
    assert (state["home"], state["views"]) == (None, [])


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"{", "invalid_json"), (b"[]", "json_not_object"), (b'{"user": "U0NOBODY"}', "user_not_found")],
)
def test_a_malformed_request_is_refused_in_words(server: WorkspaceServer, body: bytes, error: str) -> None:
    answer = httpx.post(f"{server.base_url}/page/command", content=body, trust_env=False)
    assert answer.json() == {"ok": False, "error": error}


def test_a_response_url_works_five_times(server: WorkspaceServer) -> None:
    """The command is delivered to nobody, but its response URL is issued all the same."""
    with WorkspaceClient(server.base_url) as driver:
        elena = driver.as_user("U0ELENA")
        httpx.post(f"{server.api_url}auth.test", trust_env=False)  # the address that links are given
        elena.command(CHANNEL, "/train")
        sent = driver.control("redeliver", {"envelope": "last"})
        assert sent["error"] == "dispatch_failed"
        hook = WebhookClient(sent["payload"]["response_url"])
        assert [hook.send(text=str(n)).status_code for n in range(6)] == [200] * 5 + [404]
        assert [m["text"] for m in elena.messages(CHANNEL)] == ["0", "1", "2", "3", "4"]
        assert driver.as_user("U0MARCUS").messages(CHANNEL) == []


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(gaps=st.lists(st.floats(0, 3), max_size=200))
def test_no_window_ever_holds_more_calls_than_slack_allows(gaps: list[float]) -> None:
    clock, passed = Clock(), []
    limits = RateLimits(clock)
    for gap in gaps:
        clock.now += gap
        wait = limits.retry_after("chat.update", CHANNEL)
        if wait is None:
            passed.append(clock.now)
        else:
            later = Clock()
            later.now = clock.now + wait
            assert sum(t > later.now - 60 for t in passed) < 50  # waiting as told is enough
    assert all(sum(0 <= t - start < 60 for t in passed) <= 50 for start in passed)


def test_channels_do_not_share_their_message_rate() -> None:
    limits = RateLimits(Clock())
    assert [limits.retry_after("chat.postMessage", "C1") for _ in range(6)] == [None] * 5 + [5]
    assert limits.retry_after("chat.postMessage", "C2") is None


@given(text=st.one_of(st.none(), st.text(max_size=20)), minimum=st.integers(0, 10), optional=st.booleans())
def test_an_input_is_refused_exactly_when_it_is_missing_or_too_short(
    text: str | None, minimum: int, optional: bool
) -> None:
    element = {"type": "plain_text_input", "action_id": "a", "min_length": minimum}
    blocks = with_ids([{"type": "input", "block_id": "b", "optional": optional, "element": element}])
    entry = {"type": "plain_text_input", "value": text}
    errors = input_errors(blocks, complete_state(blocks, {"b": {"a": entry}}))
    is_missing = not (text or "").strip()
    expected = not optional if is_missing else len(text or "") < minimum
    assert bool(errors) == expected
