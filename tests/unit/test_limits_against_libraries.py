"""A second opinion on the limits: slackblocks 3.0.0 and the models of slack_sdk.

What slackblocks builds must be accepted here, and what it refuses for a length or a count must be
refused here too. Where this validator is stricter, `STRICTER` says why, and each row is tried.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import slackblocks as sb
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models import blocks as sdk

from infra.workspace.limits import message_problems, view_problems
from infra.workspace.limits._blocks import BLOCKS
from infra.workspace.limits._core import Shape
from infra.workspace.limits._elements import ELEMENTS

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
plain = words.map(sb.PlainText)
any_text = st.one_of(plain, words.map(sb.Markdown))
urls = st.integers(0, 999).map(lambda n: f"https://example.com/{n}")
ids = st.uuids().map(str)
confirms = st.builds(sb.Confirm, title=plain, text=any_text, confirm=plain, deny=plain)
styles = st.sampled_from([None, "primary", "danger"])
options = st.builds(sb.Option, text=plain, value=words, description=st.none() | words)
option_lists = st.lists(options, min_size=1, max_size=5)
images = st.builds(sb.Image, alt_text=words, image_url=urls)
buttons = st.builds(
    sb.Button,
    text=plain,
    action_id=ids,
    url=st.none() | urls,
    value=st.none() | words,
    style=styles,
    confirm=st.none() | confirms,
)

placeholders = st.none() | plain
# slackblocks writes the year 999 with three digits; Slack wants four.
dates = st.dates(min_value=date(1970, 1, 1)).map(str)
menus = st.one_of(
    st.builds(sb.StaticSelectMenu, action_id=ids, options=option_lists, placeholder=placeholders),
    st.builds(sb.StaticMultiSelectMenu, action_id=ids, options=option_lists, max_selected_items=st.just(2)),
    st.builds(sb.ExternalSelectMenu, action_id=ids, min_query_length=st.integers(0, 5)),
    st.builds(sb.UserSelectMenu, action_id=ids, confirm=st.none() | confirms),
    st.builds(sb.ConversationSelectMenu, action_id=ids, filter=st.just(sb.ConversationFilter("im"))),
    st.builds(sb.ChannelMultiSelectMenu, action_id=ids, initial_channels=st.none() | st.just(["C1"])),
    st.builds(sb.RadioButtonGroup, action_id=ids, options=option_lists),
    st.builds(sb.CheckboxGroup, action_id=ids, options=option_lists),
    st.builds(sb.DatePicker, action_id=ids, initial_date=dates, placeholder=placeholders),
    st.builds(sb.TimePicker, action_id=ids, initial_time=st.times().map(lambda t: f"{t:%H:%M}")),
)
inputs = st.one_of(
    menus,
    st.builds(
        sb.PlainTextInput,
        action_id=ids,
        multiline=st.booleans(),
        min_length=st.integers(0, 50),
        max_length=st.integers(50, 3000),
        placeholder=placeholders,
    ),
    st.builds(
        sb.NumberInput,
        is_decimal_allowed=st.booleans(),
        action_id=ids,
        min_value=st.floats(-1e9, 0),
        max_value=st.floats(0, 1e9),
    ),
    st.builds(sb.FileInput, action_id=ids, max_files=st.integers(1, 10), filetypes=st.just(["csv"])),
    st.builds(sb.EmailInput, action_id=ids, placeholder=placeholders),
    st.builds(sb.URLInput, action_id=ids, initial_value=urls),
    st.builds(sb.RichTextInput, action_id=ids, min_lines=st.integers(1, 100)),
)

rich_sections = st.lists(
    st.one_of(
        st.builds(sb.RichText, text=words, bold=st.none() | st.booleans()),
        st.builds(sb.RichTextLink, url=urls, text=st.none() | words),
        st.builds(sb.RichTextUser, user_id=st.just("U0ELENA")),
        st.builds(sb.RichTextEmoji, name=st.just("wave"), skin_tone=st.none() | st.integers(1, 6)),
    ),
    min_size=1,
    max_size=3,
).map(lambda elements: sb.RichTextSection([*elements]))
rich_texts = st.builds(
    sb.RichTextBlock,
    elements=st.lists(
        rich_sections
        | st.builds(
            sb.RichTextList,
            style=st.sampled_from(["bullet", "ordered"]),
            elements=st.lists(rich_sections, min_size=1, max_size=3),
            indent=st.integers(0, 8),
        ),
        min_size=1,
        max_size=3,
    ),
)
cells = st.one_of(words.map(sb.RawText), rich_sections)
tasks = st.builds(
    sb.TaskCardBlock,
    task_id=ids,
    title=words,
    status=st.sampled_from(["in_progress", "complete", "error"]),
    details=st.none() | rich_texts,
    sources=st.none() | st.lists(st.builds(sb.URLSource, url=urls, text=words), max_size=2),
)
cards = st.builds(sb.CardBlock, title=any_text, body=st.none() | any_text, icon=st.none() | images)


def line_chart(categories: list[str], names: list[str], value: float) -> sb.LineChart:
    series = [sb.DataSeries(name, [sb.DataPoint(label, value) for label in categories]) for name in names]
    return sb.LineChart(series, sb.AxisConfig(categories, x_label="Step"))


labels = st.lists(words.map(lambda text: text[:20]), min_size=1, max_size=12, unique=True)
charts = st.one_of(
    st.builds(line_chart, labels, labels, st.floats(-1e6, 1e6)),
    labels.map(lambda names: sb.PieChart([sb.ChartSegment(name, 1) for name in names])),
)

shared_blocks = st.one_of(
    st.builds(sb.SectionBlock, text=any_text, fields=st.lists(any_text, min_size=1, max_size=10)),
    st.builds(sb.SectionBlock, text=any_text, accessory=buttons | images | menus),
    st.builds(sb.ActionsBlock, elements=st.lists(buttons | menus, min_size=1, max_size=5)),
    st.builds(sb.ContextBlock, elements=st.lists(any_text | images, min_size=1, max_size=10)),
    st.builds(sb.DividerBlock),
    st.builds(sb.HeaderBlock, text=words),
    st.builds(sb.ImageBlock, image_url=urls, alt_text=words, title=st.none() | words),
    rich_texts,
    cards,
)
message_blocks = st.one_of(
    shared_blocks,
    words.map(sb.MarkdownBlock),
    st.builds(sb.TableBlock, rows=st.lists(st.lists(cells, min_size=1, max_size=5), min_size=1, max_size=5)),
    tasks,
    st.builds(sb.PlanBlock, title=words, tasks=st.lists(tasks, max_size=4)),
    st.lists(cards, min_size=1, max_size=4).map(sb.CarouselBlock),
    st.builds(sb.ContainerBlock, st.lists(shared_blocks.filter(lambda b: not isinstance(b, sb.CardBlock)),
              min_size=1, max_size=3), title=words),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(message_blocks, min_size=1, max_size=6))
def test_every_message_that_slackblocks_builds_is_accepted(blocks: list[sb.Block]) -> None:
    message = sb.Message(channel="C0TRAINING", text="Fallback", blocks=blocks).to_dict()

    assert message_problems(message) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(sb.DataVisualizationBlock, title=words, chart=charts), min_size=1, max_size=2))
def test_every_chart_that_slackblocks_builds_is_accepted(blocks: list[sb.Block]) -> None:
    assert message_problems(sb.Message(channel="C0TRAINING", blocks=blocks).to_dict()) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(shared_blocks | st.builds(sb.InputBlock, label=words, element=inputs), max_size=8),
    words.map(lambda text: text[:24]),
)
def test_every_modal_that_slackblocks_builds_is_accepted(blocks: list[sb.Block], title: str) -> None:
    view = sb.ModalView(title=title, submit="Save", close="Back", callback_id="x", blocks=blocks)

    assert view_problems(view.to_dict()) == []


def _text(size: int) -> str:
    return "x" * size


def _plain(size: int) -> dict[str, object]:
    return {"type": "plain_text", "text": _text(size)}


def _choices(count: int) -> list[dict[str, object]]:
    return [{"text": _plain(3), "value": str(number)} for number in range(count)]


def _options(count: int) -> list[sb.Option]:
    return [sb.Option(sb.PlainText("abc"), str(number)) for number in range(count)]


def _section_with(element: dict[str, object]) -> dict[str, object]:
    return {"type": "section", "text": _plain(3), "accessory": element}


def _input_with(element: dict[str, object]) -> dict[str, object]:
    return {"type": "input", "label": _plain(3), "element": element}


def _rows(rows: int, columns: int) -> list[list[dict[str, object]]]:
    return [[{"type": "raw_text", "text": "x"}] * columns] * rows


Build = Callable[[int], object]
Payload = Callable[[int], dict[str, object]]
# (the limit, what slackblocks builds at a size, the same block for this validator)
LIMITS: dict[str, tuple[int, Build, Payload]] = {
    "section text": (
        3000,
        lambda n: sb.SectionBlock(_text(n)),
        lambda n: {"type": "section", "text": _plain(n)},
    ),
    "section field": (
        2000,
        lambda n: sb.SectionBlock(fields=[_text(n)]),
        lambda n: {"type": "section", "fields": [_plain(n)]},
    ),
    "section fields": (
        10,
        lambda n: sb.SectionBlock(fields=["x"] * n),
        lambda n: {"type": "section", "fields": [_plain(1)] * n},
    ),
    "header": (150, lambda n: sb.HeaderBlock(_text(n)), lambda n: {"type": "header", "text": _plain(n)}),
    "context": (
        10,
        lambda n: sb.ContextBlock([sb.PlainText("x")] * n),
        lambda n: {"type": "context", "elements": [_plain(1)] * n},
    ),
    "block_id": (
        255,
        lambda n: sb.DividerBlock(_text(n)),
        lambda n: {"type": "divider", "block_id": _text(n)},
    ),
    "actions": (
        25,
        lambda n: sb.ActionsBlock([sb.Button("x", f"a{i}") for i in range(n)]),
        lambda n: {
            "type": "actions",
            "elements": [{"type": "button", "text": _plain(1), "action_id": f"a{i}"} for i in range(n)],
        },
    ),
    "button text": (
        75,
        lambda n: sb.Button(_text(n)),
        lambda n: _section_with({"type": "button", "text": _plain(n)}),
    ),
    "button value": (
        2000,
        lambda n: sb.Button("x", value=_text(n)),
        lambda n: _section_with({"type": "button", "text": _plain(1), "value": _text(n)}),
    ),
    "button url": (
        3000,
        lambda n: sb.Button("x", url="https://e.com/" + _text(n - 14)),
        lambda n: _section_with({"type": "button", "text": _plain(1), "url": "https://e.com/" + _text(n - 14)}),
    ),
    "action_id": (
        255,
        lambda n: sb.Button("x", _text(n)),
        lambda n: _section_with({"type": "button", "text": _plain(1), "action_id": _text(n)}),
    ),
    "menu options": (
        100,
        lambda n: sb.StaticSelectMenu("a", _options(n)),
        lambda n: _section_with({"type": "static_select", "options": _choices(n)}),
    ),
    "radio options": (
        10,
        lambda n: sb.RadioButtonGroup("a", _options(n)),
        lambda n: _section_with({"type": "radio_buttons", "options": _choices(n)}),
    ),
    "checkbox options": (
        10,
        lambda n: sb.CheckboxGroup("a", _options(n)),
        lambda n: _section_with({"type": "checkboxes", "options": _choices(n)}),
    ),
    "overflow options": (
        5,
        lambda n: sb.OverflowMenu("a", _options(n)),
        lambda n: _section_with({"type": "overflow", "options": _choices(n)}),
    ),
    "option text": (
        75,
        lambda n: sb.Option(_text(n), "v"),
        lambda n: _section_with({"type": "overflow", "options": [{"text": _plain(n), "value": "v"}]}),
    ),
    "option value": (
        150,
        lambda n: sb.Option("x", _text(n)),
        lambda n: _section_with({"type": "overflow", "options": [{"text": _plain(1), "value": _text(n)}]}),
    ),
    "placeholder": (
        150,
        lambda n: sb.UserSelectMenu("a", placeholder=_text(n)),
        lambda n: _section_with({"type": "users_select", "placeholder": _plain(n)}),
    ),
    "input label": (
        2000,
        lambda n: sb.InputBlock(_text(n), sb.PlainTextInput("a")),
        lambda n: {"type": "input", "label": _plain(n), "element": {"type": "plain_text_input"}},
    ),
    "text input max_length": (
        3000,
        lambda n: sb.PlainTextInput("a", max_length=n),
        lambda n: _input_with({"type": "plain_text_input", "max_length": n}),
    ),
    "image alt_text": (
        2000,
        lambda n: sb.ImageBlock("https://e.com/a", _text(n)),
        lambda n: {"type": "image", "image_url": "https://e.com/a", "alt_text": _text(n)},
    ),
    "markdown": (
        12_000,
        lambda n: sb.MarkdownBlock(_text(n)),
        lambda n: {"type": "markdown", "text": _text(n)},
    ),
    "table rows": (
        100,
        lambda n: sb.TableBlock([[sb.RawText("x")]] * n),
        lambda n: {"type": "table", "rows": _rows(n, 1)},
    ),
    "table columns": (
        20,
        lambda n: sb.TableBlock([[sb.RawText("x")] * n]),
        lambda n: {"type": "table", "rows": _rows(1, n)},
    ),
    "chart title": (
        50,
        lambda n: sb.DataVisualizationBlock(_text(n), sb.PieChart([sb.ChartSegment("a", 1)])),
        lambda n: {
            "type": "data_visualization",
            "title": _text(n),
            "chart": {"type": "pie", "segments": [{"label": "a", "value": 1}]},
        },
    ),
    "card body": (
        200,
        lambda n: sb.CardBlock(body=_text(n)),
        lambda n: {"type": "card", "body": _plain(n)},
    ),
    "carousel": (
        10,
        lambda n: sb.CarouselBlock([sb.CardBlock(title="x")] * n),
        lambda n: {"type": "carousel", "elements": [{"type": "card", "title": _plain(1)}] * n},
    ),
    "container": (
        10,
        lambda n: sb.ContainerBlock([sb.DividerBlock()] * n, title="x"),
        lambda n: {"type": "container", "title": _plain(1), "child_blocks": [{"type": "divider"}] * n},
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_edge_of_each_limit_is_where_slackblocks_has_it(name: str) -> None:
    limit, build, payload = LIMITS[name]

    build(limit)
    assert message_problems({"blocks": [payload(limit)]}) == []
    with pytest.raises((sb.LengthError, sb.RangeError)):
        build(limit + 1)
    assert message_problems({"blocks": [payload(limit + 1)]}) != []


VIEW_LIMITS = {"title": 24, "submit": 24, "close": 24, "private_metadata": 3000, "callback_id": 255}


@pytest.mark.parametrize("field", VIEW_LIMITS)
def test_the_edge_of_each_view_limit_is_where_slackblocks_has_it(field: str) -> None:
    def modal(size: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"title": "Job", "submit": "Go", field: _text(size)}
        return sb.ModalView(blocks=[sb.DividerBlock()], **fields).to_dict()

    edge = modal(VIEW_LIMITS[field])
    assert view_problems(edge) == []
    with pytest.raises(sb.LengthError):
        modal(VIEW_LIMITS[field] + 1)
    beyond = {**edge, field: _text(VIEW_LIMITS[field] + 1)}
    if isinstance(edge[field], dict):
        beyond[field] = _plain(VIEW_LIMITS[field] + 1)
    assert view_problems(beyond) != []


def _message(*blocks: sb.Block) -> list[str]:
    return message_problems(sb.Message(channel="C1", text="x", blocks=[*blocks]).to_dict())


# What slackblocks builds and this validator refuses, with the reason.
STRICTER: dict[str, tuple[Callable[[], list[str]], str]] = {
    "a block_id twice: Slack wants them unique in a message or view": (
        lambda: _message(sb.DividerBlock("a"), sb.DividerBlock("a")),
        "is already taken",
    ),
    "an action_id twice in one block: Slack answers invalid_blocks": (
        lambda: _message(sb.ActionsBlock([sb.Button("x", "a"), sb.Button("y", "a")])),
        "is already taken",
    ),
    "a block of no elements: Slack wants at least one": (
        lambda: _message(sb.ActionsBlock([])),
        "the minimum is 1",
    ),
    "an empty rich text or table cell: 'must be more than 0 characters'": (
        lambda: _message(sb.TableBlock([[sb.RawText("")]])),
        "has 0 characters",
    ),
    "an initial option that is not offered": (
        lambda: _message(
            sb.SectionBlock(
                "x",
                accessory=sb.StaticSelectMenu("a", _options(1), initial_option=sb.Option(sb.PlainText("z"), "z")),
            )
        ),
        "one of the options offered",
    ),
    "mrkdwn in the options of an overflow menu: the reference allows plain_text only": (
        lambda: _message(sb.SectionBlock("x", accessory=sb.OverflowMenu("a", sb.Option("*x*", "v")))),
        "only plain_text is allowed",
    ),
    "a link that is none": (
        lambda: _message(sb.SectionBlock("x", accessory=sb.Button("x", url="see below"))),
        "must be a valid URL",
    ),
    "an unknown button style": (
        lambda: _message(
            sb.SectionBlock("x", accessory=sb.Button("x", style="loud"))  # type: ignore[arg-type]
        ),
        "must be one of primary, danger",
    ),
    "a typed input as an accessory: the reference puts it in input blocks": (
        lambda: _message(sb.SectionBlock("x", accessory=sb.PlainTextInput("a"))),
        "is not supported as the accessory",
    ),
    "a number input in a message: the reference lists modals only": (
        lambda: _message(sb.InputBlock("x", sb.NumberInput(True, "a"))),
        "which a message does not take",
    ),
    "two elements that focus on load": (
        lambda: view_problems(
            sb.ModalView(
                title="x",
                submit="x",
                blocks=[sb.InputBlock("x", sb.DatePicker(focus_on_load=True)) for _ in range(2)],
            ).to_dict()
        ),
        "only one element may have it",
    ),
    "13,000 characters in all: Slack has answered msg_blocks_too_long": (
        lambda: _message(*[sb.SectionBlock(_text(3000)) for _ in range(5)]),
        "the limit is 13000",
    ),
    "an initial value beyond max_length": (
        lambda: view_problems(
            sb.ModalView(
                title="x",
                submit="x",
                blocks=[sb.InputBlock("x", sb.PlainTextInput("a", initial_value="abc", max_length=2))],
            ).to_dict()
        ),
        "max_length is 2",
    ),
}


@pytest.mark.parametrize("reason", STRICTER)
def test_where_this_validator_is_stricter_than_slackblocks(reason: str) -> None:
    find, problem = STRICTER[reason]

    assert any(problem in found for found in find()), find()


# What slackblocks refuses for another cause than a length or a count and this validator takes.
MILDER: dict[str, tuple[Callable[[], object], dict[str, object]]] = {
    "focus_on_load on multi_external_select: slack_sdk and the reference have it": (
        lambda: sb.ExternalMultiSelectMenu("a", focus_on_load=True),
        _input_with({"type": "multi_external_select", "focus_on_load": True}),
    ),
    "a short Slack file id: the reference gives no length": (
        lambda: sb.SlackFile(url=None, id="F012"),
        {"type": "image", "alt_text": "x", "slack_file": {"id": "F012"}},
    ),
}


@pytest.mark.parametrize("reason", MILDER)
def test_where_this_validator_is_milder_than_slackblocks(reason: str) -> None:
    build, block = MILDER[reason]

    with pytest.raises(sb.InvalidUsageError):
        build()
    assert message_problems({"blocks": [block]}) == []


# slack_sdk inherits these for classes whose reference page does not list them.
SDK_ONLY = {"alt_text", "visible_to_user_ids", "placeholder", "confirm"}


def _sdk_models() -> list[tuple[type, str]]:
    tables = {**ELEMENTS, **BLOCKS}
    found = [(cls, getattr(cls, "type", None)) for _, cls in inspect.getmembers(sdk, inspect.isclass)]
    return [(cls, kind) for cls, kind in found if isinstance(kind, str) and kind in tables]


@pytest.mark.parametrize(("cls", "kind"), _sdk_models())
def test_every_attribute_of_the_sdk_models_is_known(cls: type, kind: str) -> None:
    shape = (BLOCKS if issubclass(cls, sdk.Block) else ELEMENTS)[kind]
    declared = inspect.getattr_static(cls, "attributes")
    # The property needs no state, so an instance without __init__ answers it for every class.
    attributes = declared.__get__(object.__new__(cls)) if isinstance(declared, property) else declared

    assert isinstance(shape, Shape)
    assert set(attributes) - SDK_ONLY <= {*shape.required, *shape.optional}
