"""Applies `infra/supabase/migrations/*.sql` in order, each once, as `supabase db push` would."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import psycopg

# Any number will do, as long as nobody else uses it: two processes that start at once take turns.
_LOCK = 7_236_521


def _scripts() -> list[Traversable]:
    folder = files("infra") / "supabase" / "migrations"
    return sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)


def migrate(url: str) -> list[str]:
    """Bring the database up to date; returns the names of the scripts that were applied now."""
    with psycopg.connect(url) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute("create schema if not exists supabase_migrations")
        connection.execute(
            "create table if not exists supabase_migrations.schema_migrations"
            " (version text primary key, name text, statements text[])"
        )
        rows = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
        done = {row[0] for row in rows}
        applied = []
        for script in _scripts():
            version, _, name = script.name.removesuffix(".sql").partition("_")
            if version in done:
                continue
            connection.execute(script.read_bytes())
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name) values (%s, %s)",
                (version, name),
            )
            applied.append(script.name)
    return applied
