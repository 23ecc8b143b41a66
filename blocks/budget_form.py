"""The form that changes a team's budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from blocks.text import Block, View, bounded, context, input_block, modal, option, plain, section, text_input
from blocks.units import money
from functions.errors import InvalidInput
from functions.model.budget import BudgetView
from functions.model.money import BudgetRules, Period

FORM_TITLE = "Change the budget"
FORM_CALLBACK = "budget_form"
CHANGED_CALLBACK = "budget_changed"
LIMIT, PERIOD, GRACE, OPTIONS = "limit", "period", "grace", "options"
RECIPIENTS, CHANNEL, REASON = "recipients", "channel", "reason"
# Which field an error belongs to is its block's id.
FIELDS = frozenset({LIMIT, PERIOD, GRACE, OPTIONS, RECIPIENTS, CHANNEL, REASON})
HARD_STOP, DIGEST = "hard_stop", "digest"
_PERIODS = {
    Period.CALENDAR_MONTH: ("Calendar month", "Counts from the first of the month, in UTC"),
    Period.ROLLING_30_DAYS: ("Rolling 30 days", "Counts the last 30 days at any time"),
}
_FIELD_NAMES = {
    "limit_cents": "the limit",
    "period": "the period",
    "grace_percent": "the grace",
    "hard_stop": "what happens at the limit",
    "recipients": "who is told",
    "channel_id": "the channel",
    "daily_digest": "the daily digest",
}


def budget_form(view: BudgetView, *, channel_id: str) -> View:
    """The rules as they are, to be changed. `channel_id` is told of a new limit where the budget has no channel."""
    rules = view.rules
    spent = f"{money(view.forecast.spent_cents)} is spent and {money(view.status.reserved_cents)} reserved"
    blocks = [
        section(f"{spent}, of {money(view.status.limit_cents)}."),
        _number(LIMIT, "Monthly limit in dollars", f"{Decimal(rules.limit_cents) / 100:f}", decimals=True),
        _period(rules),
        _number(GRACE, "Grace in percent", str(rules.grace_percent), hint=_GRACE_HINT, most="100"),
        _options(rules),
        _recipients(rules),
        _channel(rules),
        text_input(REASON, REASON, "Why", multiline=True, max_length=1000, optional=True, hint=_REASON_HINT),
    ]
    metadata = json.dumps({"channel": channel_id})
    return modal(FORM_TITLE, blocks, callback_id=FORM_CALLBACK, submit="Change", metadata=metadata)


_GRACE_HINT = "How far an approved run may pass the limit. Without an approval nothing passes it."
_REASON_HINT = "Needed for a new limit: at least 10 characters. It stands in the audit log and is told with the change."


def _number(name: str, label: str, value: str, *, hint: str = "", decimals: bool = False, most: str = "") -> Block:
    element: Block = {
        "type": "number_input",
        "action_id": name,
        "is_decimal_allowed": decimals,
        "initial_value": value,
        "min_value": "0",
    }
    if most:
        element["max_value"] = most
    return input_block(name, label, element, hint=hint)


def _period(rules: BudgetRules) -> Block:
    options = {key: option(name, key.value, description=what) for key, (name, what) in _PERIODS.items()}
    element: Block = {
        "type": "radio_buttons",
        "action_id": PERIOD,
        "options": list(options.values()),
        "initial_option": options[rules.period],
    }
    return input_block(PERIOD, "Period", element)


def _options(rules: BudgetRules) -> Block:
    offered = {
        HARD_STOP: option("Nothing passes the limit, not even with an approval", HARD_STOP),
        DIGEST: option("A digest every morning, where there is something to tell", DIGEST),
    }
    ticked = [offered[name] for name, on in ((HARD_STOP, rules.hard_stop), (DIGEST, rules.daily_digest)) if on]
    element: Block = {"type": "checkboxes", "action_id": OPTIONS, "options": list(offered.values())}
    if ticked:
        element["initial_options"] = ticked
    return input_block(OPTIONS, "Options", element, optional=True)


def _recipients(rules: BudgetRules) -> Block:
    element: Block = {
        "type": "multi_users_select",
        "action_id": RECIPIENTS,
        "placeholder": plain("Every manager and admin", 150),
        "max_selected_items": 20,
    }
    if rules.recipients:
        element["initial_users"] = list(rules.recipients)
    hint = "Told directly at 80, 95 and 100 %. Nobody chosen: every manager and admin."
    return input_block(RECIPIENTS, "Who is told", element, optional=True, hint=hint)


def _channel(rules: BudgetRules) -> Block:
    element: Block = {
        "type": "conversations_select",
        "action_id": CHANNEL,
        "placeholder": plain("No channel", 150),
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }
    if rules.channel_id:
        element["initial_conversation"] = rules.channel_id
    hint = "Told at 95 and 100 %, of new limits and overrides. Invite Bright Run there first."
    return input_block(CHANNEL, "Channel", element, optional=True, hint=hint)


def read_budget_form(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[BudgetRules, str]:
    """The chosen rules, and the reason.

    Raises:
        InvalidInput: a number is none.
    """
    ticked = {entry["value"] for entry in values[OPTIONS][OPTIONS].get("selected_options") or []}
    period = (values[PERIOD][PERIOD].get("selected_option") or {}).get("value") or Period.CALENDAR_MONTH
    rules = BudgetRules(
        limit_cents=_read_number(values, LIMIT, 100),
        period=Period(period),
        grace_percent=_read_number(values, GRACE, 1),
        hard_stop=HARD_STOP in ticked,
        recipients=tuple(values[RECIPIENTS][RECIPIENTS].get("selected_users") or ()),
        channel_id=values[CHANNEL][CHANNEL].get("selected_conversation") or "",
        daily_digest=DIGEST in ticked,
    )
    return rules, values[REASON][REASON].get("value") or ""


def _read_number(values: Mapping[str, Mapping[str, Mapping[str, Any]]], name: str, times: int) -> int:
    text = str(values[name][name].get("value") or "").strip()
    try:
        number = Decimal(text) * times
        if not number.is_finite() or abs(number) > 10**15:
            raise InvalidInput("This number is too large.", field=name)
    except InvalidOperation:
        raise InvalidInput("Type a number.", field=name) from None
    if number != number.to_integral_value():
        raise InvalidInput("Whole cents, please." if times > 1 else "A whole number, please.", field=name)
    return int(number)


def budget_changed(names: Sequence[str], rules: BudgetRules) -> View:
    """What the form turns into."""
    if not names:
        blocks = [section("Nothing was changed.")]
    else:
        lines = [f"• {_FIELD_NAMES[name]}" for name in names]
        blocks = [section(bounded(["✓ Changed, and written down in the audit log:", *lines]))]
        if "limit_cents" in names:
            blocks.append(context(f"The limit is {money(rules.limit_cents)} now. Those who are told get a message."))
    return modal(FORM_TITLE, blocks, callback_id=CHANGED_CALLBACK, ends=True)
