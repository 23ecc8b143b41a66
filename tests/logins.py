"""Logins with no more rights than a process needs, as an installation on Supabase has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infra.postgres.database import PostgresDatabase

GROUPS = ("brightrun_bot", "brightrun_functions", "brightrun_ingest")
# `BRIGHTRUN_TEST_ROLES=1`: what is staged runs with these logins, not as the owner.
WANTED = os.environ.get("BRIGHTRUN_TEST_ROLES", "") not in ("", "0")


class Logins(NamedTuple):
    """The same database as each process reaches it."""

    bot: PostgresDatabase
    functions: PostgresDatabase
    ingest: PostgresDatabase


def login_name(group: str) -> str:
    """The test's login in a group."""
    return f"{group}_login"


def create_logins(url: str) -> None:
    """A login in every group; they belong to the server and are there for all of its databases."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for group in GROUPS:
            name = sql.Identifier(login_name(group))
            try:
                connection.execute(sql.SQL("create role {} login in role {}").format(name, sql.Identifier(group)))
            except psycopg.errors.DuplicateObject:
                continue


def url_as(url: str, group: str) -> str:
    """The address of the same database for the login of a group."""
    return make_conninfo("", **(conninfo_to_dict(url) | {"user": login_name(group)}))


@contextmanager
def logged_in(db: PostgresDatabase, *, limit_cents: int) -> Iterator[Logins]:
    """The database of a test through the three logins."""
    url = db._pool.conninfo
    assert isinstance(url, str)
    create_logins(url)
    opened = [
        PostgresDatabase(url_as(url, group), default_limit_cents=limit_cents, max_connections=6) for group in GROUPS
    ]
    try:
        yield Logins(*opened)
    finally:
        for each in opened:
            each.close()
