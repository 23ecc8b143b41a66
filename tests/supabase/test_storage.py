"""The Storage adapter against the stand-in, over real HTTP: what works, what is refused, and in which words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from functions.errors import InvalidInput, NotFound, Unavailable
from functions.ports import MODEL_ARTIFACTS, TRAINING_FILES
from infra.supabase_files import SupabaseFiles
from tests.scenario.stage import free_port
from tests.supabase.conftest import Project
from tests.supabase.storage_server import SERVICE_KEY, out_of_order, proxy_page


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def put(url: str, data: bytes, kind: str = "application/zip") -> httpx.Response:
    return httpx.put(url, content=data, headers={"content-type": kind}, trust_env=False)


def test_a_file_is_stored_replaced_and_downloaded_under_its_name(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "big.zip"
    source.write_bytes(bytes(range(256)) * 4096)
    assert not project.files.exists(MODEL_ARTIFACTS, "j/adapters/big.zip")
    project.files.put(MODEL_ARTIFACTS, "j/adapters/big.zip", b"first")
    project.files.put(MODEL_ARTIFACTS, "j/adapters/big.zip", source)
    assert project.files.exists(MODEL_ARTIFACTS, "j/adapters/big.zip")
    assert project.server.types["model-artifacts/j/adapters/big.zip"] == "application/zip"

    url = project.files.download_url(
        MODEL_ARTIFACTS, "j/adapters/big.zip", expires_in=timedelta(hours=24), name="näme & 🎉.zip"
    )
    got = get(url)
    assert got.content == source.read_bytes()
    assert "n%C3%A4me%20%26%20%F0%9F%8E%89.zip" in got.headers["content-disposition"]


def test_a_link_ends_after_its_time_and_opens_nothing_else(project: Project) -> None:
    for name in ("a.pdf", "b.pdf"):
        project.files.put(MODEL_ARTIFACTS, name, name.encode())
    url = project.files.download_url(MODEL_ARTIFACTS, "a.pdf", expires_in=timedelta(hours=24), name="a.pdf")
    project.clock.forward(hours=23, minutes=59)
    assert get(url).content == b"a.pdf"
    for altered in (url.replace("/a.pdf", "/b.pdf"), url.replace("token=e", "token=f"), url.split("?")[0]):
        assert get(altered).status_code == 400
    project.clock.forward(minutes=2)
    late = get(url)
    assert late.status_code == 400
    assert "exp" in late.json()["message"]


def test_a_job_uploads_by_link_what_the_bucket_takes(project: Project) -> None:
    url = project.files.upload_url(MODEL_ARTIFACTS, "j/adapters/a.zip", max_bytes=10)
    assert put(url, b"half").status_code == 200
    assert put(url, b"whole").status_code == 200  # again, after a cut-off try
    assert project.server.located(MODEL_ARTIFACTS, "j/adapters/a.zip").read_bytes() == b"whole"

    assert "maximum allowed size" in put(url, b"x" * (2 << 20) + b"x").text
    assert "not supported" in put(url, b"<html>", "text/html").text
    assert put(url.replace("a.zip", "b.zip"), b"x").status_code == 400
    project.clock.forward(hours=2, seconds=1)
    assert put(url, b"late").status_code == 400
    assert project.server.located(MODEL_ARTIFACTS, "j/adapters/a.zip").read_bytes() == b"whole"


def test_what_does_not_fit_is_refused_before_anything_is_sent(project: Project) -> None:
    with pytest.raises(InvalidInput, match="at most 2097152 a file"):
        project.files.upload_url(MODEL_ARTIFACTS, "j/a.zip", max_bytes=(2 << 20) + 1)
    with pytest.raises(InvalidInput, match="larger than training-files takes"):
        project.files.put(TRAINING_FILES, "t/f.json", b"x" * ((1 << 20) + 1))
    project.server.buckets[TRAINING_FILES].allowed_mime_types = ["application/json"]
    with pytest.raises(InvalidInput, match="application/pdf is not supported"):
        project.files.put(TRAINING_FILES, "t/f.pdf", b"x")


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../training-files/x", "a/../../x", "a/./b", "a/%2e%2e/b", "a/b/"])
def test_a_path_never_leaves_its_bucket(project: Project, path: str) -> None:
    for act in (lambda: project.files.put(MODEL_ARTIFACTS, path, b"x"), lambda: project.files.exists("x", "y")):
        with pytest.raises(InvalidInput):
            act()
    assert project.server.calls == []


def test_a_name_that_storage_does_not_take_is_named(project: Project) -> None:
    with pytest.raises(InvalidInput, match=r"'t/näme\.json' cannot be the name"):
        project.files.put(TRAINING_FILES, "t/näme.json", b"{}")


def test_a_missing_file_and_a_missing_bucket_are_told_apart(project: Project) -> None:
    with pytest.raises(NotFound, match="gone from storage"):
        project.files.download_url(MODEL_ARTIFACTS, "no/such.zip", expires_in=timedelta(hours=1), name="x")
    del project.server.buckets[MODEL_ARTIFACTS]
    for act in (
        lambda: project.files.exists(MODEL_ARTIFACTS, "a"),
        lambda: project.files.put(MODEL_ARTIFACTS, "a", b""),
        lambda: project.files.upload_url(MODEL_ARTIFACTS, "a", max_bytes=1),
    ):
        with pytest.raises(Unavailable, match=r"no bucket model-artifacts.*brightrun doctor"):
            act()


def test_a_wrong_key_is_said_to_be_the_admins_affair_and_never_shown(project: Project) -> None:
    files = SupabaseFiles(project.url, "sb_secret_wrong")
    with pytest.raises(Unavailable, match=r"refuses the service's key.*brightrun doctor") as refused:
        files.exists(MODEL_ARTIFACTS, "a")
    assert "sb_secret" not in str(refused.value)
    files.close()


@pytest.mark.parametrize("status", [500, 503, 544])
def test_storage_out_of_order(project: Project, status: int) -> None:
    project.server.broken[""] = out_of_order(status)
    with pytest.raises(Unavailable, match=r"out of order\. Nothing was changed; try again"):
        project.files.put(MODEL_ARTIFACTS, "a.zip", b"x")
    project.server.broken.clear()
    project.files.put(MODEL_ARTIFACTS, "a.zip", b"x")


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_from_something_else_is_never_taken_for_an_answer(project: Project, status: int) -> None:
    project.server.broken[""] = proxy_page(status)
    for act in (
        lambda: project.files.exists(MODEL_ARTIFACTS, "a"),
        lambda: project.files.put(MODEL_ARTIFACTS, "a", b""),
        lambda: project.files.upload_url(MODEL_ARTIFACTS, "a", max_bytes=1),
        lambda: project.files.download_url(MODEL_ARTIFACTS, "a", expires_in=timedelta(hours=1), name="a"),
    ):
        with pytest.raises(Unavailable):
            act()


def test_a_slow_storage_and_one_that_is_away(project: Project) -> None:
    hasty = SupabaseFiles(project.url, SERVICE_KEY, timeout=httpx.Timeout(0.2))
    project.server.slow_seconds = 1.0
    with pytest.raises(Unavailable, match="takes too long"):
        hasty.exists(MODEL_ARTIFACTS, "a")
    hasty.close()
    away = SupabaseFiles(f"http://127.0.0.1:{free_port()}", SERVICE_KEY)
    with pytest.raises(Unavailable, match=r"cannot be reached\. Nothing was changed"):
        away.exists(MODEL_ARTIFACTS, "a")
    away.close()
