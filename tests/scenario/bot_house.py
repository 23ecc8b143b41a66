"""The real bot for scenario tests: its context over this test's database and files."""

from __future__ import annotations

from bot.context import BotContext
from functions.model.people import Role
from functions.ports import Clock, Files, TokenCounter
from functions.training_files import MAX_BYTES
from infra.clock import utc_now
from infra.pictures import FigurePictures
from infra.postgres.database import PostgresDatabase
from infra.wiring import slack_fetch
from tests.scenario.house import LIMITS, WordCounter

BOT_TOKEN = "xoxb-test"


def bot_context(
    db: PostgresDatabase,
    files: Files,
    *,
    default_role: Role = Role.MEMBER,
    counter: TokenCounter | None = None,
    clock: Clock = utc_now,
) -> BotContext:
    """What the listeners are handed, with a counter of words in place of the tokenizer's process."""
    return BotContext(
        db=db,
        files=files,
        clock=clock,
        pictures=FigurePictures(),
        counter=counter or WordCounter(),
        provider="local",
        base_model=lambda: "words",
        default_role=default_role,
        fetch=slack_fetch(BOT_TOKEN),
        max_file_bytes=MAX_BYTES,
        limits=LIMITS,
    )
