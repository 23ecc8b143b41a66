"""What is paid: top-ups of the training budget by way of Stripe. Amounts in cents of US dollars."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from functions.model.money import BudgetStatus

CURRENCY = "usd"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class TopUp(_Record):
    """A manager's wish to add money. `session_url` is the page to pay on, once Stripe has made it."""

    team_id: str
    request_key: str
    asked_by: str
    channel_id: str
    cents: int
    created_at: datetime
    session_id: str | None = None
    session_url: str | None = None


class CheckoutPage(_Record):
    """Stripe's page on which a top-up is paid."""

    session_id: str
    url: str


class PaymentNews(StrEnum):
    """What an event of Stripe's tells."""

    PAID = "paid"
    REFUNDED = "refunded"
    OTHER = "other"


class PaymentEvent(_Record):
    """A verified event. `cents`: what was paid, or all that has been refunded of the payment so far.

    Of an event that is not about our top-ups (`OTHER`), only `id` and `kind` are told.
    """

    id: str
    kind: str
    news: PaymentNews
    test_mode: bool
    payment_id: str = ""
    team_id: str = ""
    request_key: str = ""
    cents: int = 0


class PaymentRecord(_Record):
    """What is known of a payment, in whatever order it was heard. `paid_cents` is None until it is heard of."""

    payment_id: str
    team_id: str
    request_key: str
    paid_cents: int | None
    refunded_cents: int
    test_mode: bool


class Heard(StrEnum):
    """What an event has changed."""

    BOOKED = "booked"
    NOTHING_NEW = "nothing new"
    REPEAT = "repeat"
    NOT_OURS = "not ours"


class TopUpView(_Record):
    """The window that asks how much, beside what the budget is."""

    budget: BudgetStatus
    test_mode: bool
