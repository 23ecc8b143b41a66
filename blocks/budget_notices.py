"""What is told of a team's money, outside of any run's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from blocks import disputes
from blocks.approval_news import request_news
from blocks.home import ACTION_ALL_JOBS, ACTION_BUDGET
from blocks.payments import refunded, topped_up
from blocks.text import Block, MessageParts, actions, bold, button, context, mention, safe, safe_lines, section
from blocks.units import bar, count, money, money_range
from functions.model.outbox import Notice

ACTION_CHANGE = "budget_change"

Data = Mapping[str, float | int | str | None]
_BAR = 20


def team_notice(notice: Notice, data: Data) -> MessageParts:
    """The message of a notice that tells of no run."""
    return _WORDS[notice](data)


def _cents(data: Data, name: str) -> int:
    value = data.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _alert(data: Data) -> MessageParts:
    level, spent, limit = _cents(data, "level"), _cents(data, "spent_cents"), _cents(data, "limit_cents")
    of_limit = f"{money(spent)} of {money(limit)}"
    if level < 100:
        text = f"{level} % of the training budget is used: {of_limit}."
    elif spent > limit:
        text = f"The training budget is exceeded: {of_limit}."
    else:
        text = f"The training budget is used up: {of_limit}."
    icon = "✗" if level >= 100 else "⚠"
    blocks = [section(f"{icon} *{text}*\n{_gauge(data)}\n{_left(data)}"), context(_outlook(data)), _buttons()]
    return text, blocks


def _risk(data: Data) -> MessageParts:
    over = max(0, _cents(data, "expected_cents") - _cents(data, "limit_cents"))
    active = _cents(data, "active")
    text = f"What is under way will pass the training budget by about {money(over)}."
    runs = "the active run" if active == 1 else f"one of the {active} active runs"
    advice = f"Cancel {runs} or raise the limit; nothing is stopped by itself."
    return text, [section(f"⚠ *{text}*\n{advice}"), context(_outlook(data)), _buttons()]


def _changed(data: Data) -> MessageParts:
    before, after = _cents(data, "before_cents"), _cents(data, "after_cents")
    verb = "raised" if after > before else "lowered"
    who = mention(str(data.get("by") or ""))
    fact = f"the training budget from {money(before)} to {money(after)}"
    text = f"{who} {verb} {fact}."
    why = safe_lines(str(data.get("why") or ""), 600)
    return text, [section(f"{text}\n“{why}”" if why else text), context(_left(data))]


def _override(data: Data) -> MessageParts:
    who, name = mention(str(data.get("by") or "")), str(data.get("job") or "")
    over, limit = money(_cents(data, "over_cents")), money(_cents(data, "limit_cents"))
    text = f"{who} started {safe(name, 150)} over the budget."
    used = money(_cents(data, "used_cents"))
    facts = f"It reserves {money(_cents(data, 'cents'))}: {used} of {limit} are now spent or reserved, {over} too much."
    why = safe_lines(str(data.get("why") or ""), 1200)
    shown = f"{who} started {bold(name, 150)} over the budget.\n{facts}\n“{why}”"
    return text, [section(shown), _buttons()]


def _digest(data: Data) -> MessageParts:
    yesterday = money(_cents(data, "yesterday_cents"))
    text = f"Training budget: {yesterday} spent yesterday, {money(_cents(data, 'remaining_cents'))} left."
    names = [safe(name, 100) for name in str(data.get("names") or "").splitlines()]
    active = _cents(data, "active")
    spent = f"{yesterday} spent yesterday" if _cents(data, "yesterday_cents") else "Nothing spent yesterday"
    lines = [f"*Training budget today*\n{spent}. {_left(data)}", _gauge(data)]
    if active:
        more = f" and {active - len(names)} more" if active > len(names) else ""
        lines.append(f"{count(active, 'run')} under way: {', '.join(names)}{more}")
    return text, [section("\n".join(lines)), context(_outlook(data)), actions(button("Budget", ACTION_BUDGET))]


def _month(data: Data) -> MessageParts:
    last, spent = safe(str(data.get("last_month") or ""), 40), _cents(data, "last_cents")
    limit = data.get("last_limit_cents")
    of_it = f" of {money(int(limit))}" if isinstance(limit, int | float) else ""
    text = f"A new month: {money(_cents(data, 'limit_cents'))} for training."
    return text, [
        section(f"✓ *{text}*\n{last} cost {money(spent)}{of_it}."),
        actions(button("Budget", ACTION_BUDGET)),
    ]


def _gauge(data: Data) -> str:
    limit = _cents(data, "limit_cents")
    spent = _cents(data, "spent_cents")
    used = spent / limit if limit > 0 else 1.0
    return f"{bar(used, _BAR)}  {round(used * 100):,} %"


def _left(data: Data) -> str:
    """`$12.68 left, $58 more is reserved.`; reserved money is not left."""
    left, reserved = _cents(data, "remaining_cents"), _cents(data, "reserved_cents")
    held = f"; {money(reserved)} is reserved for runs under way" if reserved > 0 else ""
    return f"{money(left)} left{held}."


def _outlook(data: Data) -> str:
    """What the active runs bring the period to, and what the pace of the last weeks would."""
    active, limit = _cents(data, "active"), _cents(data, "limit_cents")
    best, worst = _cents(data, "best_cents"), _cents(data, "worst_cents")
    if active:
        over = over_words(best, worst, limit)
        said = f"With {count(active, 'active run')} it comes to {money_range(best, worst)}{over}."
    else:
        said = "No run is under way."
    pace = data.get("pace_cents")
    if isinstance(pace, int | float):
        said += f" At the pace of the last 30 days, about {money(round(pace / 100) * 100)} by the end of the month."
    return said


def over_words(best: int, worst: int, limit: int) -> str:
    """`, $29–45 over the limit`; `, up to $45 over the limit` where it may also stay within; else nothing."""
    if worst <= limit:
        return ""
    if best <= limit:
        return f", up to {money(worst - limit)} over the limit"
    return f", {money_range(best - limit, worst - limit)} over the limit"


def _buttons() -> Block:
    return actions(
        button("Budget", ACTION_BUDGET), button("Change limit…", ACTION_CHANGE), button("Runs", ACTION_ALL_JOBS)
    )


_WORDS: dict[Notice, Callable[[Data], MessageParts]] = {
    Notice.BUDGET_ALERT: _alert,
    Notice.BUDGET_RISK: _risk,
    Notice.BUDGET_CHANGED: _changed,
    Notice.BUDGET_OVERRIDE: _override,
    Notice.BUDGET_DIGEST: _digest,
    Notice.BUDGET_MONTH: _month,
    Notice.TOPPED_UP: topped_up,
    Notice.REFUNDED: refunded,
    Notice.DISPUTE_ASKED: disputes.asked,
    Notice.DISPUTE_TAKEN: disputes.taken,
    Notice.DISPUTE_RETURNED: disputes.returned,
    Notice.DISPUTE_LOST: disputes.lost,
    Notice.REQUEST_NEWS: request_news,
}
