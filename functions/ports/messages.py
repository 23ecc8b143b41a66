"""What people are told, and what they are asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from functions.model.approval import Approval, ApprovalCopy, ApprovalEvent, ApprovalState
from functions.model.job import Job
from functions.model.outbox import Card, Notice, OutboxMessage


class Outbox(Protocol):
    """`outbox` and `job_cards`."""

    def put(
        self, *, job: Job, notice: Notice, key: str, at: datetime, data: dict[str, float | int | str | None]
    ) -> None:
        """Queue a message; the same key again changes nothing. A pending CARD is not queued twice."""
        ...

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
        """Queue a message that tells of no job, to a channel's or a person's id; the same key there changes nothing."""
        ...

    def told_team(self, team_id: str, notice: Notice, since: datetime) -> list[dict[str, Any]]:
        """The data of what a team was told of this since then."""
        ...

    def unreached(self, team_id: str, channel_id: str) -> bool:
        """Whether the last team message to this place could not be sent."""
        ...

    def claim(self, now: datetime) -> OutboxMessage | None:
        """Take the next message that is due, marked as being sent; one of a job at a time, in order."""
        ...

    def sent(self, message_id: int, *, ts: str, at: datetime) -> None:
        """It was sent."""
        ...

    def retry(self, message_id: int, *, not_before: datetime, error: str) -> None:
        """It was not sent and will be tried again."""
        ...

    def drop(self, message_id: int, *, error: str) -> None:
        """It can never be sent."""
        ...

    def card(self, job_id: UUID) -> Card | None:
        """Where the job's card is."""
        ...

    def set_card(self, card: Card) -> None:
        """Remember where the job's card is."""
        ...

    def waiting(self) -> int:
        """Messages not yet sent."""
        ...

    def sent_count(self, job_id: UUID) -> int:
        """Calls that told of the job: messages sent and card edits."""
        ...


class Approvals(Protocol):
    """`approval_requests`, their votes, history and the copies of their message."""

    def get(self, request_id: UUID, *, lock: bool = False) -> Approval | None:
        """One request; `lock` holds its row until the transaction ends."""
        ...

    def insert(self, request: Approval) -> None:
        """A new request."""
        ...

    def change(self, before: Approval, after: Approval) -> bool:
        """Write what a request has become, if it still is what it was; every copy is out of date then."""
        ...

    def pending(self, team_id: str) -> list[Approval]:
        """What waits for a decision, the oldest first."""
        ...

    def open_before(self, states: Iterable[ApprovalState], limit: int = 200) -> list[Approval]:
        """Requests in these states, those that expire first."""
        ...

    def same(self, team_id: str, requested_by: str, digest: str) -> Approval | None:
        """The pending request of this person for the very same thing."""
        ...

    def of_request_key(self, team_id: str, request_key: str) -> list[Approval]:
        """Pending requests for a start from this very form."""
        ...

    def of_job(self, job_id: UUID) -> Approval | None:
        """The approved request that a job was made by, its row locked."""
        ...

    def vote(self, request_id: UUID, approver: str, *, approved: bool, note: str, at: datetime) -> bool:
        """A person's word on a request, once; False where they have spoken."""
        ...

    def note(self, request_id: UUID, *, at: datetime, actor: str, event: str, detail: str = "") -> None:
        """Append to a request's history."""
        ...

    def history(self, request_id: UUID) -> list[ApprovalEvent]:
        """A request's history, the oldest first."""
        ...

    def add_copies(self, request_id: UUID, recipients: Iterable[str]) -> int:
        """Whoever is named gets a copy; who has one keeps it. Returns how many had none."""
        ...

    def claim_copy(self, now: datetime) -> ApprovalCopy | None:
        """Take a copy that does not show what its request has become, marked as being sent."""
        ...

    def copy_sent(self, copy: ApprovalCopy, *, channel_id: str, ts: str, version: int, nudged: int) -> None:
        """The copy is there, shows this version, and has so many reminders below it."""
        ...

    def copy_placed(self, copy: ApprovalCopy, *, channel_id: str, ts: str) -> None:
        """The copy is there; whether its reminders are is not known yet."""
        ...

    def copy_later(self, copy: ApprovalCopy, *, not_before: datetime, unseen: bool) -> None:
        """The copy was not sent; `unseen` keeps the mark that its post may have come through."""
        ...

    def give_copy_up(self, copy: ApprovalCopy, *, version: int) -> None:
        """The copy cannot be sent as its request stands; when that changes it is tried once more."""
        ...
