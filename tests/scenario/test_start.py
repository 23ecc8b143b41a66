"""Starting a run: the money, the refusals, and many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from functions.errors import InvalidInput, NotAllowed, NotEligible, OverBudget
from functions.model.job import JobChoice
from functions.model.states import JobState
from functions.model.views import QueueLimits
from functions.start import start_job
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import CHANNEL, LIMITS, TEAM, VIC, SetClock, add_demo_file, job_of, start


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def files(tmp_path: Path, clock: SetClock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=clock)


def reserved(db: PostgresDatabase, clock: SetClock) -> int:
    with db.transaction() as tx:
        return tx.ledger.sums(TEAM, clock().replace(day=1))[1]


def audit(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select action from audit_log order by id").fetchall()]


def test_a_start_queues_reserves_records_and_tells(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, database_url: str
) -> None:
    file = add_demo_file(db, files, demo_file, clock)
    job = start(db, files, file, clock, name="First run", tags=("poc",))
    assert job.state is JobState.QUEUED
    assert reserved(db, clock) == job.estimate.cents_high > 0
    with db.transaction() as tx:
        message = tx.outbox.claim(clock())
        assert message is not None
        assert message.notice == "card"
        assert tx.jobs.tags(TEAM) == ["poc"]
    assert audit(database_url) == ["training_file.added", "job.started"]


def test_the_same_request_twice_makes_one_job(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    file = add_demo_file(db, files, demo_file, clock)
    first = start(db, files, file, clock, key="once")
    assert start(db, files, file, clock, key="once").id == first.id
    assert reserved(db, clock) == first.estimate.cents_high


def test_what_is_refused_and_what_it_says(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, database_url: str
) -> None:
    file = add_demo_file(db, files, demo_file, clock)
    with pytest.raises(InvalidInput, match="3 to 100 characters; this one has 101"):
        start(db, files, file, clock, name="n" * 101)
    with pytest.raises(InvalidInput, match="At most 10 tags"):
        start(db, files, file, clock, tags=tuple(f"tag-{n}" for n in range(11)))
    with pytest.raises(InvalidInput, match="not offered"):
        start(db, files, file, clock, tier="modal-h100-on-demand")
    with pytest.raises(NotAllowed, match="viewer"):
        start_job(
            db,
            files,
            clock=clock,
            provider="local",
            person=VIC,
            choice=JobChoice(training_file_id=file.id, name="Not mine"),
            request_key="v",
            channel_id=CHANNEL,
            limits=LIMITS,
        )
    start(db, files, file, clock, name="Running")
    with pytest.raises(NotEligible, match="Running"):
        start(db, files, file, clock, name="Another on the same file")
    assert audit(database_url).count("job.start_refused") == 5
    assert (
        reserved(db, clock) == job_of(db, start(db, files, file, clock, name="x", key="Running").id).estimate.cents_high
    )


def test_a_name_is_taken_once_whatever_its_case(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, tmp_path: Path
) -> None:
    start(db, files, add_demo_file(db, files, demo_file, clock), clock, name="Nell v1")
    other = tmp_path / "other.json"
    other.write_bytes(demo_file.read_bytes() + b"\n")
    with pytest.raises(InvalidInput, match="exists already"):
        start(db, files, add_demo_file(db, files, other, clock), clock, name="NELL V1")


def test_a_name_with_slashes_emoji_and_line_breaks_is_kept_on_one_line(
    db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock
) -> None:
    file = add_demo_file(db, files, demo_file, clock)
    assert start(db, files, file, clock, key="k", name="  ../../etc/\n🎉 run\x00 ").name == "../../etc/ 🎉 run"


def test_over_budget_says_how_much_is_missing(
    files: LocalFiles, demo_file: Path, clock: SetClock, database_url: str
) -> None:
    poor = PostgresDatabase(database_url, default_limit_cents=1)
    file = add_demo_file(poor, files, demo_file, clock)
    with pytest.raises(OverBudget, match=r"\$0\.01 of \$0\.01 is left this month") as refused:
        start(poor, files, file, clock)
    assert refused.value.needed_cents > refused.value.remaining_cents == 1
    poor.close()


def test_simultaneous_starts_never_spend_more_than_there_is(
    files: LocalFiles, demo_file: Path, clock: SetClock, database_url: str, tmp_path: Path
) -> None:
    rich = PostgresDatabase(database_url, default_limit_cents=10_000_00, max_connections=12)
    variants = []
    for number in range(12):
        path = tmp_path / f"{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        variants.append(add_demo_file(rich, files, path, clock))
    price = start(rich, files, variants[0], clock, name="Price").estimate.cents_high
    with rich.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
    with psycopg.connect(database_url) as connection:
        connection.execute("update budgets set monthly_limit_cents = %s", (price * 5,))

    def attempt(number: int) -> bool:
        try:
            start(rich, files, variants[number], clock, name=f"Run {number}", limits=QueueLimits(waiting=20))
        except OverBudget:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        started = sum(pool.map(attempt, range(1, 12)))
    assert started == 4
    assert reserved(rich, clock) == price * 5
    rich.close()
