"""The month's money on real Postgres: rules, grace, prepaid money, forecasts, alerts, digests, and its invariants."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.audit import audit_view
from functions.budget import budget_status, reserve, settle
from functions.budget_rules import change_budget
from functions.budget_view import budget_view
from functions.budget_watch import watch_budgets
from functions.digest import BudgetLoop, daily
from functions.errors import Conflict, InvalidInput, NotAllowed, OverBudget, Unavailable
from functions.forecast import forecast, forecast_record
from functions.model.budget import AuditFilter, DayForecast
from functions.model.job import Job
from functions.model.money import BudgetRules, EntryKind, Period, month_start
from functions.model.outbox import Notice, OutboxMessage
from functions.model.people import Person, Role
from functions.model.views import QueueLimits
from functions.reconcile import Reconciler
from functions.roles import change_role, seed_managers
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from tests.scenario.house import ELENA, TEAM, SetClock, add_demo_file, job_of, say, start
from tests.scenario.paper import TRAINED, PaperCompute
from tests.scenario.past import finished_run

MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)
ADA = Person(team_id=TEAM, user_id="U0ADA", role=Role.ADMIN)
WHY = "Two more clients began this month; both have paid."


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def files(tmp_path: Path, clock: SetClock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", secret="s", base_url="http://localhost", clock=clock)


def set_rules(db: PostgresDatabase, **given: object) -> None:
    with db.transaction() as tx:
        tx.ledger.lock_limit(TEAM)
        tx.ledger.set_rules(TEAM, tx.ledger.rules(TEAM).model_copy(update=given))


def spend(db: PostgresDatabase, cents: int, at: datetime, kind: EntryKind = EntryKind.ADJUST) -> None:
    with db.transaction() as tx:
        tx.ledger.append(team_id=TEAM, job_id=None, kind=kind, cents=cents, at=at, key=uuid.uuid4().hex)


def told(db: PostgresDatabase, clock: SetClock) -> list[OutboxMessage]:
    """Every message of the team that waits, marked as sent."""
    found = []
    with db.transaction() as tx:
        while (message := tx.outbox.claim(clock())) is not None:
            tx.outbox.sent(message.id, ts="1.1", at=clock())
            if message.job_id is None:
                found.append(message)
    return found


def make_manager(db: PostgresDatabase) -> None:
    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U0MARCUS", Role.MANAGER)


def try_reserve(db: PostgresDatabase, job: Job, cents: int, clock: SetClock, **given: bool) -> int:
    with db.transaction() as tx:
        return reserve(tx, team_id=TEAM, job_id=job.id, cents=cents, now=clock(), **given)


@pytest.fixture
def job(db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock) -> Job:
    return start(db, files, add_demo_file(db, files, demo_file, clock), clock)


def test_the_grace_takes_an_approval_and_the_override_a_manager(
    db: PostgresDatabase, clock: SetClock, job: Job
) -> None:
    held = job.estimate.cents_high
    set_rules(db, limit_cents=held + 100, grace_percent=10)
    grace = (held + 100) * 10 // 100
    with pytest.raises(OverBudget, match=r"\$0\.01 too little"):
        try_reserve(db, job, 101, clock)
    with pytest.raises(OverBudget, match="too little even with the grace"):
        try_reserve(db, job, 101 + grace, clock, allow_grace=True)
    assert try_reserve(db, job, 100 + grace, clock, allow_grace=True) == grace
    with pytest.raises(OverBudget):
        try_reserve(db, job, 1, clock, allow_grace=True)
    assert try_reserve(db, job, 5000, clock, override=True) == grace + 5000
    set_rules(db, hard_stop=True)
    with pytest.raises(OverBudget) as refused:
        try_reserve(db, job, 1, clock, allow_grace=True, override=True)
    assert "Nothing may pass the limit here" in refused.value.fix


def test_a_rolling_period_forgets_after_thirty_days_and_a_month_at_its_end(
    db: PostgresDatabase, clock: SetClock
) -> None:
    spend(db, 300_00, datetime(2026, 10, 28, tzinfo=UTC))
    spend(db, 50_00, datetime(2026, 11, 1, tzinfo=UTC))
    with db.transaction() as tx:
        assert budget_status(tx, team_id=TEAM, now=clock()).spent_cents == 50_00
    set_rules(db, period=Period.ROLLING_30_DAYS)
    with db.transaction() as tx:
        assert budget_status(tx, team_id=TEAM, now=clock()).spent_cents == 350_00
        assert budget_status(tx, team_id=TEAM, now=datetime(2026, 11, 28, tzinfo=UTC)).spent_cents == 50_00


def test_prepaid_money_outlives_its_month_until_it_is_used(db: PostgresDatabase, clock: SetClock) -> None:
    spend(db, 200_00, datetime(2026, 9, 3, tzinfo=UTC), EntryKind.TOP_UP)
    spend(db, 550_00, datetime(2026, 9, 20, tzinfo=UTC))  # 50 of the 200 were needed
    spend(db, 100_00, datetime(2026, 10, 20, tzinfo=UTC))
    with db.transaction() as tx:
        september = budget_status(tx, team_id=TEAM, now=datetime(2026, 9, 10, tzinfo=UTC))
        assert (september.limit_cents, september.prepaid_cents) == (700_00, 200_00)
        november = budget_status(tx, team_id=TEAM, now=clock())
        assert (november.limit_cents, november.prepaid_cents) == (650_00, 150_00)
    # A limit that is raised now does not give back what September has used.
    rules = BudgetRules(limit_cents=900_00)
    change_budget(db, clock=clock, person=MARCUS, rules=rules, reason=WHY)
    with db.transaction() as tx:
        assert budget_status(tx, team_id=TEAM, now=clock()).limit_cents == 1050_00


def test_prepaid_money_is_kept_in_rolling_periods_as_well(db: PostgresDatabase, clock: SetClock) -> None:
    set_rules(db, period=Period.ROLLING_30_DAYS)
    paid_at = datetime(2026, 9, 3, tzinfo=UTC)
    spend(db, 500_00, paid_at, EntryKind.TOP_UP)

    def after(days: int) -> tuple[int, int, int]:
        with db.transaction() as tx:
            status = budget_status(tx, team_id=TEAM, now=paid_at + timedelta(days=days))
        return status.prepaid_cents, status.limit_cents, status.remaining_cents

    assert after(45) == (500_00, 1000_00, 1000_00)
    spend(db, 800_00, paid_at + timedelta(days=50))
    assert after(51) == (500_00, 1000_00, 200_00)
    spend(db, 100_00, paid_at + timedelta(days=60))
    assert after(61) == (500_00, 1000_00, 100_00)
    # The 800 count no more; what they and the 100 used of it is gone, but the 100 still count.
    assert after(81) == (200_00, 700_00, 600_00)
    assert after(120) == (100_00, 600_00, 600_00)


def test_a_level_is_told_once_in_thirty_rolling_days(db: PostgresDatabase, clock: SetClock) -> None:
    make_manager(db)
    set_rules(db, period=Period.ROLLING_30_DAYS)

    def watch() -> list[object]:
        for _ in range(2):
            watch_budgets(db, clock=clock)
        return [m.data["level"] for m in told(db, clock) if m.notice is Notice.BUDGET_ALERT]

    clock.now = datetime(2026, 11, 28, tzinfo=UTC)
    spend(db, 425_00, clock())
    assert watch() == [80]
    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert watch() == []
    spend(db, 60_00, clock())
    assert watch() == [95]
    clock.now = datetime(2027, 1, 10, tzinfo=UTC)
    assert watch() == []
    spend(db, 410_00, clock())
    assert watch() == [80]
    # What was paid in raises the limit, and does so ever less as it is used: that is no news.
    spend(db, 10_00, clock(), EntryKind.TOP_UP)
    clock.forward(days=1)
    assert watch() == []


def test_a_forecast_holds_what_runs_what_waits_and_the_pace(
    db: PostgresDatabase, clock: SetClock, job: Job, files: LocalFiles
) -> None:
    for day in range(1, 21):
        spend(db, 5_00, datetime(2026, 11, day, 12, tzinfo=UTC))
    with db.transaction() as tx:
        made = forecast(tx, team_id=TEAM, now=clock())
    assert (made.settled_cents, made.accrued_cents, made.active, made.running) == (100_00, 0, 1, 0)
    low, high = job.estimate.cents_low, job.estimate.cents_high
    assert (made.committed.best, made.committed.worst) == (100_00 + low, 100_00 + high)
    assert made.at_pace is not None
    # Five dollars a day for the nine and a half days that are left, give or take nothing: every day cost the same.
    assert made.at_pace.expected - made.committed.expected == pytest.approx(5_00 * 9.625, abs=1)
    assert made.at_pace.best <= made.at_pace.expected <= made.at_pace.worst

    Reconciler(db, files, PaperCompute(), clock=clock, secret="s", service_url="http://x", max_running=1).step()
    say(db, clock, job_of(db, job.id), *TRAINED[:1])
    clock.forward(minutes=30)
    with db.transaction() as tx:
        made = forecast(tx, team_id=TEAM, now=clock())
        view = budget_view(tx, person=MARCUS, now=clock())
    assert made.running == 1
    assert made.accrued_cents == job_of(db, job.id).cost_of(1800) > 0
    assert made.committed.best <= made.committed.expected <= made.committed.worst
    (line,) = view.jobs
    assert (line.cents, line.reserved_cents) == (made.accrued_cents, high)
    assert view.months[-1].cents == 100_00 + made.accrued_cents


def test_past_forecasts_are_held_against_what_their_months_cost(db: PostgresDatabase, clock: SetClock) -> None:
    spend(db, 100_00, datetime(2026, 10, 30, tzinfo=UTC))
    with db.transaction() as tx:
        assert forecast_record(tx, team_id=TEAM, now=clock()) is None
        for day, expected in ((5, 80_00), (25, 110_00)):
            made = DayForecast(
                day=datetime(2026, 10, day, tzinfo=UTC).date(),
                period=Period.CALENDAR_MONTH,
                spent_cents=0,
                best_cents=expected - 15_00,
                expected_cents=expected,
                worst_cents=expected + 15_00,
            )
            assert tx.ledger.keep_forecast(TEAM, made)
            assert not tx.ledger.keep_forecast(TEAM, made)
        record = forecast_record(tx, team_id=TEAM, now=clock())
    assert record is not None
    assert (record.forecasts, record.months, record.in_range) == (2, 1, 1)
    assert record.mean_error == pytest.approx(0.15)


def test_each_level_is_told_once_louder_the_higher_and_anew_after_a_new_limit(
    db: PostgresDatabase, clock: SetClock
) -> None:
    make_manager(db)
    set_rules(db, channel_id="C0MONEY")

    def watch() -> list[tuple[str, object]]:
        for _ in range(3):
            watch_budgets(db, clock=clock)
        return [(m.channel_id, m.data["level"]) for m in told(db, clock) if m.notice is Notice.BUDGET_ALERT]

    assert watch() == []
    spend(db, 399_99, clock())
    assert watch() == []
    spend(db, 1, clock())
    assert watch() == [("U0MARCUS", 80)]
    spend(db, 80_00, clock())
    assert watch() == [("U0MARCUS", 95), ("C0MONEY", 95)]
    spend(db, 25_00, clock())
    assert watch() == [("U0MARCUS", 100), ("C0MONEY", 100)]
    rules = BudgetRules(limit_cents=600_00, channel_id="C0MONEY", recipients=("U0FINANCE",))
    change_budget(db, clock=clock, person=MARCUS, rules=rules, reason=WHY)
    news = told(db, clock)
    assert [(m.notice, m.channel_id) for m in news] == [
        (Notice.BUDGET_CHANGED, "U0FINANCE"),
        (Notice.BUDGET_CHANGED, "C0MONEY"),
        (Notice.BUDGET_ALERT, "U0FINANCE"),
    ]
    assert news[2].data["level"] == 80
    assert watch() == []
    clock.now = datetime(2026, 12, 2, tzinfo=UTC)
    spend(db, 600_00, clock())
    assert watch() == [("U0FINANCE", 100), ("C0MONEY", 100)]


def test_a_run_that_will_pass_the_limit_is_told_before_it_does(db: PostgresDatabase, clock: SetClock, job: Job) -> None:
    make_manager(db)
    set_rules(db, limit_cents=job.estimate.cents_expected - 1)
    for _ in range(2):
        watch_budgets(db, clock=clock)
    (message,) = told(db, clock)
    assert message.notice is Notice.BUDGET_RISK


def test_a_day_is_told_once_and_a_quiet_one_not_at_all(
    db: PostgresDatabase, clock: SetClock, files: LocalFiles, demo_file: Path
) -> None:
    make_manager(db)
    set_rules(db)
    clock.now = datetime(2026, 11, 3, 5, 59, tzinfo=UTC)
    daily(db, clock=clock)
    with db.transaction() as tx:
        assert tx.ledger.forecasts(TEAM, clock().date(), datetime(2026, 12, 1, tzinfo=UTC).date()) == []
    clock.forward(minutes=1)
    daily(db, clock=clock)
    assert told(db, clock) == []
    with db.transaction() as tx:
        assert len(tx.ledger.forecasts(TEAM, clock().date(), datetime(2026, 12, 1, tzinfo=UTC).date())) == 1
    finished_run(db, files, add_demo_file(db, files, demo_file, clock), clock, name="Done", faster=1)
    start(db, files, add_demo_file(db, files, demo_file, clock), clock, name="Under way")
    clock.now = datetime(2026, 11, 4, 7, 0, tzinfo=UTC)
    loop = BudgetLoop(db, clock=clock)
    for _ in range(3):
        daily(db, clock=clock)
        loop.step()
    (digest,) = told(db, clock)
    assert (digest.notice, digest.channel_id) == (Notice.BUDGET_DIGEST, "U0MARCUS")
    assert (digest.data["names"], digest.data["active"]) == ("Under way", 1)
    assert int(str(digest.data["yesterday_cents"])) > 0
    set_rules(db, daily_digest=False, channel_id="C0MONEY")
    clock.now = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)
    for _ in range(2):
        daily(db, clock=clock)
    months = told(db, clock)
    assert [(m.notice, m.channel_id) for m in months] == [
        (Notice.BUDGET_MONTH, "U0MARCUS"),
        (Notice.BUDGET_MONTH, "C0MONEY"),
    ]
    assert months[0].data["last_month"] == "November 2026"


def test_rules_are_changed_by_managers_with_a_reason_and_written_down(
    db: PostgresDatabase, clock: SetClock, database_url: str
) -> None:
    rules = BudgetRules(limit_cents=600_00)
    with pytest.raises(NotAllowed):
        change_budget(db, clock=clock, person=ELENA, rules=rules, reason=WHY)
    for wrong, field in (
        ({"limit_cents": -1}, "limit"),
        ({"limit_cents": 10**14}, "limit"),
        ({"grace_percent": 101}, "grace"),
        ({"recipients": ("U",) * 21}, "recipients"),
    ):
        with pytest.raises(InvalidInput) as refused:
            change_budget(db, clock=clock, person=MARCUS, rules=rules.model_copy(update=wrong), reason=WHY)
        assert refused.value.field == field
    with pytest.raises(InvalidInput, match="needs a reason"):
        change_budget(db, clock=clock, person=MARCUS, rules=rules, reason="  because  ")
    assert change_budget(db, clock=clock, person=MARCUS, rules=rules, reason=WHY) == ("limit_cents",)
    assert change_budget(db, clock=clock, person=MARCUS, rules=rules, reason="") == ()
    grace = rules.model_copy(update={"grace_percent": 0})
    assert change_budget(db, clock=clock, person=MARCUS, rules=grace, reason="") == ("grace_percent",)
    with db.transaction() as tx:
        (change,) = tx.ledger.limit_changes(TEAM)
        assert (change.before_cents, change.limit_cents, change.reason) == (500_00, 600_00, WHY)
        view = audit_view(tx, person=MARCUS, chosen=AuditFilter(area="budget"), now=clock())
        assert [entry.action for entry in view.entries] == ["budget.grace_changed", "budget.limit_changed"]
        with pytest.raises(NotAllowed):
            audit_view(tx, person=ELENA, chosen=AuditFilter(), now=clock())
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from budget_limits")


def test_roles_change_one_at_a_time_and_never_so_that_nobody_could(db: PostgresDatabase, clock: SetClock) -> None:
    def change(person: Person, user_id: str, role: Role) -> Role:
        return change_role(db, clock=clock, person=person, user_id=user_id, role=role, default_role=Role.MEMBER)

    with db.transaction() as tx:
        tx.people.set_role(TEAM, "U0ADA", Role.ADMIN)
        tx.people.set_role(TEAM, "U0MARCUS", Role.MANAGER)
    with pytest.raises(NotAllowed, match="may not change roles"):
        change(MARCUS, "U0MARCUS", Role.ADMIN)
    with pytest.raises(NotAllowed):  # what the person was on the click does not count
        change(MARCUS.model_copy(update={"role": Role.ADMIN}), "U0MARCUS", Role.ADMIN)
    with pytest.raises(Conflict, match="last admin"):
        change(ADA, "U0ADA", Role.MEMBER)
    assert change(ADA, "U0ELENA", Role.ADMIN) is Role.MEMBER
    both = [(ADA, "U0ADA"), (ADA.model_copy(update={"user_id": "U0ELENA"}), "U0ELENA")]

    def step_down(who: tuple[Person, str]) -> bool:
        try:
            change(who[0], who[1], Role.MEMBER)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(step_down, both)) == [False, True]
    with db.transaction() as tx:
        assert list(tx.people.roles(TEAM).values()).count(Role.ADMIN) == 1
        # What an admin did in Slack stays, whatever the settings or a user group say at the next start.
        tx.people.seed_role(TEAM, "U0ELENA", Role.VIEWER)
        seed_managers(tx, team_id=TEAM, members=["U0PRIYA", "U0ELENA", "U0ADA", "U0MARCUS"])
        roles = tx.people.roles(TEAM)
    assert roles["U0PRIYA"] is Role.MANAGER
    assert roles["U0ELENA"] in (Role.ADMIN, Role.MEMBER)


def test_of_two_hundred_starts_at_once_ten_start_where_there_is_money_for_ten(
    files: LocalFiles, demo_file: Path, clock: SetClock, database_url: str
) -> None:
    db = PostgresDatabase(database_url, default_limit_cents=10_000_00, max_connections=20)
    file = add_demo_file(db, files, demo_file, clock)
    twins = [
        file.model_copy(update={"id": uuid.uuid4(), "sha256": f"{number:064x}", "name": f"Twin {number}"})
        for number in range(200)
    ]
    with db.transaction() as tx:
        for twin in twins:
            tx.files.add(twin)
    price = start(db, files, file, clock, name="Price").estimate.cents_high
    set_rules(db, limit_cents=price * 11 + price - 1, hard_stop=True)

    def attempt(number: int) -> bool:
        while True:
            try:
                start(db, files, twins[number], clock, name=f"Run {number}", limits=QueueLimits(waiting=1000))
            except OverBudget:
                return False
            except Unavailable:  # a slow machine: no connection came free in time, and nothing was changed
                continue
            return True

    with ThreadPoolExecutor(200) as pool:
        assert sum(pool.map(attempt, range(200))) == 10
    with db.transaction() as tx:
        assert tx.ledger.sums(TEAM, month_start(clock())) == (0, price * 11)
        assert tx.jobs.count(TEAM) == 11
    db.close()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 2), st.integers(0, 400_00)),
        st.tuples(st.just("settle"), st.integers(0, 2), st.integers(0, 400_00)),
        st.tuples(st.just("settle again"), st.integers(0, 2), st.integers(0, 0)),
        st.tuples(st.just("release"), st.integers(0, 2), st.integers(1, 400_00)),
        st.tuples(st.just("top up"), st.integers(0, 0), st.integers(0, 100_00)),
        st.tuples(st.just("adjust"), st.integers(0, 0), st.integers(-50_00, 50_00)),
        st.tuples(st.just("days"), st.integers(0, 0), st.integers(1, 40)),
    ),
    max_size=25,
)


@pytest.fixture
def three_jobs(db: PostgresDatabase, files: LocalFiles, demo_file: Path, clock: SetClock, tmp_path: Path) -> list[Job]:
    jobs = []
    for number in range(3):
        path = tmp_path / f"{number}.json"
        path.write_bytes(demo_file.read_bytes() + b" " * number)
        file = add_demo_file(db, files, path, clock)
        jobs.append(start(db, files, file, clock, name=f"Job {number}", limits=QueueLimits(waiting=9)))
    return jobs


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_happens_to_the_ledger_its_sums_agree(
    db: PostgresDatabase, three_jobs: list[Job], steps: list[tuple[str, int, int]]
) -> None:
    ledger = Ledger(db, three_jobs)
    for what, index, cents in steps:
        ledger.do(what, index, cents)
        ledger.check()
    for index in range(len(three_jobs)):  # nothing stays reserved for the next example
        ledger.do("settle", index, 0)


class Ledger:
    """The verbs over the ledger of a team of its own, for jobs that are borrowed from another, beside a plain model."""

    def __init__(self, db: PostgresDatabase, jobs: list[Job]) -> None:
        self._db = db
        self._team = f"T{uuid.uuid4().hex[:10].upper()}"
        self._clock = SetClock()
        self._jobs = jobs
        self._paid = self._billed = self._held = 0
        with db.transaction() as tx:  # earlier examples used the same jobs
            for job in jobs:
                settle(tx, job=job, now=self._clock())
            booked = [tx.ledger.booked_for(job.id) for job in jobs]
        self._reserved = [item.reserved_cents for item in booked]
        self._spent = [item.settled_cents for item in booked]

    def do(self, what: str, index: int, cents: int) -> None:
        """One step, here and in the model."""
        if what == "reserve":
            self._reserve(index, cents)
        elif what == "settle":
            self._settle(index, cents)
        elif what == "settle again":
            self._settle(index, self._spent[index])
        elif what == "release":
            self._release(index, cents)
        elif what == "top up":
            self._append(EntryKind.TOP_UP, cents)
            self._paid += cents
        elif what == "adjust":
            self._append(EntryKind.ADJUST, cents)
            self._billed += cents
        else:
            self._clock.forward(days=cents)

    def check(self) -> None:
        """What the ledger says is what the model says, however it is asked; nothing reserved falls below nothing."""
        assert min(self._reserved) >= 0
        assert sum(self._reserved) == self._held
        everything, now = datetime(2020, 1, 1, tzinfo=UTC), self._clock()
        with self._db.transaction() as tx:
            booked = [tx.ledger.booked_for(job.id) for job in self._jobs]
            assert [item.reserved_cents for item in booked] == self._reserved
            assert [item.settled_cents for item in booked] == self._spent
            assert tx.ledger.sums(self._team, everything) == (self._billed, self._held)
            assert sum(c for _, c in tx.ledger.months(self._team, everything)) == self._billed
            assert sum(c for _, c in tx.ledger.daily(self._team, everything, now + timedelta(days=1))) == self._billed
            assert sum(c for _, c in tx.ledger.top_ups(self._team)) == self._paid
            status = budget_status(tx, team_id=self._team, now=now)
        assert 0 <= status.prepaid_cents <= self._paid
        assert status.reserved_cents == self._held
        assert status.remaining_cents == max(0, status.limit_cents - status.spent_cents - self._held)

    def _reserve(self, index: int, cents: int) -> None:
        now, job_id = self._clock(), self._jobs[index].id
        with self._db.transaction() as tx:
            left = budget_status(tx, team_id=self._team, now=now).remaining_cents
            try:
                reserve(tx, team_id=self._team, job_id=job_id, cents=cents, now=now)
            except OverBudget:
                assert cents > left
                return
        assert cents <= left
        self._reserved[index] += cents
        self._held += cents

    def _settle(self, index: int, cents: int) -> None:
        """To a total cost of so many cents, told twice: the second time changes nothing."""
        given = {"team_id": self._team, "actual_cost_cents": cents}
        with self._db.transaction() as tx:
            for _ in range(2):
                settle(tx, job=self._jobs[index].model_copy(update=given), now=self._clock())
        due = max(0, cents - self._spent[index])
        self._held -= self._reserved[index]
        self._reserved[index] = 0
        self._spent[index] += due
        self._billed += due

    def _release(self, index: int, cents: int) -> None:
        """What no verb would do: the database refuses to release more than is reserved."""
        try:
            self._append(EntryKind.RELEASE, -cents, self._jobs[index])
        except psycopg.errors.CheckViolation:
            assert cents > self._reserved[index]
            return
        self._reserved[index] -= cents
        self._held -= cents

    def _append(self, kind: EntryKind, cents: int, job: Job | None = None) -> None:
        key, job_id = uuid.uuid4().hex, job.id if job else None
        with self._db.transaction() as tx:
            tx.ledger.append(team_id=self._team, job_id=job_id, kind=kind, cents=cents, at=self._clock(), key=key)
