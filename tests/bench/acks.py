"""How long a click waits for its ack: the bot with everything behind it, and a bare Bolt app that only acks.

Twenty people have the /train form open and change its preset, 50 changes a second together: signed HTTP,
open loop (a late answer does not slow the next click down), every server in a process of its own. Behind
each of our acks the estimate is computed anew from Postgres and the form is drawn anew.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from slack_sdk.signature import SignatureVerifier

from infra.postgres.embedded import embedded_postgres
from infra.postgres.migrations import migrate
from infra.supervisor import free_port
from tests.bench.result import Result, percentile

SECRET = "bench"
TOKEN = "xoxb-bench"
PEOPLE = tuple(f"U0BENCH{number:02d}" for number in range(20))
_RATE = 50
_SECONDS = 10


def measure() -> list[Result]:
    """p99 of both, and their ratio."""
    with (
        tempfile.TemporaryDirectory(prefix="brightrun-bench-") as folder,
        embedded_postgres(Path(folder) / "pg") as database_url,
    ):
        migrate(database_url)
        port = free_port("127.0.0.1", 21000)
        with _server("workspace", folder, f"http://127.0.0.1:{port}/slack/events") as workspace:
            httpx.post(f"{workspace}/control/rate_limits", json={"on": False}, trust_env=False)
            with _server("ours", folder, workspace, database_url, str(port)) as url:
                views = _open_forms(workspace)
                ours = _p99(url, views)
            with _server("bare", folder, workspace, str(port)) as url:
                bare = _p99(url, views)
    return [
        Result("ack p99 at 50 interactions a second", ours, "ms", at_most=100),
        Result("the same against a bare Bolt app", ours / bare, "times", at_most=3, note=f"bare: {bare:.1f} ms"),
    ]


@contextlib.contextmanager
def _server(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.ack_server", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.terminate()


def _open_forms(workspace: str) -> list[dict[str, Any]]:
    """The open form of every person, with the training file chosen."""
    from blocks.train_form import ACTION_FILE, TRAIN_CALLBACK
    from infra.workspace.client import WorkspaceClient

    views = []
    with WorkspaceClient(workspace) as client:
        for name in PEOPLE:
            person = client.as_user(name)
            answer = person.command("C0TRAINING", "/train")
            assert answer == {"ok": True}, answer
            form = person.wait_view(TRAIN_CALLBACK, 20)
            person.fill(form, {ACTION_FILE: person.options(form, ACTION_FILE, "")[0]})
            form = person.wait_view(TRAIN_CALLBACK, 20, when=lambda view: "training pairs" in json.dumps(view))
            views.append({**form, "state": person.fill(form, {})})
    return views


def _p99(url: str, views: list[dict[str, Any]]) -> float:
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        for number in range(20):
            _change(client, views, number)
        waits: list[float] = []
        lock = threading.Lock()

        def change(number: int) -> None:
            took = _change(client, views, number)
            with lock:
                waits.append(took)

        with ThreadPoolExecutor(64) as pool:
            began = time.perf_counter()
            for number in range(_RATE * _SECONDS):
                time.sleep(max(0.0, began + number / _RATE - time.perf_counter()))
                pool.submit(change, 100 + number)
        return percentile(waits, 0.99)


def _change(client: httpx.Client, views: list[dict[str, Any]], number: int) -> float:
    """One person picks the other preset; milliseconds until the answer."""
    from blocks.train_form import ACTION_PRESET

    place = number % len(PEOPLE)
    view = views[place]
    block_id = next(name for name, entry in view["state"]["values"].items() if ACTION_PRESET in entry)
    key = ("conservative", "balanced")[number // len(PEOPLE) % 2]
    option = {"text": {"type": "plain_text", "text": key}, "value": key}
    view["state"]["values"][block_id][ACTION_PRESET] = {"type": "radio_buttons", "selected_option": option}
    action = {"type": "radio_buttons", "action_id": ACTION_PRESET, "block_id": block_id, "selected_option": option}
    payload = {
        "type": "block_actions",
        "team": {"id": "T0BRIGHT", "domain": "brightrun"},
        "user": {"id": PEOPLE[place], "team_id": "T0BRIGHT", "username": PEOPLE[place], "name": PEOPLE[place]},
        "api_app_id": "A0BRIGHT",
        "token": "unused",
        "trigger_id": f"bench.{number}",
        "container": {"type": "view", "view_id": view["id"]},
        "view": view,
        "actions": [{**action, "action_ts": f"{time.time():.6f}"}],
    }
    body = urlencode({"payload": json.dumps(payload)})
    timestamp = str(int(time.time()))
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": SignatureVerifier(SECRET).generate_signature(timestamp=timestamp, body=body) or "",
    }
    began = time.perf_counter()
    answer = client.post("/slack/events", content=body, headers=headers)
    assert answer.status_code == 200, (answer.status_code, answer.text)
    return (time.perf_counter() - began) * 1000
