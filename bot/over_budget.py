"""A form refused for want of money: what is missing, and the button that asks for it."""

from __future__ import annotations

from typing import Any

from slack_bolt import Ack

from blocks.over_budget import refusal
from functions.errors import OverBudget


def answer_over_budget(ack: Ack, view: dict[str, Any], error: OverBudget, *, job_id: str, channel_id: str) -> None:
    """Put the refusal on top of the form, or in its place where Slack takes no third and fourth window."""
    on_top = not view.get("previous_view_id")
    shown = refusal(error, job_id=job_id, channel_id=channel_id, on_top=on_top)
    ack(response_action="push" if on_top else "update", view=shown)
