"""What `brightrun doctor` says of Stripe."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from infra.settings import Settings
from infra.stripe_doctor import examine_stripe
from infra.stripe_events import EVENTS
from infra.wiring import build_payments
from tests.stripe.fake import KEY, FakeStripe, Json


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
            "owner@example.com, test mode, no real money moves; Stripe knows no webhook to https://b.test/stripe/webhook",
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


def hook(*events: str, url: str = "https://b.test/stripe/webhook", status: str = "enabled") -> Json:
    return {"id": "we_1", "object": "webhook_endpoint", "url": url, "status": status, "enabled_events": list(events)}


@pytest.mark.parametrize(
    ("hooks", "state", "detail"),
    [
        ([hook(*EVENTS)], "ok", "sends all that is needed"),
        ([hook("*")], "ok", "sends all that is needed"),
        ([hook(*EVENTS, url="https://elsewhere.test")], "ok", "knows no webhook"),
        ([hook(*EVENTS, status="disabled")], "broken", "does not send checkout.session.completed"),
        ([hook(*EVENTS[:3])], "broken", "does not send charge.dispute.created, charge.dispute.funds_withdrawn, charge"),
    ],
)
def test_the_events_that_the_webhook_sends(
    fake: FakeStripe, stripe_url: str, hooks: list[Json], state: str, detail: str
) -> None:
    fake.webhooks = hooks
    settings = Settings(
        _env_file=None,
        public_url="https://b.test/",
        stripe_key=SecretStr(KEY),
        stripe_webhook_secret=SecretStr("whsec"),
        stripe_api_url=stripe_url,
    )
    found = examine_stripe(settings)
    assert found.state == state
    assert detail in found.detail


def test_the_readme_lists_every_event() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert [event for event in EVENTS if f"`{event}`" not in readme] == []


def test_a_live_key_is_said_to_be_live() -> None:
    payments = build_payments(Settings(_env_file=None, stripe_key=SecretStr("sk_live_1")))
    assert payments is not None
    assert not payments.test_mode
    assert not payments.hears
