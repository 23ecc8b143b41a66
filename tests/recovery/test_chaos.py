"""A short run of the chaos harness: a dozen faults over real jobs, then every invariant. `make chaos` has no end."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.recovery.harness import Plan, run_chaos

# One of each that matters, none that only makes waiting.
KINDS = (
    "bot killed", "http killed", "reconcile killed", "database killed", "database session killed",
    "trainer killed", "trainer killed in a save", "trainer terminated",
    "ingest answers lost", "ingest out of order", "slack says later", "slack drops after",
)  # fmt: skip


@pytest.mark.timeout(400)  # a minute as a rule; on a machine that is busy with others it takes longer
def test_a_dozen_faults_leave_no_trace() -> None:
    plan = Plan(faults=12, seed=20261121, training_files=3, pause=(0.2, 1.2), wait_for_state=2.0, kinds=KINDS)
    # Not in pytest's folder: Postgres runs as a user of its own, to whom another pytest closes it.
    with tempfile.TemporaryDirectory(prefix="brightrun-chaos-") as folder:
        report = run_chaos(plan, Path(folder))
    assert report.passed, report.text()
    assert len(report.trail) == plan.faults, report.text()
    assert report.jobs >= 3
