"""`top_ups`, `stripe_payments`, `stripe_disputes` and `stripe_events`."""

from __future__ import annotations

from datetime import datetime

from functions.model.payments import CheckoutPage, Dispute, PaymentEvent, PaymentRecord, TopUp
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
        """What is known of the event's payment, its row locked until the transaction ends.

        An event that says whose it is fills that in.
        """
        self._run(
            "insert into stripe_payments (payment_id, team_id, request_key, test_mode) values (%s, %s, %s, %s)"
            " on conflict (payment_id) do update set"
            " team_id = coalesce(stripe_payments.team_id, excluded.team_id),"
            " request_key = coalesce(stripe_payments.request_key, excluded.request_key)",
            event.payment_id,
            event.team_id or None,
            event.request_key or None,
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

    def disputes(self, payment_id: str) -> list[Dispute]:
        """What is known of the payment's disputes, the first heard of first."""
        rows = self._all(
            "select * from stripe_disputes where payment_id = %s order by heard_at, dispute_id", payment_id
        )
        return [Dispute.model_validate(row) for row in rows]

    def save_dispute(self, payment_id: str, dispute: Dispute, at: datetime) -> None:
        """Write down what is known of a dispute now; the payment's row is locked by the caller."""
        self._run(
            "insert into stripe_disputes (dispute_id, payment_id, cents, withdrawn_cents, reinstated_cents, reason,"
            " due_by, inquiry, lost, told, heard_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (dispute_id) do update set cents = excluded.cents,"
            " withdrawn_cents = excluded.withdrawn_cents, reinstated_cents = excluded.reinstated_cents,"
            " reason = excluded.reason, due_by = excluded.due_by, inquiry = excluded.inquiry,"
            " lost = excluded.lost, told = excluded.told",
            dispute.dispute_id,
            payment_id,
            dispute.cents,
            dispute.withdrawn_cents,
            dispute.reinstated_cents,
            dispute.reason,
            dispute.due_by,
            dispute.inquiry,
            dispute.lost,
            dispute.told.value,
            at,
        )
