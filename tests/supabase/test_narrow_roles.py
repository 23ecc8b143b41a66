"""What a process may write into the tables that it may write to: no more than its work."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.logins import url_as
from tests.supabase.conftest import JOB

BOT, FUNCTIONS, INGEST = "brightrun_bot", "brightrun_functions", "brightrun_ingest"
AUDIT: LiteralString = "insert into audit_log (team_id, at, actor, action, target) values ('T', now(), %s, %s, 'x')"
SAY: LiteralString = (
    "insert into outbox (team_id, job_id, channel_id, notice, data, not_before, message_key, created_at)"
    " values ('T', %s, %s, %s, '{}', now(), 'k', now())"
)
DECIDE: LiteralString = "update approval_requests set state = %s, decided_by = 'U0EVE' where team_id = 'T'"
POINT: LiteralString = (
    "insert into training_metrics_history (training_job_id, step, attempt, at) values (%s, 1, 0, now())"
)
NOTE: LiteralString = "insert into approval_events (request_id, at, actor, event) values (%s, now(), %s, %s)"


@pytest.mark.parametrize(
    ("group", "statement", "values"),
    [
        (INGEST, AUDIT, ("system", "job.completed")),
        (FUNCTIONS, AUDIT, ("system", "job.failed")),
        (BOT, AUDIT, ("U1", "approval.approved")),
        (INGEST, SAY, (JOB, "C1", "completed")),
        (FUNCTIONS, SAY, (None, "U1", "budget_alert")),
        (BOT, SAY, (None, "U1", "dispute_taken")),
        (FUNCTIONS, DECIDE, ("expired",)),
        (BOT, DECIDE, ("approved",)),
        (INGEST, NOTE, (JOB, "system", "launch_failed")),
        (INGEST, "update training_jobs set actual_cost_cents = 5", ()),
    ],
)
def test_what_is_a_process_s_work(
    url_with_a_job: str, group: str, statement: LiteralString, values: tuple[object, ...]
) -> None:
    with psycopg.connect(url_as(url_with_a_job, group)) as connection:
        assert connection.execute(statement, values).rowcount == 1


@pytest.mark.parametrize(
    ("group", "statement", "values"),
    [
        (INGEST, AUDIT, ("U0EVE", "job.completed")),
        (INGEST, AUDIT, ("system", "approval.approved")),
        (FUNCTIONS, AUDIT, ("U0EVE", "budget.limit")),
        (INGEST, SAY, (JOB, "C0ELSEWHERE", "completed")),
        (INGEST, SAY, (None, "C1", "budget_alert")),
        (INGEST, SAY, (JOB, "C1", "invoiced")),
        (FUNCTIONS, SAY, (None, "U1", "topped_up")),
        (FUNCTIONS, SAY, (None, "U1", "dispute_returned")),
        (FUNCTIONS, SAY, (JOB, "C1", "invoice_voided")),
        (FUNCTIONS, DECIDE, ("approved",)),
        (INGEST, NOTE, (JOB, "U0EVE", "launched")),
        (INGEST, NOTE, (JOB, "system", "approved")),
        (FUNCTIONS, NOTE, (JOB, "U0EVE", "approved")),
        (INGEST, "update training_jobs set client = 'x'", ()),
        (INGEST, "update training_jobs set rate_cents_per_hour = 0", ()),
        (INGEST, "update training_jobs set channel_id = 'C0ELSEWHERE'", ()),
        (INGEST, "update job_attempts set call_id = 'x'", ()),
        (INGEST, "update gpu_waits set reason = 'x'", ()),
        (FUNCTIONS, "update retry_suggestions set fix_key = 'x'", ()),
        (BOT, POINT, (JOB,)),  # it is no job that goes on from another one
        (BOT, "update invoices set cents = 1", ()),
        (BOT, "update top_ups set cents = 1", ()),
        (BOT, "update clients set team_id = 'x'", ()),
        (BOT, "update stripe_disputes set payment_id = 'x'", ()),
    ],
)
def test_what_is_not_a_process_s_work_is_refused(
    url_with_a_job: str, group: str, statement: LiteralString, values: tuple[object, ...]
) -> None:
    with psycopg.connect(url_as(url_with_a_job, group)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement, values)


def test_ingest_decides_no_request(url_with_a_job: str) -> None:
    with psycopg.connect(url_as(url_with_a_job, INGEST)) as connection:
        # What waits for a decision is not there for it to change.
        for state in ("approved", "launched", "launch_failed"):
            assert connection.execute(DECIDE, (state,)).rowcount == 0
