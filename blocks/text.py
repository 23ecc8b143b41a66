"""Texts that Slack takes as they are meant: escaped, cut to its limits, put into Block Kit objects."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Block = dict[str, Any]
View = dict[str, Any]
# What every message builder returns: the notification's text, and the blocks.
MessageParts = tuple[str, list[Block]]

SECTION_MAX = 3000
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Marks that would turn the rest of a line around for everybody who reads it.
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ZWJ = "\u200d"
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{1,30}")
_USER_ID = re.compile(r"[UW][A-Z0-9]{1,30}")


def one_line(text: str) -> str:
    """The text without line breaks, control characters and marks that change its direction."""
    if text.isprintable():  # none of them is; nearly every text takes this way
        return " ".join(text.split())
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in visible if c not in _DIRECTIONS).split())


def clip(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, as Slack counts them; what is cut ends in an ellipsis."""
    return _cut(text, limit, escape=False)


def safe(text: str, limit: int = 200) -> str:
    """What a person typed, as one line of mrkdwn: escaped, at most `limit` characters, never empty."""
    if len(text) > 8 * limit:  # much more than can be shown, blanks included: not worth looking at
        text = text[: 8 * limit] + "…"
    return _cut(one_line(text), limit, escape=True) or "–"


def safe_lines(text: str, limit: int) -> str:
    """What a person typed, with its lines kept: escaped, at most `limit` characters."""
    return _cut("\n".join(one_line(line) for line in text.strip().splitlines()), limit, escape=True)


def bold(text: str, limit: int = 200) -> str:
    """What a person typed, in bold; asterisks in it would end the bold early."""
    return f"*{safe(text.replace('*', '∗'), limit)}*"


def code_block(lines: Iterable[str], limit: int = 2900) -> str:
    """Lines in a fixed width. The last ones are kept where there are too many."""
    kept: list[str] = []
    room = limit - 8
    for raw in reversed(list(lines)):
        line = safe(raw.replace("`", "'"), 400)
        room -= _units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "```\n" + "\n".join(reversed(kept)) + "\n```"


def verbatim(text: str, limit: int = 600) -> str:
    """Lines in a fixed width with all their blanks, so that a caret stays below what it points at."""
    shown = "".join(c for c in text.replace("`", "'") if c not in _DIRECTIONS)
    return f"```\n{_cut(shown, limit, escape=True)}\n```"


def mention(user_id: str) -> str:
    """`<@U…>`, or the escaped text where it is no user id."""
    return f"<@{user_id}>" if _USER_ID.fullmatch(user_id) else safe(user_id, 40)


def is_user(place: str) -> bool:
    """Whether the id is a person's, not a channel's."""
    return _USER_ID.fullmatch(place) is not None


def channel(channel_id: str) -> str:
    """`<#C…>`; empty for what is no channel, as a direct message."""
    return f"<#{channel_id}>" if _CHANNEL_ID.fullmatch(channel_id) else ""


def link(url: str, text: str) -> str:
    """`<https://…|text>`; the text is ours or escaped."""
    return f"<{safe(url.replace('|', '%7C'), 1000)}|{text}>"


def bounded(lines: Sequence[str], limit: int = 2800) -> str:
    """The lines that fit, and how many more there are."""
    taken: list[str] = []
    room = limit
    for line in lines:
        room -= _units(line) + 1
        if room < 0:
            return "\n".join([*taken, f"… and {len(lines) - len(taken)} more."])
        taken.append(line)
    return "\n".join(taken)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, limit: int, *, escape: bool) -> str:
    written = [_ENTITIES.get(c, c) for c in text] if escape else list(text)
    whole = "".join(written)
    if _units(whole) <= limit:
        return whole
    room, end = limit - 1, 0
    for part in written:
        room -= _units(part)
        if room < 0:
            break
        end += 1
    while end and _joined(text, end):
        end -= 1
    return "".join(written[:end]).rstrip() + "…"


def _joined(text: str, at: int) -> bool:
    """Whether a cut before `text[at]` would tear apart what is seen as one character."""
    following, before = text[at], text[at - 1]
    skin_tone = 0x1F3FB <= ord(following) <= 0x1F3FF
    return unicodedata.category(following).startswith("M") or skin_tone or _ZWJ in (following, before)


