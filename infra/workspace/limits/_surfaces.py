"""What a surface (message, modal, home) takes, and what must be unique across its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.workspace.limits._blocks import BLOCKS
from infra.workspace.limits._core import array, as_array, as_object, by_type
from infra.workspace.limits._elements import ELEMENTS

_EVERYWHERE = frozenset(
    {"actions", "card", "context", "divider", "header", "image", "input", "rich_text", "section", "video"}
)
_HOME = _EVERYWHERE | {"carousel", "container", "data_table", "data_visualization", "table"}
_MESSAGE = _HOME | {"context_actions", "file", "markdown", "plan", "task_card"}


@dataclass(frozen=True)
class Surface:
    """One place for blocks.

    Attributes:
        name: "message", "modal" or "home".
        max_blocks: Most blocks at the top level.
        blocks: Block types that it takes.
        refused_elements: Element types that it does not take.
    """

    name: str
    max_blocks: int
    blocks: frozenset[str]
    refused_elements: frozenset[str]


_MODAL_INPUTS = frozenset({"email_text_input", "file_input", "number_input", "url_text_input"})

MESSAGE = Surface("message", 50, _MESSAGE, _MODAL_INPUTS | {"rich_text_input"})
MODAL = Surface("modal", 100, _EVERYWHERE | {"alert"}, frozenset({"workflow_button"}))
HOME = Surface("home", 100, _HOME, _MODAL_INPUTS | {"datetimepicker", "workflow_button"})


def block_problems(blocks: object, surface: Surface, path: str = "blocks") -> list[str]:
    """Return every problem of an array of blocks on this surface."""
    block = by_type(BLOCKS, "a block")
    problems = [*array(block, 0, surface.max_blocks)(blocks, path)]
    placed = [*walk_blocks(blocks, path)]
    for entry, where in placed:
        problems += _placement_problems(entry, where, surface)
    return [*problems, *_repeated_ids(placed), *_repeated_focus(placed)]


def walk_blocks(blocks: object, path: str) -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield each block with its path, those inside carousels and containers too."""
    for index, entry in enumerate(as_array(blocks)):
        block, where = as_object(entry), f"{path}[{index}]"
        yield block, where
        if block.get("type") == "container":
            yield from walk_blocks(block.get("child_blocks"), f"{where}.child_blocks")
        if block.get("type") == "carousel":
            yield from walk_blocks(block.get("elements"), f"{where}.elements")


def walk_elements(block: Mapping[str, object], path: str) -> Iterator[tuple[Mapping[str, object], str]]:
    """Yield each element that stands directly in a block, with its path."""
    for key in ("accessory", "element"):
        if key in block:
            yield as_object(block[key]), f"{path}.{key}"
    for key in ("elements", "actions"):
        for index, entry in enumerate(as_array(block.get(key))):
            if as_object(entry).get("type") in ELEMENTS:
                yield as_object(entry), f"{path}.{key}[{index}]"


def _placement_problems(block: Mapping[str, object], path: str, surface: Surface) -> Iterator[str]:
    kind = block.get("type")
    if kind in BLOCKS and kind not in surface.blocks:
        yield f"{path} is a {kind} block, which a {surface.name} does not take."
    for element, where in walk_elements(block, path):
        if element.get("type") in surface.refused_elements:
            yield f"{where} is a {element['type']}, which a {surface.name} does not take."
        if element.get("response_url_enabled") is True and (kind != "input" or surface is not MODAL):
            yield f"{where}.response_url_enabled only works in an input block of a modal."


def _repeated_ids(placed: list[tuple[Mapping[str, object], str]]) -> Iterator[str]:
    block_ids = [(block.get("block_id"), f"{path}.block_id") for block, path in placed]
    yield from _repeats(block_ids)
    for block, path in placed:
        elements = walk_elements(block, path)
        yield from _repeats([(element.get("action_id"), f"{at}.action_id") for element, at in elements])


def _repeats(found: list[tuple[object, str]]) -> Iterator[str]:
    first: dict[str, str] = {}
    for value, path in found:
        if isinstance(value, str) and first.setdefault(value, path) != path:
            yield f"{path} {value[:40]!r} is already taken by {first[value]}."


def _repeated_focus(placed: list[tuple[Mapping[str, object], str]]) -> Iterator[str]:
    focused = [
        at
        for block, path in placed
        for element, at in walk_elements(block, path)
        if element.get("focus_on_load") is True
    ]
    for path in focused[1:]:
        yield f"{path}.focus_on_load is true, and so it is at {focused[0]}; only one element may have it."
