"""Blocks and elements: one valid sample of each, and one edit of it for each rule of Slack's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.workspace.limits import message_problems, view_problems
from infra.workspace.limits._blocks import BLOCKS
from infra.workspace.limits._elements import ELEMENTS

Json = dict[str, Any]


def plain(text: str = "Text") -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "*Text*") -> Json:
    return {"type": "mrkdwn", "text": text}


def option(value: str = "a", **more: object) -> Json:
    return {"text": plain(value.upper()), "value": value, **more}


IMAGE = {"type": "image", "slack_file": {"id": "F0CHART123"}, "alt_text": "A curve"}
BUTTON = {"type": "button", "action_id": "go", "text": plain("Go")}
CONFIRM = {"title": plain(), "text": mrkdwn(), "confirm": plain("Yes"), "deny": plain("No")}
OPTIONS = [option("a"), option("b")]
RICH_TEXT = {
    "type": "rich_text",
    "elements": [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": "Hi", "style": {"bold": True}}]},
        {
            "type": "rich_text_list",
            "style": "ordered",
            "indent": 1,
            "elements": [{"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U1"}]}],
        },
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1"}], "border": 0},
        {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://example.com"}]},
    ],
}
TASK = {"task_id": "t1", "title": "Train", "status": "in_progress"}
AXES = {"categories": ["1", "2"], "x_label": "Step", "y_label": "Loss"}
SERIES = {"name": "train", "data": [{"label": "1", "value": 2.5}, {"label": "2", "value": -1}]}
CARD = {"type": "card", "title": mrkdwn(), "body": plain(), "icon": IMAGE, "actions": [BUTTON]}
MESSAGE_BLOCKS: dict[str, Json] = {
    "section": {
        "type": "section",
        "block_id": "b",
        "text": mrkdwn(),
        "fields": [plain(), mrkdwn()],
        "accessory": BUTTON,
    },
    "actions": {"type": "actions", "elements": [BUTTON, {**BUTTON, "action_id": "stop", "style": "danger"}]},
    "context": {"type": "context", "elements": [IMAGE, mrkdwn(), plain()]},
    "context_actions": {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "feedback",
                "positive_button": {"text": plain("Good"), "value": "up"},
                "negative_button": {"text": plain("Bad"), "value": "down"},
            },
            {"type": "icon_button", "icon": "trash", "text": plain("Delete"), "action_id": "delete"},
        ],
    },
    "divider": {"type": "divider"},
    "header": {"type": "header", "text": plain()},
    "image": {**IMAGE, "title": plain()},
    "input": {
        "type": "input",
        "label": plain(),
        "hint": plain(),
        "optional": True,
        "element": {"type": "plain_text_input", "action_id": "in", "max_length": 20, "min_length": 2},
    },
    "file": {"type": "file", "external_id": "x", "source": "remote"},
    "markdown": {"type": "markdown", "text": "# Title"},
    "video": {
        "type": "video",
        "title": plain(),
        "alt_text": "A film",
        "video_url": "https://example.com/v",
        "thumbnail_url": "https://example.com/t.png",
    },
    "rich_text": RICH_TEXT,
    "table": {
        "type": "table",
        "rows": [[{"type": "raw_text", "text": "A"}, None], [RICH_TEXT, {"type": "raw_number", "value": 1}]],
        "column_settings": [{"align": "right"}, None],
    },
    "data_table": {
        "type": "data_table",
        "caption": "Runs",
        "rows": [[{"type": "raw_text", "text": "Run"}], [{"type": "raw_number", "value": 1, "text": "1"}]],
    },
    "data_visualization": {
        "type": "data_visualization",
        "title": "Loss",
        "chart": {"type": "line", "series": [SERIES], "axis_config": AXES},
    },
    "task_card": {"type": "task_card", **TASK, "details": RICH_TEXT},
    "plan": {"type": "plan", "title": "Job", "tasks": [TASK, {**TASK, "task_id": "t2", "status": "pending"}]},
    "card": CARD,
    "carousel": {"type": "carousel", "elements": [CARD]},
    "container": {"type": "container", "title": plain(), "child_blocks": [{"type": "divider"}]},
}
INPUT_ELEMENTS: dict[str, Json] = {
    "static_select": {"options": OPTIONS, "initial_option": option("b"), "placeholder": plain()},
    "external_select": {"min_query_length": 0, "initial_option": option("b")},
    "users_select": {"initial_user": "U1", "confirm": CONFIRM},
    "conversations_select": {"filter": {"include": ["im"]}, "response_url_enabled": True},
    "channels_select": {"initial_channel": "C1"},
    "multi_static_select": {
        "option_groups": [{"label": plain(), "options": OPTIONS}],
        "initial_options": [option("a")],
        "max_selected_items": 1,
    },
    "multi_external_select": {"initial_options": OPTIONS, "max_selected_items": 2},
    "multi_users_select": {"initial_users": ["U1"]},
    "multi_conversations_select": {"default_to_current_conversation": True},
    "multi_channels_select": {"initial_channels": ["C1"], "max_selected_items": 3},
    "radio_buttons": {"options": [{"text": mrkdwn(), "value": "a", "description": mrkdwn()}]},
    "checkboxes": {"options": OPTIONS, "initial_options": [option("a"), option("b")]},
    "datepicker": {"initial_date": "2026-11-30"},
    "timepicker": {"initial_time": "23:59", "timezone": "Europe/Berlin"},
    "datetimepicker": {"initial_date_time": 1_790_000_000},
    "plain_text_input": {"initial_value": "abc", "min_length": 3, "max_length": 3, "multiline": True},
    "number_input": {
        "is_decimal_allowed": True,
        "initial_value": "1.5",
        "min_value": "-2",
        "max_value": "1e3",
        "dispatch_action_config": {"trigger_actions_on": ["on_enter_pressed"]},
    },
    "email_text_input": {"focus_on_load": True},
    "url_text_input": {"initial_value": "https://example.com"},
    "file_input": {"filetypes": ["jsonl"], "max_files": 10},
    "rich_text_input": {"initial_value": RICH_TEXT, "min_lines": 1, "max_lines": 100},
}


def in_message(block: Json) -> list[str]:
    return message_problems({"channel": "C1", "text": "Fallback", "blocks": [block]})


def in_modal(*blocks: Json) -> list[str]:
    return view_problems({"type": "modal", "title": plain(), "submit": plain("Go"), "blocks": [*blocks]})


def as_input(kind: str, **changes: object) -> Json:
    element = {"type": kind, "action_id": "x", **INPUT_ELEMENTS[kind], **changes}
    return {"type": "input", "label": plain(), "element": element}


def edited(sample: Json, path: str, value: object) -> Json:
    """Copy a sample with the value at a dotted path replaced ("elements.0.text.text")."""
    result: Any = copy.deepcopy(sample)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    target = result
    for step in way:
        target = target[step]
    target[last] = value
    return result  # type: ignore[no-any-return]


def test_every_block_and_element_has_a_sample() -> None:
    assert set(MESSAGE_BLOCKS) | {"alert"} == set(BLOCKS)
    others = {"button", "image", "overflow", "workflow_button", "feedback_buttons", "icon_button"}
    assert set(INPUT_ELEMENTS) | others == set(ELEMENTS)


@pytest.mark.parametrize("kind", MESSAGE_BLOCKS)
def test_a_message_takes_a_valid_block(kind: str) -> None:
    assert in_message(MESSAGE_BLOCKS[kind]) == []


@pytest.mark.parametrize("kind", INPUT_ELEMENTS)
def test_a_modal_takes_a_valid_input(kind: str) -> None:
    assert in_modal(as_input(kind)) == []


BLOCK_EDITS = [
    ("section", "text.text", "x" * 3001, "blocks[0].text.text has 3001 characters; the limit is 3000"),
    ("section", "text.text", "", "blocks[0].text.text has 0 characters; the minimum is 1"),
    ("section", "text.emoji", True, "blocks[0].text.emoji is an invalid additional property"),
    ("section", "text", "plain", "blocks[0].text must be an object, not a string"),
    ("section", "fields", [mrkdwn()] * 11, "blocks[0].fields has 11 items; the limit is 10"),
    ("section", "fields.0.text", "x" * 2001, "blocks[0].fields[0].text has 2001 characters"),
    ("section", "block_id", "x" * 256, "blocks[0].block_id has 256 characters; the limit is 255"),
    ("section", "color", "red", "blocks[0].color is an invalid additional property"),
    ("section", "accessory.style", "warning", "blocks[0].accessory.style must be one of primary, danger"),
    ("section", "accessory.text.text", "x" * 76, "blocks[0].accessory.text.text has 76 characters"),
    ("section", "accessory.text.type", "mrkdwn", "only plain_text is allowed"),
    ("section", "accessory.value", "x" * 2001, "blocks[0].accessory.value has 2001 characters"),
    ("section", "accessory.url", "https://e.com/" + "x" * 3000, "blocks[0].accessory.url has 3014"),
    ("section", "accessory.url", "not a link", "blocks[0].accessory.url must be a valid URL"),
    ("section", "accessory.url", "", "blocks[0].accessory.url has 0 characters"),
    ("section", "accessory.disabled", True, "blocks[0].accessory.disabled is an invalid additional"),
    ("section", "accessory.action_id", "x" * 256, "blocks[0].accessory.action_id has 256"),
    ("section", "accessory.confirm", {**CONFIRM, "title": plain("x" * 101)}, "confirm.title.text has 101"),
    ("section", "accessory.confirm", {**CONFIRM, "text": plain("x" * 301)}, "confirm.text.text has 301"),
    ("section", "accessory.confirm", {**CONFIRM, "deny": plain("x" * 31)}, "confirm.deny.text has 31"),
    ("section", "accessory.type", "datetimepicker", "is not supported as the accessory of a section"),
    ("actions", "elements", [], "blocks[0].elements has 0 items; the minimum is 1"),
    ("actions", "elements", [BUTTON] * 26, "blocks[0].elements has 26 items; the limit is 25"),
    ("actions", "elements.1.action_id", "go", "blocks[0].elements[1].action_id 'go' is already taken"),
    ("actions", "elements.0", as_input("plain_text_input")["element"], "blocks[0].elements[0].type"),
    ("context", "elements", [mrkdwn()] * 11, "blocks[0].elements has 11 items; the limit is 10"),
    ("context", "elements.0", BUTTON, "only text and images are"),
    ("context", "elements.0.alt_text", "", "blocks[0].elements[0].alt_text has 0 characters"),
    ("context_actions", "elements.1.icon", "star", "blocks[0].elements[1].icon must be one of trash"),
    ("context_actions", "elements", [], "blocks[0].elements has 0 items"),
    ("header", "text", mrkdwn(), "only plain_text is allowed"),
    ("header", "text.text", "x" * 151, "blocks[0].text.text has 151 characters; the limit is 150"),
    ("image", "alt_text", "x" * 2001, "blocks[0].alt_text has 2001 characters"),
    ("image", "image_url", "https://e.com/a.png", "must have exactly one of image_url, slack_file"),
    ("image", "slack_file", {"id": "F1", "url": "https://e.com"}, "must have exactly one of id, url"),
    ("input", "label.text", "x" * 2001, "blocks[0].label.text has 2001 characters"),
    ("input", "hint", mrkdwn(), "only plain_text is allowed"),
    ("input", "element", BUTTON, "is not supported as the element of an input block"),
    ("input", "optional", "yes", "blocks[0].optional must be true or false, not a string"),
    ("markdown", "text", "x" * 12_001, "blocks[0].text has 12001 characters; the limit is 12000"),
    ("video", "title.text", "x" * 201, "blocks[0].title.text has 201 characters"),
    ("video", "video_url", "http://example.com/v", "blocks[0].video_url must start with https"),
    ("rich_text", "elements.0.elements.0.text", "", "elements[0].elements[0].text has 0 characters"),
    ("rich_text", "elements.0.elements", [], "blocks[0].elements[0].elements has 0 items"),
    ("rich_text", "elements.1.indent", 9, "blocks[0].elements[1].indent is 9; the maximum is 8"),
    ("rich_text", "elements.1.style", "dots", "blocks[0].elements[1].style must be one of bullet, ordered"),
    ("rich_text", "elements.0.elements.0.style", {"big": True}, "style.big is an invalid additional"),
    ("table", "rows", [[{"type": "raw_text", "text": "x"}]] * 101, "blocks[0].rows has 101 items"),
    ("table", "rows.0", [{"type": "raw_text", "text": "x"}] * 21, "blocks[0].rows[0] has 21 items"),
    ("table", "rows.0.0.text", "", "blocks[0].rows[0][0].text has 0 characters"),
    ("table", "rows.0.0.text", "x" * 10_001, "characters of text in all tables; the limit is 10000"),
    ("table", "column_settings.0.align", "middle", "align must be one of left, center, right"),
    ("data_table", "rows.1", [None, None], "blocks[0].rows[1][0] must be an object"),
    ("data_table", "rows.0.0", RICH_TEXT, "is a header cell and cannot be rich_text"),
    ("data_table", "row_header_column_index", 1, "the table has 1 columns"),
    ("data_visualization", "title", "x" * 51, "blocks[0].title has 51 characters; the limit is 50"),
    ("data_visualization", "chart.type", "radar", "is not supported as a chart"),
    ("data_visualization", "chart.axis_config.categories", ["1"], "exactly one point for each category"),
    ("data_visualization", "chart.axis_config.categories.0", "x" * 21, "categories[0] has 21 characters"),
    ("data_visualization", "chart.series", [SERIES, SERIES], "series names must be unique"),
    ("data_visualization", "chart.series", [SERIES] * 13, "blocks[0].chart.series has 13 items"),
    ("data_visualization", "chart.series.0.data.0.value", float("nan"), "must be a finite number"),
    (
        "data_visualization",
        "chart",
        {"type": "pie", "segments": [{"label": "a", "value": 0}]},
        "segments[0].value is 0; a segment must be above 0",
    ),
    ("task_card", "status", "pending", "status pending is only for the tasks of a plan"),
    ("task_card", "status", "done", "blocks[0].status must be one of pending, in_progress, complete, error"),
    ("plan", "tasks", [TASK, TASK], "task ids must be unique"),
    ("plan", "tasks", [TASK] * 51, "blocks[0].tasks has 51 items; the limit is 50"),
    ("card", "body", plain("x" * 201), "blocks[0].body.text has 201 characters"),
    ("card", "actions", [BUTTON] * 4, "blocks[0].actions has 4 items; the limit is 3"),
    ("card", "slack_icon", {"type": "icon", "name": "bot"}, "cannot have both icon and slack_icon"),
    ("carousel", "elements", [CARD] * 11, "blocks[0].elements has 11 items; the limit is 10"),
    ("container", "child_blocks", [{"type": "plan"}], "is not supported as a child of a container"),
    ("container", "default_collapsed", True, "default_collapsed needs is_collapsible"),
]


@pytest.mark.parametrize(("kind", "path", "value", "problem"), BLOCK_EDITS)
def test_a_message_refuses_a_broken_block(kind: str, path: str, value: object, problem: str) -> None:
    problems = in_message(edited(MESSAGE_BLOCKS[kind], path, value))

    assert any(problem in found for found in problems), problems


ELEMENT_EDITS: list[tuple[str, Json, str]] = [
    ("static_select", {"options": [option("x" * 151)]}, "options[0].value has 151 characters"),
    ("static_select", {"options": [option(str(n)) for n in range(101)]}, "options has 101 items"),
    ("static_select", {"options": [{"text": mrkdwn(), "value": "a"}]}, "only plain_text is allowed"),
    ("static_select", {"options": [option("a", url="https://e.com")]}, "options[0].url is an invalid"),
    ("static_select", {"options": [option("b", description=plain("x" * 76))]}, "description.text has 76"),
    ("static_select", {"initial_option": option("z")}, "must be exactly one of the options offered"),
    ("static_select", {"option_groups": [{"label": plain(), "options": OPTIONS}]}, "exactly one of options"),
    ("static_select", {"placeholder": plain("x" * 151)}, "placeholder.text has 151 characters"),
    ("conversations_select", {"filter": {}}, "must have at least one of include"),
    ("conversations_select", {"filter": {"include": ["dm"]}}, "include[0] must be one of im, mpim"),
    ("multi_static_select", {"initial_options": OPTIONS}, "max_selected_items allows 1"),
    ("multi_static_select", {"initial_options": []}, "initial_options has 0 items"),
    ("multi_users_select", {"max_selected_items": 0}, "max_selected_items is 0; the minimum is 1"),
    ("radio_buttons", {"options": [option(str(n)) for n in range(11)]}, "options has 11 items"),
    ("checkboxes", {"initial_options": [option("a"), option("a")]}, "initial_options[1] is there twice"),
    ("datepicker", {"initial_date": "2026-02-30"}, "initial_date must be a date"),
    ("timepicker", {"initial_time": "24:00"}, "initial_time must be a time of day"),
    ("datetimepicker", {"initial_date_time": 17}, "initial_date_time is 17; the minimum is"),
    ("plain_text_input", {"max_length": 2}, "min_length is 3; it must not exceed max_length"),
    ("plain_text_input", {"initial_value": "abcd"}, "initial_value has 4 characters; max_length is 3"),
    ("plain_text_input", {"max_length": 3001}, "max_length is 3001; the maximum is 3000"),
    ("plain_text_input", {"max_length": True}, "max_length must be a whole number, not a boolean"),
    ("number_input", {"initial_value": 5}, "initial_value must be a string, not a number"),
    ("number_input", {"initial_value": "five"}, "must be a number written as a string"),
    ("number_input", {"initial_value": "-3"}, "min_value is -2; it must not exceed initial_value"),
    ("number_input", {"is_decimal_allowed": False}, "must be whole because is_decimal_allowed is false"),
    ("file_input", {"max_files": 11}, "max_files is 11; the maximum is 10"),
    ("rich_text_input", {"min_lines": 5, "max_lines": 4}, "min_lines is 5; it must not exceed max_lines"),
    ("email_text_input", {"confirm": CONFIRM}, "confirm is an invalid additional property"),
]


@pytest.mark.parametrize(("kind", "changes", "problem"), ELEMENT_EDITS)
def test_a_modal_refuses_a_broken_input(kind: str, changes: Json, problem: str) -> None:
    problems = in_modal(as_input(kind, **changes))

    assert any(found.startswith("blocks[0].element") and problem in found for found in problems), problems


def test_an_overflow_menu_takes_links_but_only_five_options() -> None:
    linked = {"type": "overflow", "action_id": "o", "options": [option("a", url="https://e.com")]}
    crowded = {**linked, "options": [option(str(n)) for n in range(6)]}

    assert in_message({"type": "actions", "elements": [linked]}) == []
    assert in_message({"type": "actions", "elements": [crowded]}) == [
        "blocks[0].elements[0].options has 6 items; the limit is 5."
    ]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "10.0.0.4", "[::1]", "printer.local", "intranet"])
def test_a_picture_on_a_private_host_is_refused_because_slack_cannot_load_it(host: str) -> None:
    picture = {"type": "image", "image_url": f"http://{host}/a.png", "alt_text": "A"}

    assert "cannot reach the private host" in in_message(picture)[0]


@pytest.mark.parametrize("junk", [None, 7, "section", [], {}, {"type": 3}, {"type": "mystery"}])
def test_junk_in_place_of_a_block_is_one_readable_problem(junk: object) -> None:
    problems = message_problems({"text": "x", "blocks": [junk]})

    assert len(problems) == 1
    assert problems[0].startswith("blocks[0]")
