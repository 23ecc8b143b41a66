"""Serves the local buckets' signed links."""

from __future__ import annotations

from html import escape
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from functions.errors import BrightRunError, LinkRefused
from infra.local_files import LocalFiles, SignedRequest, staged

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{what}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem;
color:#1d1c1d}}h1{{font-size:1.4rem}}</style><h1>{what}</h1><p>{fix}</p>"""


class _TooLarge(Exception):
    """More bytes than the link allows."""


class LinkRoutes:
    """GET and PUT of signed links."""

    def __init__(self, files: LocalFiles) -> None:
        self._files = files

    def routes(self) -> list[Route]:
        """The routes, to be mounted at the root."""
        return [
            Route("/files/{bucket}/{path:path}", self.get, methods=["GET"]),
            Route("/files/{bucket}/{path:path}", self.put, methods=["PUT"]),
        ]

    async def get(self, request: Request) -> Response:
        """The file, or a page that says why not and what to do."""
        try:
            allowed = self._check(request, "GET")
        except BrightRunError as error:
            return _refusal(error)
        if not allowed.path.is_file():
            return HTMLResponse(
                _PAGE.format(what="The file is gone from storage.", fix="Ask an admin of Bright Run."), status_code=404
            )
        return FileResponse(allowed.path, filename=allowed.name or allowed.path.name)

    async def put(self, request: Request) -> Response:
        """Store what is sent, at most as much as the link allows; nobody ever sees half of it."""
        try:
            allowed = self._check(request, "PUT")
        except BrightRunError as error:
            return JSONResponse({"error": str(error)}, status_code=403)
        await run_in_threadpool(allowed.path.parent.mkdir, parents=True, exist_ok=True)
        try:
            with staged(allowed.path) as stream:
                size = await _receive(request, stream, allowed.max_bytes)
        except _TooLarge:
            return JSONResponse({"error": f"at most {allowed.max_bytes} bytes"}, status_code=413)
        except OSError as error:
            return JSONResponse({"error": f"not stored: {error.strerror}"}, status_code=507)
        return JSONResponse({"bytes": size})

    def _check(self, request: Request, method: str) -> SignedRequest:
        params = request.path_params
        return self._files.check(method, params["bucket"], params["path"], request.query_params)


async def _receive(request: Request, stream: BinaryIO, max_bytes: int) -> int:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise _TooLarge
        await run_in_threadpool(stream.write, part)
    return size


def _refusal(error: BrightRunError) -> Response:
    status = 410 if isinstance(error, LinkRefused) and error.expired else 403
    return HTMLResponse(_PAGE.format(what=escape(error.what), fix=escape(error.fix)), status_code=status)
