"""What `brightrun doctor` finds of Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.errors import BrightRunError, Unavailable
from infra.postgres.inspection import Verdict
from infra.settings import Settings
from infra.stripe_paths import WEBHOOK_PATH
from infra.wiring import build_payments

if TYPE_CHECKING:
    from infra.stripe_payments import StripePayments


def examine_stripe(settings: Settings) -> Verdict:
    """Whether the key works, which mode it is of, and whether payments would be heard of."""
    try:
        payments = build_payments(settings)
        if payments is None:
            return Verdict("not connected", "BRIGHTRUN_STRIPE_KEY enables top-ups and client invoices")
        account = payments.account()
    except BrightRunError as error:
        return Verdict("broken", str(error), broken=True)
    mode = "test mode, no real money moves" if payments.test_mode else "live: real money"
    if not payments.hears:
        detail = f"{account}, {mode}. BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing: invoices work, top-ups do not"
        return Verdict("broken", detail, broken=True)
    return _webhook(payments, settings.service_url + WEBHOOK_PATH, f"{account}, {mode}")


def _webhook(payments: StripePayments, url: str, found: str) -> Verdict:
    """Whether Stripe sends to the webhook what is booked from it."""
    try:
        missing = payments.unheard_events(url)
    except Unavailable:
        # A restricted key need not see webhooks.
        return Verdict("ok", f"{found}; Stripe must reach {url} (this key may not see whether it knows it)")
    if missing is None:
        return Verdict("ok", f"{found}; Stripe knows no webhook to {url}: payments are heard of only if one forwards")
    if missing:
        detail = f"{found}. The webhook to {url} does not send {', '.join(missing)}: add them in Stripe's dashboard"
        return Verdict("broken", detail, broken=True)
    return Verdict("ok", f"{found}; the webhook to {url} sends all that is needed")
