"""What the service's own containers at Modal do: answer HTTP, and run the loops for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from starlette.applications import Starlette

from bot.sending import sender
from functions.errors import InvalidInput
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.http.stripe import StripeRoutes
from infra.loops import reconciling, repeat
from infra.settings import Settings
from infra.wiring import Parts, build_parts, seed_managers_group, slack_client

_OUTBOX_PAUSE_SECONDS = 0.25
# What a machine of one's own makes up or keeps in its data folder, containers have to be told.
_NEEDED = (
    "database_url",
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
            fix=f"Put them into .env and run: modal secret create {settings.modal_secret} --from-dotenv .env --force",
        )


def _parts() -> Parts:
    logging.basicConfig(level=logging.INFO)
    settings = Settings()
    require_settings(settings)
    return build_parts(settings)


def create_web_app() -> Starlette:
    """The same HTTP app as on a machine of one's own, answering Slack."""
    parts = _parts()
    return create_http_app(
        parts.db,
        parts.files,
        secret=parts.settings.secret_value(),
        clock=utc_now,
        slack_app=parts.slack_app(),
        stripe=StripeRoutes(parts.db, parts.payments, clock=utc_now),
    )


def run_loops(seconds: float) -> None:
    """The outbox and the reconcile loop side by side, for so long. Safe while another run of it is still going."""
    parts = _parts()
    seed_managers_group(parts.db, parts.settings, slack_client(parts.settings))
    send = sender(parts.context(), slack_client(parts.settings, retries=False))
    end = time.monotonic() + seconds

    def rest(pause: float) -> None:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))

    def loop(name: str, step: Callable[[], bool], pause: float) -> threading.Thread:
        how = {"pause": pause, "until": lambda: time.monotonic() >= end, "rest": rest}
        return threading.Thread(target=repeat, args=(step,), kwargs=how, name=name)

    loops = [
        loop("outbox", send, _OUTBOX_PAUSE_SECONDS),
        loop("reconcile", reconciling(parts), parts.settings.reconcile_seconds),
    ]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    parts.db.close()
