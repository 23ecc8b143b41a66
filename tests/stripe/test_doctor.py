"""What `brightrun doctor` says of Stripe."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from infra.settings import Settings
from infra.stripe_doctor import examine_stripe
from infra.wiring import build_payments
from tests.stripe.fake import KEY


@pytest.mark.parametrize(
    ("key", "secret", "state", "detail"),
    [
        (None, None, "not connected", "BRIGHTRUN_STRIPE_KEY enables"),
        ("pk_test_1", "whsec", "broken", "no secret key"),
        ("sk_test_other", "whsec", "broken", "Stripe refuses our key"),
        (KEY, None, "broken", "BRIGHTRUN_STRIPE_WEBHOOK_SECRET is missing"),
        (
            KEY,
            "whsec",
            "ok",
            "owner@example.com, test mode, no real money moves; Stripe must reach https://b.test/stripe",
        ),
    ],
)
def test_the_verdict(stripe_url: str, key: str | None, secret: str | None, state: str, detail: str) -> None:
    settings = Settings(
        _env_file=None,
        public_url="https://b.test/",
        stripe_key=SecretStr(key) if key else None,
        stripe_webhook_secret=SecretStr(secret) if secret else None,
        stripe_api_url=stripe_url,
    )
    found = examine_stripe(settings)
    assert found.state == state
    assert detail in found.detail
    assert found.broken == (state == "broken")
    assert "whsec" not in repr(settings)
    assert key is None or key not in repr(settings)


def test_a_live_key_is_said_to_be_live() -> None:
    payments = build_payments(Settings(_env_file=None, stripe_key=SecretStr("sk_live_1")))
    assert payments is not None
    assert not payments.test_mode
    assert not payments.hears
