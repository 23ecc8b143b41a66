"""The migrations as `supabase db push` and `brightrun migrate` apply them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import psycopg
import pytest

import infra
from functions.deliver import MAX_ARTIFACT_BYTES
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from functions.training_files import MAX_BYTES
from infra.postgres.migrations import known_versions, migrate
from infra.supabase_files import CONTENT_TYPES, OTHER_TYPE

SUPABASE = Path(infra.__file__).parent / "supabase"
# As Supabase has it, less the columns that nobody here names.
BUCKETS = """
    create schema storage;
    create table storage.buckets (id text primary key, name text not null unique, owner uuid,
        created_at timestamptz default now(), updated_at timestamptz default now(),
        public boolean default false, file_size_limit bigint, allowed_mime_types text[])
"""
FIRST = "20261121000000"


def test_the_folder_is_laid_out_as_the_supabase_command_wants_it() -> None:
    names = [path.name for path in sorted((SUPABASE / "migrations").iterdir())]
    assert all(re.fullmatch(r"\d{14}_[a-z0-9_]+\.sql", name) for name in names), names
    assert len(set(known_versions())) == len(names)
    config = tomllib.loads((SUPABASE / "config.toml").read_text("utf-8"))
    assert config["db"]["migrations"]["enabled"] is True


def test_later_migrations_apply_to_a_database_that_is_in_use(bare_database_url: str) -> None:
    assert migrate(bare_database_url, only={FIRST}) == [f"{FIRST}_core.sql"]
    with psycopg.connect(bare_database_url) as connection:
        connection.execute("insert into budgets values ('T0BRIGHT', 500)")
        connection.execute(
            "insert into ledger (team_id, kind, cents, at, entry_key) values ('T0BRIGHT', 'top_up', 5, now(), 'k')"
        )
    applied = migrate(bare_database_url)
    assert len(applied) == len(known_versions()) - 1
    assert migrate(bare_database_url) == []
    with psycopg.connect(bare_database_url) as connection:
        assert connection.execute("select sum(cents) from ledger").fetchone() == (5,)


@pytest.mark.parametrize("there_before", [False, True])
def test_supabase_gets_private_buckets_with_limits(bare_database_url: str, there_before: bool) -> None:
    with psycopg.connect(bare_database_url) as connection:
        connection.execute(BUCKETS)
        if there_before:
            connection.execute(
                "insert into storage.buckets (id, name, public) values ('model-artifacts', 'model-artifacts', true)"
            )
    migrate(bare_database_url)
    with psycopg.connect(bare_database_url) as connection:
        rows = connection.execute(
            "select id, public, file_size_limit, allowed_mime_types from storage.buckets"
        ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    assert set(found) == {TRAINING_FILES, MODEL_ARTIFACTS}
    assert [public for public, _, _ in found.values()] == [False, False]
    assert found[TRAINING_FILES][1] >= 2 * MAX_BYTES  # the file, and the sequences made of it
    assert found[MODEL_ARTIFACTS][1] == MAX_ARTIFACT_BYTES
    assert set(found[MODEL_ARTIFACTS][2]) == {*CONTENT_TYPES.values(), OTHER_TYPE}
    assert set(found[TRAINING_FILES][2]) < {*CONTENT_TYPES.values(), OTHER_TYPE}
