"""`top_ups`, `stripe_payments` and `stripe_events`."""

from __future__ import annotations

from datetime import datetime

from functions.model.payments import CheckoutPage, PaymentEvent, PaymentRecord, TopUp
from infra.postgres.rows import Table


class TopUpsTable(Table):
    """Statements over what is paid in."""

    def begin(self, top_up: TopUp) -> TopUp:
        """Keep a wish to pay in; returns what is kept under its key, which may have been there before."""
        self._run(
            "insert into top_ups (team_id, request_key, asked_by, channel_id, cents, created_at)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (team_id, request_key) do nothing",
            top_up.team_id,
            top_up.request_key,
            top_up.asked_by,
            top_up.channel_id,
            top_up.cents,
            top_up.created_at,
        )
        return self.get(top_up.team_id, top_up.request_key) or top_up

    def get(self, team_id: str, request_key: str) -> TopUp | None:
        """One wish to pay in."""
        row = self._one("select * from top_ups where team_id = %s and request_key = %s", team_id, request_key)
        return None if row is None else TopUp.model_validate(row)

    def set_page(self, team_id: str, request_key: str, page: CheckoutPage) -> None:
        """Remember where it can be paid."""
        self._run(
            "update top_ups set session_id = %s, session_url = %s where team_id = %s and request_key = %s",
            page.session_id,
            page.url,
            team_id,
            request_key,
        )

    def first_event(self, event: PaymentEvent, at: datetime) -> bool:
        """Record an event; False where it was there."""
        done = self._run(
            "insert into stripe_events (event_id, kind, payment_id, received_at) values (%s, %s, %s, %s)"
            " on conflict (event_id) do nothing",
            event.id,
            event.kind,
            event.payment_id or None,
            at,
        )
        return done.rowcount == 1

    def lock_payment(self, event: PaymentEvent) -> PaymentRecord:
        """What is known of the event's payment, its row locked until the transaction ends."""
        self._run(
            "insert into stripe_payments (payment_id, team_id, request_key, test_mode) values (%s, %s, %s, %s)"
            " on conflict (payment_id) do nothing",
            event.payment_id,
            event.team_id,
            event.request_key,
            event.test_mode,
        )
        row = self._one("select * from stripe_payments where payment_id = %s for update", event.payment_id)
        return PaymentRecord.model_validate(row)

    def set_payment(self, payment_id: str, *, paid_cents: int | None, refunded_cents: int) -> None:
        """Write down what is known now."""
        self._run(
            "update stripe_payments set paid_cents = %s, refunded_cents = %s where payment_id = %s",
            paid_cents,
            refunded_cents,
            payment_id,
        )
