"""A unit of work over all tables."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from functions.ports.jobs import Failures, History, Jobs, TrainingFiles
from functions.ports.messages import Approvals, Outbox
from functions.ports.money import Invoices, Ledger, TopUps
from functions.ports.people import Audit, Deliveries, People


class Transaction(Protocol):
    """A unit of work: all of it happens, or none."""

    @property
    def people(self) -> People: ...
    @property
    def files(self) -> TrainingFiles: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def history(self) -> History: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def top_ups(self) -> TopUps: ...
    @property
    def invoices(self) -> Invoices: ...
    @property
    def failures(self) -> Failures: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def audit(self) -> Audit: ...

    def savepoint(self) -> AbstractContextManager[object]:
        """A part that may fail alone: where the block raises, what it did is undone and the rest stands."""
        ...


class Database(Protocol):
    """Hands out transactions."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin; commits at the end of the block, rolls back where it raises."""
        ...
