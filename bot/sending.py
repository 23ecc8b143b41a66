"""Everything that the bot sends by itself, as one step to be repeated."""

from __future__ import annotations

from collections.abc import Callable

from slack_sdk import WebClient

from bot.approval_copies import ApprovalCopies
from bot.context import BotContext
from bot.outbox import OutboxWorker


def sender(context: BotContext, client: WebClient) -> Callable[[], bool]:
    """A step that sends what is due of everything; it returns whether there was anything."""
    workers = (OutboxWorker(context, client), ApprovalCopies(context, client))

    def step() -> bool:
        return any([worker.step() for worker in workers])

    return step
