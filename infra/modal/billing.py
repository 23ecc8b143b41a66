"""What Modal says that the app's GPUs cost, beside what was charged to the team's budget by the rate card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

import modal
from modal import exception as modal_errors

from functions import catalog
from functions.errors import InvalidInput, Unavailable
from functions.model.money import dollars
from infra.modal.names import Names
from infra.postgres.connecting import connect

# Prices are noted by hand, and a container costs something before its first word and after its last.
TOLERANCE = Decimal("0.05")


class Verdict(StrEnum):
    """How the two bills stand to each other."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NO_REPORT = "no report"


@dataclass(frozen=True)
class BillComparison:
    """One period, whole days in UTC, `end` not included. Cents; Modal's are None where there is no report.

    `modal_gpu_cents` is the part that jobs cause; `modal_cents` has the service's own CPUs in it as well.
    """

    start: datetime
    end: datetime
    charged_cents: int
    modal_cents: int | None
    modal_gpu_cents: int | None
    verdict: Verdict
    detail: str

    @property
    def difference_cents(self) -> int | None:
        """What Modal bills for GPUs beyond what was charged; negative where more was charged."""
        return None if self.modal_gpu_cents is None else self.modal_gpu_cents - self.charged_cents


def compare_bills(
    names: Names, database_url: str, *, start: datetime, end: datetime, client: modal.Client | None = None
) -> BillComparison:
    """Compare a period.

    Raises:
        InvalidInput: the period is not in UTC or does not end after it starts.
        Unavailable: Modal or the database cannot be reached.
    """
    if start.utcoffset() != end.utcoffset() or start.tzinfo is not UTC or end <= start:
        raise InvalidInput("The period must be in UTC and end after it starts.")
    charged = _charged_cents(database_url, start, end)
    try:
        report = modal.Workspace.from_context(client=client).billing.report(start=start, end=end, resolution="d")
    except (modal_errors.PermissionDeniedError, modal_errors.UnimplementedError, modal_errors.InvalidError) as error:
        detail = f"This Modal plan has no billing report ({error}); what was charged rests on the rate card alone."
        return BillComparison(start, end, charged, None, None, Verdict.NO_REPORT, detail)
    except (modal_errors.Error, ConnectionError) as error:
        raise Unavailable("Modal's bill cannot be read.", where=str(error)[:200], fix="Try again.") from error
    items = [item for item in report if item.description == names.app]
    total = sum((item.cost for item in items), Decimal())
    gpu = sum((cost for item in items for name, cost in item.cost_by_resource.items() if _is_gpu(name)), Decimal())
    return _judge(start, end, charged, total_cents=_cents(total), gpu_cents=_cents(gpu))


def _judge(start: datetime, end: datetime, charged: int, *, total_cents: int, gpu_cents: int) -> BillComparison:
    apart = abs(gpu_cents - charged)
    agrees = apart <= 1 or apart <= TOLERANCE * max(gpu_cents, charged)
    detail = f"Modal bills {dollars(gpu_cents)} for GPUs, {dollars(charged)} was charged."
    if not agrees:
        detail += " Compare functions/data/rates.json with Modal's price list."
    verdict = Verdict.AGREES if agrees else Verdict.DIFFERS
    return BillComparison(start, end, charged, total_cents, gpu_cents, verdict, detail)


def _charged_cents(database_url: str, start: datetime, end: datetime) -> int:
    """What jobs on Modal's tiers were settled at in the period."""
    tiers = [tier.key for tier in catalog.tiers_of("modal")]
    with connect(database_url) as connection:
        row = connection.execute(
            "select coalesce(sum(l.cents), 0)::bigint from ledger l join training_jobs j on j.id = l.job_id"
            " where l.kind = 'settle' and j.tier = any(%s) and l.at >= %s and l.at < %s",
            (tiers, start, end),
        ).fetchone()
    return int(row[0]) if row else 0


def _is_gpu(resource: str) -> bool:
    name = resource.lower()
    return "cpu" not in name and "memory" not in name and "disk" not in name


def _cents(cost: Decimal) -> int:
    return int((cost * 100).to_integral_value())
