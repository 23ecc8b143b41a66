"""What the month comes to, and the ways on where a run does not fit in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.review import CHECKLIST_ACTION
from blocks.units import money
from infra.postgres.database import PostgresDatabase
from tests.conftest import BUDGET_CENTS
from tests.scenario.stage import CHECKS, Stage, staged, words


@pytest.fixture
def stage(db: PostgresDatabase, tmp_path: Path, demo_file: Path) -> Iterator[Stage]:
    with staged(db, tmp_path) as stage:
        stage.add_demo_file(demo_file)
        yield stage


def test_the_review_says_what_the_month_comes_to_with_what_is_under_way(
    stage: Stage, demo_file: Path, tmp_path: Path
) -> None:
    review = stage.open_review(name="First")
    first = words(review)
    assert stage.elena.submit(review, {CHECKLIST_ACTION: CHECKS}) == {"ok": True}
    cents = stage.job().estimate.cents_high
    assert f"With this run, at most {money(cents)} of {money(BUDGET_CENTS)} this month (" in first
    path = tmp_path / "another.json"
    path.write_bytes(demo_file.read_bytes() + b" ")
    stage.add_demo_file(path)
    second = words(stage.open_review(name="Second"))
    assert f"With 1 active run and this one, at most {money(2 * cents)} of {money(BUDGET_CENTS)} this month (" in second
