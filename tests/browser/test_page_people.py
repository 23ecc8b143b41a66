"""People at the page: commands, modals, buttons, threads, several tabs, with a real Bolt app behind it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from infra.workspace.app import WorkspaceConfig
from infra.workspace.serving import WorkspaceServer
from tests.browser.chromium import tab
from tests.browser.hands import act, say

Json = dict[str, Any]
CHANNEL = "C0TRAINING"
CONFIG = WorkspaceConfig(
    bot_token="xoxb-1",
    app_token="xapp-1",
    signing_secret="s",
    commands=(("/train", "Configure a run", "[dataset]"), ("/jobs", "Your jobs", "")),
)


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": plain(value.capitalize()), "value": value}


def field_of(block_id: str, element: Json, **more: Any) -> Json:
    element = {"action_id": block_id, **element}
    return {"type": "input", "block_id": block_id, "label": plain(block_id.capitalize()), "element": element, **more}


def train_view(estimate: str) -> Json:
    presets = [option("fast"), option("balanced")]
    return {
        "type": "modal",
        "callback_id": "train",
        "title": plain("Train"),
        "submit": plain("Review"),
        "blocks": [
            {"type": "section", "block_id": "estimate", "text": {"type": "mrkdwn", "text": f"About *{estimate}*"}},
            field_of("preset", {"type": "radio_buttons", "options": presets}, dispatch_action=True),
            field_of("dataset", {"type": "external_select", "min_query_length": 2}),
            field_of(
                "tags", {"type": "multi_static_select", "options": [option("tax"), option("demo")]}, optional=True
            ),
            field_of("name", {"type": "plain_text_input", "max_length": 12}),
            *[{"type": "section", "block_id": f"filler{n}", "text": plain("Line\nof\ntext")} for n in range(12)],
            field_of("stop", {"type": "number_input", "is_decimal_allowed": False, "max_value": "50"}, optional=True),
            field_of("file", {"type": "file_input", "filetypes": ["json"], "max_files": 1}, optional=True),
        ],
    }


REVIEW: Json = {"type": "modal", "callback_id": "review", "title": plain("Review"), "submit": plain("Start")}
CARD: list[Json] = [
    {"type": "section", "block_id": "head", "text": {"type": "mrkdwn", "text": "*Acme* 42 %"}},
    {
        "type": "actions",
        "block_id": "act",
        "elements": [
            {"type": "button", "action_id": "pause", "text": plain("Pause"), "value": "j1"},
            {
                "type": "button",
                "action_id": "cancel",
                "text": plain("Cancel"),
                "confirm": {
                    "title": plain("Cancel it?"),
                    "text": plain("Really"),
                    "confirm": plain("Yes"),
                    "deny": plain("No"),
                },
            },
            {"type": "overflow", "action_id": "more", "options": [option("log"), option("notes")]},
        ],
    },
]


@dataclass
class Desk:
    """The workspace, the app behind it, and what the app heard."""

    url: str
    client: WebClient
    heard: list[Json] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def actions(self) -> list[Json]:
        return [body["actions"][0] for body in self.heard if body["type"] == "block_actions"]


def listen_to_forms(app: App, desk: Desk) -> None:
    @app.command("/train")
    def train(ack: Any, body: Json, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=train_view("1 h"))

    @app.command("/jobs")
    def jobs(ack: Any) -> None:
        ack(text="No jobs yet.")

    @app.options("dataset")
    def dataset(ack: Any, payload: Json) -> None:
        names = ["acme", "<img src=x onerror=window.hacked=1>"]
        ack(options=[option(name) for name in names if payload["value"].lower() in name])

    @app.action("preset")
    def preset(ack: Any, body: Json, client: WebClient) -> None:
        ack()
        chosen = body["actions"][0]["selected_option"]["value"]
        client.views_update(view_id=body["view"]["id"], view=train_view({"fast": "20 min", "balanced": "2 h"}[chosen]))

    @app.view("train")
    def submitted(ack: Any, body: Json) -> None:
        desk.heard.append(body)
        if body["view"]["state"]["values"]["name"]["name"]["value"] == "taken":
            ack(response_action="errors", errors={"name": "There is already a job with this name."})
        else:
            ack(response_action="push", view={**REVIEW, "blocks": [{"type": "section", "text": plain("Ready?")}]})

    @app.view("review")
    def started(ack: Any) -> None:
        ack(response_action="clear")


def listen_to_buttons(app: App, desk: Desk) -> None:
    @app.action({"type": "block_actions", "action_id": "pause"})
    def pause(ack: Any, body: Json) -> None:
        desk.heard.append(body)
        desk.go_on.wait(2)
        ack()

    for action in ("cancel", "more", "go"):

        @app.action(action)
        def other(ack: Any, body: Json) -> None:
            desk.heard.append(body)
            ack()

    @app.event("app_home_opened")
    def home(client: WebClient, event: Json) -> None:
        button = {"type": "button", "action_id": "go", "text": plain("New run"), "value": "new"}
        blocks = [{"type": "header", "text": plain("Your jobs")}, {"type": "actions", "elements": [button]}]
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    @app.event("message")
    def message() -> None:
        """Nothing to do: people talk."""


@pytest.fixture
def desk() -> Iterator[Desk]:
    with WorkspaceServer(CONFIG) as server:
        client = WebClient(token=CONFIG.bot_token, base_url=server.api_url)
        app = App(client=client, signing_secret=CONFIG.signing_secret, token_verification_enabled=False)
        desk = Desk(server.base_url, client)
        listen_to_forms(app, desk)
        listen_to_buttons(app, desk)
        handler = SocketModeHandler(app, CONFIG.app_token)
        handler.connect()  # type: ignore[no-untyped-call]
        try:
            yield desk
        finally:
            desk.go_on.set()
            handler.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def elena(desk: Desk, browser: Browser) -> Iterator[Page]:
    with tab(browser, f"{desk.url}/?user=U0ELENA") as page:
        yield page


def open_train(page: Page) -> None:
    say(page, "/train")
    expect(page.locator('[data-view-callback="train"]')).to_be_visible()


def test_commands_complete_and_answer_me_alone(elena: Page) -> None:
    composer = elena.get_by_test_id("composer")
    composer.press_sequentially("/")
    expect(elena.get_by_test_id("command-list")).to_contain_text("Configure a run")
    composer.press_sequentially("jo")
    expect(elena.get_by_test_id("command-list").locator("[role=option]")).to_have_count(1)
    composer.press("Tab")
    expect(composer).to_have_value("/jobs ")
    composer.press("Enter")
    answer = elena.get_by_test_id("message").last
    expect(answer).to_contain_text("No jobs yet.")
    expect(answer).to_contain_text("Only visible to you")
    say(elena, "/nonsense")
    expect(elena.get_by_test_id("toast")).to_contain_text("/nonsense is not a valid command")


def test_estimate_follows_and_typed_values_stay(elena: Page) -> None:
    open_train(elena)
    name = act(elena, "name")
    name.fill("hello")
    body = elena.locator(".modal-body")
    elena.get_by_label("Balanced").check()
    expect(elena.locator('[data-block-id="estimate"]')).to_contain_text("About 2 h")
    name.focus()
    before = body.evaluate("node => node.scrollTop = 40")
    elena.get_by_label("Fast").evaluate("node => { node.checked = true; node.dispatchEvent(new Event('change')); }")
    expect(elena.locator('[data-block-id="estimate"]')).to_contain_text("About 20 min")
    expect(name).to_have_value("hello")
    expect(name).to_be_focused()
    expect(elena.get_by_label("Fast")).to_be_checked()
    assert body.evaluate("node => node.scrollTop") == before


def test_a_modal_refuses_says_why_and_goes_on(elena: Page, desk: Desk) -> None:
    open_train(elena)
    submit = elena.get_by_test_id("modal-submit")
    submit.click()
    expect(elena.get_by_test_id("input-error")).to_have_count(3)
    assert desk.heard == []
    elena.get_by_label("Fast").check()
    act(elena, "dataset").click()
    expect(elena.get_by_test_id("options")).to_contain_text("at least 2 characters")
    elena.keyboard.type("ac")
    elena.locator('[role=option][data-value="acme"]').click()
    act(elena, "tags").click()
    elena.keyboard.press("Enter")
    elena.keyboard.press("Escape")
    act(elena, "stop").fill("70")
    act(elena, "name").fill("much too long a name")
    expect(elena.get_by_test_id("counter").first).to_have_text("-8")
    submit.click()
    expect(elena.get_by_test_id("input-error")).to_have_count(2)
    act(elena, "stop").fill("7")
    act(elena, "name").fill("taken")
    act(elena, "file").locator("input").set_input_files(
        {"name": "a <b>.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(act(elena, "file")).to_contain_text("a <b>.json")
    submit.click()
    expect(elena.get_by_test_id("input-error")).to_have_text(" There is already a job with this name.")
    act(elena, "name").fill("fine")
    submit.click()
    expect(elena.locator('[data-view-callback="review"]')).to_contain_text("Ready?")
    values = desk.heard[-1]["view"]["state"]["values"]
    assert values["dataset"]["dataset"]["selected_option"]["value"] == "acme"
    assert [one["value"] for one in values["tags"]["tags"]["selected_options"]] == ["tax"]
    assert values["stop"]["stop"]["value"] == "7"
    assert values["file"]["file"]["files"][0]["name"] == "a <b>.json"
    elena.get_by_test_id("modal-back").click()
    expect(act(elena, "name")).to_have_value("fine")
    submit.click()
    elena.locator('[data-view-callback="review"]').get_by_test_id("modal-submit").click()
    expect(elena.get_by_test_id("modal")).to_have_count(0)


def test_nothing_is_submitted_while_a_file_is_under_way(elena: Page, desk: Desk) -> None:
    open_train(elena)
    elena.get_by_label("Fast").check()
    held: list[Route] = []
    elena.route("**/page/upload*", lambda route: held.append(route))
    act(elena, "file").locator("input").set_input_files(
        {"name": "slow.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(act(elena, "file")).to_contain_text("slow.json")
    submit = elena.get_by_test_id("modal-submit")
    expect(submit).to_be_disabled()
    act(elena, "name").fill("fine")
    act(elena, "name").press("Enter")
    expect(elena.get_by_test_id("input-error")).to_have_count(0)
    held.pop().continue_()
    expect(submit).to_be_enabled()
    expect(act(elena, "file").get_by_label("Remove slow.json")).to_be_visible()
    expect(act(elena, "name")).to_be_focused()
    elena.unroute("**/page/upload*")
    elena.route("**/page/upload*", lambda route: route.abort())
    act(elena, "file").get_by_label("Remove slow.json").click()
    act(elena, "file").locator("input").set_input_files(
        {"name": "lost.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    expect(act(elena, "file").get_by_role("alert")).to_have_text("The upload was interrupted")
    expect(submit).to_be_enabled()


def test_hostile_options_stay_text(elena: Page) -> None:
    open_train(elena)
    act(elena, "dataset").click()
    elena.keyboard.type("img")
    expect(elena.locator("[role=option]")).to_contain_text("<img src=x")
    assert elena.evaluate("window.hacked") is None


def test_escape_closes_the_modal_and_gives_the_focus_back(elena: Page) -> None:
    open_train(elena)
    elena.keyboard.press("Escape")
    expect(elena.get_by_test_id("modal")).to_have_count(0)
    expect(elena.get_by_test_id("composer")).to_be_focused()


def test_buttons_spin_until_the_ack_and_dangerous_ones_ask(elena: Page, desk: Desk) -> None:
    desk.client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD)
    act(elena, "pause").click()
    expect(act(elena, "pause")).to_have_attribute("aria-busy", "true")
    desk.go_on.set()
    expect(act(elena, "pause")).to_have_attribute("aria-busy", "false")
    act(elena, "cancel").click()
    elena.get_by_test_id("confirm-no").click()
    act(elena, "cancel").click()
    elena.get_by_test_id("confirm-yes").click()
    expect(act(elena, "cancel")).to_have_attribute("aria-busy", "false")
    act(elena, "more").click()
    elena.locator('[role=menuitem][data-value="notes"]').click()
    expect(act(elena, "more")).to_have_attribute("aria-busy", "false")
    assert [one["action_id"] for one in desk.actions()] == ["pause", "cancel", "more"]
    assert desk.actions()[2]["selected_option"]["value"] == "notes"


def test_cards_change_in_place_and_threads_are_live(elena: Page, desk: Desk, browser: Browser) -> None:
    ts = desk.client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD)["ts"]
    card = elena.locator(f'article[data-ts="{ts}"]').first
    expect(card).to_contain_text("42 %")
    head = {**CARD[0], "text": {"type": "mrkdwn", "text": "*Acme* 43 %"}}
    desk.client.chat_update(channel=CHANNEL, ts=ts, text="card", blocks=[head, CARD[1]])
    expect(card).to_contain_text("43 %")
    expect(card).to_contain_text("(edited)")
    desk.client.chat_postMessage(channel=CHANNEL, text="Started.", thread_ts=ts)
    card.get_by_test_id("thread-link").click()
    panel = elena.get_by_test_id("thread-panel")
    expect(panel).to_contain_text("Started.")
    with tab(browser, f"{desk.url}/?user=U0MARCUS&thread={ts}") as marcus:
        marcus.get_by_test_id("thread-composer").fill("Looks *good*")
        marcus.get_by_test_id("thread-send").click()
    expect(panel).to_contain_text("Looks good")
    expect(card.get_by_test_id("thread-link")).to_contain_text("2 replies")
    desk.client.chat_delete(channel=CHANNEL, ts=ts)
    expect(card).to_have_count(0)
    expect(panel).to_be_hidden()


def test_unread_channels_stand_out_and_home_opens(elena: Page, desk: Desk) -> None:
    desk.client.chat_postMessage(channel="C0GENERAL", text="hello")
    general = elena.get_by_test_id("channel-general")
    expect(general).to_contain_text("1")
    general.click()
    expect(elena.get_by_test_id("message")).to_contain_text("hello")
    expect(general.locator(".badge")).to_have_count(0)
    elena.get_by_test_id("app-home").click()
    expect(elena.get_by_test_id("app-home-view")).to_contain_text("Your jobs")
    act(elena, "go").click()
    expect(act(elena, "go")).to_have_attribute("aria-busy", "false")
    assert desk.actions()[0]["value"] == "new"


def test_a_lost_connection_comes_back_with_what_was_missed(browser: Browser) -> None:
    with contextlib.ExitStack() as stack:
        with WorkspaceServer(CONFIG) as first:
            page = stack.enter_context(tab(browser, f"{first.base_url}/?user=U0ELENA"))
            expect(page.get_by_test_id("connection")).to_be_hidden()
        expect(page.get_by_test_id("connection")).to_contain_text("reconnecting")
        port = httpx.URL(first.base_url).port or 0
        with WorkspaceServer(CONFIG, port=port) as second:
            client = WebClient(token=CONFIG.bot_token, base_url=second.api_url)
            client.chat_postMessage(channel=CHANNEL, text="while you were away")
            expect(page.get_by_test_id("message").last).to_contain_text("while you were away", timeout=9000)
            expect(page.get_by_test_id("connection")).to_be_hidden()


def test_people_switch_in_their_own_tabs(elena: Page) -> None:
    elena.get_by_test_id("user-switch").click()
    with elena.context.expect_page() as opened:
        elena.get_by_test_id("user-newtab-marcus").click()
    marcus = opened.value
    expect(marcus.get_by_test_id("user-switch")).to_contain_text("marcus")
    expect(elena.get_by_test_id("user-switch")).to_contain_text("You are elena · AI engineer")


def test_a_phone_gets_a_drawer_and_nothing_overflows(desk: Desk, browser: Browser) -> None:
    desk.client.chat_postMessage(channel=CHANNEL, text="card", blocks=CARD)
    with tab(browser, f"{desk.url}/?user=U0ELENA", width=390, height=844) as page:
        expect(page.get_by_test_id("sidebar")).not_to_be_visible()
        page.get_by_test_id("sidebar-toggle").click()
        page.get_by_test_id("channel-general").click()
        expect(page.get_by_test_id("sidebar")).not_to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_is_asked_of_other_hosts(desk: Desk, browser: Browser) -> None:
    hosts = set()
    with tab(browser, f"{desk.url}/?user=U0ELENA") as page:
        page.on("request", lambda request: hosts.add(httpx.URL(request.url).netloc))
        page.reload()
        page.wait_for_selector("body[data-ready]")
    assert hosts == {httpx.URL(desk.url).netloc}
