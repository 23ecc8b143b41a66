"""Signed requests to the service that started the job."""

from __future__ import annotations

import time
from types import TracebackType
from uuid import UUID

import httpx

from functions.model.job_spec import JobSpec
from functions.model.signing import ATTEMPT_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, request_signature

# Statuses after which the same request may succeed later, besides all of 5xx: a clock that is off, a busy service.
_PASSING = frozenset({401, 408, 425, 429})


def may_succeed_later(status: int) -> bool:
    """Whether a refused request is worth repeating as it is."""
    return status >= 500 or status in _PASSING


class Service:
    """The service's address and the token of this attempt."""

    def __init__(self, *, url: str, job_id: UUID, attempt: int, token: str) -> None:
        self._base = f"{url.rstrip('/')}/ingest/{job_id}"
        self._attempt = attempt
        self._token = token
        self._client = httpx.Client(timeout=httpx.Timeout(10, read=30))

    @classmethod
    def of(cls, spec: JobSpec, token: str) -> Service | None:
        """The service of a job; None where the job runs without one."""
        if not spec.service_url:
            return None
        return cls(url=spec.service_url, job_id=spec.job_id, attempt=spec.attempt, token=token)

    def post(self, path: str, body: bytes) -> httpx.Response:
        """POST a JSON body to `/ingest/{job_id}/{path}`, signed now.

        Raises:
            httpx.TransportError: no answer.
        """
        timestamp = f"{time.time():.3f}"
        headers = {
            "content-type": "application/json",
            ATTEMPT_HEADER: str(self._attempt),
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: request_signature(self._token, timestamp=timestamp, body=body),
        }
        return self._client.post(f"{self._base}/{path}", content=body, headers=headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
