"""Messages, views and option answers as wholes: counts, totals, places, uniqueness."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.workspace.limits import message_problems, options_problems, view_problems
from tests.unit.test_limits_blocks import INPUT_ELEMENTS, MESSAGE_BLOCKS, as_input, mrkdwn, option, plain

Json = dict[str, Any]
DIVIDER = {"type": "divider"}


def modal(*blocks: Json, **changes: object) -> Json:
    return {"type": "modal", "title": plain(), "submit": plain("Go"), "blocks": [*blocks], **changes}


def section(text: str) -> Json:
    return {"type": "section", "text": mrkdwn(text)}


MESSAGES: list[tuple[Json, str | None]] = [
    ({"text": "Hello", "unfurl_links": False, "thread_ts": "1.2", "icon_emoji": ":x:"}, None),
    ({"blocks": [DIVIDER] * 50}, None),
    ({"blocks": json.dumps([DIVIDER])}, None),
    ({"delete_original": True}, None),
    ({"markdown_text": "**x**"}, None),
    ({"attachments": [{"color": "#f00", "blocks": [DIVIDER]}]}, None),
    ({"text": "x", "metadata": {"event_type": "job", "event_payload": {"id": 7, "n": [1]}}}, None),
    ({}, "a message needs text, blocks or attachments"),
    ({"text": "", "blocks": []}, "a message needs text, blocks or attachments"),
    ({"blocks": [DIVIDER] * 51}, "blocks has 51 items; the limit is 50"),
    ({"blocks": DIVIDER}, "blocks must be an array, not an object"),
    ({"blocks": "[{"}, "blocks is a string that is not valid JSON"),
    ({"text": 5}, "text must be a string, not a number"),
    ({"text": "x" * 40_001}, "text has 40001 characters; the limit is 40000"),
    ({"text": "x" * 4_001, "ts": "1.2"}, "text has 4001 characters; the limit is 4000"),
    ({"blocks": [section("x" * 2600)] * 5}, None),
    ({"blocks": [section("x" * 2601)] * 5}, "blocks have 13005 characters of text in all blocks"),
    (
        {"blocks": [{"type": "markdown", "text": "x" * 6001}] * 2},
        "in all markdown blocks; the limit is 12000",
    ),
    ({"blocks": [MESSAGE_BLOCKS["data_visualization"]] * 3}, "a message takes 2"),
    ({"text": "x", "markdown_text": "x"}, "markdown_text cannot stand beside text"),
    ({"text": "x", "metadata": {"event_type": "job"}}, "metadata.event_payload is missing"),
    ({"text": "x", "metadata": {"event_type": "", "event_payload": {}}}, "event_type has 0 characters"),
    ({"text": "x", "metadata": {"event_type": "a", "event_payload": []}}, "must be an object"),
    ({"attachments": [{}] * 101}, "attachments has 101 items; the limit is 100"),
    ({"attachments": [{"blocks": [{"type": "header"}]}]}, "attachments[0].blocks[0].text is missing"),
    ({"blocks": [{**DIVIDER, "block_id": "a"}] * 2}, "blocks[1].block_id 'a' is already taken by blocks[0]"),
]


@pytest.mark.parametrize(("payload", "problem"), MESSAGES)
def test_message(payload: Json, problem: str | None) -> None:
    problems = message_problems({"channel": "C1", **payload})

    assert problems == [] if problem is None else any(problem in found for found in problems), problems


VIEWS: list[tuple[Json, str | None]] = [
    (modal(*[DIVIDER] * 100, callback_id="c", private_metadata="", notify_on_close=True), None),
    ({"type": "modal", "title": plain(), "blocks": [DIVIDER]}, None),
    ({"type": "home", "blocks": [], "callback_id": "home"}, None),
    (modal(*[DIVIDER] * 101), "blocks has 101 items; the limit is 100"),
    (modal(title=plain("x" * 25)), "title.text has 25 characters; the limit is 24"),
    (modal(submit=plain("x" * 25)), "submit.text has 25 characters"),
    (modal(close=plain("x" * 25)), "close.text has 25 characters"),
    (modal(title=mrkdwn()), "only plain_text is allowed"),
    (modal(private_metadata="x" * 3001), "private_metadata has 3001 characters; the limit is 3000"),
    (modal(callback_id="x" * 256), "callback_id has 256 characters; the limit is 255"),
    (modal(external_id="x" * 256), "external_id has 256 characters; the limit is 255"),
    (modal(hash="1.2"), "hash is an invalid additional property of a modal"),
    (modal(close=None), "close must be an object, not null"),
    ({"type": "modal", "blocks": []}, "title is missing; a modal needs it"),
    ({"type": "modal", "title": plain()}, "blocks is missing; a modal needs it"),
    ({"type": "dialog", "blocks": []}, "type must be modal or home"),
    ({"type": "home", "blocks": [], "submit": plain()}, "submit is an invalid additional property"),
    (
        {"type": "modal", "title": plain(), "blocks": [as_input("datepicker")]},
        "submit is missing; a modal with an input block needs it",
    ),
    (
        modal(as_input("datepicker", focus_on_load=True), as_input("timepicker", focus_on_load=True)),
        "only one element may have it",
    ),
    (modal(*[section("ä" * 2999)] * 50), "The view has 3"),
    (modal({**as_input("file_input"), "dispatch_action": True}), "cannot be used with a file_input"),
]


@pytest.mark.parametrize(("view", "problem"), VIEWS)
def test_view(view: Json, problem: str | None) -> None:
    problems = view_problems(view)

    assert problems == [] if problem is None else any(problem in found for found in problems), problems


NOT_IN_MODAL = (
    {"carousel", "container", "context_actions", "data_table", "data_visualization"}
    | {"file", "markdown", "plan", "table", "task_card"}
)  # fmt: skip
NOT_AT_HOME = {"context_actions", "file", "markdown", "plan", "task_card"}


@pytest.mark.parametrize("kind", MESSAGE_BLOCKS)
def test_a_block_stands_only_where_slack_shows_it(kind: str) -> None:
    refusal = f"blocks[0] is a {kind} block, which a {{}} does not take."
    home = view_problems({"type": "home", "blocks": [MESSAGE_BLOCKS[kind]]})

    assert (refusal.format("modal") in view_problems(modal(MESSAGE_BLOCKS[kind]))) == (kind in NOT_IN_MODAL)
    assert (refusal.format("home") in home) == (kind in NOT_AT_HOME)


def test_an_alert_stands_only_in_a_modal() -> None:
    alert = {"type": "alert", "level": "warning", "text": mrkdwn()}

    assert view_problems(modal(alert)) == []
    assert "a message does not take" in message_problems({"blocks": [alert]})[0]
    assert "has 201 characters" in view_problems(modal({**alert, "text": plain("x" * 201)}))[0]


@pytest.mark.parametrize("kind", INPUT_ELEMENTS)
def test_an_input_stands_only_where_slack_shows_it(kind: str) -> None:
    block = as_input(kind)
    block["element"].pop("response_url_enabled", None)
    only_in_modals = {"email_text_input", "file_input", "number_input", "url_text_input"}

    in_message = message_problems({"blocks": [block]})
    at_home = view_problems({"type": "home", "blocks": [block]})

    assert bool(in_message) == (kind in only_in_modals | {"rich_text_input"})
    assert bool(at_home) == (kind in only_in_modals | {"datetimepicker"})


def test_response_url_works_only_in_an_input_of_a_modal() -> None:
    block = as_input("conversations_select")

    assert view_problems(modal(block)) == []
    assert "only works in an input block of a modal" in message_problems({"blocks": [block]})[0]


ANSWERS: list[tuple[Json, str | None]] = [
    ({"options": []}, None),
    ({"options": [option(str(n)) for n in range(100)]}, None),
    ({"option_groups": [{"label": plain(), "options": [option("a")]}]}, None),
    ({}, "options or option_groups must be there"),
    ({"options": [], "option_groups": []}, "only one of them"),
    ({"options": [option(str(n)) for n in range(101)]}, "options has 101 items; the limit is 100"),
    ({"options": [{"text": plain("x" * 76), "value": "a"}]}, "options[0].text.text has 76 characters"),
    ({"options": [{"text": plain()}]}, "options[0].value is missing"),
    ({"options": [], "more": 1}, "more is an invalid additional property"),
]


@pytest.mark.parametrize(("answer", "problem"), ANSWERS)
def test_options_answer(answer: Json, problem: str | None) -> None:
    problems = options_problems(answer)

    assert problems == [] if problem is None else any(problem in found for found in problems), problems
