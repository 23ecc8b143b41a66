"""App Home: what runs, what is left of the budget, the ways in."""

from __future__ import annotations

from blocks.job_rows import job_row
from blocks.text import Block, View, actions, button, context, divider, header, section
from blocks.train_form import ACTION_NEW_RUN
from blocks.units import count, money, share
from functions.budget import period_words
from functions.model.money import BudgetStatus
from functions.model.people import Permission
from functions.model.views import HomeView, JobLine

ACTION_FILES = "home_files"
ACTION_ALL_JOBS = "home_all_jobs"
ACTION_BUDGET = "budget_open"
_ACTIVE_SHOWN = 15
_RECENT_SHOWN = 5
_GAUGE = 20


def home_view(view: HomeView) -> View:
    """The person's team at a glance."""
    blocks = [
        actions(*_ways_in(view)),
        *_files(view),
        header("Under way"),
        *_rows(view.active[:_ACTIVE_SHOWN], "No run is under way."),
        *_more(view),
        header(f"Budget {period_words(view.budget.period)}"),
        *_budget(view.budget),
        divider(),
        header("Recently ended"),
        *_rows(view.recent[:_RECENT_SHOWN], "No run has ended yet."),
    ]
    return {"type": "home", "blocks": blocks}


def _ways_in(view: HomeView) -> list[Block]:
    buttons = [
        button("Training files", ACTION_FILES),
        button("All runs", ACTION_ALL_JOBS),
        button("Budget", ACTION_BUDGET),
    ]
    if view.person.may(Permission.START_JOBS):
        buttons.insert(0, button("New training run", ACTION_NEW_RUN, style="primary"))
    return buttons


def _files(view: HomeView) -> list[Block]:
    if view.files:
        return [context(f"{count(view.files, 'training file')} in this workspace")]
    return [context("No training file yet. Open Training files to add the first one.")]


def _rows(lines: tuple[JobLine, ...], otherwise: str) -> list[Block]:
    return [job_row(line) for line in lines] or [context(otherwise)]


def _more(view: HomeView) -> list[Block]:
    more = len(view.active) - _ACTIVE_SHOWN
    return [context(f"… and {more:,} more, under All runs.")] if more > 0 else []


def _budget(budget: BudgetStatus) -> list[Block]:
    left = f"*{money(budget.remaining_cents)}* of {money(budget.limit_cents)} left"
    parts = f"{money(budget.spent_cents)} spent · {money(budget.reserved_cents)} reserved for runs under way"
    used = f"  {share(budget.used_cents / budget.limit_cents)} used" if budget.limit_cents > 0 else ""
    blocks = [section(f"{left}\n{_gauge(budget)}{used}"), context(parts)]
    over = budget.used_cents - budget.limit_cents
    if over > 0:
        blocks.append(section(f"⚠ {money(over)} over the limit. A budget manager can raise it."))
    return blocks


def _gauge(budget: BudgetStatus) -> str:
    """Spent in full, reserved in half tone, the rest empty; what is there at all shows at least once."""
    if budget.limit_cents <= 0:
        return "░" * _GAUGE
    spent = min(_GAUGE, _cells(budget.spent_cents, budget.limit_cents))
    reserved = min(_GAUGE - spent, _cells(budget.reserved_cents, budget.limit_cents))
    return "▓" * spent + "▒" * reserved + "░" * (_GAUGE - spent - reserved)


def _cells(cents: int, limit_cents: int) -> int:
    return max(1, round(cents / limit_cents * _GAUGE)) if cents > 0 else 0
