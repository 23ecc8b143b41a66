"""CSV for accounting: it reads back as it was, and no spreadsheet runs any of it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from functions.model.budget import AuditEntry
from reports.budget_figure import budget_figure
from reports.exports import audit_csv, budget_csv, cell
from tests.unit.test_blocks_budget import NASTY, NOW, job, view


def read(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@given(st.text(max_size=60))
def test_no_cell_is_a_formula_and_nothing_else_is_changed(text: str) -> None:
    shown = cell(text)
    assert not shown.lstrip(" \u00a0\ufeff").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown.removeprefix("'").endswith(text.replace("\x00", "").removeprefix("'"))


def test_the_budget_reads_back() -> None:
    made = view().model_copy(update={"jobs": (job(1, "=1+1", 87_50), job(2, 'a "quoted", name\nof two lines', 5))})
    head, first, second = read(budget_csv(made))
    assert head[:4] == ["Run", "Status", "Cost USD", "Share of limit %"]
    assert first[:5] == ["'=1+1", "completed", "87.50", "17.5", "0.00"]
    assert second[0] == 'a "quoted", name\nof two lines'
    assert second[2] == "0.05"


def test_the_audit_log_reads_back() -> None:
    entry = AuditEntry(id=1, at=datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC), actor="U1", action="budget.override",
                       target="-x", detail={"why": "=cmd()", "over_cents": 5})  # fmt: skip
    _, row = read(audit_csv([entry]))
    assert row == ["2026-11-03 04:05:06", "U1", "budget.override", "'-x", '{"over_cents": 5, "why": "=cmd()"}']


def test_the_figure_is_drawn_whatever_the_numbers_are() -> None:
    odd = view(name=NASTY)
    nothing = odd.status.model_copy(update={"limit_cents": 0, "spent_cents": 0})
    for made in (odd, odd.model_copy(update={"status": nothing, "daily": ()}), view(now=NOW.replace(day=30))):
        assert budget_figure(made).startswith(b"\x89PNG")
