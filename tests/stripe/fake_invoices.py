"""The invoicing part of the fake: customers, invoices, their items.

An item belongs to a customer, and to an invoice while there is one. A draft that is deleted leaves its items
behind: they are pending then, and would come onto the customer's next invoice.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

Json = dict[str, Any]


class Refused(Exception):
    """An error as Stripe words it."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **more}}


@dataclass
class FakeInvoicing:
    """What an account knows of whom it invoices."""

    customers: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    items: dict[str, Json] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def pay_invoice(self, invoice_id: str) -> None:
        """The client pays on the hosted page."""
        invoice = self.invoices[invoice_id]
        assert invoice["status"] == "open", "only an open invoice is paid"
        invoice |= {"status": "paid", "amount_paid": invoice["total"]}

    def pending(self) -> list[Json]:
        """Items that would come onto the next invoice."""
        return [item for item in self.items.values() if item["invoice"] is None]

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):06d}"

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
        needs(given, "customer")
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
            "created": int(time.time()),
            "subtotal": 0,
            "amount_paid": 0,
            "lines": [],
        }
        self.invoices[invoice["id"]] = invoice
        return _shown(invoice)

    def _add_item(self, _: Request, given: Json) -> Json:
        needs(given, "customer")
        self._known_customer(given["customer"], "customer")
        amount = whole(given["amount"], "amount")
        invoice = self._known_invoice(given["invoice"])
        if invoice["customer"] != given["customer"]:
            raise Refused(400, f"The invoice {invoice['id']} does not belong to the customer {given['customer']}.")
        if invoice["status"] != "draft":
            raise Refused(400, "The invoice is no longer editable.", code="invoice_not_editable")
        item = {
            "id": self._id("ii"),
            "object": "invoiceitem",
            "customer": given["customer"],
            "invoice": invoice["id"],
            "amount": amount,
            "currency": given["currency"],
            "description": given.get("description"),
            "metadata": given.get("metadata", {}),
        }
        self.items[item["id"]] = item
        shown = {name: item[name] for name in ("amount", "currency", "description", "metadata")}
        invoice["lines"].append({**shown, "id": self._id("il"), "object": "line_item", "_item": item["id"]})
        _add_up(invoice)
        return item

    def _items(self, request: Request) -> Json:
        """Of an invoice, or the pending ones of a customer."""
        asked = request.query_params
        found = list(self.items.values())
        if "invoice" in asked:
            found = [item for item in found if item["invoice"] == asked["invoice"]]
        if "customer" in asked:
            found = [item for item in found if item["customer"] == asked["customer"]]
        if asked.get("pending") == "true":
            found = [item for item in found if item["invoice"] is None]
        return page_of(request, found)

    def _delete_item(self, request: Request, _: Json) -> Json:
        item = self.items.get(request.path_params["id"])
        if item is None:
            text = f"No such invoiceitem: '{request.path_params['id']}'"
            raise Refused(404, text, param="invoiceitem", code="resource_missing")
        if item["invoice"] is not None:
            invoice = self.invoices[item["invoice"]]
            if invoice["status"] != "draft":
                raise Refused(400, "The invoice is no longer editable.", code="invoice_not_editable")
            invoice["lines"] = [line for line in invoice["lines"] if line.get("_item") != item["id"]]
            _add_up(invoice)
        del self.items[item["id"]]
        return {"id": item["id"], "object": "invoiceitem", "deleted": True}

    def _known_invoice(self, invoice_id: str) -> Json:
        if invoice_id not in self.invoices:
            raise Refused(404, f"No such invoice: '{invoice_id}'", param="invoice", code="resource_missing")
        return self.invoices[invoice_id]

    def _invoice(self, request: Request) -> Json:
        return _shown(self._known_invoice(request.path_params["id"]))

    def _list(self, request: Request) -> Json:
        asked = request.query_params
        since = int(asked.get("created[gte]", 0))
        found = [i for i in self.invoices.values() if i["status"] == asked["status"] and i["created"] >= since]
        return page_of(request, [_shown(invoice) for invoice in reversed(found)])

    def _lines(self, request: Request) -> Json:
        return page_of(request, self._known_invoice(request.path_params["id"])["lines"])

    def _delete(self, request: Request, _: Json) -> Json:
        invoice = self._known_invoice(request.path_params["id"])
        if invoice["status"] != "draft":
            raise Refused(400, "You can only delete draft invoices.", param="invoice")
        for item in self.items.values():
            if item["invoice"] == invoice["id"]:
                item["invoice"] = None
        del self.invoices[invoice["id"]]
        return {"id": invoice["id"], "object": "invoice", "deleted": True}

    def _void(self, request: Request, _: Json) -> Json:
        invoice = self._known_invoice(request.path_params["id"])
        if invoice["status"] not in ("open", "uncollectible"):
            text = f"You can only void an invoice that is open or uncollectible; this one is {invoice['status']}."
            raise Refused(400, text, param="invoice")
        invoice["status"] = "void"
        return _shown(invoice)

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


def _add_up(invoice: Json) -> None:
    invoice["subtotal"] = invoice["total"] = sum(line["amount"] for line in invoice["lines"])


def page_of(request: Request, every: list[Json]) -> Json:
    """A list in pages, as Stripe has it."""
    limit = int(request.query_params.get("limit", 10))
    after = request.query_params.get("starting_after")
    first = 1 + [one["id"] for one in every].index(after) if after else 0
    page = [{name: value for name, value in one.items() if not name.startswith("_")} for one in every]
    more = len(every) > first + limit
    return {"object": "list", "data": page[first : first + limit], "has_more": more, "url": request.url.path}


def _shown(invoice: Json) -> Json:
    """An invoice as Stripe answers with it: its first ten lines."""
    lines = [{name: value for name, value in line.items() if name != "_item"} for line in invoice["lines"]]
    url = f"/v1/invoices/{invoice['id']}/lines"
    return {**invoice, "lines": {"object": "list", "data": lines[:10], "has_more": len(lines) > 10, "url": url}}


def needs(given: Json, *names: str) -> None:
    for name in names:
        if name not in given:
            raise Refused(400, f"Missing required param: {name}.", param=name, code="parameter_missing")


def whole(text: str, param: str) -> int:
    """A number of cents. Stripe takes negative invoice items, as credits; here nothing is ever credited so."""
    if not re.fullmatch(r"\d+", text):
        raise Refused(400, "Invalid non-negative integer", param=param, code="parameter_invalid_integer")
    return int(text)
