"""Who may do what in the database: each process with its own login, and Supabase's own roles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from blocks.again import AGAIN_CALLBACK, AGAIN_STARTED_CALLBACK
from blocks.approvals import ACTION_APPROVE, ACTION_ASK_START, ASK_CALLBACK, REASON_ACTION
from blocks.card import ACTION_DOWNLOAD, ACTION_RETRY
from functions.lifecycle import cancel_job, pause_job, resume_paused
from functions.model.events import Failed, Interrupted, Resumed
from functions.model.job import CANCEL_REASONS
from functions.model.states import JobState
from functions.ports import MODEL_ARTIFACTS, CallState
from infra.clock import utc_now
from infra.postgres.database import PostgresDatabase
from infra.postgres.migrations import migrate
from tests.logins import GROUPS, create_logins, login_name, url_as
from tests.scenario.deciding import WHY, copies, limit
from tests.scenario.house import ELENA, TEAM
from tests.scenario.paper import ENDED, TRAINED
from tests.scenario.stage import CHANNEL, Stage, staged, words
from tests.supabase.conftest import JOB

APPEND_ONLY = ("ledger", "audit_log", "budget_limits")
API_ROLES = ("anon", "authenticated", "service_role")
ALL_TABLES = "select tablename from pg_tables where schemaname = 'public'"


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    """The demo's file added; every process has its own login."""
    with staged(db, tmp_path, as_roles=True) as ready:
        ready.add_demo_file(demo_file)
        yield ready


def tables(connection: psycopg.Connection[tuple[str]]) -> list[str]:
    """All tables of the project."""
    found = [name for (name,) in connection.execute(ALL_TABLES).fetchall()]
    assert len(found) > 15
    return found


def test_the_main_job_runs_with_three_logins(stage: Stage) -> None:
    for login, group in zip(stage.logins, GROUPS, strict=True):
        with login._pool.connection() as connection:
            row = connection.execute("select current_user as name").fetchone()
            assert row is not None
            assert row["name"] == login_name(group)

    stage.start()
    stage.post()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.post()
    stage.files.put(MODEL_ARTIFACTS, "p/a.zip", b"adapter")
    stage.tell(*ENDED, first=len(TRAINED) + 1)
    stage.post()
    assert stage.job().state is JobState.COMPLETED
    stage.elena.click(stage.card(), ACTION_DOWNLOAD)
    link = stage.elena.wait_message(CHANNEL, lambda m: m.get("ephemeral_for") == "U0ELENA")
    url = next(e["url"] for b in link["blocks"] for e in b.get("elements", []) if "url" in e)
    assert httpx.get(url, trust_env=False).content == b"adapter"


