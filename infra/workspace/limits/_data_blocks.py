"""Blocks that show data: table, data table and the four charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infra.workspace.limits._core import (
    Check,
    Shape,
    array,
    as_array,
    as_object,
    boolean,
    by_type,
    integer,
    nullable,
    number,
    one_of,
    string,
)
from infra.workspace.limits._objects import identifier
from infra.workspace.limits._rich_text import rich_text

TABLE_CHARACTERS = 10_000
DATA_TABLE_CHARACTERS = 20_000

_raw_text = Shape("a raw_text cell", {"type": one_of("raw_text"), "text": string()}, {"emoji": boolean})
_raw_number = Shape("a raw_number cell", {"type": one_of("raw_number"), "value": number}, {"text": string()})
_cell = by_type({"raw_text": _raw_text, "raw_number": _raw_number, "rich_text": rich_text}, "the cell of a table")

table = Shape(
    "a table block",
    {"type": one_of("table"), "rows": array(array(nullable(_cell), 1, 20), 1, 100)},
    {
        "block_id": identifier,
        "column_settings": array(
            nullable(
                Shape(
                    "a column setting",
                    {},
                    {"align": one_of("left", "center", "right"), "is_wrapped": boolean},
                )
            ),
            0,
            20,
        ),
    },
)


def characters(value: object) -> int:
    """Count the characters of every `text` string inside a block, at any depth."""
    if isinstance(value, Mapping):
        return sum(
            len(entry) if key == "text" and isinstance(entry, str) else characters(entry)
            for key, entry in value.items()
        )
    return sum(characters(entry) for entry in as_array(value))


def _data_table_rules(block: Mapping[str, object], path: str) -> Iterator[str]:
    rows = [as_array(row) for row in as_array(block["rows"])]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            yield f"{path}.rows[{index}] has {len(row)} cells; the header row has {len(rows[0])}."
    for column, cell in enumerate(rows[0]):
        if as_object(cell).get("type") == "rich_text":
            yield f"{path}.rows[0][{column}] is a header cell and cannot be rich_text."
    header_column = block.get("row_header_column_index", 0)
    if isinstance(header_column, int) and header_column >= len(rows[0]):
        yield f"{path}.row_header_column_index is {header_column}; the table has {len(rows[0])} columns."
    total = characters(block["rows"])
    if total > DATA_TABLE_CHARACTERS:
        yield f"{path}.rows have {total} characters in all; the limit is {DATA_TABLE_CHARACTERS}."


data_table = Shape(
    "a data_table block",
    {
        "type": one_of("data_table"),
        "rows": array(array(_cell, 1, 20), 2, 201),
        "caption": string(),
    },
    {"block_id": identifier, "page_size": integer(1, 100), "row_header_column_index": integer(0)},
    (_data_table_rules,),
)


def _positive(value: object, path: str) -> Iterator[str]:
    problems = [*number(value, path)]
    yield from problems
    if not problems and isinstance(value, int | float) and value <= 0:
        yield f"{path} is {value}; a segment must be above 0."


def _labelled(name: str, value: Check) -> Shape:
    return Shape(name, {"label": string(20), "value": value})


def _axis_rules(chart: Mapping[str, object], path: str) -> Iterator[str]:
    categories = as_array(as_object(chart["axis_config"])["categories"])
    if len(set(categories)) != len(categories):
        yield f"{path}.axis_config.categories must differ from each other."
    names: set[object] = set()
    for index, series in enumerate(as_array(chart["series"])):
        name = as_object(series)["name"]
        if name in names:
            yield f"{path}.series[{index}].name {name!r} is there twice; series names must be unique."
        names.add(name)
        labels = [as_object(point)["label"] for point in as_array(as_object(series)["data"])]
        if len(labels) != len(categories) or set(labels) != set(categories):
            yield f"{path}.series[{index}].data must have exactly one point for each category."


_series = Shape(
    "a data series",
    {"name": string(20), "data": array(_labelled("a data point", number), 1, 20)},
)
_axes = Shape(
    "an axis configuration",
    {"categories": array(string(20), 1, 20)},
    {"x_label": string(50), "y_label": string(50)},
)


def _axis_chart(kind: str) -> Shape:
    return Shape(
        f"a {kind} chart",
        {"type": one_of(kind), "series": array(_series, 1, 12), "axis_config": _axes},
        rules=(_axis_rules,),
    )


_CHARTS: dict[str, Check] = {kind: _axis_chart(kind) for kind in ("line", "bar", "area")}
_CHARTS["pie"] = Shape(
    "a pie chart",
    {"type": one_of("pie"), "segments": array(_labelled("a segment", _positive), 1, 12)},
)

data_visualization = Shape(
    "a data_visualization block",
    {
        "type": one_of("data_visualization"),
        "title": string(50),
        "chart": by_type(_CHARTS, "a chart (line, bar, area or pie)"),
    },
    {"block_id": identifier},
)
