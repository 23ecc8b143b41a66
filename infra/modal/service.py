"""What the service's own containers at Modal do: answer HTTP, and run the loops for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from starlette.applications import Starlette

from bot.sending import sender
from functions.digest import BudgetLoop
from functions.errors import BrightRunError, InvalidInput
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.http.stripe import StripeRoutes
from infra.settings import Settings
from infra.wiring import Parts, build_parts, seed_managers_group, slack_client

log = logging.getLogger(__name__)

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
    reconciler = parts.reconciler()

    budgets = BudgetLoop(parts.db, clock=utc_now)

    def reconcile() -> bool:
        reconciler.step()
        budgets.step()
        return False

    end = time.monotonic() + seconds
    loops = [
        threading.Thread(target=_repeat, args=(send, _OUTBOX_PAUSE_SECONDS, end), name="outbox"),
        threading.Thread(target=_repeat, args=(reconcile, parts.settings.reconcile_seconds, end), name="reconcile"),
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    parts.db.close()


def _repeat(step: Callable[[], bool], pause: float, end: float) -> None:
    while time.monotonic() < end:
        try:
            busy = step()
        except BrightRunError as error:
            log.warning("%s; trying again", error)
            busy = False
        except Exception:
            # One loop that ends early leaves jobs without anybody until the next tick; the other must not suffer.
            log.exception("unexpected error; trying again")
            busy = False
        if not busy:
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
