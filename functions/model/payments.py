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


class Told(StrEnum):
    """What managers have been told of a dispute last. Money that comes back is told besides, each time."""

    NOTHING = "nothing"
    ASKED = "asked"
    TAKEN = "taken"
    LOST = "lost"


class PaymentNews(StrEnum):
    """What an event of Stripe's tells."""

    PAID = "paid"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    OTHER = "other"


class Dispute(_Record):
    """A cardholder's bank questions a payment. An event tells it as it stands, and so it is kept.

    An inquiry takes nothing (`withdrawn_cents` is 0). `withdrawn_cents` and `reinstated_cents` are all that was
    ever taken and given back; both only grow. `lost`: it was closed, and the cardholder keeps what was taken.
    """

    dispute_id: str
    cents: int
    withdrawn_cents: int = 0
    reinstated_cents: int = 0
    reason: str = ""
    due_by: datetime | None = None
    inquiry: bool = False
    lost: bool = False
    told: Told = Told.NOTHING

    @property
    def gone_cents(self) -> int:
        """What the bank has taken and not given back."""
        return max(0, self.withdrawn_cents - self.reinstated_cents)


class PaymentEvent(_Record):
    """A verified event. `cents`: what was paid, or all that has been refunded of the payment so far.

    Of an event that is not about our top-ups (`OTHER`), only `id` and `kind` are told. A dispute names its payment
    and nothing of ours: whose it is, the payment's other events tell.
    """

    id: str
    kind: str
    news: PaymentNews
    test_mode: bool
    payment_id: str = ""
    team_id: str = ""
    request_key: str = ""
    cents: int = 0
    dispute: Dispute | None = None


class PaymentBooked(_Record):
    """What the ledger says of a payment, in cents; `disputed_cents` is what banks took less what they gave back."""

    credited_cents: int
    refunded_cents: int
    disputed_cents: int


class PaymentRecord(_Record):
    """What is known of a payment, in whatever order it was heard. `paid_cents` is None until it is heard of.

    A dispute may be heard of first: until then it is not known whose payment it is.
    """

    payment_id: str
    team_id: str | None
    request_key: str | None
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
