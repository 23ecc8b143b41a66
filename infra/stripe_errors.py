"""What Stripe's SDK raises, in words that a person can act on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from functions.errors import BrightRunError, InvalidInput, Unavailable

log = logging.getLogger(__name__)


@contextmanager
def told_apart() -> Iterator[None]:
    """Turn what the SDK raises into what a person can read."""
    try:
        yield
    except stripe.StripeError as error:
        raise _translated(error) from error


def _translated(error: stripe.StripeError) -> BrightRunError:
    log.warning("Stripe: %s (%s, request %s)", error.user_message, type(error).__name__, error.request_id)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return Unavailable(
            "Stripe refuses our key.", fix="Nothing was changed. Whoever runs Bright Run renews BRIGHTRUN_STRIPE_KEY."
        )
    if isinstance(error, stripe.IdempotencyError):
        return InvalidInput("Stripe has heard this request before, with another content.", fix="Open the window anew.")
    if isinstance(error, stripe.InvalidRequestError) and (error.http_status or 0) < 409:
        return _refused(error)
    return Unavailable("Stripe does not answer.", fix="Nothing is charged twice; try again in a minute.")


def _refused(error: stripe.InvalidRequestError) -> InvalidInput:
    what = f"Stripe refuses: {error.user_message}"
    # What the parameter is called says nothing to a person, and `id` less than that.
    if "customer" in what and error.code == "resource_missing" and error.param in ("id", "customer"):
        return InvalidInput(
            what,
            fix="Copy the customer's id from Stripe's dashboard; test and live mode each have customers of their own.",
        )
    return InvalidInput(what, where=error.param or "")
