"""What `brightrun doctor` finds of Stripe."""

from __future__ import annotations

from functions.errors import BrightRunError
from infra.postgres.inspection import Verdict
from infra.settings import Settings
from infra.stripe_paths import WEBHOOK_PATH
from infra.wiring import build_payments


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
    return Verdict("ok", f"{account}, {mode}; Stripe must reach {settings.service_url}{WEBHOOK_PATH}")
