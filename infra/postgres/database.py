"""Transactions over a psycopg pool, fit for Supabase's transaction pooler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from psycopg import Connection, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from functions.errors import Unavailable
from infra.postgres.approvals import ApprovalsTable
from infra.postgres.connecting import readable
from infra.postgres.failures import FailuresTable
from infra.postgres.history import HistoryTable
from infra.postgres.invoices import InvoicesTable
from infra.postgres.jobs import JobsTable
from infra.postgres.ledger import LedgerTable
from infra.postgres.outbox import OutboxTable
from infra.postgres.payments import TopUpsTable
from infra.postgres.people import AuditTable, DeliveriesTable, PeopleTable
from infra.postgres.training_files import TrainingFilesTable


class PostgresTransaction:
    """The tables, over one connection inside one transaction."""

    def __init__(self, connection: Connection[DictRow], default_limit_cents: int) -> None:
        self.people = PeopleTable(connection)
        self.files = TrainingFilesTable(connection)
        self.jobs = JobsTable(connection)
        self.history = HistoryTable(connection)
        self.ledger = LedgerTable(connection)
        self.ledger.default_limit_cents = default_limit_cents
        self.outbox = OutboxTable(connection)
        self.top_ups = TopUpsTable(connection)
        self.invoices = InvoicesTable(connection)
        self.failures = FailuresTable(connection)
        self.deliveries = DeliveriesTable(connection)
        self.approvals = ApprovalsTable(connection)
        self.audit = AuditTable(connection)
        self._connection = connection

    def savepoint(self) -> AbstractContextManager[object]:
        """A part that may fail alone: where the block raises, what it did is undone and the rest stands."""
        return self._connection.transaction()


class PostgresDatabase:
    """Hands out transactions.

    `prepare_threshold=None`: the transaction pooler gives every transaction another server connection, so
    nothing may be prepared and no session state may be set.
    """

    def __init__(self, url: str, *, default_limit_cents: int, max_connections: int = 8) -> None:
        self._default_limit_cents = default_limit_cents
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            readable(url),
            min_size=1,
            max_size=max_connections,
            timeout=10,
            kwargs={"row_factory": dict_row, "prepare_threshold": None},
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """Begin; commits at the end of the block, rolls back where it raises.

        Raises:
            Unavailable: the database did not answer.
        """
        try:
            with self._pool.connection() as connection:
                yield PostgresTransaction(connection, self._default_limit_cents)
        except (OperationalError, PoolTimeout) as error:
            raise Unavailable("The database did not answer.", fix="Nothing was changed; try again.") from error

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
