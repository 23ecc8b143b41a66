"""Setting up a client to be invoiced: the customer at Stripe, and what a run costs them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

from functions.access import TO_INVOICE, require
from functions.errors import InvalidInput
from functions.model.invoices import Client, ClientForm, Terms
from functions.model.people import Permission, Person
from functions.payments import connected
from functions.ports import Clock, Database, Payments, Transaction

NAME_MAX = 80
_PERCENT = re.compile(r"(\d{1,4})(?:\.(\d{1,2}))?\s*%?", re.ASCII)
_PRICE = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+|\d{1,6})(?:\.(\d{1,2}))?", re.ASCII)
_MOST_BASIS_POINTS = 100_000
_MOST_PRICE_CENTS = 100_000_00


@dataclass(frozen=True, kw_only=True)
class ClientChoice:
    """What was typed. A customer is named by Stripe's id, or made for an address; one is enough."""

    name: str
    customer_id: str = ""
    email: str = ""
    margin: str = ""
    price: str = ""


def client_form(tx: Transaction, payments: Payments | None, *, person: Person, name: str) -> ClientForm:
    """The window for a client of this name, as they are set up now.

    Raises:
        NotAllowed: the person may not change the budget.
        Unavailable: Stripe is not connected.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    mode = connected(payments).test_mode
    return ClientForm(name=name, client=_named(tx, person.team_id, name, test_mode=mode), test_mode=mode)


def set_up_client(
    db: Database, payments: Payments | None, *, clock: Clock, person: Person, choice: ClientChoice, request_key: str
) -> Client:
    """Keep a client. A customer at Stripe is looked up, or made once for the request.

    Raises:
        NotAllowed: the person may not change the budget.
        InvalidInput: something is missing or wrong; `field` says what. Also where Stripe knows no such customer.
        Unavailable: Stripe is not connected, or does not answer.
    """
    require(person, Permission.MANAGE_BUDGET, to=TO_INVOICE)
    stripe = connected(payments)
    terms = terms_typed(choice)
    with db.transaction() as tx:
        before = _named(tx, person.team_id, choice.name, test_mode=stripe.test_mode)
    customer_id = choice.customer_id.strip() or (before.customer_id if before and not choice.email.strip() else "")
    if customer_id:
        stripe.check_customer(customer_id)
    else:
        customer_id = stripe.add_customer(
            name=choice.name.strip(), email=choice.email.strip(), key=f"{person.team_id}:{request_key}"
        )
    client = Client(
        id=before.id if before else uuid4(),
        team_id=person.team_id,
        name=before.name if before else " ".join(choice.name.split()),
        test_mode=stripe.test_mode,
        customer_id=customer_id,
        terms=terms,
    )
    with db.transaction() as tx:
        now = clock()
        kept = tx.invoices.save_client(client, by=person.user_id, at=now)
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="client.set_up",
            target=kept.name,
            detail={
                "customer": kept.customer_id,
                "margin_basis_points": terms.margin_basis_points or 0,
                "fixed_price_cents": terms.fixed_price_cents or 0,
            },
        )
    return kept


def check_client(choice: ClientChoice, *, known: bool) -> None:
    """What can be said before Stripe is asked. `known`: the client has a customer already.

    Raises:
        InvalidInput: something is missing or wrong; `field` says what.
    """
    if not 1 <= len(" ".join(choice.name.split())) <= NAME_MAX:
        raise InvalidInput(f"A name of at most {NAME_MAX} characters.", field="name")
    if choice.customer_id.strip() and not re.fullmatch(r"cus_\w+", choice.customer_id.strip(), re.ASCII):
        raise InvalidInput("A customer's id begins with cus_; Stripe's dashboard shows it.", field="customer_id")
    if not (known or choice.customer_id.strip() or choice.email.strip()):
        raise InvalidInput("Give the customer's id at Stripe, or an address to make one for.", field="customer_id")
    terms_typed(choice)


def terms_typed(choice: ClientChoice) -> Terms:
    """A margin such as `30` or `12.5 %`, or a price such as `$75`.

    Raises:
        InvalidInput: neither, both, or something else.
    """
    margin, price = choice.margin.strip(), choice.price.strip()
    if bool(margin) == bool(price):
        raise InvalidInput("Either a margin or a fixed price.", field="margin")
    if price:
        cents = _hundredths(_PRICE, price)
        if cents is None or not 0 < cents <= _MOST_PRICE_CENTS:
            raise InvalidInput("A price in dollars, for example 75 or 1,250.50.", field="price")
        return Terms(fixed_price_cents=cents)
    points = _hundredths(_PERCENT, margin)
    if points is None or points > _MOST_BASIS_POINTS:
        raise InvalidInput("A margin from 0 to 1000 percent, for example 30 or 12.5.", field="margin")
    return Terms(margin_basis_points=points)


def _hundredths(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.fullmatch(text)
    return int(found[1].replace(",", "")) * 100 + int((found[2] or "0").ljust(2, "0")) if found else None


def _named(tx: Transaction, team_id: str, name: str, *, test_mode: bool) -> Client | None:
    wanted = " ".join(name.split()).lower()
    return next(
        (client for client in tx.invoices.clients(team_id, test_mode=test_mode) if client.name.lower() == wanted), None
    )
