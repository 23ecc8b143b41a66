"""What a connection finds: who it is, what it goes through, how far the database is."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from functions.errors import BrightRunError
from infra.postgres.connecting import connect
from infra.postgres.migrations import known_versions
from infra.settings import DatabaseRole, Settings

GROUPS = {
    DatabaseRole.BOT: "brightrun_bot",
    DatabaseRole.FUNCTIONS: "brightrun_functions",
    DatabaseRole.INGEST: "brightrun_ingest",
}


class Verdict(NamedTuple):
    """How something stands; `broken` means configured and not working."""

    state: str
    detail: str
    broken: bool = False


def is_pooled(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether a pooler stands in between: it makes up the process id that it tells its clients."""
    row = connection.execute("select pg_backend_pid()").fetchone()
    return row is not None and row[0] != connection.info.backend_pid


def examine_database(settings: Settings) -> Verdict:
    """The database, by the owner's login and by those of the processes."""
    if settings.database_url is None:
        return Verdict("embedded", "Postgres in the data folder. BRIGHTRUN_DATABASE_URL names Supabase's.")
    try:
        detail, missing = _owner(settings.database_url.get_secret_value())
        if missing:
            return Verdict("behind", f"{detail}; {missing} migrations are missing: `brightrun migrate`", broken=True)
        logins = [_login(settings, role, group) for role, group in GROUPS.items()]
    except BrightRunError as error:
        return Verdict("broken", str(error), broken=True)
    except psycopg.Error as error:
        return Verdict("broken", f"refused: {str(error).splitlines()[0]}", broken=True)
    if wrong := [login for login in logins if login.startswith("!")]:
        return Verdict("broken", "; ".join(login[1:] for login in wrong), broken=True)
    own = ", ".join(login for login in logins if login) or "every process connects as the owner"
    return Verdict("ok", f"{detail}; {own}")


def _owner(url: str) -> tuple[str, int]:
    with connect(url, seconds=5) as connection:
        found = connection.execute("select current_user, to_regclass('supabase_migrations.schema_migrations')")
        row = found.fetchone()
        user, history = row if row else ("?", None)
        version = connection.execute("show server_version").fetchone()
        done = set()
        if history is not None:
            done = {str(v) for (v,) in connection.execute("select version from supabase_migrations.schema_migrations")}
        way = "through a pooler, so nothing is prepared" if is_pooled(connection) else "directly"
    return f"Postgres {version[0] if version else '?'} as {user}, {way}", len(set(known_versions()) - done)


def _login(settings: Settings, role: DatabaseRole, group: str) -> str:
    """The process's own login in words, "" where it has none; "!" goes before what is wrong with it."""
    url = settings.database_url_of(role)
    if url is None or url == settings.database_url:
        return ""
    name = f"BRIGHTRUN_{role.value.upper()}_DATABASE_URL"
    try:
        with connect(url.get_secret_value(), seconds=5) as connection:
            row = connection.execute(
                "select current_user, coalesce(pg_has_role(current_user, to_regrole(%s), 'usage'), false),"
                " rolsuper or rolbypassrls from pg_roles where rolname = current_user",
                (group,),
            ).fetchone()
    except BrightRunError as error:
        return f"!{name}: {error}"
    except psycopg.Error as error:
        return f"!{name}: refused: {str(error).splitlines()[0]}"
    user, member, unbound = row if row else ("?", False, False)
    if unbound:
        return f"!{name}: {user} may do everything; make a login in {group}"
    return f"{role.value} as {user}" if member else f"!{name}: {user} is not in {group}: `grant {group} to {user}`"
