"""What Stripe calls, and where people come back to from Stripe's page."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from functions.errors import BrightRunError, InvalidInput
from functions.payment_news import hear
from functions.ports import Clock, Database, Payments
from infra.http.body import limited_body
from infra.stripe_paths import CANCELLED_PATH, PAID_PATH, WEBHOOK_PATH

log = logging.getLogger(__name__)

# Stripe's events are far smaller.
MAX_EVENT_BYTES = 1 << 20

_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>Bright Run</title><body style='font: 1.1rem/1.5 system-ui; margin: 4rem auto; max-width: 30rem'>"
    "<h1>{title}</h1><p>{text}</p>"
)


class StripeRoutes:
    """The webhook, and two pages. Without Stripe the webhook answers 503, and Stripe tries again later."""

    def __init__(self, db: Database, payments: Payments | None, *, clock: Clock) -> None:
        self._db = db
        self._payments = payments
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes, to be mounted at the root."""
        return [
            Route(WEBHOOK_PATH, self.webhook, methods=["POST"]),
            Route(PAID_PATH, self.paid),
            Route(CANCELLED_PATH, self.cancelled),
        ]

    async def webhook(self, request: Request) -> Response:
        """Take an event: 200 also for a repeat, 400 for what Stripe did not sign or signed too long ago."""
        if self._payments is None or not self._payments.hears:
            return JSONResponse({"error": "Stripe is not set up here"}, status_code=503)
        body = await limited_body(request, MAX_EVENT_BYTES)
        if body is None:
            return JSONResponse({"error": f"at most {MAX_EVENT_BYTES} bytes"}, status_code=413)
        try:
            event = self._payments.read_event(body, request.headers.get("stripe-signature", ""))
            heard = await run_in_threadpool(hear, self._db, clock=self._clock, event=event)
        except InvalidInput as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except BrightRunError as error:
            return JSONResponse({"error": str(error)}, status_code=503)
        log.info("%s %s: %s", event.kind, event.id, heard.value)
        return JSONResponse({"heard": heard.value})

    async def paid(self, _: Request) -> Response:
        """After the payment."""
        return HTMLResponse(
            _PAGE.format(title="Thank you", text="The money is added as soon as Stripe confirms it; Slack tells you.")
        )

    async def cancelled(self, _: Request) -> Response:
        """After turning back."""
        return HTMLResponse(_PAGE.format(title="Nothing was paid", text="You can close this page and go on in Slack."))
