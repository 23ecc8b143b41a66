"""Stripe: Checkout pages, verified webhooks, invoices. The `Payments` port over Stripe's own SDK.

Every call that changes something carries an idempotency key, so that the SDK's retries and ours change nothing
twice. In test mode (a key that begins with `sk_test_`) no real money moves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import stripe
from pydantic import ValidationError

from functions.errors import BrightRunError, InvalidInput, Unavailable
from functions.model.invoices import Invoice, InvoiceLine, StripeInvoice
from functions.model.money import dollars
from functions.model.payments import CURRENCY, CheckoutPage, PaymentEvent, TopUp
from infra.stripe_events import EVENTS, REQUEST, TEAM, told
from infra.stripe_paths import CANCELLED_PATH, PAID_PATH

log = logging.getLogger(__name__)

# Seconds to connect and to wait for an answer. With two retries the person waits a minute at worst.
TIMEOUT = (5.0, 15.0)
RETRIES = 2
DAYS_TO_PAY = 30

_TEST_KEYS = ("sk_test_", "rk_test_")
_LIVE_KEYS = ("sk_live_", "rk_live_")
_JOB = "brightrun_job"


class StripePayments:
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
        with _told():
            account = self._client.v1.accounts.retrieve_current()
        return account.email or account.id

    def unheard_events(self, url: str) -> tuple[str, ...] | None:
        """Which events the webhook to this address does not send; None where there is none. For `brightrun doctor`.

        A webhook that was switched off sends none of them.

        Raises:
            Unavailable: Stripe does not answer, or the key may not look.
        """
        with _told():
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
        with _told():
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

    def check_customer(self, customer_id: str) -> None:
        """Make sure that Stripe knows a customer by this id.

        Raises:
            InvalidInput: it does not, or they were deleted.
            Unavailable: it does not answer.
        """
        with _told():
            found = self._client.v1.customers.retrieve(customer_id)
        if getattr(found, "deleted", False):
            raise InvalidInput("This customer was deleted at Stripe.", fix="Choose another one.", field="customer_id")

    def add_customer(self, *, name: str, email: str, key: str) -> str:
        """Make a customer; returns their id.

        Raises:
            InvalidInput: Stripe refuses, for example the address.
            Unavailable: it does not answer.
        """
        with _told():
            made = self._client.v1.customers.create(
                {"name": name, "email": email}, {"idempotency_key": f"customer:{key}"}
            )
        return made.id

    def draft_invoice(self, invoice: Invoice, customer_id: str) -> StripeInvoice:
        """An empty draft for a customer; the same invoice and customer again are the same draft.

        Raises:
            InvalidInput: Stripe knows no such customer any more.
            Unavailable: it does not answer.
        """
        with _told():
            made = self._client.v1.invoices.create(
                {
                    "customer": customer_id,
                    "collection_method": "send_invoice",
                    "days_until_due": DAYS_TO_PAY,
                    "currency": CURRENCY,
                    "auto_advance": False,
                    # Nothing but what was reviewed.
                    "pending_invoice_items_behavior": "exclude",
                    "metadata": {TEAM: invoice.team_id, "brightrun_invoice": str(invoice.id)},
                },
                {"idempotency_key": f"invoice:{invoice.id}:{customer_id}"},
            )
        return StripeInvoice(stripe_id=made.id, draft=True, total_cents=0, jobs=frozenset())

    def invoice(self, stripe_id: str) -> StripeInvoice:
        """An invoice as it stands at Stripe.

        Raises:
            InvalidInput: Stripe knows no such invoice.
            Unavailable: it does not answer.
        """
        with _told():
            found = self._client.v1.invoices.retrieve(stripe_id)
            # The invoice itself shows its first ten lines only.
            lines = self._client.v1.invoices.line_items.list(stripe_id, {"limit": 100}).auto_paging_iter()
            jobs = frozenset(line.metadata.to_dict().get(_JOB, "") for line in lines)
        return _invoice(found, jobs)

    def add_line(self, stripe_id: str, customer_id: str, line: InvoiceLine) -> None:
        """Put a run on a draft.

        Raises:
            InvalidInput: the invoice is no draft any more.
            Unavailable: Stripe does not answer.
        """
        with _told():
            self._client.v1.invoice_items.create(
                {
                    "invoice": stripe_id,
                    "customer": customer_id,
                    "amount": line.cents,
                    "currency": CURRENCY,
                    "description": line.description,
                    "metadata": {_JOB: str(line.job_id)},
                },
                {"idempotency_key": f"line:{stripe_id}:{line.job_id}"},
            )

    def finalize_invoice(self, stripe_id: str) -> StripeInvoice:
        """Make a draft an invoice that can be paid.

        Raises:
            InvalidInput: it was finalized already.
            Unavailable: Stripe does not answer.
        """
        with _told():
            final = self._client.v1.invoices.finalize_invoice(
                stripe_id, {"auto_advance": False}, {"idempotency_key": f"finalize:{stripe_id}"}
            )
        return _invoice(final, frozenset())


def _invoice(found: stripe.Invoice, jobs: frozenset[str]) -> StripeInvoice:
    return StripeInvoice(
        stripe_id=found.id,
        draft=found.status == "draft",
        total_cents=found.subtotal,
        jobs=jobs,
        number=found.number or "",
        hosted_url=found.hosted_invoice_url or "",
    )


@contextmanager
def _told() -> Iterator[None]:
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
        return InvalidInput(f"Stripe refuses: {error.user_message}", where=error.param or "")
    return Unavailable("Stripe does not answer.", fix="Nothing is charged twice; try again in a minute.")
