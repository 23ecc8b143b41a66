"""/budget audit: who did what and when, with filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from blocks.text import (
    Block,
    View,
    actions,
    bounded,
    button,
    channel,
    context,
    is_user,
    mention,
    modal,
    option,
    plain,
    safe,
    section,
)
from blocks.units import count, money, when
from functions.model.budget import AUDIT_DAYS, AuditEntry, AuditFilter, AuditView

TITLE = "Audit log"
AUDIT_CALLBACK = "audit_log"
ACTION_PERSON, ACTION_AREA, ACTION_DAYS = "audit_person", "audit_area", "audit_days"
ACTION_CSV = "audit_csv"
CHANGES = (ACTION_PERSON, ACTION_AREA, ACTION_DAYS)
_FILTERS = "audit_filters"
_ALL = "all"
# What these say needs no label.
_PLAIN = frozenset({"name", "job", "cents"})
# Where these are 0 they say nothing.
_IF_ANY = frozenset({"test_mode", "fixed_price_cents", "margin_basis_points"})
_WORDS = {
    "budget.limit_changed": "changed the budget's limit",
    "budget.period_changed": "changed the budget's period",
    "budget.grace_changed": "changed the grace",
    "budget.hard_stop_changed": "changed what happens at the limit",
    "budget.recipients_changed": "changed who is told of the budget",
    "budget.channel_changed": "changed the budget's channel",
    "budget.digest_changed": "changed the daily digest",
    "budget.override": "passed the limit",
    "budget.exported": "exported the budget",
    "audit.exported": "exported the audit log",
    "role.changed": "changed a role",
    "job.started": "started a run",
    "job.start_refused": "was refused a start",
    "training_file.added": "added a training file",
    "estimate.download": "downloaded an estimate",
    "approval.approved": "approved a request",
    "approval.rejected": "declined a request",
    "approval.break_glass_approved": "broke the glass and approved their own request",
    "top_up.asked": "asked for a page to top up",
    "top_up.booked": "booked a top-up",
    "refund.booked": "booked a refund",
    "client.set_up": "set up a client",
    "invoice.begun": "began an invoice",
    "invoice.finalized": "finalised an invoice",
    "job.promoted": "moved a run to the front",
    "job.resumed": "resumed a run",
    "job.retried": "took a failed run up again",
    "job.pause_asked": "asked to pause a run",
    "job.cancel_asked": "asked to cancel a run",
    "artifact.download": "downloaded a result",
    "report.download": "downloaded a report",
}
# Their values are words of the program.
_STATES = frozenset({"kind", "state"})


def audit_log(view: AuditView) -> View:
    """The newest entries that match, and the filters."""
    blocks: list[Block] = [{**actions(*_filters(view)), "block_id": _FILTERS}]
    if view.entries:
        blocks += [section(_entry(entry)) for entry in view.entries]
        blocks.append(context(_total(view)))
        blocks.append(actions(button("Export CSV", ACTION_CSV)))
    else:
        blocks.append(section("Nothing matches. Choose more days, another person or another kind."))
    return modal(TITLE, blocks, callback_id=AUDIT_CALLBACK)


def read_filter(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> AuditFilter:
    """What is chosen in the filters."""
    chosen = values.get(_FILTERS, {})
    days = (chosen.get(ACTION_DAYS, {}).get("selected_option") or {}).get("value")
    area = (chosen.get(ACTION_AREA, {}).get("selected_option") or {}).get("value") or ""
    return AuditFilter(
        days=int(days) if days in {str(number) for number in AUDIT_DAYS} else AuditFilter().days,
        actor=chosen.get(ACTION_PERSON, {}).get("selected_user") or "",
        area="" if area == _ALL else area,
    )


def _filters(view: AuditView) -> list[Block]:
    person: Block = {"type": "users_select", "action_id": ACTION_PERSON, "placeholder": plain("Everybody", 150)}
    if view.chosen.actor:
        person["initial_user"] = view.chosen.actor
    kinds = {_ALL: option("Everything", _ALL)}
    kinds |= {area: option(area.replace("_", " ").capitalize(), area) for area in view.areas[:90]}
    days = {number: option(f"{number} days", str(number)) for number in AUDIT_DAYS}
    return [
        person,
        _select(ACTION_AREA, list(kinds.values()), kinds.get(view.chosen.area or _ALL, kinds[_ALL])),
        _select(ACTION_DAYS, list(days.values()), days[view.chosen.days]),
    ]


def _select(action_id: str, options: list[Block], chosen: Block) -> Block:
    return {"type": "static_select", "action_id": action_id, "options": options, "initial_option": chosen}


def _total(view: AuditView) -> str:
    shown = len(view.entries)
    if view.total > shown:
        return f"The newest {shown} of {count(view.total, 'entry', 'entries')}; the export has all of them."
    return f"{count(view.total, 'entry', 'entries')}. Entries cannot be changed or deleted."


def _entry(entry: AuditEntry) -> str:
    did = _WORDS.get(entry.action) or safe(entry.action.replace(".", ": ").replace("_", " "), 80)
    facts = _facts(entry)
    return f"{mention(entry.actor)} {did}{_on(entry)}, {when(entry.at)}" + (f"\n{facts}" if facts else "")


def _on(entry: AuditEntry) -> str:
    """Whom it was done to; ids of jobs and files say nothing to a person."""
    shown = mention(entry.target)
    return f" ({shown})" if shown.startswith("<@") and entry.target != entry.actor else ""


def _facts(entry: AuditEntry) -> str:
    said = (item for item in entry.detail.items() if item[1] != "" and (item[1] or item[0] not in _IF_ANY))
    told = sorted(said, key=lambda item: _place(item[0]))
    parts = [_fact(key, value) for key, value in told]
    return bounded([" · ".join(parts)], 900) if parts else ""


def _fact(key: str, value: str | float | bool | None) -> str:
    if key == "test_mode":
        return "test mode"
    if key == "margin_basis_points" and isinstance(value, int):
        return f"margin {value / 100:g} %"
    shown = _value(key, value)
    if key == "why":
        return f"“{shown}”"
    return shown if key in _PLAIN else f"{safe(_name(key), 40)} {shown}"


def _place(key: str) -> tuple[int, str]:
    """Before comes first and after second, reasons come last; the database keeps no order."""
    name = _name(key)
    return {"from": 0, "to": 1, "why": 3}.get(name, 2), name


def _name(key: str) -> str:
    return key.removesuffix("_cents").replace("_", " ")


def _value(key: str, value: str | float | bool | None) -> str:
    if (key == "cents" or key.endswith("_cents")) and isinstance(value, int):
        return money(value)
    text = str(value).replace("_", " ") if key in _STATES else str(value)
    if all(is_user(part) for part in text.split(", ")):
        return ", ".join(mention(part) for part in text.split(", "))
    if channel(text):
        return channel(text)
    try:
        return f"`{str(UUID(text))[:8]}`"
    except ValueError:
        return safe(text, 600)
