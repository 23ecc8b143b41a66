"""`approval_requests` and what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from functions.model.approval import Approval, ApprovalCopy, ApprovalEvent, ApprovalState
from infra.postgres.rows import Row, Table

# Longer than any call to Slack: a copy that has been "sending" for so long was cut off.
CUT_OFF = timedelta(seconds=60)


def _approval(row: Row) -> Approval:
    return Approval.model_validate(row)


class ApprovalsTable(Table):
    """Statements over approvals. Requests are changed by one conditional update alone."""

    def get(self, request_id: UUID, *, lock: bool = False) -> Approval | None:
        """One request; `lock` holds its row until the transaction ends."""
        row = (
            self._one("select * from approval_requests where id = %s for update", request_id)
            if lock
            else self._one("select * from approval_requests where id = %s", request_id)
        )
        return None if row is None else _approval(row)

    def insert(self, request: Approval) -> None:
        """A new request."""
        self._run(
            "insert into approval_requests (id, team_id, kind, state, requested_by, reason, subject, digest, quoted,"
            " policy, channel_id, created_at, expires_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            request.id,
            request.team_id,
            request.kind.value,
            request.state.value,
            request.requested_by,
            request.reason,
            Jsonb(request.subject),
            request.digest,
            Jsonb(request.quoted.model_dump(mode="json")),
            Jsonb(request.policy.model_dump(mode="json")),
            request.channel_id,
            request.created_at,
            request.expires_at,
        )

    def change(self, before: Approval, after: Approval) -> bool:
        """Write what a request has become, if it still is what it was; every copy is out of date then."""
        done = self._run(
            "update approval_requests set state = %s, reason = %s, decided_by = %s, decided_at = %s, note = %s,"
            " job_id = %s, outcome = %s, reminded = %s, escalated = %s, expires_at = %s, version = version + 1"
            " where id = %s and state = %s and version = %s",
            after.state.value,
            after.reason,
            after.decided_by,
            after.decided_at,
            after.note,
            after.job_id,
            after.outcome,
            after.reminded,
            after.escalated,
            after.expires_at,
            before.id,
            before.state.value,
            before.version,
        )
        return done.rowcount == 1

    def pending(self, team_id: str) -> list[Approval]:
        """What waits for a decision, the oldest first."""
        rows = self._all(
            "select * from approval_requests where team_id = %s and state = 'pending' order by created_at", team_id
        )
        return [_approval(row) for row in rows]

    def open_before(self, states: Iterable[ApprovalState], limit: int = 200) -> list[Approval]:
        """Requests in these states, those that expire first."""
        rows = self._all(
            "select * from approval_requests where state = any(%s) order by expires_at limit %s",
            [state.value for state in states],
            limit,
        )
        return [_approval(row) for row in rows]

    def same(self, team_id: str, requested_by: str, digest: str) -> Approval | None:
        """The pending request of this person for the very same thing."""
        row = self._one(
            "select * from approval_requests where team_id = %s and requested_by = %s and digest = %s"
            " and state = 'pending'",
            team_id,
            requested_by,
            digest,
        )
        return None if row is None else _approval(row)

    def of_request_key(self, team_id: str, request_key: str) -> list[Approval]:
        """Pending requests for a start from this very form."""
        rows = self._all(
            "select * from approval_requests where team_id = %s and state = 'pending'"
            " and subject ->> 'request_key' = %s",
            team_id,
            request_key,
        )
        return [_approval(row) for row in rows]

    def of_job(self, job_id: UUID) -> Approval | None:
        """The approved request that a job was made by, its row locked."""
        row = self._one("select * from approval_requests where job_id = %s and state = 'approved' for update", job_id)
        return None if row is None else _approval(row)

    def vote(self, request_id: UUID, approver: str, *, approved: bool, note: str, at: datetime) -> bool:
        """A person's word on a request, once; False where they have spoken."""
        done = self._run(
            "insert into approval_votes (request_id, approver, approved, note, at) values (%s, %s, %s, %s, %s)"
            " on conflict do nothing",
            request_id,
            approver,
            approved,
            note,
            at,
        )
        return done.rowcount == 1

    def note(self, request_id: UUID, *, at: datetime, actor: str, event: str, detail: str = "") -> None:
        """Append to a request's history."""
        self._run(
            "insert into approval_events (request_id, at, actor, event, detail) values (%s, %s, %s, %s, %s)",
            request_id,
            at,
            actor,
            event,
            detail,
        )

    def history(self, request_id: UUID) -> list[ApprovalEvent]:
        """A request's history, the oldest first."""
        rows = self._all("select * from approval_events where request_id = %s order by id", request_id)
        return [ApprovalEvent.model_validate({name: row[name] for name in ApprovalEvent.model_fields}) for row in rows]

    def add_copies(self, request_id: UUID, recipients: Iterable[str]) -> int:
        """Whoever is named gets a copy; who has one keeps it. Returns how many had none."""
        done = self._run(
            "insert into approval_copies (request_id, recipient) select %s, unnest(%s::text[]) on conflict do nothing",
            request_id,
            list(recipients),
        )
        return done.rowcount

    def claim_copy(self, now: datetime) -> ApprovalCopy | None:
        """Take a copy that does not show what its request has become, marked as being sent."""
        row = self._one(
            "select c.* from approval_copies c join approval_requests r on r.id = c.request_id"
            " where greatest(c.shown_version, c.given_up_version) < r.version and r.state <> 'draft'"
            " and (c.not_before is null or c.not_before <= %s)"
            " order by c.request_id, c.recipient limit 1 for update of c skip locked",
            now,
        )
        if row is None:
            return None
        self._run(
            "update approval_copies set sending_since = %s, not_before = %s, tries = tries + 1"
            " where request_id = %s and recipient = %s",
            now,
            now + CUT_OFF,
            row["request_id"],
            row["recipient"],
        )
        return ApprovalCopy.model_validate({name: row[name] for name in ApprovalCopy.model_fields})

    def copy_sent(self, copy: ApprovalCopy, *, channel_id: str, ts: str, version: int, nudged: int) -> None:
        """The copy is there, shows this version, and has so many reminders below it."""
        self._run(
            "update approval_copies set channel_id = %s, ts = %s, shown_version = %s, nudged = %s,"
            " sending_since = null, not_before = null, tries = 0 where request_id = %s and recipient = %s",
            channel_id,
            ts,
            version,
            nudged,
            copy.request_id,
            copy.recipient,
        )

    def copy_placed(self, copy: ApprovalCopy, *, channel_id: str, ts: str) -> None:
        """The copy is there; whether its reminders are is not known yet."""
        self._run(
            "update approval_copies set channel_id = %s, ts = %s where request_id = %s and recipient = %s",
            channel_id,
            ts,
            copy.request_id,
            copy.recipient,
        )

    def copy_later(self, copy: ApprovalCopy, *, not_before: datetime, unseen: bool) -> None:
        """The copy was not sent; `unseen` keeps the mark that its post may have come through."""
        self._run(
            "update approval_copies set not_before = %s, sending_since = case when %s then sending_since end"
            " where request_id = %s and recipient = %s",
            not_before,
            unseen,
            copy.request_id,
            copy.recipient,
        )

    def give_copy_up(self, copy: ApprovalCopy, *, version: int) -> None:
        """The copy cannot be sent as its request stands; when that changes it is tried once more."""
        self._run(
            "update approval_copies set given_up_version = %s, not_before = null, sending_since = null, tries = 0"
            " where request_id = %s and recipient = %s",
            version,
            copy.request_id,
            copy.recipient,
        )
