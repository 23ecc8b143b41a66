"""Backup and restore: what was there is there again, guarded as before, and work goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from functions.errors import Conflict, InvalidInput, NotFound, Unavailable
from functions.model.money import EntryKind
from functions.model.states import JobState
from functions.reconcile import Reconciler
from infra.local_files import LocalFiles
from infra.postgres.backup import backup, restore
from infra.postgres.database import PostgresDatabase
from tests.conftest import BUDGET_CENTS
from tests.logins import create_logins, url_as
from tests.pooler import through
from tests.scenario.house import TEAM, SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import ENDED, TRAINED, PaperCompute

TABLES = "select tablename from pg_tables where schemaname = 'public' order by 1"


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with psycopg.connect(url) as connection:
        names = [name for (name,) in connection.execute(TABLES).fetchall()]
        return {
            name: sorted(
                connection.execute(sql.SQL("select * from {}").format(sql.Identifier(name))).fetchall(), key=repr
            )
            for name in names
        }


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def files(tmp_path: Path, clock: SetClock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=clock)


def worked(db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, folder: Path) -> Reconciler:
    """A completed job, one in training and one queued."""
    reconciler = Reconciler(
        db, files, PaperCompute(), clock=clock, secret="s", service_url="http://nowhere", max_running=2
    )
    for number, bodies in enumerate([(*TRAINED, *ENDED), TRAINED, ()]):
        path = folder / f"{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        job = start(db, files, add_demo_file(db, files, path, clock), clock, name=f"Run {number} 🎉 'quoted'\ttab")
        if bodies:
            reconciler.step()
            say(db, clock, job_of(db, job.id), *bodies)
    return reconciler


def test_a_restored_installation_holds_all_of_it_and_goes_on(
    db: PostgresDatabase,
    database_url: str,
    bare_database_url: str,
    files: LocalFiles,
    demo_file: Path,
    clock: SetClock,
    tmp_path: Path,
) -> None:
    worked(db, files, demo_file, clock, tmp_path)
    target = tmp_path / "kept" / "state.backup"
    facts = backup(database_url, target)
    assert (facts.jobs, facts.bytes) == (3, target.stat().st_size)
    assert target.stat().st_mode & 0o077 == 0
    assert [path.name for path in target.parent.iterdir()] == ["state.backup"]

    restored = restore(bare_database_url, target)
    assert restored[:2] == facts[:2]
    before, after = content(database_url), content(bare_database_url)
    assert after == before
    assert len(after["ledger"]) >= 5

    other = PostgresDatabase(bare_database_url, default_limit_cents=BUDGET_CENTS)
    with db.transaction() as here, other.transaction() as there:
        since = clock().replace(day=1, hour=0)
        assert there.ledger.sums(TEAM, since) == here.ledger.sums(TEAM, since)
        assert there.ledger.append(team_id=TEAM, job_id=None, kind=EntryKind.TOP_UP, cents=1, at=clock(), key="after")
    compute = PaperCompute()
    reconciler = Reconciler(other, files, compute, clock=clock, secret="s", service_url="http://nowhere", max_running=2)
    with other.transaction() as tx:
        training = tx.jobs.in_states([JobState.TRAINING])[0]
        queued = tx.jobs.in_states([JobState.QUEUED])[0]
    say(other, clock, training, *ENDED, first=len(TRAINED) + 1)
    assert job_of(other, training.id).state is JobState.COMPLETED
    reconciler.step()
    assert [spec.job_id for spec in compute.launched] == [queued.id]
    more = tmp_path / "more.json"
    more.write_bytes(demo_file.read_bytes() + b"\n")
    assert start(other, files, add_demo_file(other, files, more, clock), clock, name="Next").state is JobState.QUEUED
    other.close()


def test_a_restored_database_is_guarded_as_before(database_url: str, bare_database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into ledger (team_id, kind, cents, at, entry_key) values ('T0BRIGHT', 'top_up', 5, now(), 'k')"
        )
    backup(database_url, tmp_path / "state.backup")
    restore(bare_database_url, tmp_path / "state.backup")
    with psycopg.connect(bare_database_url, autocommit=True) as connection:
        for statement in ("update ledger set cents = 6", "delete from ledger", "truncate audit_log"):
            with pytest.raises(InsufficientPrivilege, match="append-only"):
                connection.execute(statement.encode())
        open_tables = connection.execute(
            "select relname from pg_class c join pg_namespace n on n.oid = relnamespace"
            " where nspname = 'public' and relkind = 'r' and not relrowsecurity"
        ).fetchall()
        assert open_tables == []
        guards = (
            "select tgname, tgrelid::regclass::text, tgenabled from pg_trigger where not tgisinternal order by 1, 2"
        )
        there = connection.execute(guards.encode()).fetchall()
    with psycopg.connect(database_url) as connection:
        assert there == connection.execute(guards.encode()).fetchall()
    assert {enabled for _, _, enabled in there} == {"O"}
    create_logins(bare_database_url)
    with psycopg.connect(url_as(bare_database_url, "brightrun_ingest")) as connection:
        assert connection.execute("select sum(cents) from ledger").fetchone() == (5,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("select * from people")


def test_what_is_not_restored_and_why(database_url: str, bare_database_url: str, tmp_path: Path) -> None:
    target = tmp_path / "state.backup"
    backup(database_url, target)
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into budgets values ('T0BRIGHT', 500)")
    with pytest.raises(Conflict, match="in use: a backup is restored into a fresh one"):
        restore(database_url, target)
    with pytest.raises(NotFound, match="no such backup"):
        restore(bare_database_url, tmp_path / "nowhere")
    cut = tmp_path / "cut.backup"
    for broken in (b"", b"PGDMP", b"hello" * 100, target.read_bytes()[: target.stat().st_size - 9]):
        cut.write_bytes(broken)
        with pytest.raises(InvalidInput, match="no backup"):
            restore(bare_database_url, cut)
    with psycopg.connect(database_url) as connection:
        connection.execute("insert into supabase_migrations.schema_migrations (version) values ('29990101000000')")
    backup(database_url, target)
    with pytest.raises(InvalidInput, match="later Bright Run: the migration 29990101000000"):
        restore(bare_database_url, target)
    with psycopg.connect(bare_database_url) as connection:
        assert connection.execute(TABLES).fetchall() == []


def test_a_login_that_does_not_see_everything_makes_no_backup(database_url: str, tmp_path: Path) -> None:
    create_logins(database_url)
    with pytest.raises(Unavailable, match="need the tables' owner"):
        backup(url_as(database_url, "brightrun_bot"), tmp_path / "state.backup")
    assert list(tmp_path.iterdir()) == []


def test_no_backup_through_a_pooler_that_changes_connections(
    database_url: str, pooler_port: int, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"Set BRIGHTRUN_DATABASE_URL to the direct or the session address"):
        backup(through(database_url, pooler_port), tmp_path / "state.backup")


def test_the_command_backs_up_and_restores(database_url: str, bare_database_url: str, tmp_path: Path) -> None:
    def brightrun(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"BRIGHTRUN_DATABASE_URL": url, "BRIGHTRUN_DATA_DIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "infra.cli", *arguments], env=environment, capture_output=True, text=True
        )

    target = str(tmp_path / "state.backup")
    done = brightrun(database_url, "backup", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 jobs, 0 ledger entries" in done.stdout
    assert "Restored: 0 jobs" in brightrun(bare_database_url, "restore", target).stdout
    with psycopg.connect(bare_database_url) as connection:
        connection.execute("insert into budgets values ('T0BRIGHT', 500)")
    again = brightrun(bare_database_url, "restore", target)
    assert again.returncode == 1
    assert "brightrun: This database is in use" in again.stderr
    assert "Traceback" not in again.stderr
