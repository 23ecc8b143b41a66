"""The few endpoints of Stripe that the product uses, over real HTTP; refuses what Stripe would refuse.

What stands here was written after Stripe's API reference: the names, the errors' types and codes, and what a
key that was used before means. People's side of Stripe (paying, refunding) is in the methods.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.stripe.fake_invoices import FakeInvoicing, Json, Refused, needs, page_of, whole

KEY = "sk_test_fake"
WEBHOOK_SECRET = "whsec_fake"


@dataclass
class FakeStripe(FakeInvoicing):
    """An account in test mode. `calls` are the POSTs that changed something, with their idempotency keys."""

    key: str = KEY
    livemode: bool = False
    sessions: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    disputes: dict[str, Json] = field(default_factory=dict)
    webhooks: list[Json] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    # How many of the next answers get lost although the work was done, and how many calls are not done at all.
    lose_answers: int = 0
    be_down: int = 0
    # Called before and after each POST is carried out, with its path and body; a test may raise in them.
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    _answered: dict[str, tuple[str, int, Json]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """The endpoints."""
        return Starlette(
            routes=[
                Route("/v1/account", self._get(lambda _: {"id": "acct_1", "email": "owner@example.com"})),
                Route("/v1/checkout/sessions", self._post(self._open_session), methods=["POST"]),
                Route("/v1/customers", self._post(self._add_customer), methods=["POST"]),
                Route("/v1/customers/{id}", self._get(self._customer)),
                Route("/v1/webhook_endpoints", self._get(lambda request: page_of(request, self.webhooks))),
                Route("/v1/invoices", self._get(self._list)),
                Route("/v1/invoices", self._post(self._draft), methods=["POST"]),
                Route("/v1/invoiceitems", self._get(self._items)),
                Route("/v1/invoiceitems", self._post(self._add_item), methods=["POST"]),
                Route("/v1/invoiceitems/{id}", self._post(self._delete_item), methods=["DELETE"]),
                Route("/v1/invoices/{id}", self._post(self._delete), methods=["DELETE"]),
                Route("/v1/invoices/{id}/void", self._post(self._void), methods=["POST"]),
                Route("/v1/invoices/{id}", self._get(self._invoice)),
                Route("/v1/invoices/{id}/lines", self._get(self._lines)),
                Route("/v1/invoices/{id}/finalize", self._post(self._finalize), methods=["POST"]),
            ]
        )

    # What people do on Stripe's own pages.

    def pay(self, session_id: str, *, paid: bool = True) -> Json:
        """Somebody pays on the page; the event that follows. Without `paid` the bank still thinks about it."""
        session = self.sessions[session_id]
        assert session["status"] == "open", "a page is paid on once"
        payment = self._id("pi")
        session |= {
            "status": "complete",
            "payment_status": "paid" if paid else "unpaid",
            "payment_intent": payment,
        }
        self.charges[payment] = {
            "id": self._id("ch"),
            "object": "charge",
            "payment_intent": payment,
            "amount": session["amount_total"],
            "amount_refunded": 0,
            "currency": session["currency"],
            "metadata": dict(session["_payment_metadata"]),
            "livemode": self.livemode,
        }
        return self.event("checkout.session.completed", session)

    def clear(self, session_id: str) -> Json:
        """The bank has thought about it."""
        session = self.sessions[session_id]
        session["payment_status"] = "paid"
        return self.event("checkout.session.async_payment_succeeded", session)

    def refund(self, payment: str, cents: int) -> Json:
        """The owner gives money back; the event that follows."""
        charge = self.charges[payment]
        assert 0 < cents <= charge["amount"] - charge["amount_refunded"], "Stripe refunds no more than was paid"
        against = [d for d in self.disputes.values() if d["payment_intent"] == payment]
        assert all(d["is_charge_refundable"] for d in against), "what a bank has taken is not refunded besides"
        charge["amount_refunded"] += cents
        return self.event("charge.refunded", charge)

    def dispute(self, payment: str, cents: int, *, inquiry: bool = False) -> list[Json]:
        """The cardholder goes to their bank, which asks (an inquiry) or takes the money at once."""
        charge = self.charges[payment]
        dispute: Json = {
            "id": self._id("dp"),
            "object": "dispute",
            "charge": charge["id"],
            "payment_intent": payment,
            "amount": cents,
            "currency": charge["currency"],
            "reason": "fraudulent",
            "status": "warning_needs_response" if inquiry else "needs_response",
            "balance_transactions": [],
            "evidence_details": {"due_by": int(time.time()) + 14 * 86_400, "has_evidence": False},
            "is_charge_refundable": inquiry,
            # Its own: what is noted at the payment does not come with it.
            "metadata": {},
            "livemode": self.livemode,
        }
        self.disputes[dispute["id"]] = dispute
        if inquiry:
            return [self.event("charge.dispute.created", dispute)]
        self._move(dispute, -cents)
        return [self.event(f"charge.dispute.{kind}", dispute) for kind in ("created", "funds_withdrawn")]

    def escalate(self, dispute_id: str) -> Json:
        """The bank was not satisfied and takes the money."""
        dispute = self.disputes[dispute_id]
        assert dispute["status"] == "warning_needs_response", "only an inquiry becomes a chargeback"
        dispute |= {"status": "needs_response", "is_charge_refundable": False}
        self._move(dispute, -dispute["amount"])
        return self.event("charge.dispute.funds_withdrawn", dispute)

    def decide(self, dispute_id: str, *, won: int | None) -> list[Json]:
        """The bank decides: it gives so many cents back, none (None: lost), or closes its inquiry."""
        dispute = self.disputes[dispute_id]
        inquiry = dispute["status"].startswith("warning")
        events = []
        if won is not None and not inquiry:
            self._move(dispute, won)
            dispute["is_charge_refundable"] = True
        dispute["status"] = "warning_closed" if inquiry else "lost" if won is None else "won"
        if won is not None and not inquiry:
            events.append(self.event("charge.dispute.funds_reinstated", dispute))
        return [*events, self.event("charge.dispute.closed", dispute)]

    def _move(self, dispute: Json, cents: int) -> None:
        moved = {"id": self._id("txn"), "object": "balance_transaction", "amount": cents, "fee": 1500 * (cents < 0)}
        dispute["balance_transactions"].append({**moved, "currency": dispute["currency"]})

    def event(self, kind: str, thing: Json) -> Json:
        """An event about a thing as it stands now."""
        shown = {name: value for name, value in json.loads(json.dumps(thing)).items() if not name.startswith("_")}
        return {
            "id": self._id("evt"),
            "object": "event",
            "type": kind,
            "livemode": self.livemode,
            "created": int(time.time()),
            "api_version": "2026-10-28.endive",
            "data": {"object": shown},
        }

    def forget_keys(self) -> None:
        """A day passes: Stripe keeps idempotency keys no longer."""
        self._answered.clear()

    # The API.

    def _open_session(self, _: Request, given: Json) -> Json:
        needs(given, "mode", "line_items", "success_url")
        cents = 0
        for line in given["line_items"].values():
            amount = whole(line["price_data"]["unit_amount"], "line_items[0][price_data][unit_amount]")
            cents += amount * int(line["quantity"])
        if cents < 50:
            raise Refused(400, "The Checkout Session's total amount due must add up to at least $0.50 usd")
        session_id = f"cs_test_{self._id('s')}"
        session = {
            "id": session_id,
            "object": "checkout.session",
            "mode": given["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "amount_total": cents,
            "currency": given["line_items"]["0"]["price_data"]["currency"],
            "metadata": given.get("metadata", {}),
            "livemode": self.livemode,
            "url": f"https://checkout.stripe.com/c/pay/{session_id}",
            "_payment_metadata": given.get("payment_intent_data", {}).get("metadata", {}),
        }
        self.sessions[session_id] = session
        return session

    # What all calls have in common.

    def _get(self, action: Callable[[Request], Json]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return self._answer(request, lambda: action(request))

        return answer

    def _post(self, action: Callable[[Request, Json], Json]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            body = (await request.body()).decode()
            key = request.headers.get("idempotency-key", "")
            asked = f"{request.url.path}?{body}"
            if request.method == "DELETE":
                asked = f"DELETE {asked}"

            def once() -> Json:
                self.before(asked)
                if key and key in self._answered:
                    self.after(asked)
                    before, status, content = self._answered[key]
                    if before != asked:
                        text = "Keys for idempotent requests can only be used with the same parameters."
                        raise Refused(400, text, kind="idempotency_error")
                    if status != 200:
                        raise Refused(status, content["error"]["message"])
                    return content
                made = json.loads(json.dumps(action(request, _nested(body))))
                self.calls.append((request.url.path, key))
                if key:
                    self._answered[key] = (asked, 200, made)
                self.after(asked)
                return dict(made)

            return self._answer(request, once)

        return answer

    def _answer(self, request: Request, action: Callable[[], Json]) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            error = Refused(401, "Invalid API Key provided: sk_test_****")
            return JSONResponse(error.body, status_code=error.status)
        if self.be_down:
            self.be_down -= 1
            return JSONResponse({"error": {"type": "api_error", "message": "down"}}, status_code=503)
        try:
            made = action()
        except Refused as error:
            return JSONResponse(error.body, status_code=error.status)
        if self.lose_answers:
            self.lose_answers -= 1
            return JSONResponse({"error": {"type": "api_error", "message": "lost"}}, status_code=500)
        return JSONResponse({name: value for name, value in made.items() if not name.startswith("_")})


def signed(event: Json, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """The event as Stripe sends it: body, and headers with its signature."""
    body = json.dumps(event)
    stamp = int(time.time() if at is None else at)
    header = stripe.WebhookSignature.generate_signature_header(body, secret, stamp)
    return body.encode(), {"stripe-signature": header, "content-type": "application/json"}


def _nested(body: str) -> Json:
    """A form's `a[b][0][c]=1` as nested objects."""
    found: Json = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return found
