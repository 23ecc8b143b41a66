"""The few endpoints of Stripe that the product uses, over real HTTP; refuses what Stripe would refuse.

What stands here was written after Stripe's API reference: the names, the errors' types and codes, and what a
key that was used before means. People's side of Stripe (paying, refunding) is in the methods.
"""

from __future__ import annotations

import itertools
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

KEY = "sk_test_fake"
WEBHOOK_SECRET = "whsec_fake"
Json = dict[str, Any]


class Refused(Exception):
    """An error as Stripe words it."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **more}}


@dataclass
class FakeStripe:
    """An account in test mode. `calls` are the POSTs that changed something, with their idempotency keys."""

    key: str = KEY
    livemode: bool = False
    sessions: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    customers: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    # How many of the next answers get lost although the work was done, and how many calls are not done at all.
    lose_answers: int = 0
    be_down: int = 0
    # Called before and after each POST is carried out, with its path and body; a test may raise in them.
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    _answered: dict[str, tuple[str, int, Json]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def app(self) -> Starlette:
        """The endpoints."""
        return Starlette(
            routes=[
                Route("/v1/account", self._get(lambda _: {"id": "acct_1", "email": "owner@example.com"})),
                Route("/v1/checkout/sessions", self._post(self._open_session), methods=["POST"]),
                Route("/v1/customers", self._post(self._add_customer), methods=["POST"]),
                Route("/v1/customers/{id}", self._get(self._customer)),
                Route("/v1/invoices", self._post(self._draft), methods=["POST"]),
                Route("/v1/invoiceitems", self._post(self._add_item), methods=["POST"]),
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
        charge["amount_refunded"] += cents
        return self.event("charge.refunded", charge)

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

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):06d}"

    # The API.

    def _open_session(self, _: Request, given: Json) -> Json:
        _needs(given, "mode", "line_items", "success_url")
        cents = 0
        for line in given["line_items"].values():
            amount = _whole(line["price_data"]["unit_amount"], "line_items[0][price_data][unit_amount]")
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

    def _add_customer(self, _: Request, given: Json) -> Json:
        if "@" not in given.get("email", "@"):
            raise Refused(400, f"Invalid email address: {given['email']}", param="email", code="email_invalid")
        customer: Json = {
            "id": self._id("cus"),
            "object": "customer",
            "name": given.get("name"),
            "email": given.get("email"),
        }
        self.customers[customer["id"]] = customer
        return customer

    def _customer(self, request: Request) -> Json:
        return self._known_customer(request.path_params["id"])

    def _known_customer(self, customer_id: str, param: str = "id") -> Json:
        if customer_id not in self.customers:
            raise Refused(404, f"No such customer: '{customer_id}'", param=param, code="resource_missing")
        return self.customers[customer_id]

    def _draft(self, _: Request, given: Json) -> Json:
        _needs(given, "customer")
        customer = self._known_customer(given["customer"], "customer")
        if customer.get("deleted"):
            raise Refused(404, f"No such customer: '{customer['id']}'", param="customer", code="resource_missing")
        if given.get("collection_method") == "send_invoice" and "days_until_due" not in given:
            raise Refused(400, "You must pass a due date or days until due with collection_method=send_invoice")
        invoice = {
            "id": self._id("in"),
            "object": "invoice",
            "customer": given["customer"],
            "status": "draft",
            "number": None,
            "hosted_invoice_url": None,
            "total": 0,
            "metadata": given.get("metadata", {}),
            "subtotal": 0,
            "lines": [],
        }
        self.invoices[invoice["id"]] = invoice
        return _shown(invoice)

    def _add_item(self, _: Request, given: Json) -> Json:
        _needs(given, "customer")
        self._known_customer(given["customer"], "customer")
        amount = _whole(given["amount"], "amount")
        invoice = self._known_invoice(given["invoice"])
        if invoice["customer"] != given["customer"]:
            raise Refused(400, f"The invoice {invoice['id']} does not belong to the customer {given['customer']}.")
        if invoice["status"] != "draft":
            raise Refused(400, "The invoice is no longer editable.", code="invoice_not_editable")
        item = {
            "id": self._id("ii"),
            "object": "line_item",
            "amount": amount,
            "currency": given["currency"],
            "description": given.get("description"),
            "metadata": given.get("metadata", {}),
        }
        invoice["lines"].append(item)
        invoice["subtotal"] += amount
        invoice["total"] += amount
        return item | {"object": "invoiceitem"}

    def _known_invoice(self, invoice_id: str) -> Json:
        if invoice_id not in self.invoices:
            raise Refused(404, f"No such invoice: '{invoice_id}'", param="invoice", code="resource_missing")
        return self.invoices[invoice_id]

    def _invoice(self, request: Request) -> Json:
        return _shown(self._known_invoice(request.path_params["id"]))

    def _lines(self, request: Request) -> Json:
        """In pages, as Stripe has it."""
        every = self._known_invoice(request.path_params["id"])["lines"]
        limit = int(request.query_params.get("limit", 10))
        after = request.query_params.get("starting_after")
        first = 1 + [line["id"] for line in every].index(after) if after else 0
        page = every[first : first + limit]
        more = len(every) > first + limit
        return {"object": "list", "data": page, "has_more": more, "url": request.url.path}

    def _finalize(self, request: Request, _: Json) -> Json:
        invoice = self._known_invoice(request.path_params["id"])
        if invoice["status"] != "draft":
            raise Refused(400, "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
        number = f"BR-{len([i for i in self.invoices.values() if i['number']]) + 1:04d}"
        invoice |= {
            "status": "open",
            "number": number,
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice['id']}",
        }
        return _shown(invoice)

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

            def once() -> Json:
                self.before(asked)
                if key in self._answered:
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


def _shown(invoice: Json) -> Json:
    """An invoice as Stripe answers with it: its first ten lines."""
    lines = invoice["lines"]
    url = f"/v1/invoices/{invoice['id']}/lines"
    return {**invoice, "lines": {"object": "list", "data": lines[:10], "has_more": len(lines) > 10, "url": url}}


def _needs(given: Json, *names: str) -> None:
    for name in names:
        if name not in given:
            raise Refused(400, f"Missing required param: {name}.", param=name, code="parameter_missing")


def _whole(text: str, param: str) -> int:
    """A number of cents. Stripe takes negative invoice items, as credits; here nothing is ever credited so."""
    if not re.fullmatch(r"\d+", text):
        raise Refused(400, "Invalid non-negative integer", param=param, code="parameter_invalid_integer")
    return int(text)


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
