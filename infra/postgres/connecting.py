"""One connection, outside the pool: for migrations, backups and what the commands ask."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from functions.errors import InvalidInput, Unavailable


def readable(url: str) -> str:
    """The address as it is. psycopg would quote one that it cannot read, password and all.

    Raises:
        InvalidInput: it is no address of a Postgres.
    """
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise InvalidInput(
            "The database's address cannot be read.",
            fix="It should look like postgresql://user:password@host:5432/postgres, with %40 for an @ in the password.",
        ) from None
    return url


def connect(url: str, *, seconds: int = 10) -> psycopg.Connection[TupleRow]:
    """Connect; nothing is prepared, as a pooler would hand the prepared statement to somebody else.

    Raises:
        InvalidInput: it is no address of a Postgres.
        Unavailable: nobody answers there, or the login is refused.
    """
    try:
        return psycopg.connect(readable(url), connect_timeout=seconds, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise Unavailable(
            f"The database cannot be reached: {str(error).splitlines()[0]}.",
            fix="Check its address, user and password.",
        ) from error
