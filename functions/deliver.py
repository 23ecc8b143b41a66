"""Delivering results: where a job may upload them, and links for people that expire."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from functions.access import require
from functions.errors import Conflict, InvalidInput, NotFound
from functions.find_job import get_job
from functions.lineage import origin_of
from functions.model.job import Artifact
from functions.model.people import Permission, Person
from functions.model.states import JobState
from functions.ports import MODEL_ARTIFACTS, Clock, Database, Files, Pictures

LINK_LIFE = timedelta(hours=24)
# FR4.1.1 speaks of 200 to 500 MB; rank 32 on 70B in two formats is three times that.
MAX_ARTIFACT_BYTES = 5 * 1024**3
REPORT_POINTS = 600
_SLUG_LENGTH = 60


class UploadPlace(NamedTuple):
    """Where a job may PUT a file, and the path under which it will be found."""

    url: str
    path: str


class Download(NamedTuple):
    """A link to a result. `downloads` counts the links made so far, this one included."""

    artifact: Artifact
    url: str
    expires_at: datetime
    downloads: int


class ReportLink(NamedTuple):
    """A link to a run's report. `name` is what it is saved as."""

    job_name: str
    name: str
    size_bytes: int
    url: str
    expires_at: datetime


def upload_place(db: Database, files: Files, *, job_id: UUID, name: str, size: int) -> UploadPlace:
    """A signed place for one file of a job, under `{job_id}/adapters/`.

    Raises:
        NotFound: there is no such job.
        InvalidInput: the name is a path, or the file is too large.
    """
    if not name or name != name.rsplit("/", 1)[-1] or name.startswith(".") or "\\" in name or len(name) > 255:
        raise InvalidInput(f"{name!r} is not a plain file name.")
    if not 0 < size <= MAX_ARTIFACT_BYTES:
        raise InvalidInput(f"{name} has {size} bytes; at most {MAX_ARTIFACT_BYTES} are taken.")
    with db.transaction() as tx:
        if tx.jobs.get(job_id) is None:
            raise NotFound(f"There is no job {job_id}.")
    path = f"{job_id}/adapters/{name}"
    return UploadPlace(url=files.upload_url(MODEL_ARTIFACTS, path, max_bytes=size), path=path)


def download(db: Database, files: Files, *, clock: Clock, person: Person, artifact_id: UUID) -> Download:
    """A fresh link that expires in 24 hours, counted and written down.

    Raises:
        NotAllowed: the person may not download.
        NotFound: no such result in the team, or its file is gone.
    """
    require(person, Permission.DOWNLOAD)
    now = clock()
    with db.transaction() as tx:
        artifact = tx.jobs.artifact(artifact_id)
        if artifact is None or artifact.team_id != person.team_id:
            raise NotFound("There is no such download in this workspace.")
        if not files.exists(MODEL_ARTIFACTS, artifact.path):
            raise NotFound("The file is gone from storage.", fix="Ask an admin; the job's id is in its details.")
        tx.jobs.count_download(artifact_id, person.user_id, now, now + LINK_LIFE)
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="artifact.download",
            target=str(artifact_id),
            detail={"name": artifact.name},
        )
    url = files.download_url(MODEL_ARTIFACTS, artifact.path, expires_in=LINK_LIFE, name=artifact.name)
    return Download(artifact=artifact, url=url, expires_at=now + LINK_LIFE, downloads=artifact.downloads + 1)


def report_link(
    db: Database, files: Files, pictures: Pictures, *, clock: Clock, person: Person, job_id: UUID
) -> ReportLink:
    """The run's report as it stands, drawn anew, under a link that expires in 24 hours; written down.

    Raises:
        NotAllowed: the person may not download.
        NotFound: there is no such job in the team.
        Conflict: the job has not completed.
        Unavailable: this machine cannot draw reports.
    """
    require(person, Permission.DOWNLOAD)
    with db.transaction() as tx:
        job = get_job(tx, team_id=person.team_id, job_id=job_id)
        points = tx.jobs.points(job_id, REPORT_POINTS)
        origin = origin_of(tx, job)
    if job.state is not JobState.COMPLETED:
        raise Conflict("There is a report once the run has completed.", fix="Its card tells how far it is.")
    # Drawn outside a transaction: it takes a second or two.
    report, slug = pictures.run_report(job, points, origin=origin), file_stem(job.name)
    path, name = f"{job_id}/report/{slug}.pdf", f"{slug}-report.pdf"
    files.put(MODEL_ARTIFACTS, path, report)
    now = clock()
    with db.transaction() as tx:
        tx.audit.append(
            team_id=person.team_id,
            at=now,
            actor=person.user_id,
            action="report.download",
            target=str(job_id),
            detail={"name": name, "bytes": len(report)},
        )
    url = files.download_url(MODEL_ARTIFACTS, path, expires_in=LINK_LIFE, name=name)
    return ReportLink(job_name=job.name, name=name, size_bytes=len(report), url=url, expires_at=now + LINK_LIFE)


def file_stem(name: str) -> str:
    """A job's name as part of a path: ASCII letters, digits and dashes, never empty."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:_SLUG_LENGTH].rstrip("-") or "run"
