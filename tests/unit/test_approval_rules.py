"""Which starts somebody else has to agree to."""

from __future__ import annotations

import pytest

from functions import catalog
from functions.approval_rules import COSTLY_CENTS, needs_approval
from functions.model.approval import LEGAL, ApprovalKind, ApprovalState
from functions.model.catalog import Tier
from tests.unit import block_views as views

SPOT = catalog.tier("modal-h100")
STEADY = SPOT.model_copy(update={"preemptible": False})
HERE = catalog.tier("local")


@pytest.mark.parametrize(
    ("tier", "cents", "left", "kind"),
    [
        (SPOT, 50_00, 50_00, None),
        (SPOT, 50_01, 50_00, ApprovalKind.OVER_BUDGET_START),
        (SPOT, 200_00, 500_00, None),
        (STEADY, COSTLY_CENTS, 500_00, None),
        (STEADY, COSTLY_CENTS + 1, 500_00, ApprovalKind.COSTLY_START),
        (STEADY, COSTLY_CENTS + 1, 100_00, ApprovalKind.OVER_BUDGET_START),
        (HERE, COSTLY_CENTS + 1, 500_00, None),
    ],
)
def test_what_needs_an_approval(tier: Tier, cents: int, left: int, kind: ApprovalKind | None) -> None:
    estimate = views.review_view().estimate.model_copy(update={"cents_high": cents})
    assert needs_approval(estimate, tier, left) is kind


def test_a_request_ends_once() -> None:
    ended = {state for state, after in LEGAL.items() if not after}
    assert ended == set(ApprovalState) - {ApprovalState.DRAFT, ApprovalState.PENDING, ApprovalState.APPROVED}
    assert LEGAL[ApprovalState.APPROVED] == {ApprovalState.LAUNCHED, ApprovalState.LAUNCH_FAILED}
