"""The budget's screens: Slack takes them whatever people type, and they say what a manager needs on a phone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.approvals import ACTION_ASK_LIMIT
from blocks.audit import audit_log
from blocks.budget import budget_view
from blocks.budget_form import LIMIT, budget_changed, budget_form, read_budget_form
from blocks.budget_notices import ACTION_CHANGE, team_notice
from blocks.roles import roles_view
from blocks.text import button
from functions.errors import InvalidInput
from functions.model.budget import (
    AuditEntry,
    AuditFilter,
    AuditView,
    BudgetView,
    Forecast,
    ForecastRecord,
    JobCost,
    LimitChange,
    MonthSpend,
    Outlook,
)
from functions.model.money import BudgetRules, BudgetStatus, Period
from functions.model.outbox import Notice
from functions.model.people import Person, Role
from functions.model.states import JobState
from infra.workspace.limits import message_problems, view_problems

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NASTY = "<!channel> *b* & `c` 👨‍👩‍👧‍👦 \u202e" * 30
TEAM_NOTICES = [notice for notice in Notice if notice.value.startswith("budget_")]


def job(number: int, name: str = "Elena Morales Financial", cents: int = 40_00) -> JobCost:
    return JobCost(
        job_id=UUID(int=number), name=name, state=JobState.COMPLETED, created_by="U0ELENA", client="Acme", project="Q1",
        preset="balanced", tier="modal-h100", created_at=NOW - timedelta(days=2), ended_at=NOW - timedelta(days=1),
        settled_cents=cents, reserved_cents=0, cents=cents,
    )  # fmt: skip


def view(role: Role = Role.MANAGER, name: str = "Elena Morales Financial", jobs: int = 3, **changed: Any) -> BudgetView:
    made = BudgetView(
        person=Person(team_id="T1", user_id="U0MARCUS", role=role),
        status=BudgetStatus(limit_cents=500_00, spent_cents=487_32, reserved_cents=8_00),
        rules=BudgetRules(limit_cents=500_00, recipients=("U0PRIYA",), channel_id="C0MONEY"),
        forecast=Forecast(
            settled_cents=487_32, accrued_cents=0, active=2, running=1,
            committed=Outlook(best=529_00, expected=537_00, worst=545_00),
            at_pace=Outlook(best=529_00, expected=600_00, worst=700_00),
        ),
        jobs=tuple(job(number, name) for number in range(jobs)),
        daily=((date(2026, 11, 3), 487_32),),
        months=tuple(MonthSpend(month=date(2026, m, 1), cents=423_00, limit_cents=500_00) for m in range(6, 12)),
        record=ForecastRecord(forecasts=60, months=2, mean_error=0.08, in_range=54),
        changes=(LimitChange(at=NOW, before_cents=400_00, limit_cents=500_00, changed_by="U0ADA", reason=name),),
        since=NOW.replace(day=1, hour=0, minute=0),
        now=NOW,
    )  # fmt: skip
    return made.model_copy(update=changed)


def test_the_budget_says_what_is_left_first_and_what_it_will_come_to() -> None:
    text = str(budget_view(view())["blocks"])
    first = budget_view(view())["blocks"][0]["text"]["text"]
    assert first.startswith("*$4.68 of $500 left this month*")
    assert "97 % spent" in first
    assert "*With 2 active runs*: $529–545, $29–45 over the limit" in text
    assert "Past forecasts were within ±8 % on average (60 days in 2 months); 90 % of them" in text
    assert "8 % of the limit" in text
    assert "$423 a month on average, steady" in text


def test_who_may_not_change_it_may_ask() -> None:
    for role, there, not_there in (
        (Role.VIEWER, "budget manager can change", ACTION_CHANGE),
        (Role.MEMBER, ACTION_ASK_LIMIT, ACTION_CHANGE),
        (Role.MANAGER, ACTION_CHANGE, ACTION_ASK_LIMIT),
    ):
        text = str(budget_view(view(role))["blocks"])
        assert there in text
        assert not_there not in text


def test_other_features_buttons_have_a_place() -> None:
    assert "pay_in" in str(budget_view(view(), extra=[button("Pay in…", "pay_in")])["blocks"])


@pytest.mark.parametrize(
    "rules", [BudgetRules(limit_cents=0), BudgetRules(limit_cents=1, period=Period.ROLLING_30_DAYS)]
)
def test_slack_takes_every_screen_whatever_people_type(rules: BudgetRules) -> None:
    status = BudgetStatus(limit_cents=rules.limit_cents, spent_cents=9, reserved_cents=1, prepaid_cents=1)
    odd = view(name=NASTY, jobs=40, rules=rules, status=status, record=None, unreachable=True)
    entry = AuditEntry(id=1, at=NOW, actor=NASTY, action=NASTY, target=NASTY, detail={NASTY: NASTY, "a_cents": 5})
    audit = AuditView(entries=(entry,) * 15, total=10**6, chosen=AuditFilter(), areas=("job", "budget"))
    roles = {f"U{number:07}": Role.MANAGER for number in range(400)} | {NASTY: Role.ADMIN}
    for screen in (
        budget_view(odd, picture="F123"),
        budget_view(view(jobs=0), channel_id="C1"),
        budget_form(odd, channel_id="C1"),
        budget_changed(("limit_cents", "period"), rules),
        budget_changed((), rules),
        audit_log(audit),
        audit_log(audit.model_copy(update={"entries": ()})),
        roles_view(roles, default_role=Role.MEMBER, note="✓"),
    ):
        assert view_problems(screen) == [], screen["title"]
        assert "<!channel>" not in str(screen)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    notice=st.sampled_from(TEAM_NOTICES),
    data=st.dictionaries(
        st.sampled_from(
            ["level", "spent_cents", "limit_cents", "remaining_cents", "reserved_cents", "active", "best_cents",
             "expected_cents", "worst_cents", "pace_cents", "by", "why", "job", "names", "yesterday_cents",
             "before_cents", "after_cents", "last_month", "last_cents", "last_limit_cents"]
        ),
        st.one_of(st.none(), st.integers(-(10**12), 10**12), st.just(NASTY), st.text(max_size=50)),
    ),
)  # fmt: skip
def test_slack_takes_every_notice(notice: Notice, data: dict[str, Any]) -> None:
    text, blocks = team_notice(notice, data)
    assert message_problems({"text": text, "blocks": blocks}) == []
    assert "<!channel>" not in f"{text}{blocks}"


def form_values(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "limit": {"value": "750.50"}, "period": {"selected_option": {"value": "rolling_30_days"}},
        "grace": {"value": "5"}, "options": {"selected_options": [{"value": "hard_stop"}]},
        "recipients": {"selected_users": ["U1"]}, "channel": {"selected_conversation": None}, "reason": {"value": None},
    }  # fmt: skip
    return {name: {name: state} for name, state in (given | changed).items()}


def test_the_form_reads_back_what_was_typed() -> None:
    rules, reason = read_budget_form(form_values())
    assert (rules.limit_cents, rules.period, rules.grace_percent) == (750_50, Period.ROLLING_30_DAYS, 5)
    assert (rules.hard_stop, rules.daily_digest, rules.recipients, rules.channel_id) == (True, False, ("U1",), "")
    assert reason == ""


@pytest.mark.parametrize("typed", ["", "abc", "1e99", "NaN", "Infinity", "1.005", None])
def test_what_is_no_amount_is_refused_at_its_field(typed: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_budget_form(form_values(limit={"value": typed}))
    assert refused.value.field == LIMIT