def plain(text: str, limit: int) -> Block:
    """A plain_text object; Slack shows it literally, so nothing is escaped."""
    return {"type": "plain_text", "text": clip(one_line(text), limit) or "–"}


def mrkdwn(text: str) -> Block:
    """A mrkdwn object of text that is escaped already.

    Builders keep their texts within the limit; should one not, the cut spares tokens and entities.
    """
    if _units(text) > SECTION_MAX:
        text = clip(text, SECTION_MAX - 4).removesuffix("…")
        if text.rfind("<") > text.rfind(">"):
            text = text[: text.rfind("<")]
        if text.rfind("&") > text.rfind(";"):
            text = text[: text.rfind("&")]
        text += "\n```" if text.count("```") % 2 else "…"
    return {"type": "mrkdwn", "text": text or "–"}


def section(text: str, *, accessory: Block | None = None, block_id: str = "") -> Block:
    """A paragraph of mrkdwn, with an element at its right."""
    block: Block = {"type": "section", "text": mrkdwn(text)}
    if accessory:
        block["accessory"] = accessory
    if block_id:
        block["block_id"] = block_id
    return block


def context(*texts: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts[:10]]}


def header(text: str) -> Block:
    """A heading."""
    return {"type": "header", "text": plain(text, 150)}


def divider() -> Block:
    """A line."""
    return {"type": "divider"}


def image(file_id: str, alt_text: str) -> Block:
    """A picture that was uploaded to Slack."""
    return {"type": "image", "slack_file": {"id": file_id}, "alt_text": clip(one_line(alt_text), 2000)}


def button(text: str, action_id: str, *, value: str = "", style: str = "", url: str = "") -> Block:
    """A button; `style` is "primary", "danger" or nothing."""
    element: Block = {"type": "button", "action_id": action_id, "text": plain(text, 75)}
    given = {"value": value, "style": style, "url": url}
    return {**element, **{key: entry for key, entry in given.items() if entry}}


def actions(*elements: Block) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(elements)}


def option(text: str, value: str, *, description: str = "", mark_up: bool = False) -> Block:
    """A choice. `mark_up` makes its texts mrkdwn (radio buttons and checkboxes only); they must be escaped then."""
    wording = mrkdwn if mark_up else lambda shown: plain(shown, 75)
    entry: Block = {"text": wording(text), "value": value[:150]}
    if description:
        entry["description"] = wording(description)
    return entry


def text_input(block_id: str, action_id: str, label: str, **settings: Any) -> Block:
    """A text field. `settings` are those of `plain_text_input`, and `hint` and `optional` of its block."""
    around = {key: settings.pop(key) for key in ("hint", "optional") if key in settings}
    element: Block = {"type": "plain_text_input", "action_id": action_id}
    element |= {key: value for key, value in settings.items() if value not in ("", None)}
    if "placeholder" in element:
        element["placeholder"] = plain(element["placeholder"], 150)
    return input_block(block_id, label, element, **around)


def input_block(
    block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = False, dispatch: bool = False
) -> Block:
    """A field with its label; `dispatch` tells the bot of every change."""
    block: Block = {"type": "input", "block_id": block_id, "label": plain(label, 200), "element": element}
    if hint:
        block["hint"] = plain(hint, 500)
    return block | {key: True for key, given in (("optional", optional), ("dispatch_action", dispatch)) if given}


def modal(
    title: str,
    blocks: Sequence[Block],
    *,
    callback_id: str = "",
    submit: str = "",
    close: str = "",
    metadata: str = "",
    ends: bool = False,
) -> View:
    """A modal view; its blocks stop at Slack's 100. With `ends`, closing it closes those beneath it too."""
    view: View = {"type": "modal", "title": plain(title, 24), "blocks": list(blocks)[:100]}
    if submit:
        view["submit"] = plain(submit, 24)
    view["close"] = plain(close or ("Cancel" if submit else "Close"), 24)
    given: Mapping[str, str | bool] = {
        "callback_id": callback_id,
        "private_metadata": metadata,
        "clear_on_close": ends,
    }
    return {**view, **{key: value for key, value in given.items() if value}}


def loading_view(title: str, text: str = "Loading…") -> View:
    """What stands in a modal until its content is there."""
    return modal(title, [section(safe(text, 500))])
