"""Which starts somebody else has to agree to, and who may decide a request, until when."""

from __future__ import annotations

from datetime import datetime

from functions.errors import ApprovalNeeded, InvalidInput, NotAllowed, TooLate
from functions.model.approval import Approval, ApprovalKind, ApprovalState
from functions.model.catalog import PRACTICE_PROVIDER, Tier
from functions.model.estimate import Estimate
from functions.model.money import dollars
from functions.model.people import Person, Role

# FR1.1.3 asks for a confirmation of an on-demand job above this; here somebody else confirms it, budget or not.
COSTLY_CENTS = 150_00
JUSTIFICATION_MIN = 50
# Why nothing can be decided or withdrawn any more.
_TOO_LATE = {
    ApprovalState.DRAFT: "has not been put before anybody yet",
    ApprovalState.APPROVED: "is approved already",
    ApprovalState.LAUNCHED: "is approved already",
    ApprovalState.LAUNCH_FAILED: "is approved already",
    ApprovalState.REJECTED: "is declined already",
    ApprovalState.CANCELLED: "was withdrawn by the person who asked",
    ApprovalState.EXPIRED: "has expired",
    ApprovalState.SUPERSEDED: "is superseded already",
}
_ASK_ANEW = frozenset({ApprovalState.EXPIRED, ApprovalState.SUPERSEDED})


# How far a run may pass the upper estimate that was approved, in percent.
_CAP_PERCENT = 10
_WHOLE_DOLLARS_FROM = 10_00


def cap_cents(cents_high: int) -> int:
    """Where an approved run is stopped: a tenth above its upper estimate, in whole dollars unless it is a few cents."""
    unit = 1_00 if cents_high >= _WHOLE_DOLLARS_FROM else 1
    return -(-cents_high * (100 + _CAP_PERCENT) // (100 * unit)) * unit


def needs_approval(estimate: Estimate, tier: Tier, remaining_cents: int) -> ApprovalKind | None:
    """Which approval a start needs, if any."""
    if estimate.cents_high > remaining_cents:
        return ApprovalKind.OVER_BUDGET_START
    if not tier.preemptible and tier.provider != PRACTICE_PROVIDER and estimate.cents_high > COSTLY_CENTS:
        return ApprovalKind.COSTLY_START
    return None


def require_no_approval(estimate: Estimate, tier: Tier, *, fix: str) -> None:
    """Let a start, or the rest of a run, pass that nobody else has to agree to, whatever is left of the budget.

    Raises:
        ApprovalNeeded: it is dear, and is not interrupted; with this way out.
    """
    if needs_approval(estimate, tier, remaining_cents=estimate.cents_high) is ApprovalKind.COSTLY_START:
        raise ApprovalNeeded(
            f"A run without interruptions that may cost {dollars(estimate.cents_high)} needs an approval.", fix=fix
        )


def require_decider(person: Person, request: Approval, *, break_glass: bool) -> None:
    """Let pass who may decide the request; with `break_glass`, also an admin who asked.

    Raises:
        NotAllowed: the person's role may not decide, or it is their own request.
    """
    if person.role not in request.policy.roles:
        raise NotAllowed(
            f"Your role, {person.role.value}, may not decide this.",
            fix="A budget manager or an admin can.",
        )
    if person.user_id != request.requested_by:
        if break_glass:
            raise NotAllowed("This is somebody else's request.", fix="Approve or decline it; no glass has to break.")
        return
    if not break_glass:
        raise NotAllowed(
            "Nobody decides their own request.",
            fix="Another manager has to. In an emergency an admin can break the glass, which everybody will see.",
        )
    if person.role is not Role.ADMIN:
        raise NotAllowed("Only an admin can break the glass.", fix="Another manager can decide this.")


def require_pending(request: Approval, now: datetime) -> None:
    """Let pass a request that waits for a decision.

    Raises:
        TooLate: it was decided, withdrawn, superseded or has expired.
    """
    late = request.state is ApprovalState.PENDING and now >= request.expires_at
    state = ApprovalState.EXPIRED if late else request.state
    if state is ApprovalState.PENDING:
        return
    fix = "It has to be asked anew." if state in _ASK_ANEW else "Its Details say who did that, and why."
    raise TooLate(f"This request {_TOO_LATE[state]}.", by=request.decided_by, fix=fix)


def require_justification(note: str) -> None:
    """Let pass an admin who decides their own request with a justification.

    Raises:
        InvalidInput: it is too short; its field is `note`.
    """
    length = len(note.strip())
    if length < JUSTIFICATION_MIN:
        raise InvalidInput(f"Justify it in at least {JUSTIFICATION_MIN} characters; this has {length}.", field="note")
