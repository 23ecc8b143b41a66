"""The one file that a job delivers: its adapter as a zip archive, packed and stored."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from functions.model.events import ArtifactStored
from functions.model.job_spec import JobSpec
from gpu_jobs.adapter_files import SAFETENSORS, file_sha256, write_companions
from gpu_jobs.failures import disk_full, is_disk_full, upload_failed
from gpu_jobs.interruption import pause
from gpu_jobs.service import Service, may_succeed_later

_SLUG_LENGTH = 60
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say: the same content makes the same archive
_CHUNK = 1 << 20
_UPLOAD_PAUSES = (0, 1, 2, 5, 10, 30, 60)


@dataclass(frozen=True)
class Archive:
    """A finished archive on disk."""

    path: Path
    bytes: int
    sha256: str


def slug(name: str) -> str:
    """A job's name as part of a file name: ASCII letters, digits and dashes, at most 60, never empty."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:_SLUG_LENGTH].rstrip("-") or "adapter"


def archive_name(spec: JobSpec) -> str:
    """`{slug of the job's name}-adapters-{job id}.zip`."""
    return f"{slug(spec.job_name)}-adapters-{spec.job_id}.zip"


def pack(spec: JobSpec, adapter: Path, summary: Mapping[str, Any]) -> Archive:
    """Complete the folder of a trained adapter and pack it into `work_dir/artifacts`.

    The archive gets its name only once it is whole. Weights do not compress, so they are stored as they are.

    Raises:
        JobFailed: `disk_full`, with the bytes that are needed and those that are free.
    """
    target = Path(spec.work_dir) / "artifacts" / archive_name(spec)
    stage = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files = write_companions(spec, adapter, summary)
        with zipfile.ZipFile(stage, "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                _add(archive, path)
        stage.replace(target)
    except (OSError, RuntimeError) as error:
        if is_disk_full(error):  # torch reports a failed write as a RuntimeError
            stage.unlink(missing_ok=True)
            raise disk_full(spec, error, needed=_needed(adapter)) from error
        raise
    return Archive(target, target.stat().st_size, file_sha256(target))


def _needed(adapter: Path) -> int:
    """The weights once as a PyTorch file, twice in the archive, and some room for texts."""
    return 3 * (adapter / SAFETENSORS).stat().st_size + _CHUNK


def _add(archive: zipfile.ZipFile, path: Path) -> None:
    entry = zipfile.ZipInfo(path.name, date_time=_EPOCH)
    entry.external_attr = 0o644 << 16
    entry.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, _CHUNK)


def store(
    archive: Archive,
    service: Service | None,
    check: Callable[[], None],
    *,
    pauses: tuple[float, ...] = _UPLOAD_PAUSES,
) -> ArtifactStored:
    """Upload the archive to the place that the service gives; without a service it stays where it is.

    Raises:
        JobFailed: `upload_failed`, after several tries over two minutes or a final refusal.
    """
    if service is None:
        return _stored(archive, str(archive.path))
    why = ""
    for seconds in pauses:
        pause(seconds, check)
        try:
            place = _place(archive, service)
            _put(archive, place["url"], check)
        except httpx.HTTPStatusError as error:
            why = _answered(error)
            if not may_succeed_later(error.response.status_code) and error.request.method == "POST":
                break
        except httpx.HTTPError as error:
            why = f"{type(error).__name__}: {error}"
        else:
            return _stored(archive, place["path"])
    raise upload_failed(archive.path.name, why=why)


def _answered(error: httpx.HTTPStatusError) -> str:
    """The status and, where the answer names a reason, as ours and Supabase's do, the reason. Never the link."""
    why = f"{error.request.method} was answered with status {error.response.status_code}"
    try:
        body = error.response.json()
    except ValueError:
        return f"{why}."
    reason = body.get("message") or body.get("error") if isinstance(body, dict) else None
    return f"{why}: {reason}" if isinstance(reason, str) else f"{why}."


def _place(archive: Archive, service: Service) -> dict[str, str]:
    asked = {"name": archive.path.name, "bytes": archive.bytes, "sha256": archive.sha256}
    answer = service.post("uploads", json.dumps(asked).encode())
    answer.raise_for_status()
    place = answer.json()
    return {"url": str(place["url"]), "path": str(place["path"])}


def _put(archive: Archive, url: str, check: Callable[[], None]) -> None:
    def chunks() -> Iterator[bytes]:
        with archive.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                check()
                yield chunk

    headers = {"content-type": "application/zip", "content-length": str(archive.bytes)}
    answer = httpx.put(url, content=chunks(), headers=headers, timeout=httpx.Timeout(30, read=300, write=300))
    answer.raise_for_status()


def _stored(archive: Archive, path: str) -> ArtifactStored:
    return ArtifactStored(name=archive.path.name, path=path, bytes=archive.bytes, sha256=archive.sha256)
