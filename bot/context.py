"""What the listeners are handed: ports, clock and the few facts of this installation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.later import Later
from functions.access import identify
from functions.model.people import Person, Role
from functions.model.views import QueueLimits
from functions.ports import Clock, Database, Files, Payments, Pictures, TokenCounter, Transaction


@dataclass(frozen=True)
class BotContext:
    """Everything a listener may use.

    `fetch` saves a Slack file, by its private URL, into a folder's file. `base_model` names the one whose tokenizer
    counts; it is asked each time, as models come while the bot runs.
    """

    db: Database
    files: Files
    clock: Clock
    pictures: Pictures
    counter: TokenCounter
    provider: str
    base_model: Callable[[], str]
    default_role: Role
    fetch: Callable[[str, Path], None]
    max_file_bytes: int
    limits: QueueLimits
    payments: Payments | None = None
    later: Later = field(default_factory=Later)
    # Checking a file takes up to a minute; a form that somebody opens meanwhile must not wait for it.
    later_slow: Later = field(default_factory=lambda: Later(2))

    def person(self, tx: Transaction, *, team_id: str, user_id: str) -> Person:
        """Who is asking."""
        return identify(tx, team_id=team_id, user_id=user_id, default_role=self.default_role)
