"""Asking for what somebody else has to decide, and deciding it: once, by another person, on what was quoted."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from functions.access import require
from functions.approval_deciders import ask_admins, asked_first, deciders_of
from functions.approval_effects import Effect, carry_out
from functions.approval_quotes import Asked, quoted
from functions.approval_rules import require_decider, require_justification, require_pending
from functions.approval_states import become
from functions.errors import Conflict, InvalidInput, NotAllowed, NotFound
from functions.model.approval import Approval, ApprovalEvent, ApprovalKind, ApprovalPolicy, ApprovalState, Quoted
from functions.model.money import dollars
from functions.model.people import Permission, Person
from functions.model.views import QueueLimits
from functions.ports import Clock, Database, Files, Transaction
from functions.promotion import with_queue

REASON_MIN, REASON_MAX = 10, 1000
# FR1.2.2: whoever wants a higher limit justifies it in so many characters.
LIMIT_REASON_MIN = 50
DRAFT_LIFE = timedelta(hours=2)
BREAK_GLASS = "Break-glass: "
# Reminded half-way; when an eighth of the time is left, reminded again and escalated to the admins.
_REMINDERS = (1 / 2, 7 / 8)


def digest_of(kind: ApprovalKind, facts: dict[str, object]) -> str:
    """Names what was quoted: the same facts have the same digest, in whatever order they stand."""
    return hashlib.sha256(json.dumps([kind.value, facts], sort_keys=True, default=str).encode()).hexdigest()


def open_request(
    db: Database,
    files: Files,
    *,
    clock: Clock,
    provider: str,
    person: Person,
    asked: Asked,
    channel_id: str,
    limits: QueueLimits,
    policy: ApprovalPolicy | None = None,
) -> Approval:
    """A draft with what is quoted now; nobody else sees it before it is submitted.

    Raises:
        NotAllowed: the person may not start jobs.
        Conflict: the very same thing is waiting for a decision already.
        InvalidInput, NotEligible, NotFound: what is asked for cannot be had.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        now, rules = clock(), policy or ApprovalPolicy()
        shown, facts = quoted(tx, files, team_id=person.team_id, asked=asked, provider=provider, now=now)
        _require_sense(asked.kind, shown)
        if asked.kind is ApprovalKind.PROMOTION and asked.job_id is not None:
            shown = with_queue(tx, shown, team_id=person.team_id, job_id=asked.job_id, limits=limits, now=now)
        digest = digest_of(asked.kind, facts)
        if tx.approvals.same(person.team_id, person.user_id, digest):
            raise Conflict("You have asked for this already; it waits for a decision.")
        request = Approval(
            id=uuid4(),
            team_id=person.team_id,
            kind=asked.kind,
            state=ApprovalState.DRAFT,
            requested_by=person.user_id,
            reason="",
            subject=asked.subject(),
            digest=digest,
            quoted=shown,
            policy=rules,
            channel_id=channel_id,
            created_at=now,
            expires_at=now + DRAFT_LIFE,
        )
        tx.approvals.insert(request)
        tx.approvals.note(request.id, at=now, actor=person.user_id, event="drafted")
        return request


def _require_sense(kind: ApprovalKind, shown: Quoted) -> None:
    """Refuse what needs no approval, and what no approval could bring about."""
    if kind is not ApprovalKind.OVER_BUDGET_START:
        return
    if shown.after_cents <= shown.limit_cents:
        raise Conflict("This fits in the budget now.", fix="Go back and start it.")
    if shown.after_cents > shown.limit_cents + shown.grace_cents:
        raise Conflict(
            f"This would pass the limit by {dollars(shown.after_cents - shown.limit_cents)}; an approval covers "
            f"{dollars(shown.grace_cents)} at most.",
            fix="Ask for a higher limit, or choose a smaller preset.",
        )


def checked_reason(kind: ApprovalKind, reason: str) -> str:
    """The reason without blanks around it.

    Raises:
        InvalidInput: it is too short for what is asked, or too long.
    """
    least = LIMIT_REASON_MIN if kind is ApprovalKind.LIMIT_INCREASE else REASON_MIN
    length = len(" ".join(reason.split()))
    if length < least:
        raise InvalidInput(f"Say why, in at least {least} characters; this has {length}.", field="reason")
    if len(reason.strip()) > REASON_MAX:
        raise InvalidInput(f"At most {REASON_MAX:,} characters; this has {len(reason.strip()):,}.", field="reason")
    return reason.strip()


def submit_request(db: Database, *, clock: Clock, person: Person, request_id: UUID, reason: str) -> Approval:
    """Put the request before those who may decide; an older one from the same form is superseded.

    Raises:
        InvalidInput: the reason is too short or too long.
        NotAllowed: the person may not start jobs any more, or it is another person's draft.
        Conflict: it is no draft any more, or nobody could decide it.
    """
    require(person, Permission.START_JOBS)
    with db.transaction() as tx:
        request = _locked(tx, person, request_id)
        reason = checked_reason(request.kind, reason)
        if request.requested_by != person.user_id:
            raise NotAllowed("This is somebody else's request.")
        if request.state is ApprovalState.PENDING:
            return request
        now, drafted = clock(), request.state is ApprovalState.DRAFT
        if request.state is ApprovalState.EXPIRED or (drafted and now >= request.expires_at):
            raise Conflict("This form has lain open for too long.", fix="Go back and ask anew.")
        if not drafted:
            require_pending(request, now)
        if not deciders_of(tx, request):
            raise Conflict("Nobody here could decide this.", fix="An admin makes somebody a manager first.")
        form = str(request.subject.get("request_key", ""))
        for older in tx.approvals.of_request_key(person.team_id, form) if form else ():
            become(
                tx, older, ApprovalState.SUPERSEDED, now, person.user_id, outcome="Asked for anew with other settings."
            )
        expires = now + timedelta(hours=request.policy.hours)
        changed = request.model_copy(update={"reason": reason, "expires_at": expires})
        pending = become(tx, changed, ApprovalState.PENDING, now, person.user_id, event="asked", detail=reason)
        # The one who asked sees what becomes of it: in the channel, or directly where there is none.
        tx.approvals.add_copies(request.id, [request.channel_id or person.user_id, *asked_first(tx, request)])
        return pending


