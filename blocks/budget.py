"""/budget: what is spent, what is left, what it will come to; and the form that changes the rules."""

from __future__ import annotations

import json
from collections.abc import Sequence

from blocks.approvals import ACTION_ASK_LIMIT
from blocks.budget_notices import ACTION_CHANGE, over_words
from blocks.run_words import STATE_NAMES
from blocks.text import (
    Block,
    View,
    actions,
    bounded,
    button,
    channel,
    context,
    divider,
    header,
    image,
    mention,
    modal,
    safe,
    section,
)
from blocks.units import bar, count, money, money_range, share, when
from functions.model.budget import BudgetView, JobCost, MonthSpend
from functions.model.money import Period
from functions.model.people import Permission
from functions.model.states import ACTIVE

TITLE = "Training budget"
BUDGET_CALLBACK = "budget"
EXPORT_CALLBACK = "budget_export"
ACTION_EXPORT = "budget_export"
ACTION_AUDIT = "budget_audit"
_JOBS_SHOWN = 10
_BAR = 20
# A month this far from those before it is worth a word.
_TREND = 0.1


def budget_view(view: BudgetView, *, picture: str = "", extra: Sequence[Block] = (), channel_id: str = "") -> View:
    """The window of `/budget`.

    Args:
        view: the budget as it stands.
        picture: the id of the uploaded figure, "" where it could not be drawn or sent.
        extra: more buttons beside ours, as for paying in.
        channel_id: where the command was typed; a change is told there if the budget has no channel.
    """
    blocks = [
        section(f"{_headline(view)}\n{_gauge(view)}"),
        context(_parts(view)),
        *_banner(view),
        section(_outlook(view)),
        *([image(picture, _alt(view))] if picture else []),
        *_buttons(view, extra),
        divider(),
        header("Runs"),
        *_jobs(view),
        header("The last six months"),
        section(_months(view.months)),
        context(_record(view)),
        divider(),
        context(_rules(view)),
        *_changes(view),
    ]
    return modal(TITLE, blocks, callback_id=BUDGET_CALLBACK, metadata=json.dumps({"channel": channel_id}))


def exported(name: str) -> View:
    """After an export was sent."""
    text = f"✓ `{safe(name, 100)}` is in your direct messages with Bright Run. Nobody else sees it."
    return modal("Export", [section(text)], callback_id=EXPORT_CALLBACK)


def _headline(view: BudgetView) -> str:
    status = view.status
    when_ = "this month" if status.period is Period.CALENDAR_MONTH else "in 30 days"
    return f"*{money(status.remaining_cents)} of {money(status.limit_cents)} left {when_}*"


def _gauge(view: BudgetView) -> str:
    spent, limit = view.forecast.spent_cents, view.status.limit_cents
    used = spent / limit if limit > 0 else float(spent > 0)
    return f"{bar(used, _BAR)}  {share(used)} spent"


def _parts(view: BudgetView) -> str:
    status = view.status
    parts = [f"{money(view.forecast.spent_cents)} spent"]
    if status.reserved_cents:
        parts.append(f"{money(status.reserved_cents)} reserved for runs under way")
    if status.prepaid_cents:
        parts.append(f"{money(status.prepaid_cents)} of the limit was paid in")
    return " · ".join(parts)


def _banner(view: BudgetView) -> list[Block]:
    spent, limit = view.forecast.spent_cents, view.status.limit_cents
    if spent > limit:
        return [section(f"✗ *The budget is exceeded by {money(spent - limit)}.* {_what_now(view)}")]
    if view.status.remaining_cents <= 0:
        return [section(f"✗ *Nothing is left.* {_what_now(view)}")]
    return []


def _what_now(view: BudgetView) -> str:
    if view.status.hard_stop:
        return "No new run starts until a manager raises the limit."
    return "New runs need a manager: a higher limit, or an override with a reason."


def _outlook(view: BudgetView) -> str:
    made, limit = view.forecast, view.status.limit_cents
    committed = made.committed
    lines = []
    if made.active:
        lines.append(
            f"*With {count(made.active, 'active run')}*: {money_range(committed.best, committed.worst)}"
            f"{_over(committed.best, committed.worst, limit)}"
        )
    if made.at_pace is not None:
        pace = made.at_pace
        lines.append(
            f"*By the end of the month*, at the pace of the last 30 days: "
            f"{money_range(pace.best, pace.worst)}{_over(pace.best, pace.worst, limit)}"
        )
    return "\n".join(lines) or "No run is under way."


def _over(best: int, worst: int, limit: int) -> str:
    over = over_words(best, worst, limit)
    return f"{over} ⚠" if over else ", within the limit"


