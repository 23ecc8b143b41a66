"""One Starlette app for everything that comes in over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from pydantic import BaseModel, ValidationError
from slack_bolt import App
from slack_bolt.adapter.starlette import SlackRequestHandler
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.deliver import upload_place
from functions.errors import BrightRunError, InvalidInput, NotFound, Unavailable
from functions.ingest import ingest, stop_asked
from functions.model.events import EventBatch
from functions.model.signing import (
    ATTEMPT_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    job_token,
    signature_is_valid,
)
from functions.ports import Clock, Database, Files
from infra.http.body import limited_body
from infra.http.links import LinkRoutes
from infra.http.stripe import StripeRoutes
from infra.local_files import LocalFiles

MAX_BATCH_BYTES = 4 << 20


class UploadRequest(BaseModel):
    """What a job asks to upload."""

    name: str
    bytes: int
    sha256: str


class JobRoutes:
    """What GPU jobs call, each request signed with the token of its attempt."""

    def __init__(self, db: Database, files: Files, *, secret: str, clock: Clock) -> None:
        self._db = db
        self._files = files
        self._secret = secret
        self._clock = clock

    def routes(self) -> list[Route]:
        """The routes, to be mounted at the root."""
        return [
            Route("/ingest/{job_id:uuid}/events", self.events, methods=["POST"]),
            Route("/ingest/{job_id:uuid}/uploads", self.uploads, methods=["POST"]),
        ]

    async def events(self, request: Request) -> Response:
        """Take a batch of events; answers how many were new, and whether the run is to stop."""

        async def take(job_id: UUID, attempt: int, body: bytes) -> Response:
            batch = EventBatch.model_validate_json(body)
            new = await run_in_threadpool(
                ingest, self._db, clock=self._clock, job_id=job_id, attempt=attempt, batch=batch
            )
            stop = await run_in_threadpool(stop_asked, self._db, job_id=job_id, attempt=attempt)
            return JSONResponse({"new": new, "stop": stop})

        return await self._signed(request, take)

    async def uploads(self, request: Request) -> Response:
        """Give a job a place to which it may PUT a file."""

        async def give(job_id: UUID, _: int, body: bytes) -> Response:
            asked = UploadRequest.model_validate_json(body)
            place = await run_in_threadpool(
                upload_place, self._db, self._files, job_id=job_id, name=asked.name, size=asked.bytes
            )
            return JSONResponse({"url": place.url, "path": place.path})

        return await self._signed(request, give)

    async def _signed(self, request: Request, action: Callable[[UUID, int, bytes], Awaitable[Response]]) -> Response:
        body = await limited_body(request, MAX_BATCH_BYTES)
        if body is None:
            return JSONResponse({"error": f"at most {MAX_BATCH_BYTES} bytes a request"}, status_code=413)
        job_id: UUID = request.path_params["job_id"]
        attempt = request.headers.get(ATTEMPT_HEADER, "")
        token = job_token(self._secret, job_id=str(job_id), attempt=int(attempt) if attempt.isdecimal() else 0)
        if not signature_is_valid(
            token,
            timestamp=request.headers.get(TIMESTAMP_HEADER, ""),
            body=body,
            signature=request.headers.get(SIGNATURE_HEADER, ""),
            now=time.time(),
        ):
            return JSONResponse({"error": "the signature is wrong or too old"}, status_code=401)
        try:
            return await action(job_id, int(attempt), body)
        except ValidationError as error:
            return JSONResponse({"error": json.loads(error.json(include_input=False))}, status_code=422)
        except BrightRunError as error:
            return JSONResponse({"error": str(error)}, status_code=_status(error))


def _status(error: BrightRunError) -> int:
    for kind, status in ((NotFound, 404), (InvalidInput, 422), (Unavailable, 503)):
        if isinstance(error, kind):
            return status
    return 409


async def _went_away(_request: Request, _error: Exception) -> Response:
    """A machine that was lost in the middle of a request; nobody reads this, and it is no error of ours."""
    return Response(status_code=400)


async def health(_: Request) -> Response:
    """Alive."""
    return JSONResponse({"ok": True})


def create_http_app(
    db: Database,
    files: Files,
    *,
    secret: str,
    clock: Clock,
    slack_app: App | None = None,
    stripe: StripeRoutes | None = None,
) -> Starlette:
    """The app. `slack_app`, where given, answers Slack's signed requests at /slack/events."""
    routes = [Route("/health", health), *JobRoutes(db, files, secret=secret, clock=clock).routes()]
    if stripe is not None:
        routes += stripe.routes()
    if isinstance(files, LocalFiles):
        routes += LinkRoutes(files).routes()
    if slack_app is not None:
        handler = SlackRequestHandler(slack_app)

        async def slack_events(request: Request) -> Response:
            return await handler.handle(request)

        routes.append(Route("/slack/events", slack_events, methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={ClientDisconnect: _went_away})
