"""A Supabase project's Storage, as far as this project uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from infra.supabase_files import CONTENT_TYPES, OTHER_TYPE, SupabaseFiles
from tests.scenario.stage import ClockAhead
from tests.serving import served
from tests.supabase.storage_server import SERVICE_KEY, Bucket, StorageServer

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
