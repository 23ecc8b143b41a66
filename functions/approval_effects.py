"""What an approval brings about, in the transaction of the decision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from functions.approval_quotes import Asked, asked_of, quoted
from functions.budget_rules import apply_limit_change
from functions.errors import BrightRunError, Conflict, NotAllowed
from functions.model.approval import STARTS, Approval, ApprovalKind, ApprovalState
from functions.model.budget import LimitChange
from functions.model.money import dollars
from functions.model.people import Person, Role
from functions.model.views import QueueLimits
from functions.ports import Files, Transaction
from functions.queue import move_to_front
from functions.start import StartTerms, start_in_transaction


class Effect(NamedTuple):
    """What a decision made of the request."""

    state: ApprovalState
    job_id: UUID | None = None
    outcome: str = ""


def carry_out(
    tx: Transaction,
    files: Files,
    *,
    request: Approval,
    by: str,
    provider: str,
    limits: QueueLimits,
    now: datetime,
    digest: Callable[[dict[str, object]], str],
) -> Effect:
    """Do what was approved, if it still is what was quoted."""
    asked = asked_of(request.kind, request.subject)
    try:
        # The budget's row is every start's turnstile, also of approved ones.
        tx.ledger.lock_limit(request.team_id)
        if request.kind is ApprovalKind.LIMIT_INCREASE:
            _require_raise(tx.ledger.limit(request.team_id), asked.limit_cents)
        _, facts = quoted(tx, files, team_id=request.team_id, asked=asked, provider=provider, now=now)
    except BrightRunError as error:
        return Effect(ApprovalState.LAUNCH_FAILED, outcome=str(error))
    if digest(facts) != request.digest:
        return Effect(
            ApprovalState.SUPERSEDED, outcome="What was quoted has changed since; it has to be asked for anew."
        )
    if request.kind in STARTS:
        return _start(tx, files, request, asked, provider, limits, now)
    if request.kind is ApprovalKind.PROMOTION and asked.job_id is not None:
        job = move_to_front(tx, team_id=request.team_id, job_id=asked.job_id, by=by, now=now)
        return Effect(ApprovalState.APPROVED, outcome=f"{job.name} is the next one to start.")
    change = LimitChange(
        at=now,
        before_cents=tx.ledger.limit(request.team_id),
        limit_cents=asked.limit_cents,
        changed_by=by,
        reason=request.reason,
    )
    tx.ledger.set_limit(request.team_id, asked.limit_cents)
    apply_limit_change(tx, team_id=request.team_id, change=change, channel_id=request.channel_id)
    return Effect(ApprovalState.APPROVED, outcome=f"The limit is {dollars(asked.limit_cents)} now.")


def _require_raise(limit_cents: int, asked_cents: int) -> None:
    if asked_cents <= limit_cents:
        raise Conflict(f"The limit is {dollars(limit_cents)} already.")


def _start(
    tx: Transaction,
    files: Files,
    request: Approval,
    asked: Asked,
    provider: str,
    limits: QueueLimits,
    now: datetime,
) -> Effect:
    role = tx.people.role(request.team_id, request.requested_by) or Role.MEMBER
    person = Person(team_id=request.team_id, user_id=request.requested_by, role=role)
    if asked.choice is None:
        return Effect(ApprovalState.LAUNCH_FAILED, outcome="There is nothing to start.")
    try:
        # What a refused start has written already must not be committed with the decision.
        with tx.savepoint():
            job = start_in_transaction(
                tx,
                files,
                person=person,
                choice=asked.choice,
                request_key=asked.request_key,
                channel_id=asked.channel_id,
                provider=provider,
                limits=limits,
                now=now,
                terms=StartTerms(
                    approved=True,
                    allow_grace=request.kind is ApprovalKind.OVER_BUDGET_START,
                    reserve_at_most=request.quoted.cents_high,
                    cap_cents=request.quoted.cap_cents or None,
                ),
            )
    except NotAllowed:
        return Effect(ApprovalState.LAUNCH_FAILED, outcome="Who asked for it may not start training runs any more.")
    except BrightRunError as error:
        return Effect(ApprovalState.LAUNCH_FAILED, outcome=str(error))
    return Effect(ApprovalState.APPROVED, job_id=job.id)
