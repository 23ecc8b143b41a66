"""The HTTP app of an installation, each part of it on the login that its work needs."""

from __future__ import annotations

from starlette.applications import Starlette

from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.http.stripe import StripeRoutes
from infra.wiring import Parts


def create_service_app(ingest: Parts, bot: Parts) -> Starlette:
    """Ingest and links, and what is the bot's affair also where it comes in by this door: Slack's requests and money.

    What GPU jobs reach can touch neither.
    """
    return create_http_app(
        ingest.db,
        ingest.files,
        secret=ingest.settings.secret_value(),
        clock=utc_now,
        slack_app=bot.slack_app(),
        stripe=StripeRoutes(bot.db, bot.payments, clock=utc_now),
    )
