"""Stripe on this machine, and the product's adapter pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
def payments(stripe_url: str) -> StripePayments:
    """The adapter, over the real SDK."""
    return StripePayments(KEY, webhook_secret=WEBHOOK_SECRET, service_url="https://brightrun.test", api_url=stripe_url)
