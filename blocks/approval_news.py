"""What the one who asked reads, directly: who decided what and why, and the button that leads on."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.card import ACTION_DETAILS
from blocks.text import Block, MessageParts, actions, bold, button, channel, mention, safe, safe_lines, section
from blocks.train_form import ACTION_NEW_RUN
from blocks.units import money
from functions.model.approval import STARTS, ApprovalKind, ApprovalState

ACTION_REVIEW_AGAIN = "review_again"

Data = Mapping[str, float | int | str | None]
_S = ApprovalState


def request_news(data: Data) -> MessageParts:
    """`✗ @manager declined your run *X*.` with the reason, and the way on."""
    kind, state = ApprovalKind(_text(data, "kind")), ApprovalState(_text(data, "state"))
    said = f"{_ICONS[state]} {_said(data, kind, state)}"
    lines = [said, _because(data, kind, state)]
    buttons = _ways_on(data, kind, state)
    blocks = [section("\n".join(line for line in lines if line)), *([actions(*buttons)] if buttons else [])]
    return said.replace("*", ""), blocks


_ICONS = {_S.APPROVED: "✓", _S.REJECTED: "✗", _S.EXPIRED: "–", _S.SUPERSEDED: "⚠", _S.LAUNCH_FAILED: "⚠"}


def _text(data: Data, name: str) -> str:
    return str(data.get(name) or "")


def _said(data: Data, kind: ApprovalKind, state: ApprovalState) -> str:
    who, what = mention(_text(data, "by")), _what(data, kind)
    if state is _S.APPROVED:
        return f"{who} approved {what}."
    if state is _S.REJECTED:
        return f"{who} declined {what}."
    if state is _S.EXPIRED:
        return f"Nobody decided in time on {what}."
    undone = "it did not start" if kind in STARTS else "it could not be done"
    return f"{who} approved {what}, but {undone}."


def _what(data: Data, kind: ApprovalKind) -> str:
    title = _text(data, "title")
    if kind in STARTS:
        return f"your run {bold(title, 150)}"
    if kind is ApprovalKind.LIMIT_INCREASE:
        return f"the limit of *{money(_cents(data))}* that you asked for"
    return f"your request {bold(title, 200)}"


def _cents(data: Data) -> int:
    value = data.get("limit_cents")
    return int(value) if isinstance(value, int | float) else 0


def _because(data: Data, kind: ApprovalKind, state: ApprovalState) -> str:
    """The reason, what came of it, or what follows."""
    if state is _S.REJECTED:
        return f"“{safe_lines(_text(data, 'note'), 900)}”"
    if state is _S.EXPIRED:
        return "Nothing was started." if kind in STARTS else "Nothing was changed."
    if state is _S.APPROVED and kind in STARTS:
        place = channel(_text(data, "channel")) or "our direct messages"
        return f"It is in the queue; its card in {place} shows when it starts."
    if state is _S.APPROVED and kind is ApprovalKind.LIMIT_INCREASE:
        return "It holds from now on."
    return safe(_text(data, "outcome"), 500) if _text(data, "outcome") else ""


def _ways_on(data: Data, kind: ApprovalKind, state: ApprovalState) -> list[Block]:
    job, style = _text(data, "job"), "primary" if state is _S.APPROVED else ""
    if job:
        return [button("The run's details", ACTION_DETAILS, value=job, style=style)]
    if data.get("reviewable"):
        return [button("Review it again…", ACTION_REVIEW_AGAIN, value=_text(data, "request"), style=style)]
    if kind is ApprovalKind.LIMIT_INCREASE and state is _S.APPROVED:
        return [button("New training run", ACTION_NEW_RUN, style=style)]
    return []
