"""Stripe on this machine, and the product's adapter pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from infra.stripe_payments import StripePayments
from tests.serving import served
from tests.stripe.fake import KEY, WEBHOOK_SECRET, FakeStripe


@pytest.fixture
def fake() -> FakeStripe:
    """An empty account in test mode."""
    return FakeStripe()


@pytest.fixture
def stripe_url(fake: FakeStripe) -> Iterator[str]:
    """Where it answers."""
    with served(fake.app()) as url:
        yield url


@pytest.fixture
def payments(stripe_url: str, monkeypatch: pytest.MonkeyPatch) -> StripePayments:
    """The adapter, over the real SDK, which waits half a second and more before it tries again."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.02)
    return StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, service_url="https://brightrun.test", api_url=stripe_url)
