"""Tables as CSV for accounting: UTF-8, one header, amounts as plain numbers, and nothing that a sheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from functions.model.budget import AuditEntry, BudgetView, JobCost

# What makes Excel, LibreOffice or Google Sheets read a cell as a formula (OWASP, CSV injection).
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # fmt: skip
_BUDGET = (
    "Run", "Status", "Cost USD", "Share of limit %", "Reserved USD", "Asked by", "Client", "Project", "Preset",
    "Machine", "Created (UTC)", "Ended (UTC)", "Run id",
)  # fmt: skip
_AUDIT = ("Time (UTC)", "Person", "Action", "On", "Details")


def budget_csv(view: BudgetView) -> bytes:
    """The period's runs, the dearest first."""
    return _csv(_BUDGET, (_job(job, view.status.limit_cents) for job in view.jobs))


def audit_csv(entries: Sequence[AuditEntry]) -> bytes:
    """Entries of the audit log, in the order given."""
    return _csv(_AUDIT, (_entry(entry) for entry in entries))


def cell(text: str) -> str:
    """A text that a spreadsheet shows as it is: what would be a formula gets an apostrophe before it."""
    clean = text.replace("\x00", "")
    return f"'{clean}" if clean.lstrip(" \u00a0\ufeff").startswith(_RUNS) or clean.startswith(_RUNS) else clean


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows(rows)
    # Excel takes a file without the mark for one in the machine's old code page.
    return buffer.getvalue().encode("utf-8-sig")


def _job(job: JobCost, limit_cents: int) -> Sequence[str]:
    share = f"{job.cents * 100 / limit_cents:.1f}" if limit_cents > 0 else ""
    texts = (job.created_by, job.client, job.project, job.preset, job.tier)
    return (
        cell(job.name),
        job.state.value,
        _dollars(job.cents),
        share,
        _dollars(job.reserved_cents),
        *(cell(text) for text in texts),
        _time(job.created_at),
        _time(job.ended_at) if job.ended_at else "",
        str(job.job_id),
    )


def _entry(entry: AuditEntry) -> Sequence[str]:
    detail = json.dumps(entry.detail, ensure_ascii=False, sort_keys=True)
    return (_time(entry.at), cell(entry.actor), cell(entry.action), cell(entry.target), cell(detail))


def _dollars(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
