"""What the review offers where a run does not fit in the budget: what is missing, what would fit, and an override."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from blocks.approvals import ACTION_ASK_LIMIT
from blocks.text import Block, View, actions, bounded, button, context, divider, modal, safe, section, text_input
from blocks.units import count, money, share
from functions.budget import period_words
from functions.errors import InvalidInput, NotAllowed, OverBudget
from functions.model.views import Alternative, ReviewView

REFUSAL_CALLBACK = "over_budget"
OVERRIDE_BLOCK, OVERRIDE_ACTION = "override", "override"
_LEAST = 50


def over_budget(view: ReviewView) -> list[Block]:
    """Nothing where the run fits."""
    if view.within_budget:
        return []
    return [divider(), *_cheaper(view), *_forecast(view), *_override(view)]


def forecast_words(view: ReviewView) -> str:
    """`With 2 active runs and this one, at most $439 of $500 this month (88 %).`; empty without a forecast."""
    made, limit = view.forecast, view.budget.limit_cents
    if made is None:
        return ""
    total = made.committed.worst + view.estimate.cents_high
    runs = f"{count(made.active, 'active run')} and this one" if made.active else "this run"
    said = f"With {runs}, at most {money(total)} of {money(limit)} {period_words(view.budget.period)}"
    if total > limit:
        return f"⚠ {said}, {money(total - limit)} over."
    return f"{said} ({share(total / limit)})." if limit > 0 else f"{said}."


def _forecast(view: ReviewView) -> list[Block]:
    said = forecast_words(view)
    return [context(said)] if said else []


def _cheaper(view: ReviewView) -> list[Block]:
    """Other choices that fit, the dearest first: it is the nearest to what was wanted."""
    fitting = [item for item in view.alternatives if _would_fit(item, view)]
    if not fitting:
        return [context("No other preset or machine fits in what is left. Stopping after fewer steps costs less.")]
    fitting.sort(key=lambda item: -item.estimate.cents_high)
    lines = [f"• {_name(item)}: up to {money(item.estimate.cents_high)}" for item in fitting[:4]]
    return [section(bounded(["*Would fit* (Back changes the choice)", *lines]))]


def _would_fit(item: Alternative, view: ReviewView) -> bool:
    return not item.chosen and item.fits and item.estimate.cents_high <= view.budget.remaining_cents


def _name(item: Alternative) -> str:
    return safe(item.tier if item.other_tier else item.preset, 80)


def _override(view: ReviewView) -> list[Block]:
    if view.may_override:
        hint = f"At least {_LEAST} characters. It stands in the audit log, and those who watch the budget are told."
        return [
            text_input(
                OVERRIDE_BLOCK,
                OVERRIDE_ACTION,
                "Start it over the budget, because …",
                multiline=True,
                max_length=1000,
                optional=True,
                hint=hint,
            )
        ]
    if view.budget.hard_stop:
        return [context("Nothing may pass the limit here, not even with an approval.")]
    return [context("A budget manager can raise the limit, or agree to this run alone: ask with the buttons above.")]


def ask_for_limit(cents: int) -> Block:
    """The button that asks for as much more as a run of so many cents needs."""
    return actions(button("Ask for a higher limit…", ACTION_ASK_LIMIT, value=str(cents)))


def refusal(error: OverBudget, *, job_id: str, channel_id: str, on_top: bool) -> View:
    """What is missing for a run that is taken up again, and how to ask for it. `on_top`: its form lies below."""
    blocks = [
        section(f"⚠ *Over budget*\n{safe(error.what, 500)}\nNothing was started."),
        ask_for_limit(error.needed_cents),
        context("A budget manager decides; you get a message then."),
    ]
    metadata = json.dumps({"job": job_id, "channel": channel_id})
    close = "Back" if on_top else "Close"
    return modal("Over budget", blocks, callback_id=REFUSAL_CALLBACK, close=close, metadata=metadata)


def read_override(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The justification; "" where none was asked for or given."""
    return str(values.get(OVERRIDE_BLOCK, {}).get(OVERRIDE_ACTION, {}).get("value") or "").strip()


def override_block(error: Exception, view: Mapping[str, Any]) -> str:
    """The override's block, where the error belongs there and the review shows it; else ""."""
    shown = any(block.get("block_id") == OVERRIDE_BLOCK for block in view["blocks"])
    about = isinstance(error, OverBudget | NotAllowed)
    about = about or (isinstance(error, InvalidInput) and error.field == OVERRIDE_BLOCK)
    return OVERRIDE_BLOCK if shown and about else ""
