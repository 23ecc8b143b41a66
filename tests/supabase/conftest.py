"""A Supabase project's Storage, as far as this project uses it; and a database with one job in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from infra.supabase_files import CONTENT_TYPES, OTHER_TYPE, SupabaseFiles
from tests.logins import create_logins
from tests.scenario.stage import ClockAhead
from tests.serving import served
from tests.supabase.storage_server import SERVICE_KEY, Bucket, StorageServer

JOB = "00000000-0000-0000-0000-000000000001"
KINDS = [*CONTENT_TYPES.values(), OTHER_TYPE]


@dataclass
class Project:
    """A Supabase project with its buckets, and the adapter on it."""

    url: str
    server: StorageServer
    files: SupabaseFiles
    clock: ClockAhead


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of this test's own, over real HTTP."""
    clock = ClockAhead()
    buckets = {TRAINING_FILES: Bucket(1 << 20, KINDS), MODEL_ARTIFACTS: Bucket(2 << 20, KINDS)}
    server = StorageServer(tmp_path / "stored", buckets, clock=clock)
    with served(server.app()) as url:
        files = SupabaseFiles(url, SERVICE_KEY)
        yield Project(url, server, files, clock)
        files.close()


@pytest.fixture
def url_with_a_job(database_url: str) -> str:
    """A job in channel C1 that holds 5 cents, and a request that waits for a decision; a login for every group."""
    create_logins(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "insert into training_files (id, team_id, name, file_name, file_format, enrichment_status, storage_path,"
            " sequences_path, sequences_sha256, size_bytes, sha256, conversation_count, stats, created_by, created_at)"
            " values (%s, 'T', 'f', 'f', 'v4', 'completed', 'p', 'p', 's', 1, 's', 1, '{}', 'U1', now())",
            (JOB,),
        )
        connection.execute(
            "insert into training_jobs (id, team_id, training_file_id, request_key, name, preset, tier, base_model,"
            " configuration, estimate, rate_cents_per_hour, status, created_by, channel_id, created_at) values"
            " (%s, 'T', %s, 'k', 'job', 'p', 't', 'm', '{}', '{}', 100, 'queued', 'U1', 'C1', now())",
            (JOB, JOB),
        )
        connection.execute(
            "insert into ledger (team_id, job_id, kind, cents, at, entry_key)"
            " values ('T', %s, 'reserve', 5, now(), 'r')",
            (JOB,),
        )
        connection.execute(
            "insert into approval_requests (id, team_id, kind, state, requested_by, subject, digest, quoted, policy,"
            " channel_id, created_at, expires_at) values"
            " (%s, 'T', 'costly_start', 'pending', 'U1', '{}', 'd', '{}', '{}', 'C1', now(), now())",
            (JOB,),
        )
    return database_url
