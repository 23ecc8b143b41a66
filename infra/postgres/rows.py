"""The little that every table module shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import Connection, Cursor
from psycopg.rows import DictRow

Row = dict[str, Any]


class Table:
    """A set of statements over one connection, inside the transaction that its owner opened."""

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def _run(self, sql: LiteralString, *values: object) -> Cursor[DictRow]:
        return self._connection.execute(sql, values)

    def _one(self, sql: LiteralString, *values: object) -> Row | None:
        return self._run(sql, *values).fetchone()

    def _all(self, sql: LiteralString, *values: object) -> Sequence[Row]:
        return self._run(sql, *values).fetchall()

    def _value(self, sql: LiteralString, *values: object) -> Any:
        row = self._one(sql, *values)
        return None if row is None else next(iter(row.values()))