def _alt(view: BudgetView) -> str:
    spent, limit = view.forecast.spent_cents, view.status.limit_cents
    total = view.forecast.total
    months = ", ".join(f"{month.month:%B} {money(month.cents)}" for month in view.months)
    return (
        f"Spending by day: {money(spent)} of {money(limit)}, expected to reach {money(total.expected)} "
        f"({money_range(total.best, total.worst)}). By month: {months}."
    )


def _buttons(view: BudgetView, extra: Sequence[Block]) -> list[Block]:
    shown = []
    if view.person.may(Permission.MANAGE_BUDGET):
        shown.append(button("Change budget…", ACTION_CHANGE))
    elif view.person.may(Permission.START_JOBS):
        shown.append(button("Ask for a higher limit…", ACTION_ASK_LIMIT))
    shown += extra
    if view.person.may(Permission.MANAGE_BUDGET):
        shown.append(button("Export CSV", ACTION_EXPORT))
    if view.person.may(Permission.READ_AUDIT):
        shown.append(button("Audit log", ACTION_AUDIT))
    return [actions(*shown[:25])] if shown else [context("A budget manager can change the limit and export this.")]


def _jobs(view: BudgetView) -> list[Block]:
    if not view.jobs:
        return [context("No run in this period yet.")]
    active = sum(job.state in ACTIVE for job in view.jobs)
    mean = view.mean_cents
    average = f" · {money(mean)} on average" if mean is not None else ""
    summary = f"{count(len(view.jobs), 'run')}: {len(view.jobs) - active:,} ended, {active:,} active{average}"
    lines = [_job(job, view.status.limit_cents) for job in view.jobs[:_JOBS_SHOWN]]
    more = len(view.jobs) - _JOBS_SHOWN
    rest = [context(f"… and {count(more, 'cheaper run')}; all are in the export.")] if more > 0 else []
    return [context(summary), section(bounded(lines)), *rest]


def _job(job: JobCost, limit_cents: int) -> str:
    part = f" · {share(job.cents / limit_cents)} of the limit" if limit_cents > 0 and job.cents > 0 else ""
    moment = when(job.ended_at or job.created_at, "{date_short}")
    state = STATE_NAMES[job.state]
    return f"*{money(job.cents)}*  {safe(job.name, 80)}\n      {state}, {moment}{part}"


def _months(months: Sequence[MonthSpend]) -> str:
    told = " · ".join(f"{month.month:%b} *{money(month.cents)}*" for month in months)
    ended = [month.cents for month in months[:-1] if month.cents > 0]
    if not ended:
        return f"{told}\nNo month with spending has ended yet."
    mean = sum(ended) / len(ended)
    line = f"{told}\n{money(round(mean))} a month on average"
    if len(ended) < 2:
        return f"{line}."
    before = sum(ended[:-1]) / (len(ended) - 1)
    change = ended[-1] / before - 1
    trend = "rising" if change > _TREND else "falling" if change < -_TREND else "steady"
    return (
        f"{line}, {trend}: the last month was {share(abs(change))} {'above' if change >= 0 else 'below'} those before."
    )


def _record(view: BudgetView) -> str:
    record = view.record
    if record is None:
        return "How good the forecasts are is not known yet: no month with forecasts has ended."
    return (
        f"Past forecasts were within ±{share(record.mean_error)} on average "
        f"({count(record.forecasts, 'day')} in {count(record.months, 'month')}); "
        f"{share(record.in_range / record.forecasts)} of them held the month's end in their range."
    )


def _rules(view: BudgetView) -> str:
    rules = view.rules
    period = "Calendar month (UTC)" if rules.period is Period.CALENDAR_MONTH else "Rolling 30 days"
    over = (
        "nothing may pass the limit" if rules.hard_stop else f"approvals may pass the limit by {rules.grace_percent} %"
    )
    people = ", ".join(mention(user) for user in rules.recipients) or "managers and admins"
    where = f" and {channel(rules.channel_id)}" if rules.channel_id else ""
    told = f"Told at 80, 95 and 100 %: {people}{where}."
    if view.unreachable and not rules.channel_id:
        told = "⚠ Nobody is told of alerts: there is no manager. An admin can make one with `/brightrun roles`."
    if view.channel_lost:
        told += f"\n⚠ {channel(rules.channel_id)} did not take the last message: type `/invite @Bright Run` there."
    return f"{period} · {over}\n{told}"


def _changes(view: BudgetView) -> list[Block]:
    if not view.changes:
        return []
    lines = [
        f"{when(change.at, '{date_short}')}: {money(change.before_cents)} → {money(change.limit_cents)}, "
        f"{mention(change.changed_by)}: {safe(change.reason, 120)}"
        for change in reversed(view.changes)
    ]
    return [context(bounded(["*Changes of the limit*", *lines], 1900))]
