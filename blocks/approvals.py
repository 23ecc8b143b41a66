"""The request that managers get, what becomes of it, and the windows around it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks.text import (
    Block,
    MessageParts,
    View,
    actions,
    bold,
    button,
    clip,
    context,
    link,
    mention,
    modal,
    plain,
    safe,
    safe_lines,
    section,
    text_input,
)
from blocks.units import PRACTICE, duration, money, money_range, rough, when
from functions.limit_request import LimitWanted
from functions.model.approval import STARTS, Approval, ApprovalEvent, ApprovalKind, ApprovalState, Quoted

ACTION_APPROVE = "approval_approve"
ACTION_REJECT = "approval_reject"
ACTION_APPROVAL_DETAILS = "approval_details"
ACTION_WITHDRAW = "approval_withdraw"
ACTION_BREAK_GLASS = "approval_break_glass"
ACTION_ASK_START = "ask_approval"
ACTION_ASK_LIMIT = "ask_limit_increase"

ASK_CALLBACK = "approval_ask"
ASK_LIMIT_CALLBACK = "approval_ask_limit"
ASKED_CALLBACK = "approval_asked"
REJECT_CALLBACK = "approval_reject_form"
BREAK_GLASS_CALLBACK = "approval_break_glass_form"
DETAILS_CALLBACK = "approval_details_view"
DETAILS_TITLE = "Request"
ASK_TITLE = "Ask for approval"
REASON_BLOCK, REASON_ACTION = "reason", "reason"
LIMIT_BLOCK, LIMIT_ACTION = "limit", "limit"

_DONE = {
    ApprovalState.APPROVED: "✓ Approved",
    ApprovalState.LAUNCHED: "✓ Approved and launched",
    ApprovalState.LAUNCH_FAILED: "⚠ Approved, not launched",
    ApprovalState.REJECTED: "✗ Declined",
    ApprovalState.CANCELLED: "– Withdrawn",
    ApprovalState.EXPIRED: "– Expired without a decision",
    ApprovalState.SUPERSEDED: "– Superseded",
}
_ESCALATED = "The admins have been asked as well"
_OPEN = frozenset({ApprovalState.DRAFT, ApprovalState.PENDING})


def approval_message(request: Approval, card_link: str = "") -> MessageParts:
    """One copy of the request: with buttons while it waits, afterwards with who decided and when.

    `card_link` leads to the card of the run that was launched.
    """
    blocks = _told(request, card_link)
    if request.state is ApprovalState.PENDING:
        blocks += [context(_rules(request)), actions(*_buttons(request))]
        return clip(_headline(request), 3000), blocks
    return clip(f"{_done(request)}: {request.quoted.title}", 3000), [*blocks, actions(_details(request))]


def _told(request: Approval, card_link: str = "") -> list[Block]:
    """What became of it before what was asked: the first two lines are read."""
    done = [] if request.state in _OPEN else [section(outcome_line(request, card_link))]
    return [*done, section(_asks(request)), *_facts(request), *_money(request)]


def _done(request: Approval) -> str:
    if request.state is ApprovalState.LAUNCH_FAILED and request.kind not in STARTS:
        return "⚠ Approved, but it could not be done"
    return _DONE[request.state]


def reminder(request: Approval) -> str:
    """Below a copy that still waits."""
    asked = mention(request.requested_by)
    last = f" {_ESCALATED}." if request.escalated else ""
    return f"Still waiting for a decision, for {asked}. It expires {when(request.expires_at)}.{last}"


def _headline(request: Approval) -> str:
    return f"Approval needed: {_wanted(request)}" if request.state in _OPEN else _wanted(request)


def _wanted(request: Approval) -> str:
    quoted = request.quoted
    if request.kind is ApprovalKind.OVER_BUDGET_START:
        over = quoted.after_cents - quoted.limit_cents
        return f"{money(quoted.cents_high)} training run, {money(over)} over what is left"
    if request.kind is ApprovalKind.COSTLY_START:
        return f"{money(quoted.cents_high)} training run without interruptions"
    return quoted.title


def _asks(request: Approval) -> str:
    lines = [f"*{safe(_headline(request), 200)}*", f"Asked by {mention(request.requested_by)}"]
    if request.reason:
        lines.append(f"“{safe_lines(request.reason, 900)}”")
    return "\n".join(lines)


def _facts(request: Approval) -> list[Block]:
    # Of the other kinds, the headline is the title.
    lines = [bold(request.quoted.title)] if request.kind in STARTS else []
    lines += [safe(fact, 250) for fact in request.quoted.facts]
    if request.quoted.seconds:
        about = f"about {rough(request.quoted.seconds)}"
        lines.append(f"It takes {about}" if request.kind is ApprovalKind.PROMOTION else about.capitalize())
    lines += _waiting(request.quoted)
    return [section("\n".join(lines))] if lines else []


def _waiting(quoted: Quoted) -> list[str]:
    """Since when it waits, and when it starts as it is and at the front."""
    lines = [f"Waiting since {when(quoted.waiting_since)}"] if quoted.waiting_since else []
    if quoted.starts_at and quoted.starts_first_at:
        lines.append(f"Start at the front: *{when(quoted.starts_first_at)}*; as it is: {when(quoted.starts_at)}")
    return lines


def _money(request: Approval) -> list[Block]:
    quoted = request.quoted
    marked = f" {PRACTICE}" if quoted.practice else ""
    lines = []
    if quoted.cents_high:
        span = money_range(quoted.cents_low, quoted.cents_high)
        stop = f", stopped at {money(quoted.cap_cents)}" if quoted.cap_cents else ""
        lines.append(f"Estimate *{span}*{marked}, {money(quoted.cents_high)} is set aside{stop}")
    if quoted.limit_cents:
        line = f"Budget: {money(quoted.used_cents)} of {money(quoted.limit_cents)} used"
        if quoted.after_cents != quoted.used_cents:
            line += f" → {money(quoted.after_cents)}"
        if quoted.after_cents > quoted.limit_cents and quoted.grace_cents:
            line += f" (grace covers {money(quoted.limit_cents + quoted.grace_cents)})"
        lines.append(line)
    return [section("\n".join(lines))] if lines else []


def _rules(request: Approval) -> str:
    roles = " or ".join(role.value for role in request.policy.roles)
    reminded = ("", "  ·  Reminder", "  ·  Last reminder")[min(request.reminded, 2)]
    reminded += f"  ·  {_ESCALATED}" if request.escalated else ""
    return f"Any {roles} may decide, except the one who asked. Expires {when(request.expires_at)}.{reminded}"


def _buttons(request: Approval) -> list[Block]:
    approve = button("Approve…", ACTION_APPROVE, value=str(request.id), style="primary")
    approve["confirm"] = {
        "title": plain("Approve this?", 100),
        "text": plain(_what_follows(request), 300),
        "confirm": plain("Approve", 30),
        "deny": plain("Not now", 30),
    }
    return [approve, button("Decline…", ACTION_REJECT, value=str(request.id)), _details(request)]


def _what_follows(request: Approval) -> str:
    if request.kind is ApprovalKind.LIMIT_INCREASE:
        return f"{request.quoted.title}. It holds from now on."
    if request.kind is ApprovalKind.PROMOTION:
        return "The run starts before all others that wait."
    return f"{money(request.quoted.cents_high)} is set aside at once, and the run joins the queue."


def _details(request: Approval) -> Block:
    return button("Details", ACTION_APPROVAL_DETAILS, value=str(request.id))


def outcome_line(request: Approval, card_link: str = "") -> str:
    """`✓ Approved by @manager, 3 min after asking.` and what came of it."""
    said = f"*{_done(request)}*"
    if request.decided_by and request.decided_at:
        took = duration((request.decided_at - request.created_at).total_seconds())
        said += f" by {mention(request.decided_by)}, {took} after asking"
    lines = [f"{said}."]
    if request.note:
        lines.append(f"“{safe_lines(request.note, 900)}”")
    if request.outcome:
        lines.append(safe(request.outcome, 500))
    if request.state is ApprovalState.APPROVED and request.job_id:
        lines.append("It is in the queue; here it says when it has launched.")
    if card_link:
        lines.append(f"Launched: {link(card_link, 'its card →')}")
    return "\n".join(lines)


def ask_form(request: Approval) -> View:
    """Why the one who decides should agree, above what they will see."""
    blocks = [
        *([section(bold(request.quoted.title))] if request.kind not in STARTS else []),
        *_facts(request),
        *_money(request),
        text_input(
            REASON_BLOCK,
            REASON_ACTION,
            "Why should it go first?" if request.kind is ApprovalKind.PROMOTION else "Why is it needed?",
            multiline=True,
            min_length=10,
            max_length=1000,
            placeholder="Client demo on Friday; the smaller run fell short on tax questions.",
        ),
        context("Managers get this in the channel and directly. You get a message when they decide."),
    ]
    metadata = json.dumps({"request": str(request.id)})
    return modal(ASK_TITLE, blocks, callback_id=ASK_CALLBACK, submit="Ask", metadata=metadata)


def ask_limit_form(wanted: LimitWanted, *, channel_id: str, key: str = "", job_id: str = "") -> View:
    """A higher limit and why; `key` is of the form whose run needs it, `job_id` of a run that shall go on."""
    amount: Block = {"type": "number_input", "is_decimal_allowed": False, "action_id": LIMIT_ACTION}
    said = f"The budget is *{money(wanted.limit_cents)}* now."
    if wanted.missing_cents:
        amount["initial_value"] = str(wanted.wanted_cents // 100)
        said += f" For this run *{money(wanted.missing_cents)}* is missing."
    label = "New limit, in whole dollars"
    blocks = [
        section(said),
        {"type": "input", "block_id": LIMIT_BLOCK, "label": plain(label, 200), "element": amount},
        text_input(
            REASON_BLOCK,
            REASON_ACTION,
            "Why is it needed?",
            multiline=True,
            max_length=1000,
            hint="At least 50 characters: the managers decide by them.",
        ),
    ]
    metadata = json.dumps({"channel": channel_id, "key": key, "job": job_id})
    return modal("Ask for a higher limit", blocks, callback_id=ASK_LIMIT_CALLBACK, submit="Ask", metadata=metadata)


def asked_view(request: Approval) -> View:
    """What the asking window turns into."""
    text = f"✓ Asked. It waits for a decision until {when(request.expires_at)}; you get a message."
    return modal("Asked", [section(text)], callback_id=ASKED_CALLBACK, ends=True)


def reject_form(request: Approval) -> View:
    """Why not."""
    blocks = [
        section(_asks(request)),
        text_input(REASON_BLOCK, REASON_ACTION, "Why not?", multiline=True, max_length=1000),
    ]
    metadata = json.dumps({"request": str(request.id)})
    return modal("Decline", blocks, callback_id=REJECT_CALLBACK, submit="Decline", metadata=metadata)


def break_glass_form(request: Approval) -> View:
    """An admin decides their own request, in front of everybody."""
    blocks = [
        section(
            "⚠ Nobody decides their own request. If nobody else can be reached and it cannot wait, an admin may do it "
            "all the same. Every copy of the request and the audit log will say so, with your justification."
        ),
        text_input(REASON_BLOCK, REASON_ACTION, "Justification", multiline=True, min_length=50, max_length=1000),
    ]
    metadata = json.dumps({"request": str(request.id)})
    title, submit = "Break the glass", "Approve it myself"
    return modal(title, blocks, callback_id=BREAK_GLASS_CALLBACK, submit=submit, metadata=metadata)


def details_view(
    request: Approval, history: Sequence[ApprovalEvent], *, viewer: str, is_admin: bool, ends: bool = False
) -> View:
    """Everything about a request, and its history. `ends`: what lies below it is out of date."""
    lines = [
        f"• {when(event.at)}: {event.event.replace('_', ' ')}"
        + (f" by {mention(event.actor)}" if event.actor != "system" else "")
        + (f": {safe(event.detail, 200)}" if event.detail else "")
        for event in history[-20:]
    ]
    blocks = [*_told(request), section("\n".join(["*History*", *lines]))]
    mine = request.state is ApprovalState.PENDING and viewer == request.requested_by
    if mine:
        own = [button("Withdraw", ACTION_WITHDRAW, value=str(request.id))]
        if is_admin:
            own.append(button("Break the glass…", ACTION_BREAK_GLASS, value=str(request.id), style="danger"))
        blocks.append(actions(*own))
    blocks.append(context(f"Request id `{request.id}` · quoted `{request.digest[:12]}`"))
    metadata = json.dumps({"request": str(request.id)})
    return modal(DETAILS_TITLE, blocks, callback_id=DETAILS_CALLBACK, metadata=metadata, ends=ends)
