"""What `brightrun doctor` and the settings say of a Supabase project."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from functions.deliver import MAX_ARTIFACT_BYTES
from functions.errors import InvalidInput
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from functions.training_files import MAX_BYTES
from infra.doctor import Finding, examine
from infra.local_files import LocalFiles
from infra.settings import DatabaseRole, Settings
from infra.supabase_files import SupabaseFiles
from infra.wiring import build_files, build_parts
from tests.logins import create_logins, login_name, url_as
from tests.supabase.conftest import Project
from tests.supabase.storage_server import SERVICE_KEY, out_of_order


def settings(folder: Path, **given: object) -> Settings:
    """Settings of a test, whatever stands in the environment."""
    return Settings(_env_file=None, data_dir=folder, **given)  # type: ignore[arg-type]


def found(name: str, configured: Settings) -> Finding:
    """What the doctor says of one thing."""
    return next(finding for finding in examine(configured) if finding.name == name)


def logins(url: str) -> dict[str, SecretStr]:
    """A login for each process."""
    create_logins(url)
    return {
        f"{name}_database_url": SecretStr(url_as(url, f"brightrun_{name}")) for name in ("bot", "functions", "ingest")
    }


def test_a_database_with_a_login_for_each_process(database_url: str, tmp_path: Path) -> None:
    verdict = found("Database", settings(tmp_path, database_url=SecretStr(database_url), **logins(database_url)))
    assert not verdict.broken, verdict
    for word in ("as postgres, directly", "bot as brightrun_bot_login", "ingest as brightrun_ingest_login"):
        assert word in verdict.detail
    plain = found("Database", settings(tmp_path, database_url=SecretStr(database_url)))
    assert "every process connects as the owner" in plain.detail


def test_a_pooler_is_recognised(pooled_database_url: str, tmp_path: Path) -> None:
    verdict = found("Database", settings(tmp_path, database_url=SecretStr(pooled_database_url)))
    assert "through a pooler, so nothing is prepared" in verdict.detail


def test_what_is_wrong_with_a_database_is_said_without_its_password(
    database_url: str, bare_database_url: str, tmp_path: Path
) -> None:
    behind = found("Database", settings(tmp_path, database_url=SecretStr(bare_database_url)))
    assert behind.broken
    assert "migrations are missing: `brightrun migrate`" in behind.detail

    swapped = logins(database_url) | {"ingest_database_url": SecretStr(url_as(database_url, "brightrun_bot"))}
    verdict = found("Database", settings(tmp_path, database_url=SecretStr(database_url), **swapped))
    assert verdict.broken
    assert f"grant brightrun_ingest to {login_name('brightrun_bot')}" in verdict.detail

    almighty = make_conninfo("", **(conninfo_to_dict(database_url) | {"application_name": "other"}))
    verdict = found("Database", settings(tmp_path, database_url=SecretStr(database_url), bot_database_url=almighty))
    assert "BRIGHTRUN_BOT_DATABASE_URL: postgres may do everything" in verdict.detail

    useless = {
        "postgres//nobody:s3cret@127.0.0.1/x": "address cannot be read. It should look like postgresql://",
        "postgresql://nobody:s3cret@127.0.0.1:9/x": "The database cannot be reached: ",
    }
    for address, says in useless.items():
        for given in ({"database_url": address}, {"database_url": database_url, "bot_database_url": address}):
            verdict = found("Database", settings(tmp_path, **given))
            assert verdict.broken
            assert says in verdict.detail
            assert "s3cret" not in verdict.detail


def test_storage_as_it_should_be_and_as_it_should_not(project: Project, tmp_path: Path) -> None:
    configured = settings(tmp_path, supabase_url=project.url, supabase_service_key=SecretStr(SERVICE_KEY))
    small = found("Storage", configured)
    assert small.broken
    assert "model-artifacts takes 2 MB a file, 5120 MB are needed" in small.detail
    project.server.buckets[TRAINING_FILES].file_size_limit = 2 * MAX_BYTES
    project.server.buckets[MODEL_ARTIFACTS].file_size_limit = MAX_ARTIFACT_BYTES
    good = found("Storage", configured)
    assert (good.state, good.broken) == ("ok", False), good
    assert "model-artifacts up to 5120 MB a file" in good.detail

    project.server.buckets[TRAINING_FILES].public = True
    project.server.buckets[TRAINING_FILES].allowed_mime_types = None
    project.server.buckets[MODEL_ARTIFACTS].file_size_limit = None
    bad = found("Storage", configured).detail
    for word in ("training-files is public", "takes files of any type", "model-artifacts has no size limit"):
        assert word in bad
    del project.server.buckets[MODEL_ARTIFACTS]
    assert "no bucket model-artifacts. Run infra/supabase/migrations/" in found("Storage", configured).detail
    project.server.broken[""] = out_of_order()
    assert "out of order" in found("Storage", configured).detail
    wrong = settings(tmp_path, supabase_url=project.url, supabase_service_key=SecretStr("sb_wrong"))
    project.server.broken.clear()
    verdict = found("Storage", wrong)
    assert "refuses the service's key" in verdict.detail
    assert "sb_wrong" not in str(verdict) + repr(wrong)


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("https://x.supabase.co", "", "supabase_key is required"),
        ("https://", "sb_secret", "Invalid URL"),
        ("https://x:y", "sb_secret", "BRIGHTRUN_SUPABASE_URL"),
        ("https://x.supabase.co", None, "Set BRIGHTRUN_SUPABASE_SERVICE_KEY"),
    ],
)
def test_an_address_or_key_that_is_none_is_a_verdict(tmp_path: Path, url: str, key: str | None, says: str) -> None:
    given = settings(tmp_path, supabase_url=url, supabase_service_key=SecretStr(key) if key is not None else None)
    verdict = found("Storage", given)
    assert (verdict.state, verdict.broken) == ("broken", True)
    assert says in verdict.detail
    assert "sb_secret" not in verdict.detail


def test_the_settings_choose_where_files_live(tmp_path: Path) -> None:
    assert isinstance(build_files(settings(tmp_path)), LocalFiles)
    there = settings(tmp_path, supabase_url="https://x.supabase.co", supabase_service_key=SecretStr("k"))
    assert isinstance(build_files(there), SupabaseFiles)
    with pytest.raises(InvalidInput, match="Set BRIGHTRUN_SUPABASE_SERVICE_KEY"):
        build_files(settings(tmp_path, supabase_url="https://x.supabase.co"))
    with pytest.raises(InvalidInput, match="not an address"):
        build_files(settings(tmp_path, supabase_url="x.supabase.co", supabase_service_key=SecretStr("k")))


def test_each_process_gets_its_own_login(database_url: str, tmp_path: Path) -> None:
    configured = settings(tmp_path, database_url=SecretStr(database_url), **logins(database_url))
    for role, user in ((DatabaseRole.INGEST, "brightrun_ingest_login"), (DatabaseRole.OWNER, "postgres")):
        parts = build_parts(configured, role)
        with parts.db._pool.connection() as connection:
            assert connection.execute("select current_user as name").fetchone() == {"name": user}
        parts.db.close()
