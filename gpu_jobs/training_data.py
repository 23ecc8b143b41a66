"""The training file: fetched, compared with the checksum that was approved, parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import ValidationError

from functions.model.conversation import TrainingSequence
from functions.model.job_spec import TrainingData
from gpu_jobs.failures import JobFailed, data_altered, data_unreadable
from gpu_jobs.interruption import pause

# An HTTP app that is being started again, or moved, is no reason to fail a job.
_PAUSES_S = (0, 1, 2, 5, 10, 30, 60)


def read_training_data(data: TrainingData, work_dir: Path, check: Callable[[], None]) -> list[TrainingSequence]:
    """All sequences of the job's file. What was fetched is kept in `work_dir`, for links expire.

    Raises:
        JobFailed: `data_unreadable` or `data_altered`.
    """
    kept = work_dir / "training-data.jsonl"
    content = kept.read_bytes() if kept.exists() else b""
    if hashlib.sha256(content).hexdigest() != data.sha256:
        content = _fetch(data, check)
        found = hashlib.sha256(content).hexdigest()
        if found != data.sha256:
            raise data_altered(data.name, expected=data.sha256, found=found)
        stage = kept.with_suffix(".partial")
        stage.write_bytes(content)
        stage.replace(kept)
    return _parse(content, data.name)


def _fetch(data: TrainingData, check: Callable[[], None]) -> bytes:
    address = urlsplit(data.url)
    if address.scheme == "file":
        try:
            return Path(unquote(address.path)).read_bytes()
        except OSError as error:
            raise data_unreadable(data.name, why=str(error)) from error
    if address.scheme not in {"http", "https"}:
        raise data_unreadable(data.name, why=f"The address scheme “{address.scheme}” is not known.")
    return _download(data, check)


def _download(data: TrainingData, check: Callable[[], None]) -> bytes:
    failure: JobFailed | None = None
    for seconds in _PAUSES_S:
        pause(seconds, check)
        try:
            answer = httpx.get(data.url, timeout=60, follow_redirects=True)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            # The address carries a signature; it is not repeated in what people read.
            failure = data_unreadable(data.name, why=f"Its link answered with status {error.response.status_code}.")
            if error.response.status_code < 500:
                break
        except httpx.HTTPError as error:
            failure = data_unreadable(data.name, why=f"Its link did not answer: {type(error).__name__}.")
        else:
            return answer.content
    raise failure or data_unreadable(data.name, why="No answer.")


def _parse(content: bytes, name: str) -> list[TrainingSequence]:
    sequences = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            sequences.append(TrainingSequence.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise data_unreadable(name, why=f"Line {number}, {place}: {first['msg']}.") from error
    return sequences
