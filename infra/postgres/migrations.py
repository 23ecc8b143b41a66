"""Applies `infra/supabase/migrations/*.sql` in order, each once, as `supabase db push` would."""

from __future__ import annotations

from collections.abc import Container
from importlib.resources import files
from importlib.resources.abc import Traversable

from infra.postgres.connecting import connect

# Any number will do, as long as nobody else uses it: two processes that start at once take turns.
_LOCK = 7_236_521


def _scripts() -> list[Traversable]:
    folder = files("infra") / "supabase" / "migrations"
    return sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)


def known_versions() -> list[str]:
    """The versions that this installation knows, oldest first."""
    return [script.name.partition("_")[0] for script in _scripts()]


def migrate(url: str, *, only: Container[str] | None = None) -> list[str]:
    """Bring the database up to date; returns the names of the scripts that were applied now.

    `only` names the versions to apply, all by default.

    Raises:
        Unavailable: the database cannot be reached.
    """
    with connect(url) as connection:
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
            if version in done or (only is not None and version not in only):
                continue
            connection.execute(script.read_bytes())
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name) values (%s, %s)",
                (version, name),
            )
            applied.append(script.name)
    return applied