def test_a_lost_job_is_recovered_given_up_and_retried_with_three_logins(stage: Stage) -> None:
    job = stage.start()
    for attempt in range(1, 5):
        stage.reconciler.step()
        assert stage.job().attempt == attempt
        stage.compute.ended[f"{job.id}:{attempt}"] = CallState(running=False, exit_code=-9, note="killed by SIGKILL")
        stage.reconciler.step()
    stage.reconciler.step()
    assert stage.job().state is JobState.FAILED
    stage.post()
    card = stage.card()
    assert "It was lost 4 times" in words(card)
    stage.elena.click(card, ACTION_RETRY)
    assert stage.elena.submit(stage.elena.wait_view(AGAIN_CALLBACK), {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    assert stage.job().state is JobState.QUEUED
    assert stage.job().id != job.id


def test_a_run_goes_on_from_another_one_with_three_logins(stage: Stage) -> None:
    first = stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED, Failed(code="disk_full", what="The disk is full.", step=10))
    stage.post()
    stage.elena.click(stage.card(), ACTION_RETRY)
    assert stage.elena.submit(stage.elena.wait_view(AGAIN_CALLBACK), {}) == {"ok": True}
    stage.elena.wait_view(AGAIN_STARTED_CALLBACK)
    made = stage.job()
    with stage.db.transaction() as tx:
        assert [point.step for point in tx.jobs.points(made.id, 10)] == [5]
    stage.reconciler.step()
    stage.tell(*TRAINED[:6], *ENDED)
    stage.post()
    assert f"Tried again as {made.name}: completed" in words(stage.card_of(first.id))


def test_stopping_goes_on_with_three_logins(stage: Stage) -> None:
    bot = stage.logins.bot

    def stop(act: Callable[..., object], **given: str) -> None:
        act(bot, clock=utc_now, person=ELENA, job_id=stage.job().id, **given)

    stage.start()
    stop(cancel_job, reason=next(iter(CANCEL_REASONS)))
    assert stage.job().state is JobState.CANCELLED

    stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stop(pause_job)
    stage.compute.ended[f"{stage.job().id}:1"] = CallState(running=False, exit_code=0)
    stage.reconciler.step()
    assert stage.job().state is JobState.PAUSED
    stop(resume_paused)
    stage.reconciler.step()
    assert stage.job().attempt == 2
    stop(cancel_job, reason=next(iter(CANCEL_REASONS)))
    stage.compute.ended[f"{stage.job().id}:2"] = CallState(running=False, exit_code=0)
    stage.reconciler.step()
    assert stage.job().state is JobState.CANCELLED
    with stage.db.transaction() as tx:
        assert tx.ledger.booked_for(stage.job().id).reserved_cents == 0


def test_nobody_changes_the_ledger_or_the_audit_log_and_nobody_deletes(database_url: str) -> None:
    create_logins(database_url)
    for group in GROUPS:
        with psycopg.connect(url_as(database_url, group), autocommit=True) as connection:
            for table in APPEND_ONLY:
                for statement in ("update {} set team_id = 'x'", "delete from {}", "truncate {}"):
                    with pytest.raises(InsufficientPrivilege, match="permission denied"):
                        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
            for table in tables(connection):
                for right in ("delete", "truncate", "references", "trigger"):
                    row = connection.execute("select has_table_privilege(%s, %s)", (table, right)).fetchone()
                    assert row == (False,), (group, table, right)
            with pytest.raises(InsufficientPrivilege):
                connection.execute("create table mine (x int)")
            with pytest.raises(InsufficientPrivilege):
                connection.execute("select allow('brightrun_bot', 'delete', 'ledger')")


@pytest.mark.parametrize(
    ("group", "statement"),
    [
        ("brightrun_bot", "update people set user_id = 'U0EVE'"),
        ("brightrun_bot", "insert into job_events select * from job_events"),
        ("brightrun_bot", "update model_artifacts set path = 'x'"),
        ("brightrun_bot", "update training_files set sha256 = 'x'"),
        ("brightrun_functions", "update people set role = 'admin'"),
        ("brightrun_functions", "select * from audit_log"),
        ("brightrun_functions", "select * from job_events"),
        ("brightrun_functions", "update budgets set monthly_limit_cents = 0"),
        ("brightrun_functions", "insert into training_jobs select * from training_jobs"),
        ("brightrun_ingest", "select * from people"),
        ("brightrun_ingest", "select * from budgets"),
        ("brightrun_ingest", "select * from audit_log"),
        ("brightrun_ingest", "select * from job_drafts"),
        ("brightrun_ingest", "update outbox set status = 'sent'"),
        ("brightrun_ingest", "insert into training_jobs select * from training_jobs"),
    ],
)
def test_what_is_not_a_process_s_work_is_refused(database_url: str, group: str, statement: str) -> None:
    create_logins(database_url)
    with psycopg.connect(url_as(database_url, group)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


_ENTRY = (
    "insert into ledger (team_id, job_id, kind, cents, payment_id, at, entry_key)"
    " values ('T', %s, %s, %s, %s, now(), 'k')"
)


@pytest.mark.parametrize("group", ["brightrun_functions", "brightrun_ingest"])
@pytest.mark.parametrize(
    ("kind", "cents", "of_payment", "allowed"),
    [
        ("release", -5, False, True),
        ("settle", 5, False, True),
        ("settle", 5, True, False),
        ("reserve", 5, False, False),
        ("adjust", -5, False, False),
        ("top_up", 5, True, False),
        ("refund", -5, True, False),
        ("dispute", -5, True, False),
        ("reinstate", 5, True, False),
    ],
)
def test_what_gpu_jobs_reach_settles_jobs_and_books_nothing_else(
    url_with_a_job: str, group: str, kind: str, cents: int, of_payment: bool, allowed: bool
) -> None:
    with psycopg.connect(url_as(url_with_a_job, group)) as connection:
        given = (JOB, kind, cents, "pi_1" if of_payment else None)
        if allowed:
            assert connection.execute(_ENTRY, given).rowcount == 1
            return
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            connection.execute(_ENTRY, given)


@pytest.mark.parametrize(
    ("job", "kind", "payment", "allowed"),
    [
        (JOB, "reserve", None, True),
        (None, "top_up", "pi_1", True),
        (None, "top_up", None, False),
        (JOB, "settle", "pi_1", False),
        (None, "adjust", "pi_1", False),
    ],
)
def test_the_bot_books_jobs_and_payments_and_corrects_nothing(
    url_with_a_job: str, job: str | None, kind: str, payment: str | None, allowed: bool
) -> None:
    with psycopg.connect(url_as(url_with_a_job, "brightrun_bot")) as connection:
        if allowed:
            assert connection.execute(_ENTRY, (job, kind, 5, payment)).rowcount == 1
            return
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            connection.execute(_ENTRY, (job, kind, 5, payment))


def test_every_table_has_row_security_and_somebody_whom_it_serves(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for table in tables(connection):
            secured = connection.execute("select relrowsecurity from pg_class where oid = %s::regclass", (table,))
            assert secured.fetchone() == (True,), f"{table}: `alter table … enable row level security` is missing"
            rights = connection.execute(
                "select distinct grantee from information_schema.role_table_grants"
                " where table_schema = 'public' and table_name = %s and grantee like 'brightrun%%'",
                (table,),
            ).fetchall()
            assert rights, f"{table}: no role may use it; its migration says who with `select allow(…)`"
        stray = connection.execute("select polname from pg_policy where 0 = any(polroles)").fetchall()
        assert stray == [], "a policy that is open to everybody"


def supabase_like(url: str) -> None:
    """The roles of Supabase's HTTP API, and what it gives them of every new table and function."""
    with psycopg.connect(url, autocommit=True) as connection:
        for role in API_ROLES:
            name = sql.Identifier(role)
            bypass = sql.SQL("bypassrls") if role == "service_role" else sql.SQL("nobypassrls")
            with contextlib.suppress(psycopg.errors.DuplicateObject):
                connection.execute(sql.SQL("create role {} nologin {}").format(name, bypass))
            connection.execute(sql.SQL("grant usage on schema public to {}").format(name))
            for kind in ("tables", "sequences", "functions"):
                connection.execute(
                    sql.SQL("alter default privileges in schema public grant all on {} to {}").format(
                        sql.SQL(kind), name
                    )
                )


def test_the_roles_of_supabase_s_http_api_get_nothing(bare_database_url: str) -> None:
    supabase_like(bare_database_url)
    with psycopg.connect(bare_database_url, autocommit=True) as connection:
        connection.execute("create table theirs (x int)")
        assert connection.execute("select has_table_privilege('anon', 'theirs', 'truncate')").fetchone() == (True,)
        connection.execute("drop table theirs")
    migrate(bare_database_url)
    with psycopg.connect(bare_database_url, autocommit=True) as connection:
        connection.execute("create table of_a_later_migration (x int)")
        names = [*tables(connection)]
        for role in API_ROLES:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
            for table in names:
                for statement in ("select * from {}", "insert into {} default values", "delete from {}", "truncate {}"):
                    with pytest.raises(InsufficientPrivilege, match="permission denied"):
                        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
            with pytest.raises(InsufficientPrivilege, match="permission denied for function"):
                connection.execute("select allow('anon', 'select', 'people')")
            connection.execute("reset role")


def test_the_owner_s_right_is_not_narrowed_by_the_policies(db: PostgresDatabase) -> None:
    with db.transaction() as tx:
        assert tx.ledger.lock_limit(TEAM) > 0
        assert tx.jobs.recent(TEAM, 5) == []


def test_a_machine_that_its_owner_starts_again_is_heard_with_ingest_s_login(stage: Stage) -> None:
    job = stage.start()
    stage.reconciler.step()
    stage.tell(*TRAINED)
    stage.tell(Interrupted(step=5, signal="SIGINT", wait_for_call=True), first=50)
    stage.reconciler.step()
    assert stage.job().state is JobState.INTERRUPTED
    stage.tell(*TRAINED[:6], Resumed(step=5), *ENDED, first=60)
    assert stage.job().state is JobState.COMPLETED
    stage.compute.ended[f"{job.id}:1"] = CallState(running=False, exit_code=0)
    stage.reconciler.step()
    with stage.db.transaction() as tx:
        attempt = tx.jobs.attempt(job.id, 1)
    assert attempt is not None
    assert attempt.gone_at is not None


def test_an_approved_run_that_says_its_first_and_last_word_at_once_was_launched(stage: Stage) -> None:
    """As after an hour without the service: told with the bot's login, ingest may not say that it failed to start."""
    limit(stage, 53)  # cents: the run's 55 pass it within the grace
    review = stage.open_review()
    stage.elena.click(review, ACTION_ASK_START)
    assert stage.elena.submit(stage.elena.wait_view(ASK_CALLBACK), {REASON_ACTION: WHY}) == {"ok": True}
    marcus = stage.client.as_user("U0MARCUS")
    marcus.click(copies(stage)[1], ACTION_APPROVE)
    marcus.wait_message(marcus.im(), lambda m: ": approved." in m.get("text", ""))
    stage.reconciler.step()
    stage.tell(*TRAINED, *ENDED)
    assert stage.job().state is JobState.COMPLETED
    assert "✓ Approved and launched" in words(copies(stage)[0])
