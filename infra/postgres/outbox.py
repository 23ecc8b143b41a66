"""`outbox` and `job_cards`: messages on their way to Slack, each told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.job import Job
from functions.model.outbox import Card, Notice, OutboxMessage
from infra.postgres.rows import Row, Table

# chat.update is a tier 3 method, 50 calls a minute for the whole workspace.
CARD_INTERVAL = timedelta(seconds=3)
# Longer than any call to Slack with its retries: what has been "sending" for so long was cut off.
CUT_OFF = timedelta(seconds=60)


def _message(row: Row) -> OutboxMessage:
    return OutboxMessage.model_validate({name: row[name] for name in OutboxMessage.model_fields})


class OutboxTable(Table):
    """Statements over `outbox` and `job_cards`."""

    def put(
        self, *, job: Job, notice: Notice, key: str, at: datetime, data: dict[str, float | int | str | None]
    ) -> None:
        """Queue a message; the same key again changes nothing.

        A card that waits to be edited is rendered when it is sent, so one waiting edit is enough: while it
        waits its key is taken, and `claim` gives the key back.
        """
        not_before = at
        if notice is Notice.CARD:
            last = self._value(
                "select max(sent_at) from outbox where job_id = %s and notice = 'card' and status = 'sent'",
                job.id,
            )
            not_before = max(at, last + CARD_INTERVAL) if last else at
        self._run(
            "insert into outbox (team_id, job_id, channel_id, notice, data, not_before, message_key, created_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (message_key) do nothing",
            job.team_id,
            job.id,
            job.channel_id,
            notice.value,
            Jsonb(data),
            not_before,
            f"card:{job.id}" if notice is Notice.CARD else f"{notice.value}:{job.id}:{key}",
            at,
        )

    def put_team(
        self,
        *,
        team_id: str,
        channel_id: str,
        notice: Notice,
        key: str,
        at: datetime,
        data: dict[str, float | int | str | None],
    ) -> None:
        """Queue a message that tells of no job; the same key there changes nothing."""
        self._run(
            "insert into outbox (team_id, channel_id, notice, data, not_before, message_key, created_at)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (message_key) do nothing",
            team_id,
            channel_id,
            notice.value,
            Jsonb(data),
            at,
            f"{notice.value}:{team_id}:{channel_id}:{key}",
            at,
        )

    def told_team(self, team_id: str, notice: Notice, since: datetime) -> list[dict[str, Any]]:
        """The data of what a team was told of this since then."""
        rows = self._all(
            "select data from outbox where team_id = %s and notice = %s and created_at > %s and job_id is null",
            team_id,
            notice.value,
            since,
        )
        return [row["data"] for row in rows]

    def unreached(self, team_id: str, channel_id: str) -> bool:
        """Whether the last team message to this place could not be sent."""
        last = self._value(
            "select status from outbox where team_id = %s and channel_id = %s and job_id is null"
            " and status in ('sent', 'dropped') order by id desc limit 1",
            team_id,
            channel_id,
        )
        return bool(last == "dropped")

    def claim(self, now: datetime) -> OutboxMessage | None:
        """Take the next message that is due, marked as being sent; one of a job at a time, in order."""
        row = self._one(
            "select * from outbox o where (status = 'pending' or (status = 'sending' and sending_since < %s))"
            " and not_before <= %s and not exists (select 1 from outbox earlier where earlier.job_id = o.job_id"
            "   and earlier.id < o.id and earlier.status in ('pending', 'sending'))"
            " order by id limit 1 for update skip locked",
            now - CUT_OFF,
            now,
        )
        if row is None:
            return None
        self._run(
            "update outbox set status = 'sending', sending_since = %s, attempts = attempts + 1,"
            " message_key = case when notice = 'card' and sending_since is null"
            "   then message_key || ':' || id else message_key end where id = %s",
            now,
            row["id"],
        )
        return _message(row)

    def sent(self, message_id: int, *, ts: str, at: datetime) -> None:
        """It was sent."""
        self._run(
            "update outbox set status = 'sent', ts = %s, sent_at = %s, error = null where id = %s",
            ts,
            at,
            message_id,
        )

    def retry(self, message_id: int, *, not_before: datetime, error: str) -> None:
        """It was not sent and will be tried again."""
        self._run(
            "update outbox set status = 'pending', not_before = %s, error = %s where id = %s",
            not_before,
            error,
            message_id,
        )

    def drop(self, message_id: int, *, error: str) -> None:
        """It can never be sent."""
        self._run("update outbox set status = 'dropped', error = %s where id = %s", error, message_id)

    def card(self, job_id: UUID) -> Card | None:
        """Where the job's card is."""
        row = self._one("select job_id, channel_id, ts from job_cards where job_id = %s", job_id)
        return None if row is None else Card.model_validate(row)

    def set_card(self, card: Card) -> None:
        """Remember where the job's card is."""
        self._run(
            "insert into job_cards (job_id, channel_id, ts) values (%s, %s, %s)"
            " on conflict (job_id) do update set channel_id = excluded.channel_id, ts = excluded.ts",
            card.job_id,
            card.channel_id,
            card.ts,
        )

    def waiting(self) -> int:
        """Messages not yet sent."""
        return int(self._value("select count(*) from outbox where status in ('pending', 'sending')"))

    def sent_count(self, job_id: UUID) -> int:
        """Calls that told of the job: messages sent and card edits."""
        return int(self._value("select count(*) from outbox where job_id = %s and status = 'sent'", job_id))
