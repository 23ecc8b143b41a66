"""What requests say, whatever people type."""

from __future__ import annotations

import pytest

from blocks.approval_news import request_news
from functions.model.approval import ApprovalKind, ApprovalState
from infra.workspace.limits import message_problems

NASTY = "<!channel> *b* & `c` 👨‍👩‍👧‍👦 \u202e" * 60
TOLD = [
    ApprovalState.APPROVED,
    ApprovalState.REJECTED,
    ApprovalState.EXPIRED,
    ApprovalState.SUPERSEDED,
    ApprovalState.LAUNCH_FAILED,
]


@pytest.mark.parametrize("state", TOLD)
@pytest.mark.parametrize("kind", list(ApprovalKind))
def test_slack_takes_all_news(kind: ApprovalKind, state: ApprovalState) -> None:
    for job, reviewable in (("", 0), ("", 1), ("6b0e", 1)):
        data: dict[str, float | int | str | None] = {
            "request": "6b0f", "kind": kind.value, "state": state.value, "title": NASTY, "by": NASTY, "note": NASTY,
            "outcome": NASTY, "limit_cents": 10**12, "job": job, "channel": NASTY, "reviewable": reviewable,
        }  # fmt: skip
        text, blocks = request_news(data)
        assert message_problems({"text": text, "blocks": blocks}) == []
        assert "<!channel>" not in f"{text}{blocks}"
