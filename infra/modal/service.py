"""What the service's own containers at Modal do: answer HTTP, and run the loops for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from starlette.applications import Starlette

from bot.sending import sender
from functions.errors import InvalidInput
from infra.http.service_app import create_service_app
from infra.loops import reconciling, repeat
from infra.seeding import seed_managers_group, seed_roles
from infra.settings import DatabaseRole, Settings, read_settings
from infra.wiring import build_parts, slack_client

_OUTBOX_PAUSE_SECONDS = 0.25
# What a machine of one's own makes up or keeps in its data folder, containers have to be told. Of the database
# they get the logins of the processes; the tables' owner's has no business there.
_NEEDED = (
    "bot_database_url",
    "functions_database_url",
    "ingest_database_url",
    "secret",
    "slack_bot_token",
    "slack_signing_secret",
    "public_url",
    "supabase_url",
    "supabase_service_key",
)


def require_settings(settings: Settings) -> None:
    """Whether everything is set that containers have to share.

    Raises:
        InvalidInput: with the variables that are missing.
    """
    missing = [f"BRIGHTRUN_{name.upper()}" for name in _NEEDED if not getattr(settings, name)]
    if missing:
        raise InvalidInput(
            f"The service at Modal lacks {', '.join(missing)}.",
            where=f"Modal secret {settings.modal_secret}",
            fix="Put them into .env, then make the secret and deploy again: README, “Going live on Modal”, step 4.",
        )


def _settings() -> Settings:
    logging.basicConfig(level=logging.INFO)
    settings = read_settings()
    require_settings(settings)
    return settings


def create_web_app() -> Starlette:
    """The same HTTP app as on a machine of one's own, answering Slack."""
    settings = _settings()
    return create_service_app(build_parts(settings, DatabaseRole.INGEST), build_parts(settings, DatabaseRole.BOT))


def run_loops(seconds: float) -> None:
    """The outbox and the reconcile loop side by side, for so long. Safe while another run of it is still going."""
    settings = _settings()
    bot, functions = (build_parts(settings, role) for role in (DatabaseRole.BOT, DatabaseRole.FUNCTIONS))
    # Nobody runs `brightrun up` where the bot lives here, so nothing else would make the first admin.
    seed_roles(bot.db, settings)
    seed_managers_group(bot.db, settings)
    send = sender(bot.context(), slack_client(settings, retries=False))
    end = time.monotonic() + seconds

    def rest(pause: float) -> None:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))

    def loop(name: str, step: Callable[[], bool], pause: float) -> threading.Thread:
        how = {"pause": pause, "until": lambda: time.monotonic() >= end, "rest": rest}
        return threading.Thread(target=repeat, args=(step,), kwargs=how, name=name)

    loops = [
        loop("outbox", send, _OUTBOX_PAUSE_SECONDS),
        loop("reconcile", reconciling(functions), settings.reconcile_seconds),
    ]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    bot.db.close()
    functions.db.close()
