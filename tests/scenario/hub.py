"""A model hub on this machine: it gives models as huggingface.co does, or says why one cannot be had."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.scenario.stage import free_port
from tests.serving import served

_COMMIT = "c0ffee" + "0" * 34


@contextlib.contextmanager
def model_hub(answer: str) -> Iterator[str]:
    """Its address. It answers every question with `missing`, `gated` or `down`, in the hub's own form."""

    def reply(_: Request) -> Response:
        if answer == "gated":
            return _gated()
        if answer == "missing":
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return JSONResponse({"error": "Repository not found"}, 404, headers)
        return JSONResponse({"error": "Service unavailable"}, 503)

    routes = [Route("/{path:path}", reply, methods=["GET", "HEAD"])]
    port = free_port()
    with served(Starlette(routes=routes), port):
        yield f"http://127.0.0.1:{port}"


class StoredModels:
    """A hub's models by their id, and what is asked of it.

    `refused` are files that it keeps to itself as gated; `closed` says that of everything.
    """

    def __init__(self, models: dict[str, dict[str, bytes]]) -> None:
        self._models = models
        self.refused: set[str] = set()
        self.closed = False
        self.fetched: list[str] = []

    def routes(self) -> list[Route]:
        """The hub's addresses that its client asks when it fetches a whole model."""
        return [
            Route("/api/models/{owner}/{name}", self._about),
            Route("/api/models/{owner}/{name}/revision/{revision}", self._about),
            Route("/api/models/{owner}/{name}/tree/{revision}", self._tree),
            Route("/{owner}/{name}/resolve/{revision}/{file:path}", self._file),
        ]

    def _of(self, request: Request) -> dict[str, bytes]:
        return self._models.get("{owner}/{name}".format(**request.path_params), {})

    def _about(self, request: Request) -> Response:
        files = self._of(request)
        if self.closed:
            return _gated()
        if not files:
            return JSONResponse({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        model_id = "{owner}/{name}".format(**request.path_params)
        siblings = [{"rfilename": name} for name in files]
        return JSONResponse({"_id": "1", "id": model_id, "modelId": model_id, "sha": _COMMIT, "siblings": siblings})

    def _tree(self, request: Request) -> Response:
        files = self._of(request).items()
        return JSONResponse([{"type": "file", "path": n, "size": len(c), "oid": _etag(c)} for n, c in files])

    def _file(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name in self.refused:
            return _gated()
        content = self._of(request)[name]
        if request.method == "GET":
            self.fetched.append(name)
        return Response(content, headers={"ETag": f'"{_etag(content)}"', "X-Repo-Commit": _COMMIT})


@contextlib.contextmanager
def serving_hub(models: StoredModels) -> Iterator[str]:
    """The address of a hub that has some models."""
    with served(Starlette(routes=models.routes())) as url:
        yield url


def _gated() -> Response:
    headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
    return JSONResponse({"error": "Access to this model is restricted."}, 403, headers)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
