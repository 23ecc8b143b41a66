"""Rich text: the block, its four containers and their inline elements."""

from __future__ import annotations

import re

from infra.workspace.limits._core import Check, Shape, array, boolean, by_type, integer, one_of, string
from infra.workspace.limits._objects import identifier, link

_TEXT_STYLE = Shape(
    "a text style",
    {},
    dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean),
)
_MENTION_STYLE = Shape(
    "a mention style",
    {},
    dict.fromkeys(("bold", "italic", "strike", "highlight", "client_highlight", "unlink"), boolean),
)
_border = integer(0, 1)


def _inline(kind: str, required: dict[str, Check], optional: dict[str, Check]) -> Shape:
    return Shape(f"a rich text {kind}", {"type": one_of(kind), **required}, optional)


_mention: dict[str, Check] = {"style": _MENTION_STYLE}
_styled: dict[str, Check] = {"style": _TEXT_STYLE}

_INLINE: dict[str, Check] = {
    "text": _inline("text", {"text": string()}, _styled),
    "link": _inline("link", {"url": link()}, {"text": string(), "unsafe": boolean, **_styled}),
    "emoji": _inline(
        "emoji",
        {"name": string()},
        {"unicode": string(), "skin_tone": integer(1, 6), "url": link(), **_styled},
    ),
    "user": _inline("user", {"user_id": string()}, _mention),
    "usergroup": _inline("usergroup", {"usergroup_id": string()}, _mention),
    "channel": _inline("channel", {"channel_id": string()}, _mention),
    "broadcast": _inline("broadcast", {"range": one_of("here", "channel", "everyone")}, _styled),
    "color": _inline(
        "color",
        {"value": string(pattern=re.compile(r"#[0-9A-Fa-f]{3,8}"), means="a hex color (#rrggbb)")},
        _styled,
    ),
    "date": _inline(
        "date",
        {"timestamp": integer(0), "format": string()},
        {"url": link(), "fallback": string(), **_styled},
    ),
}

_inlines = by_type(_INLINE, "an inline element of rich text")
_section = Shape(
    "a rich_text_section",
    {"type": one_of("rich_text_section"), "elements": array(_inlines, 1)},
)
_CONTAINERS: dict[str, Check] = {
    "rich_text_section": _section,
    "rich_text_list": Shape(
        "a rich_text_list",
        {
            "type": one_of("rich_text_list"),
            "style": one_of("bullet", "ordered"),
            "elements": array(by_type({"rich_text_section": _section}, "an entry of a list"), 1),
        },
        {"indent": integer(0, 8), "offset": integer(0), "border": _border},
    ),
    "rich_text_quote": Shape(
        "a rich_text_quote",
        {"type": one_of("rich_text_quote"), "elements": array(_inlines, 1)},
        {"border": _border},
    ),
    "rich_text_preformatted": Shape(
        "a rich_text_preformatted",
        {"type": one_of("rich_text_preformatted"), "elements": array(_inlines, 1)},
        {"border": _border, "language": string()},
    ),
}

rich_text = Shape(
    "a rich_text block",
    {
        "type": one_of("rich_text"),
        "elements": array(by_type(_CONTAINERS, "a part of rich text"), 1),
    },
    {"block_id": identifier},
)
