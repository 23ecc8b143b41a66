"""Stripe: Checkout pages, verified webhooks, invoices. The `Payments` port over Stripe's own SDK.

Every call that changes something carries an idempotency key, so that the SDK's retries and ours change nothing
twice. In test mode (a key that begins with `sk_test_`) no real money moves.
"""

from __future__ import annotations

import stripe
from pydantic import ValidationError

from functions.errors import InvalidInput, Unavailable
from functions.model.money import dollars
from functions.model.payments import CURRENCY, CheckoutPage, PaymentEvent, TopUp
from infra.stripe_errors import told_apart
from infra.stripe_events import EVENTS, REQUEST, TEAM, told
from infra.stripe_invoices import StripeInvoices
from infra.stripe_paths import CANCELLED_PATH, PAID_PATH

# Seconds to connect and to wait for an answer. With two retries the person waits a minute at worst.
TIMEOUT = (5.0, 15.0)
RETRIES = 2

_TEST_KEYS = ("sk_test_", "rk_test_")
_LIVE_KEYS = ("sk_live_", "rk_live_")


class StripePayments(StripeInvoices):
    """Stripe by one secret key. `service_url` is where people come back to from Stripe's page."""

    def __init__(self, key: str, *, webhook_secret: str, service_url: str, api_url: str = "") -> None:
        """Nothing is called yet.

        Raises:
            InvalidInput: the key is no secret key of Stripe's.
        """
        if not key.startswith(_TEST_KEYS + _LIVE_KEYS):
            raise InvalidInput(
                "BRIGHTRUN_STRIPE_KEY is no secret key.", fix="It begins with sk_test_, sk_live_, rk_test_ or rk_live_."
            )
        self._test_mode = key.startswith(_TEST_KEYS)
        self._webhook_secret = webhook_secret
        self._service_url = service_url
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": api_url.rstrip("/")} if api_url else {},
            max_network_retries=RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
        )

    @property
    def test_mode(self) -> bool:
        """Whether no real money moves."""
        return self._test_mode

    @property
    def hears(self) -> bool:
        """Whether webhooks can be verified, so that a payment would be heard of."""
        return bool(self._webhook_secret)

    def account(self) -> str:
        """Whose account it is, as a person knows it; for `brightrun doctor`.

        Raises:
            Unavailable: Stripe does not answer, or refuses the key.
        """
        with told_apart():
            account = self._client.v1.accounts.retrieve_current()
        return account.email or account.id

    def unheard_events(self, url: str) -> tuple[str, ...] | None:
        """Which events the webhook to this address does not send; None where there is none. For `brightrun doctor`.

        A webhook that was switched off sends none of them.

        Raises:
            Unavailable: Stripe does not answer, or the key may not look.
        """
        with told_apart():
            found = [hook for hook in self._client.v1.webhook_endpoints.list().auto_paging_iter() if hook.url == url]
        if not found:
            return None
        sent = {event for hook in found if hook.status == "enabled" for event in hook.enabled_events}
        return () if "*" in sent else tuple(event for event in EVENTS if event not in sent)

    def checkout(self, top_up: TopUp) -> CheckoutPage:
        """A page on which the top-up is paid.

        Raises:
            InvalidInput: Stripe refuses.
            Unavailable: it does not answer.
        """
        # Read back from the payment's events; Stripe copies the payment's own to its charges, which tell of refunds.
        marks = {TEAM: top_up.team_id, REQUEST: top_up.request_key}
        with told_apart():
            session = self._client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": CURRENCY,
                                "unit_amount": top_up.cents,
                                "product_data": {"name": f"Training budget, {dollars(top_up.cents)}"},
                            },
                        }
                    ],
                    "metadata": marks,
                    "payment_intent_data": {"metadata": marks},
                    "client_reference_id": top_up.request_key,
                    "success_url": self._service_url + PAID_PATH,
                    "cancel_url": self._service_url + CANCELLED_PATH,
                },
                {"idempotency_key": f"top_up:{top_up.team_id}:{top_up.request_key}"},
            )
        if not session.url:
            raise Unavailable("Stripe made no page to pay on.", fix="Nothing was charged; try again.")
        return CheckoutPage(session_id=session.id, url=session.url)

    def read_event(self, body: bytes, signature: str) -> PaymentEvent:
        """What a webhook says.

        Raises:
            InvalidInput: it is not signed by Stripe, or too old.
        """
        try:
            event = self._client.construct_event(body, signature, self._webhook_secret)
            return told(event, test_mode=self._test_mode)
        except stripe.SignatureVerificationError as error:
            raise InvalidInput("The webhook's signature is wrong or too old.") from error
        except (ValueError, KeyError, AttributeError, ValidationError) as error:
            raise InvalidInput("The webhook is no event of Stripe's.") from error
