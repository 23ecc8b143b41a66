"""`/api/{method}`: who calls, how often, what with, and what Slack would answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from infra.workspace.rate_limits import RateLimits
from infra.workspace.state import Json, SlackError

logger = logging.getLogger(__name__)

JSON_FIELDS = frozenset({"attachments", "blocks", "files", "metadata", "view"})
KEPT_CALLS = 5000


@dataclass
class Fault:
    """What happens to the next `times` calls of a method (`*`: of any method)."""

    method: str
    kind: str
    times: int = 1
    status: int = 500
    error: str = "internal_error"
    retry_after: int = 1

    def __post_init__(self) -> None:
        if self.kind not in {"status", "error", "ratelimit", "drop_after"}:
            raise ValueError(f"unknown kind of fault: {self.kind}")


@dataclass(frozen=True)
class Call:
    """One call of the Web API; `answer` is what was (or would have been) answered."""

    time: float
    method: str
    args: Json
    answer: Json


class DroppedConnection(Response):
    """Breaks the connection without a byte, as when the network goes away after the work is done."""

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        """Abort the transport under uvicorn; ASGI itself has no word for it."""
        scope["workspace.send"].__self__.transport.abort()
        await asyncio.sleep(0)


async def read_args(request: Request) -> Json:
    """The arguments of a call from its query, form or JSON body.

    Raises:
        SlackError: `invalid_json`, `invalid_form_data`.
    """
    args: Json = dict(request.query_params)
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json" and body:
        args.update(parse_object(body))
    elif kind == "multipart/form-data":
        raise SlackError("invalid_form_data", ["send a form or JSON"])
    else:
        args.update(parse_qsl(body.decode(), keep_blank_values=True))
    for name in JSON_FIELDS & args.keys():
        if isinstance(args[name], str):
            args[name] = parse_json(args[name])
    return args


def parse_json(text: str | bytes) -> Any:
    """The parsed text.

    Raises:
        SlackError: `invalid_json`.
    """
    try:
        return json.loads(text)
    except ValueError:
        raise SlackError("invalid_json") from None


def parse_object(text: str | bytes) -> Json:
    """The parsed JSON object.

    Raises:
        SlackError: `invalid_json`, `json_not_object`.
    """
    parsed = parse_json(text)
    if not isinstance(parsed, dict):
        raise SlackError("json_not_object")
    return parsed


class WebApi:
    """Dispatches calls to the methods, after tokens, faults and rate limits."""

    def __init__(
        self,
        methods: Mapping[str, Callable[[Json], Json]],
        *,
        bot_token: str,
        app_token: str,
        open_connection: Callable[[Request], str],
    ) -> None:
        self.rate_limits = RateLimits()
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._faults: list[Fault] = []
        self._methods = methods
        self._bot_token = bot_token
        self._app_token = app_token
        self._open_connection = open_connection

    def clear(self) -> None:
        """Forget calls, faults and counted rates."""
        self.calls.clear()
        self._faults.clear()
        self.rate_limits.clear()

    def clear_faults(self) -> None:
        """Let every coming call succeed."""
        self._faults.clear()

    def add_fault(self, fault: Fault) -> None:
        """Make coming calls fail."""
        self._faults.append(fault)

    def calls_of(self, method: str | None) -> list[Json]:
        """The calls made so far, oldest first; of one method if it is named."""
        return [asdict(call) for call in self.calls if method in (None, call.method)]

    async def endpoint(self, request: Request) -> Response:
        """Answer one call."""
        method = request.path_params["method"]
        try:
            args = await read_args(request)
        except SlackError as error:
            return JSONResponse(error.answer())
        token = args.pop("token", None) or request.headers.get("authorization", "").removeprefix("Bearer ")
        fault = self._take_fault(method)
        if fault is not None and fault.kind != "drop_after":
            response, answer = _faulty(fault)
        else:
            response, answer = self._answer(method, token, args, request)
        self.calls.append(Call(time.time(), method, args, answer))
        if not answer["ok"]:
            logger.info("%s was refused: %s", method, answer)
        return DroppedConnection() if fault is not None and fault.kind == "drop_after" else response

    def _take_fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    def _answer(self, method: str, token: str, args: Json, request: Request) -> tuple[Response, Json]:
        try:
            self._check_token(method, token)
            wait = self.rate_limits.retry_after(method, str(args.get("channel", "")))
            if wait is not None:
                return _rate_limited(wait)
            answer = {"ok": True, **self._call(method, args, request)}
        except SlackError as error:
            answer = error.answer()
        return JSONResponse(answer), answer

    def _check_token(self, method: str, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if token not in (self._bot_token, self._app_token):
            raise SlackError("invalid_auth")
        needed = self._app_token if method == "apps.connections.open" else self._bot_token
        if token != needed:
            raise SlackError("not_allowed_token_type")

    def _call(self, method: str, args: Json, request: Request) -> Json:
        if method == "apps.connections.open":
            return {"url": self._open_connection(request)}
        if method not in self._methods:
            raise SlackError("unknown_method")
        return self._methods[method](args)


def _rate_limited(wait_s: int) -> tuple[Response, Json]:
    answer: Json = {"ok": False, "error": "ratelimited"}
    return JSONResponse(answer, 429, {"Retry-After": str(wait_s)}), answer


def _faulty(fault: Fault) -> tuple[Response, Json]:
    if fault.kind == "ratelimit":
        return _rate_limited(fault.retry_after)
    if fault.kind == "error":
        answer: Json = {"ok": False, "error": fault.error}
        return JSONResponse(answer), answer
    answer = {"ok": False, "error": f"status {fault.status}"}
    return Response("the workspace was told to fail", fault.status), answer
