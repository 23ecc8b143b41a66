"""What the verbs need from the outside, as Protocols. Adapters in `infra` are handed in."""

from __future__ import annotations

from functions.ports.jobs import Failures, History, Jobs, TrainingFiles
from functions.ports.messages import Approvals, Outbox
from functions.ports.money import Invoices, Ledger, TopUps
from functions.ports.outside import (
    MODEL_ARTIFACTS,
    TRAINING_FILES,
    CallState,
    Clock,
    Compute,
    Files,
    Payments,
    Pictures,
    TokenCounter,
)
from functions.ports.people import Audit, Deliveries, People
from functions.ports.transaction import Database, Transaction

__all__ = [
    "MODEL_ARTIFACTS",
    "TRAINING_FILES",
    "Approvals",
    "Audit",
    "CallState",
    "Clock",
    "Compute",
    "Database",
    "Deliveries",
    "Failures",
    "Files",
    "History",
    "Invoices",
    "Jobs",
    "Ledger",
    "Outbox",
    "Payments",
    "People",
    "Pictures",
    "TokenCounter",
    "TopUps",
    "TrainingFiles",
    "Transaction",
]
