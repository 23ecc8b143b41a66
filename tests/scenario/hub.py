"""A model hub on this machine: the few answers of huggingface.co that say why a model cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.scenario.stage import free_port
from tests.serving import served


@contextlib.contextmanager
def model_hub(answer: str) -> Iterator[str]:
    """Its address. It answers every question with `missing`, `gated` or `down`, in the hub's own form."""

    def reply(_: Request) -> Response:
        if answer == "gated":
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
            return JSONResponse({"error": "Access to this model is restricted."}, 403, headers)
        if answer == "missing":
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return JSONResponse({"error": "Repository not found"}, 404, headers)
        return JSONResponse({"error": "Service unavailable"}, 503)

    routes = [Route("/{path:path}", reply, methods=["GET", "HEAD"])]
    port = free_port()
    with served(Starlette(routes=routes), port):
        yield f"http://127.0.0.1:{port}"
