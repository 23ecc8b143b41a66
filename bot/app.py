"""The app factory: one Bolt app for every transport."""

from __future__ import annotations

from typing import Any

from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

from bot.context import BotContext
from bot.last_resort import tell_of
from bot.listeners import (
    again,
    approvals,
    budget,
    datasets,
    delivery,
    estimates,
    help_page,
    home,
    invoices,
    jobs,
    lifecycle,
    payments,
    review_again,
    roles,
    train,
)

# `invoices` and `roles` go before `help_page`, which answers whatever else is typed behind /brightrun.
FEATURES = (
    train,
    estimates,
    jobs,
    lifecycle,
    again,
    approvals,
    review_again,
    delivery,
    datasets,
    home,
    budget,
    payments,
    invoices,
    roles,
    help_page,
)


def create_app(context: BotContext, *, client: WebClient, signing_secret: str) -> App:
    """The app with every feature's listeners. Asks Slack once who it is."""
    # A view that is not filled stands there loading for good, so one more try is worth its wait.
    client.retry_handlers += [RateLimitErrorRetryHandler(), ServerErrorRetryHandler()]
    app = App(client=client, signing_secret=signing_secret)
    for feature in FEATURES:
        feature.register(app, context)

    @app.error
    def unhandled(error: Exception, body: dict[str, Any], client: WebClient) -> None:
        tell_of(error, body=body, client=client)

    return app
