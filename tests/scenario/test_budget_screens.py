"""/budget, its controls and refusals, its export, the audit log, roles: as people click them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from blocks import audit as audit_screen
from blocks import budget as screen
from blocks import budget_form as form
from blocks import roles as roles_screen
from blocks.budget_notices import ACTION_CHANGE
from blocks.home import ACTION_BUDGET
from blocks.over_budget import OVERRIDE_ACTION, OVERRIDE_BLOCK
from blocks.review import CHECKLIST_ACTION, REVIEW_CALLBACK
from functions.budget_watch import watch_budgets
from functions.model.money import EntryKind
from functions.model.people import Role
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.seeding import seed_managers_group
from infra.settings import Settings
from infra.workspace.client import Person
from tests.scenario.bot_house import BOT_TOKEN
from tests.scenario.house import TEAM
from tests.scenario.stage import CHANNEL, CHECKS, Json, Stage, staged, words

REASON = "The spring programme needs four more runs for two clients."


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as ready:
        with ready.db.transaction() as tx:
            tx.people.set_role(TEAM, "U0ADA", Role.ADMIN)
        yield ready


def marcus(stage: Stage) -> Person:
    return stage.client.as_user("U0MARCUS")


def ada(stage: Stage) -> Person:
    return stage.client.as_user("U0ADA")


def open_budget(person: Person, text: str = "/budget") -> Json:
    assert person.command(CHANNEL, text) == {"ok": True}
    return person.wait_view(screen.BUDGET_CALLBACK, 10)


def open_form(person: Person) -> Json:
    person.click(open_budget(person), ACTION_CHANGE)
    return person.wait_view(form.FORM_CALLBACK)


def audited(url: str, action: str) -> list[tuple[str, Json]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select actor, detail from audit_log where action = %s order by id", (action,)
        ).fetchall()


def sent_file(stage: Stage, person: Person) -> tuple[str, list[list[str]]]:
    message = person.wait_message(person.im(), lambda m: bool(m.get("files")), 10)
    (file,) = message["files"]
    answer = httpx.get(file["url_private"], headers={"Authorization": f"Bearer {BOT_TOKEN}"}, trust_env=False)
    return file["name"], list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_a_member_looks_and_has_no_controls(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    job = stage.start(name="=cmd|' /C calc'!A0")
    view = open_budget(stage.elena)
    said = words(view)
    assert "left this month" in said
    assert "reserved for runs under way" in said
    assert "1 run: 0 ended, 1 active" in said
    assert "no month with forecasts has ended" in said
    assert any(block["type"] == "image" for block in view["blocks"])
    for action in (ACTION_CHANGE, screen.ACTION_EXPORT, screen.ACTION_AUDIT):
        assert action not in str(view["blocks"])
    assert job.estimate.cents_high > 0


def test_a_manager_changes_the_limit_and_everybody_is_told(stage: Stage, database_url: str) -> None:
    view = open_form(marcus(stage))
    refused = marcus(stage).submit(view, {form.LIMIT: "750"})
    assert "needs a reason" in refused["errors"][form.REASON]
    refused = marcus(stage).submit(view, {form.LIMIT: "7.505", form.REASON: REASON})
    assert "Whole cents" in refused["errors"][form.LIMIT]
    given = {form.LIMIT: "750", form.GRACE: "5", form.RECIPIENTS: ["U0PRIYA"], form.PERIOD: "rolling_30_days"}
    assert marcus(stage).submit(view, {**given, form.REASON: REASON}) == {"ok": True}
    done = marcus(stage).wait_view(form.CHANGED_CALLBACK)
    assert "the limit\n" in words(done) + "\n"
    marcus(stage).close(done, whole_stack=True)
    ((who, detail),) = audited(database_url, "budget.limit_changed")
    assert (who, detail) == ("U0MARCUS", {"from_cents": 500_00, "to_cents": 750_00, "why": REASON})
    for action in ("budget.grace_changed", "budget.recipients_changed", "budget.period_changed"):
        assert len(audited(database_url, action)) == 1
    stage.post()
    stage.post()
    for place in (CHANNEL, "D0PRIYA"):
        (told,) = [m for m in stage.client.all_messages(place) if "raised" in m["text"]]
        assert told["text"] == "<@U0MARCUS> raised the training budget from $500 to $750."
        assert REASON in words(told)
    said = words(open_budget(stage.elena))
    assert "*$750 of $750 left in 30 days*" in said
    assert "$500 → $750" in said
    assert "<@U0PRIYA>" in said


def test_the_role_is_checked_on_the_click_and_on_the_submit(stage: Stage, database_url: str) -> None:
    view = open_form(marcus(stage))
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MEMBER)
    refused = marcus(stage).submit(view, {form.LIMIT: "9999", form.REASON: REASON})
    assert "may not change the budget" in refused["errors"][form.LIMIT]
    marcus(stage).close(view)
    budget = marcus(stage).wait_view(screen.BUDGET_CALLBACK)
    for action, refusal in (
        (ACTION_CHANGE, "may not change the budget"),
        (screen.ACTION_EXPORT, "may not change the budget"),
        (screen.ACTION_AUDIT, "may not read the audit log"),
    ):
        marcus(stage).click(budget, action)
        shown = marcus(stage).wait_view(None, when=lambda top, said=refusal: said in words(top))
        marcus(stage).close(shown)
    with stage.db.transaction() as tx:
        assert tx.ledger.rules(TEAM).limit_cents == 500_00
    assert audited(database_url, "budget.limit_changed") == []
    assert stage.vic.command(CHANNEL, "/budget audit") == {"ok": True}
    stage.vic.wait_view(None, when=lambda top: "Your role, viewer, may not read the audit log" in words(top))


def test_the_export_goes_to_the_manager_alone_and_runs_nothing(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    stage.start(name='=HYPERLINK("http://evil")', client="+1 Acme", project="@home")
    marcus(stage).click(open_budget(marcus(stage)), screen.ACTION_EXPORT)
    marcus(stage).wait_view(screen.EXPORT_CALLBACK)
    name, (head, row) = sent_file(stage, marcus(stage))
    assert name.startswith("bright-run-budget-")
    told = dict(zip(head, row, strict=True))
    assert told["Run"] == '\'=HYPERLINK("http://evil")'
    assert told["Client"] == "'+1 Acme"
    assert told["Project"] == "'@home"
    assert told["Status"] == "queued"
    assert float(told["Reserved USD"]) > 0
    assert not [m for m in stage.client.all_messages(CHANNEL) if m.get("files")]


def test_a_member_over_budget_sees_what_is_missing_and_what_would_fit(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    limit(stage, 1)
    review = stage.open_review(name="Too dear")
    said = words(review)
    assert "Over budget: up to" in said
    assert "No other preset or machine fits" in said or "Would fit" in said
    assert "With this run, at most" in said
    assert OVERRIDE_BLOCK not in str(review["blocks"])
    refused = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})
    assert "too little" in refused["errors"]["checklist"]
    assert stage.jobs() == 0


def limit(stage: Stage, cents: int) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"limit_cents": cents}))


def test_a_manager_passes_the_limit_with_a_reason(stage: Stage, demo_file: Path, database_url: str) -> None:
    stage.add_demo_file(demo_file)
    limit(stage, 1)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.MANAGER)
    review = stage.open_review(name="Cannot wait")
    refused = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})
    assert "too little" in refused["errors"][OVERRIDE_BLOCK]
    refused = stage.elena.submit(review, {OVERRIDE_ACTION: "Urgent."})
    assert "At least 50 characters; this has 7" in refused["errors"][OVERRIDE_BLOCK]
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.MEMBER)
    refused = stage.elena.submit(review, {OVERRIDE_ACTION: REASON})
    assert "may not pass the budget's limit" in refused["errors"][OVERRIDE_BLOCK]
    assert stage.jobs() == 0
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.MANAGER)
    assert stage.elena.submit(review, {OVERRIDE_ACTION: REASON}) == {"ok": True}
    job = stage.job()
    ((who, detail),) = audited(database_url, "budget.override")
    assert who == "U0ELENA"
    assert detail["why"] == REASON
    assert detail["over_cents"] == job.estimate.cents_high - 1
    stage.post()
    for person in ("D0MARCUS", "D0ADA", "D0ELENA"):
        (told,) = [m for m in stage.client.all_messages(person) if "over the budget" in m["text"]]
        assert REASON in words(told)
    said = words(open_budget(stage.elena))
    assert "Nothing is left" in said


def test_a_hard_stop_is_passed_by_nobody(stage: Stage, demo_file: Path) -> None:
    stage.add_demo_file(demo_file)
    limit(stage, 1)
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ELENA", Role.ADMIN)
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"hard_stop": True}))
    review = stage.open_review(name="Never")
    assert OVERRIDE_BLOCK not in str(review["blocks"])
    assert "not even with an approval" in words(review)
    refused = stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS})
    assert "Nothing may pass the limit here" in refused["errors"]["checklist"]
    stage.elena.wait_view(REVIEW_CALLBACK)


def test_the_audit_log_is_filtered_and_exported(stage: Stage, database_url: str) -> None:
    view = open_form(marcus(stage))
    assert marcus(stage).submit(view, {form.LIMIT: "750", form.GRACE: "0", form.REASON: REASON}) == {"ok": True}
    marcus(stage).close(marcus(stage).wait_view(form.CHANGED_CALLBACK), whole_stack=True)
    assert ada(stage).command(CHANNEL, "/budget audit") == {"ok": True}
    log = ada(stage).wait_view(audit_screen.AUDIT_CALLBACK)
    said = words(log)
    assert "<@U0MARCUS> changed the budget's limit" in said
    assert "from $500 · to $750" in said
    assert "2 entries" in said
    ada(stage).click(log, audit_screen.ACTION_PERSON, selected_user="U0PRIYA")
    ada(stage).wait_view(audit_screen.AUDIT_CALLBACK, when=lambda top: "Nothing matches" in words(top))
    log = ada(stage).wait_view(audit_screen.AUDIT_CALLBACK)
    ada(stage).click(log, audit_screen.ACTION_PERSON, selected_user="U0MARCUS")
    log = ada(stage).wait_view(audit_screen.AUDIT_CALLBACK, when=lambda top: "2 entries" in words(top))
    ada(stage).click(log, audit_screen.ACTION_CSV)
    ada(stage).wait_view(screen.EXPORT_CALLBACK)
    name, (head, *rows) = sent_file(stage, ada(stage))
    assert name.startswith("bright-run-audit-")
    assert head[:3] == ["Time (UTC)", "Person", "Action"]
    assert {row[2] for row in rows} == {"budget.limit_changed", "budget.grace_changed"}
    assert len(audited(database_url, "audit.exported")) == 1


def test_roles_are_changed_by_admins_alone_and_the_last_admin_stays(stage: Stage, database_url: str) -> None:
    assert marcus(stage).command(CHANNEL, "/brightrun roles") == {"ok": True}
    marcus(stage).wait_view(None, when=lambda top: "Your role, manager, may not change roles" in words(top))
    assert ada(stage).command(CHANNEL, "/brightrun roles") == {"ok": True}
    view = ada(stage).wait_view(roles_screen.ROLES_CALLBACK)
    said = words(view)
    assert "*Admins*" in said
    assert "<@U0MARCUS>" in said
    refused = ada(stage).submit(view, {roles_screen.PERSON: "U0ADA", roles_screen.ROLE: "member"})
    assert "last admin" in refused["errors"][roles_screen.PERSON]
    given = {roles_screen.PERSON: "U0PRIYA", roles_screen.ROLE: "manager"}
    assert ada(stage).submit(view, given) == {"ok": True}
    view = ada(stage).wait_view(
        roles_screen.ROLES_CALLBACK, when=lambda top: "<@U0PRIYA> is now a manager; before: member." in words(top)
    )
    with stage.db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ADA", Role.MANAGER)
    refused = ada(stage).submit(view, {roles_screen.PERSON: "U0ADA", roles_screen.ROLE: "admin"})
    assert "may not change roles" in refused["errors"][roles_screen.PERSON]
    assert [detail for _, detail in audited(database_url, "role.changed")] == [{"from": "member", "to": "manager"}]


def test_an_alert_is_told_once_and_leads_to_the_budget(stage: Stage) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.append(team_id=TEAM, job_id=None, kind=EntryKind.ADJUST, cents=480_00, at=utc_now(), key="spent")
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"channel_id": CHANNEL}))
    for _ in range(2):
        watch_budgets(stage.logins.functions, clock=utc_now)
    # The call posts, and its answer is lost: the next try finds the message.
    stage.client.control("faults", [{"method": "chat.postMessage", "kind": "drop_after"}])
    stage.post()
    for place in ("D0MARCUS", "D0ADA", CHANNEL):
        (told,) = stage.client.all_messages(place)
        assert told["text"] == "95 % of the training budget is used: $480 of $500."
    (told,) = marcus(stage).messages("D0MARCUS")
    marcus(stage).click(told, ACTION_BUDGET)
    view = marcus(stage).wait_view(screen.BUDGET_CALLBACK, 10)
    marcus(stage).close(view)
    marcus(stage).click(told, ACTION_CHANGE)
    marcus(stage).close(marcus(stage).wait_view(form.FORM_CALLBACK))


def test_a_channel_that_takes_nothing_is_named_in_the_budget(stage: Stage) -> None:
    with stage.db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.append(team_id=TEAM, job_id=None, kind=EntryKind.ADJUST, cents=480_00, at=utc_now(), key="spent")
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update={"channel_id": "C0GONE"}))
    watch_budgets(stage.logins.functions, clock=utc_now)
    stage.post()
    assert len(stage.client.all_messages("D0MARCUS")) == 1
    assert "<#C0GONE> did not take the last message: type `/invite @Bright Run` there." in words(
        open_budget(marcus(stage))
    )


def test_a_user_group_names_the_managers(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with stage.db.transaction() as tx:
        tx.people.seed_role(TEAM, "U0MARCUS", Role.MEMBER)
    slack = {"slack_bot_token": BOT_TOKEN, "slack_api_url": stage.workspace.api_url}
    seed_managers_group(stage.logins.bot, Settings(managers_group="S0NOBODY", **slack))
    assert "user group S0NOBODY could not be read: Slack does not do as it is asked: no_such_subteam" in caplog.text
    with stage.db.transaction() as tx:
        assert tx.people.role(TEAM, "U0MARCUS") is Role.MEMBER
    seed_managers_group(stage.logins.bot, Settings(managers_group="S0MANAGERS", **slack))
    with stage.db.transaction() as tx:
        assert tx.people.role(TEAM, "U0MARCUS") is Role.MANAGER


def test_what_budget_does_not_know_it_says(stage: Stage) -> None:
    refused = marcus(stage).command(CHANNEL, "/budget nonsense")
    assert refused["ok"]
    marcus(stage).wait_message(CHANNEL, lambda m: "I don't know `/budget nonsense`" in m["text"])