def decide(
    db: Database,
    files: Files,
    *,
    clock: Clock,
    provider: str,
    limits: QueueLimits,
    person: Person,
    request_id: UUID,
    approve: bool,
    note: str = "",
    break_glass: bool = False,
) -> Approval:
    """Approve or reject. What an approval brings about happens in the same transaction, or none of it does.

    `break_glass`: an admin decides a request of their own, with a justification; a separate, audited act.

    Raises:
        NotAllowed: the person's role may not decide, or it is their own request.
        Conflict: it was decided, withdrawn, superseded or has expired.
        InvalidInput: a rejection without a reason, or a justification that is too short.
    """
    with db.transaction() as tx:
        request, now = _locked(tx, person, request_id), clock()
        require_decider(person, request, break_glass=break_glass)
        require_pending(request, now)
        if break_glass:
            require_justification(note)
        if not approve and not note.strip():
            raise InvalidInput("Say why, so that the person can do better next time.", field="note")
        said = (BREAK_GLASS if break_glass else "") + note.strip()
        if not tx.approvals.vote(request.id, person.user_id, approved=approve, note=said, at=now):
            raise Conflict("You have decided this already.")
        decided = request.model_copy(update={"decided_by": person.user_id, "decided_at": now, "note": said})
        effect = Effect(ApprovalState.REJECTED)
        if approve:
            effect = carry_out(
                tx, files, request=request, by=person.user_id, provider=provider, limits=limits, now=now,
                digest=lambda facts: digest_of(request.kind, facts),
            )  # fmt: skip
        decided = decided.model_copy(update={"job_id": effect.job_id, "outcome": effect.outcome})
        event = ("break_glass " if break_glass else "") + ("approved" if approve else "rejected")
        result = become(tx, decided, effect.state, now, person.user_id, event=event, detail=said)
        tx.audit.append(
            team_id=request.team_id,
            at=now,
            actor=person.user_id,
            action=f"approval.{event.replace(' ', '_')}",
            target=str(request.id),
            detail={"kind": request.kind.value, "state": result.state.value, "note": said[:300]},
        )
        return result


def to_decide(
    tx: Transaction, *, person: Person, request_id: UUID, now: datetime, break_glass: bool = False
) -> Approval:
    """The request that the person is about to decide, before they are asked why.

    Raises:
        NotAllowed: the person's role may not decide, or it is their own request.
        Conflict: it was decided, withdrawn, superseded or has expired.
        NotFound: there is none.
    """
    request, _ = get_request(tx, team_id=person.team_id, request_id=request_id)
    require_decider(person, request, break_glass=break_glass)
    require_pending(request, now)
    return request


def cancel_request(db: Database, *, clock: Clock, person: Person, request_id: UUID) -> Approval:
    """Withdraw one's own request.

    Raises:
        NotAllowed: it is somebody else's.
        Conflict: it waits for no decision any more.
    """
    with db.transaction() as tx:
        request, now = _locked(tx, person, request_id), clock()
        if request.requested_by != person.user_id:
            raise NotAllowed("Only the person who asked can withdraw a request.")
        require_pending(request, now)
        return become(tx, request, ApprovalState.CANCELLED, now, person.user_id)


def sweep(db: Database, *, clock: Clock) -> None:
    """Let requests expire, remind before they do, and ask the admins as well when little time is left. Idempotent."""
    with db.transaction() as tx:
        now = clock()
        for found in tx.approvals.open_before((ApprovalState.DRAFT, ApprovalState.PENDING)):
            # Decided meanwhile, perhaps: looked at again now that nobody else changes it.
            request = tx.approvals.get(found.id, lock=True)
            if request is None or request.version != found.version:
                continue
            if now >= request.expires_at:
                become(tx, request, ApprovalState.EXPIRED, now, "system")
            elif request.state is ApprovalState.PENDING:
                _remind(tx, request, now)


def _remind(tx: Transaction, request: Approval, now: datetime) -> None:
    begun = request.expires_at - timedelta(hours=request.policy.hours)
    passed = (now - begun) / timedelta(hours=request.policy.hours)
    due = sum(passed >= mark for mark in _REMINDERS)
    if due <= request.reminded:
        return
    escalated = due == len(_REMINDERS) and ask_admins(tx, request)
    tx.approvals.change(request, request.model_copy(update={"reminded": due, "escalated": escalated}))
    tx.approvals.note(request.id, at=now, actor="system", event="escalated" if escalated else "reminded")


def get_request(tx: Transaction, *, team_id: str, request_id: UUID) -> tuple[Approval, list[ApprovalEvent]]:
    """A request of the team and its history.

    Raises:
        NotFound: there is none.
    """
    request = tx.approvals.get(request_id)
    if request is None or request.team_id != team_id:
        raise NotFound("There is no such request in this workspace.")
    return request, tx.approvals.history(request_id)


def _locked(tx: Transaction, person: Person, request_id: UUID) -> Approval:
    request = tx.approvals.get(request_id, lock=True)
    if request is None or request.team_id != person.team_id:
        raise NotFound("There is no such request in this workspace.")
    return request
