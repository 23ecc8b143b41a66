"""An untouched Bolt app works against the local workspace, over Socket Mode and over signed HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.starlette import SlackRequestHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.workspace.app import WorkspaceConfig
from infra.workspace.client import Person, PersonError, WorkspaceClient
from infra.workspace.serving import WorkspaceServer

Json = dict[str, Any]
SECRET = "s3cret"
CHANNEL = "C0TRAINING"


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": plain(value.capitalize()), "value": value}


def field_of(name: str, element: Json, **rules: Any) -> Json:
    labelled = {"type": "input", "block_id": name, "label": plain(name.capitalize())}
    return {**labelled, **rules, "element": {**element, "action_id": name}}


def train_view(estimate: str = "none") -> Json:
    presets = [option("fast"), option("balanced")]
    preset = {"type": "static_select", "options": presets, "initial_option": presets[0]}
    flags = {"type": "checkboxes", "options": [option("spot"), option("eval")]}
    return {
        "type": "modal",
        "callback_id": "train",
        "private_metadata": CHANNEL,
        "title": plain("Train"),
        "submit": plain("Next"),
        "notify_on_close": True,
        "blocks": [
            field_of("name", {"type": "plain_text_input", "min_length": 3}),
            field_of("preset", preset, dispatch_action=True),
            field_of("dataset", {"type": "external_select", "min_query_length": 0}, optional=True),
            field_of("file", {"type": "file_input", "filetypes": ["json"]}, optional=True),
            field_of("flags", flags, optional=True),
            {"type": "section", "text": {"type": "mrkdwn", "text": f"Estimate: {estimate}"}},
        ],
    }


def loading_view(callback_id: str = "loading") -> Json:
    section = {"type": "section", "text": plain("Loading…")}
    return {"type": "modal", "callback_id": callback_id, "title": plain("Train"), "blocks": [section]}


def review_view() -> Json:
    return {**loading_view("review"), "submit": plain("Start"), "close": plain("Back")}


def card(text: str) -> list[Json]:
    menu = {"type": "overflow", "action_id": "menu", "options": [option("logs"), option("config")]}
    cancel = {"type": "button", "action_id": "cancel", "text": plain("Cancel"), "value": "job-1"}
    radio = {"type": "radio_buttons", "action_id": "choose", "options": [option("yes"), option("no")]}
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": text}},
        {"type": "actions", "block_id": "card", "elements": [cancel, menu, radio]},
    ]


@dataclass
class Heard:
    """What the bot was handed, by kind."""

    bodies: list[tuple[str, Json]] = field(default_factory=list)

    def add(self, kind: str, body: Json) -> None:
        self.bodies.append((kind, body))

    def wait(self, kind: str, count: int = 1, timeout: float = 5.0) -> list[Json]:
        deadline = time.monotonic() + timeout
        while len(found := [body for name, body in self.bodies if name == kind]) < count:
            assert time.monotonic() < deadline, f"{kind} {len(found)}/{count}; {[k for k, _ in self.bodies]}"
            time.sleep(0.01)
        return found


def build_bot(api_url: str, heard: Heard) -> App:
    app = App(signing_secret=SECRET, client=WebClient(token="xoxb-1", base_url=api_url))
    register_modal(app, heard)
    register_submissions(app, heard)
    register_card(app, heard)
    return app


def register_modal(app: App, heard: Heard) -> None:
    @app.command("/train")
    def train(ack: Any, body: Json, client: WebClient, respond: Any) -> None:
        heard.add("command", body)
        if body["text"] == "slow":
            time.sleep(3.5)
            client.views_open(trigger_id=body["trigger_id"], view=loading_view())
        elif body["text"] == "words":
            ack("These are words.")
            respond("And more.")
            return
        ack()
        opened = client.views_open(trigger_id=body["trigger_id"], view=loading_view())["view"]
        client.views_update(view_id=opened["id"], hash=opened["hash"], view=train_view())

    @app.action("preset")
    def preset(ack: Any, body: Json, client: WebClient, action: Json) -> None:
        ack()
        heard.add("preset", body)
        view = train_view(action["selected_option"]["value"])
        client.views_update(view_id=body["view"]["id"], hash=body["view"]["hash"], view=view)

    @app.options("dataset")
    def datasets(ack: Any, body: Json) -> None:
        heard.add("options", body)
        names = [option(name) for name in ("coaching", "support") if body["value"] in name]
        ack(options=names)


def register_submissions(app: App, heard: Heard) -> None:
    @app.view("train")
    def submitted(ack: Any, body: Json, view: Json) -> None:
        heard.add("submission", body)
        if view["state"]["values"]["name"]["name"]["value"] == "taken":
            ack(response_action="errors", errors={"name": "This name is taken."})
        else:
            ack(response_action="push", view=review_view())

    @app.view("review")
    def reviewed(ack: Any, body: Json, client: WebClient) -> None:
        ack(response_action="clear")
        client.chat_postMessage(
            channel=CHANNEL,
            text="job-1 queued",
            blocks=card("queued"),
            metadata={"event_type": "job", "event_payload": {"id": "job-1"}},
        )

    @app.view_closed("train")
    def closed(ack: Any, body: Json) -> None:
        ack()
        heard.add("closed", body)


def register_card(app: App, heard: Heard) -> None:
    @app.action("cancel")
    def cancel(ack: Any, body: Json, client: WebClient, respond: Any) -> None:
        ack()
        heard.add("cancel", body)
        client.chat_update(channel=CHANNEL, ts=body["message"]["ts"], text="job-1 cancelled", blocks=card("cancelled"))
        client.chat_postEphemeral(channel=CHANNEL, user=body["user"]["id"], text="You cancelled job-1.")
        respond("Done by response URL.")

    @app.action("menu")
    def menu(ack: Any, body: Json) -> None:
        ack()
        heard.add("menu", body)

    @app.action("choose")
    def choose(ack: Any, body: Json) -> None:
        ack()
        heard.add("choose", body)

    @app.event("app_home_opened")
    def home(event: Json, body: Json, client: WebClient) -> None:
        heard.add("home", body)
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": card("home")})


@dataclass
class Stage:
    server: WorkspaceServer
    driver: WorkspaceClient
    heard: Heard
    bot: App

    @property
    def elena(self) -> Person:
        return self.driver.as_user("U0ELENA")


def workspace_config(**changes: Any) -> WorkspaceConfig:
    commands = (("/train", "Train a model", "[dataset]"),)
    return WorkspaceConfig("xoxb-1", "xapp-1", SECRET, commands=commands, **changes)


@contextlib.contextmanager
def socket_stage(**changes: Any) -> Iterator[Stage]:
    heard = Heard()
    with (
        contextlib.ExitStack() as after,
        WorkspaceServer(workspace_config(**changes)) as server,
        WorkspaceClient(server.base_url) as driver,
    ):
        bot = build_bot(server.api_url, heard)
        handler = SocketModeHandler(bot, "xapp-1")
        # Closed after the workspace: the SDK would wait 3 s for the next byte of a live connection.
        after.callback(handler.close)
        handler.connect()
        yield Stage(server, driver, heard, bot)
        handler.client.auto_reconnect_enabled = False


@contextlib.contextmanager
def http_stage() -> Iterator[Stage]:
    heard = Heard()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/slack/events"
    with (
        WorkspaceServer(workspace_config(request_url=url)) as server,
        WorkspaceClient(server.base_url) as driver,
    ):
        bot = build_bot(server.api_url, heard)
        handler = SlackRequestHandler(bot)

        async def endpoint(request: Request) -> Response:
            return await handler.handle(request)

        app = Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])
        http = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=lambda: http.run(sockets=[listening]), daemon=True)
        thread.start()
        try:
            yield Stage(server, driver, heard, bot)
        finally:
            http.should_exit = True
            thread.join(5)


@pytest.fixture(params=["socket", "http"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with socket_stage() if request.param == "socket" else http_stage() as ready:
        yield ready


def open_train(person: Person) -> Json:
    assert person.command(CHANNEL, "/train") == {"ok": True}
    return person.wait_view("train")


def start_job(person: Person) -> Json:
    assert person.submit(open_train(person), {"name": "first"})["ok"]
    assert person.submit(person.wait_view("review"))["ok"]
    return person.wait_message(CHANNEL, lambda m: m["text"] == "job-1 queued")


def test_a_person_configures_starts_and_cancels(stage: Stage) -> None:
    elena = stage.elena
    view = open_train(elena)
    assert elena.submit(view)["errors"] == {"name": "Please complete this required field."}
    assert elena.submit(view, {"name": "ab"})["errors"] == {"name": "Must be at least 3 characters."}
    elena.fill(view, {"preset": "balanced"})
    updated = elena.wait_view("train", when=lambda v: "balanced" in v["blocks"][-1]["text"]["text"])
    assert updated["id"] == view["id"]
    assert updated["hash"] != view["hash"]
    assert elena.submit(view, {"name": "taken"})["errors"] == {"name": "This name is taken."}
    assert [option["value"] for option in elena.options(view, "dataset", "coach")] == ["coaching"]
    file = elena.upload("two runs.json", b'{"a": 1}')
    answer = elena.submit(view, {"name": "first", "dataset": "coaching", "file": [file], "flags": ["spot"]})
    assert answer == {"ok": True}

    values = stage.heard.wait("submission", 2)[-1]["view"]["state"]["values"]
    assert values["preset"]["preset"]["selected_option"]["value"] == "balanced"
    assert values["dataset"]["dataset"]["selected_option"]["value"] == "coaching"
    assert [o["value"] for o in values["flags"]["flags"]["selected_options"]] == ["spot"]
    address = values["file"]["file"]["files"][0]["url_private_download"]
    downloaded = httpx.get(address, headers={"Authorization": "Bearer xoxb-1"}, trust_env=False)
    assert downloaded.content == b'{"a": 1}'
    assert httpx.get(address, trust_env=False).status_code == 403

    assert [v["callback_id"] for v in elena.views()] == ["train", "review"]
    assert elena.submit(elena.wait_view("review")) == {"ok": True}
    assert elena.views() == []
    message = elena.wait_message(CHANNEL, lambda m: m["text"] == "job-1 queued")
    assert elena.click(message, "cancel") == {"ok": True}
    cancelled = elena.wait_message(CHANNEL, lambda m: m["text"] == "job-1 cancelled")
    assert (cancelled["ts"], cancelled["metadata"]["event_payload"]) == (message["ts"], {"id": "job-1"})
    elena.wait_message(CHANNEL, lambda m: m["text"] == "You cancelled job-1.")
    elena.wait_message(CHANNEL, lambda m: m["text"] == "Done by response URL.")
    marcus_sees = [m["text"] for m in stage.driver.as_user("U0MARCUS").messages(CHANNEL)]
    assert marcus_sees == ["job-1 cancelled"]
    assert stage.heard.wait("cancel")[0]["actions"][0]["value"] == "job-1"


def test_choices_in_messages_and_home_reach_the_bot(stage: Stage) -> None:
    elena = stage.elena
    message = start_job(elena)
    assert elena.click(message, "menu", selected_option="logs")["ok"]
    assert stage.heard.wait("menu")[0]["actions"][0]["selected_option"]["value"] == "logs"
    elena.open_home()
    home = elena.wait_home()
    assert elena.click(home, "choose", selected_option="no")["ok"]
    body = stage.heard.wait("choose")[0]
    assert body["view"]["type"] == "home"
    assert body["view"]["state"]["values"]["card"]["choose"]["selected_option"]["value"] == "no"


def test_closing_tells_the_bot(stage: Stage) -> None:
    elena = stage.elena
    elena.close(open_train(elena))
    assert stage.heard.wait("closed")[0]["is_cleared"] is False
    assert elena.views() == []


def test_words_of_an_ack_are_for_the_person_alone(stage: Stage) -> None:
    elena = stage.elena
    elena.command(CHANNEL, "/train words")
    elena.wait_message(CHANNEL, lambda m: m["text"] == "These are words.")
    elena.wait_message(CHANNEL, lambda m: m["text"] == "And more.")
    assert stage.driver.as_user("U0MARCUS").messages(CHANNEL) == []


def test_a_slow_bot_is_a_timeout_and_its_trigger_is_expired(stage: Stage) -> None:
    answer = stage.elena.command(CHANNEL, "/train slow")
    assert answer["error"] == '/train failed with the error "operation_timeout"'
    deadline = time.monotonic() + 3
    while not (calls := stage.driver.calls("views.open")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert calls[0]["answer"]["error"] == "expired_trigger_id"


def test_a_repeated_delivery_is_the_same_payload(stage: Stage) -> None:
    elena = stage.elena
    elena.click(start_job(elena), "menu", selected_option="config")
    assert stage.driver.control("redeliver", {"envelope": "last"})["ok"]
    first, second = stage.heard.wait("menu", 2)
    assert first == second


def test_forged_and_stale_requests_are_rejected_by_the_bot() -> None:
    with http_stage() as stage:
        stage.elena.command(CHANNEL, "/train words")  # the bot is up
        for kind in ("bad_signature", "stale"):
            assert stage.driver.control("forge", {"kind": kind})["status"] == 401
        assert len(stage.heard.wait("command")) == 1


def test_without_a_bot_the_command_fails_as_in_slack() -> None:
    with WorkspaceServer(workspace_config()) as server, WorkspaceClient(server.base_url) as driver:
        answer = driver.as_user("U0ELENA").command(CHANNEL, "/train")
        assert answer == {"ok": False, "error": '/train failed with the error "dispatch_failed"'}
        unknown = driver.as_user("U0ELENA").command(CHANNEL, "/dance")
        assert unknown["error"].startswith("/dance is not a valid command.")


def test_fifty_clicks_at_once_all_arrive() -> None:
    with socket_stage() as stage:
        message = start_job(stage.elena)
        people = [WorkspaceClient(stage.server.base_url).as_user("U0ELENA") for _ in range(10)]

        def five_clicks(person: Person) -> None:
            for _ in range(5):
                person.click(message, "menu", selected_option="logs")

        threads = [threading.Thread(target=five_clicks, args=(person,)) for person in people]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stage.heard.wait("menu", 50)
        assert time.monotonic() - started < 5  # about one second on an idle core
        assert len(stage.heard.wait("menu", 50)) == 50


def refusal(call: Any, **args: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**args)
    return str(caught.value.response["error"])


@pytest.fixture
def quiet() -> Iterator[tuple[WorkspaceClient, WebClient]]:
    with WorkspaceServer(workspace_config()) as server, WorkspaceClient(server.base_url) as driver:
        yield driver, WebClient("xoxb-1", base_url=server.api_url)


def test_web_api_refuses_what_slack_refuses(quiet: tuple[WorkspaceClient, WebClient]) -> None:
    driver, web = quiet
    assert refusal(WebClient("xoxb-2", base_url=web.base_url).auth_test) == "invalid_auth"
    assert refusal(WebClient(base_url=web.base_url).auth_test) == "not_authed"
    assert refusal(web.chat_postMessage, channel="C0NOWHERE", text="x") == "channel_not_found"
    assert refusal(web.chat_update, channel=CHANNEL, ts="1.000000", text="x") == "message_not_found"
    assert refusal(web.users_info, user="U0NOBODY") == "user_not_found"
    assert refusal(web.chat_postMessage, channel=CHANNEL, text="x", blocks=[{"type": "no"}]) == "invalid_blocks"
    missing = [{"type": "image", "alt_text": "loss", "slack_file": {"id": "F0NONE"}}]
    assert refusal(web.chat_postMessage, channel=CHANNEL, text="x", blocks=missing) == "invalid_blocks"
    said = driver.as_user("U0ELENA").say(CHANNEL, "hello")
    assert refusal(web.chat_update, channel=CHANNEL, ts=said["ts"], text="x") == "cant_update_message"
    driver.control("membership", {"channel": "C0GENERAL", "member": False})
    assert refusal(web.chat_postMessage, channel="C0GENERAL", text="x") == "not_in_channel"
    assert refusal(web.views_open, trigger_id="1.2.3", view=loading_view()) == "invalid_trigger_id"


def test_threads_history_and_permalinks(quiet: tuple[WorkspaceClient, WebClient]) -> None:
    driver, web = quiet
    metadata = {"event_type": "job", "event_payload": {"id": "1"}}
    parent = web.chat_postMessage(channel=CHANNEL, text="card", metadata=metadata)["ts"]
    web.chat_postMessage(channel=CHANNEL, text="milestone", thread_ts=parent)
    history = web.conversations_history(channel=CHANNEL, include_all_metadata=True)["messages"]
    assert [(m["text"], m["reply_count"], m["metadata"]) for m in history] == [("card", 1, metadata)]
    assert "metadata" not in web.conversations_history(channel=CHANNEL)["messages"][0]
    replies = web.conversations_replies(channel=CHANNEL, ts=parent)["messages"]
    assert [m["text"] for m in replies] == ["card", "milestone"]
    assert web.chat_getPermalink(channel=CHANNEL, message_ts=parent)["permalink"].endswith(parent.replace(".", ""))
    im = web.conversations_open(users="U0PRIYA")["channel"]["id"]
    web.chat_postMessage(channel=im, text="for you")
    assert [m["text"] for m in driver.as_user("U0PRIYA").messages(im)] == ["for you"]
    assert im not in driver.as_user("U0ELENA").state()["messages"]


def test_rates_and_faults(quiet: tuple[WorkspaceClient, WebClient]) -> None:
    driver, web = quiet
    for number in range(5):
        web.chat_postMessage(channel=CHANNEL, text=str(number))
    with pytest.raises(SlackApiError) as caught:
        web.chat_postMessage(channel=CHANNEL, text="too many")
    assert caught.value.response.status_code == 429
    assert int(caught.value.response.headers["Retry-After"]) >= 1
    driver.control("rate_limits", {"on": False})
    driver.control(
        "faults",
        [
            {"method": "chat.postMessage", "kind": "error", "error": "fatal_error"},
            {"method": "chat.postMessage", "kind": "status", "status": 503},
            {"method": "chat.postMessage", "kind": "drop_after"},
        ],
    )
    assert refusal(web.chat_postMessage, channel=CHANNEL, text="a") == "fatal_error"
    with pytest.raises(SlackApiError):
        web.chat_postMessage(channel=CHANNEL, text="b")
    bare = WebClient("xoxb-1", base_url=web.base_url, retry_handlers=[])
    with pytest.raises(ConnectionError):
        bare.chat_postMessage(channel=CHANNEL, text="c")
    texts = [m["text"] for m in driver.all_messages(CHANNEL)]
    assert texts == ["0", "1", "2", "3", "4", "c"]
    assert driver.calls("chat.postMessage")[-1]["args"]["text"] == "c"


def test_uploaded_pictures_are_shown(quiet: tuple[WorkspaceClient, WebClient]) -> None:
    driver, web = quiet
    sent = web.files_upload_v2(filename="loss.png", content=b"\x89PNG\x00\xff", channel=CHANNEL)["file"]
    elena = driver.as_user("U0ELENA")
    assert elena.wait_message(CHANNEL, lambda m: bool(m.get("files")))["files"][0]["id"] == sent["id"]
    assert elena.download(sent["id"]) == b"\x89PNG\x00\xff"
    picture = {"type": "image", "alt_text": "loss", "slack_file": {"id": sent["id"]}}
    assert web.chat_postMessage(channel=CHANNEL, text="loss", blocks=[picture])["ok"]
    web.files_delete(file=sent["id"])
    assert refusal(web.files_info, file=sent["id"]) == "file_not_found"


def test_a_restart_keeps_channels_and_files(tmp_path: Any) -> None:
    config = workspace_config(snapshot=tmp_path / "workspace.json")
    with WorkspaceServer(config) as server:
        web = WebClient("xoxb-1", base_url=server.api_url)
        first = web.chat_postMessage(channel=CHANNEL, text="kept")["ts"]
        file = web.files_upload_v2(filename="a.txt", content="bytes", channel=CHANNEL)["file"]["id"]
    with WorkspaceServer(config) as server, WorkspaceClient(server.base_url) as driver:
        elena = driver.as_user("U0ELENA")
        assert elena.messages(CHANNEL)[0]["ts"] == first
        assert elena.download(file) == b"bytes"
        assert driver.control("reset")["ok"]
        assert elena.messages(CHANNEL) == []
    assert json.loads((tmp_path / "workspace.json").read_text())["files"] == {}


def test_the_view_stack_holds_three_and_hashes_guard_updates() -> None:
    with socket_stage() as stage:
        web, elena = stage.bot.client, stage.elena
        view = open_train(elena)
        assert refusal(web.views_update, view_id=view["id"], hash="old", view=train_view()) == "hash_conflict"
        trigger = stage.heard.wait("command")[0]["trigger_id"]
        assert refusal(web.views_open, trigger_id=trigger, view=loading_view()) == "exchanged_trigger_id"
        for depth in (2, 3):
            elena.fill(view, {"preset": "balanced"})
            pushed = stage.heard.wait("preset", depth - 1)[-1]["trigger_id"]
            web.views_push(trigger_id=pushed, view=loading_view())
            assert len(elena.views()) == depth
        elena.fill(view, {"preset": "fast"})
        pushed = stage.heard.wait("preset", 3)[-1]["trigger_id"]
        assert refusal(web.views_push, trigger_id=pushed, view=loading_view()) == "push_limit_reached"
        elena.close(elena.views()[-1], whole_stack=True)
        assert refusal(web.views_update, view_id=view["id"], view=train_view()) == "not_found"


def test_the_driver_says_what_is_there_instead() -> None:
    with socket_stage() as stage, pytest.raises(PersonError, match="there are"):
        stage.elena.click(open_train(stage.elena), "no_such_thing")
