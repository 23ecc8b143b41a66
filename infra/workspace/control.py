"""`/control/*`: the knobs of tests and demonstrations: faults, rates, repeated and forged deliveries."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.workspace.delivery import Delivery, DeliveryError
from infra.workspace.state import TEAM_ID, Json, SlackError, Workspace
from infra.workspace.web_api import Fault, WebApi

STALE_S = 10 * 60


class Control:
    """The knobs, over the parts that they turn."""

    def __init__(self, workspace: Workspace, web_api: WebApi, delivery: Delivery, reset: Callable[[], None]) -> None:
        self._workspace = workspace
        self._web_api = web_api
        self._delivery = delivery
        self._reset_everything = reset
        self.routes = [
            Route("/control/faults", self._faults, methods=["POST"]),
            Route("/control/calm", self._calm, methods=["POST"]),
            Route("/control/rate_limits", self._rate_limits, methods=["POST"]),
            Route("/control/redeliver", self._redeliver, methods=["POST"]),
            Route("/control/forge", self._forge, methods=["POST"]),
            Route("/control/membership", self._membership, methods=["POST"]),
            Route("/control/calls", self._calls),
            Route("/control/messages", self._messages),
            Route("/control/reset", self._reset, methods=["POST"]),
        ]

    async def _faults(self, request: Request) -> Response:
        given = await request.json()
        try:
            faults = [Fault(**entry) for entry in (given if isinstance(given, list) else [given])]
        except (TypeError, ValueError) as error:
            return _refused(str(error), 400)
        for fault in faults:
            self._web_api.add_fault(fault)
        return JSONResponse({"ok": True})

    async def _calm(self, _request: Request) -> Response:
        self._web_api.clear_faults()
        return JSONResponse({"ok": True})

    async def _rate_limits(self, request: Request) -> Response:
        given = await request.json()
        limits = self._web_api.rate_limits
        limits.on = bool(given.get("on", limits.on))
        limits.scale = float(given.get("scale", limits.scale))
        return JSONResponse({"ok": True, "on": limits.on, "scale": limits.scale})

    async def _redeliver(self, request: Request) -> Response:
        wanted = (await request.json()).get("envelope", "last")
        try:
            sent = self._delivery.sent[-1 if wanted == "last" else int(wanted)]
        except (IndexError, ValueError):
            return _refused(f"no delivery {wanted!r}; there are {len(self._delivery.sent)}", 404)
        retry = (1, "http_timeout") if sent.kind == "events_api" else None
        try:
            answer = await self._delivery.send(sent.kind, sent.payload, retry)
        except DeliveryError as error:
            return JSONResponse({"ok": False, "error": error.code, "payload": sent.payload})
        return JSONResponse({"ok": True, "kind": sent.kind, "payload": sent.payload, "answer": answer})

    async def _forge(self, request: Request) -> Response:
        kind = (await request.json()).get("kind")
        if kind not in ("bad_signature", "stale"):
            return _refused(f"unknown kind {kind!r}: bad_signature or stale", 400)
        payload: Json = {"command": "/train", "text": "", "team_id": TEAM_ID, "user_id": "U0ELENA"}
        try:
            response = await self._delivery.post_signed(
                "slash_commands",
                payload,
                extra_headers={},
                secret="somebody-else's" if kind == "bad_signature" else None,
                age_s=STALE_S if kind == "stale" else 0,
            )
        except DeliveryError as error:
            return _refused(error.code, 502)
        return JSONResponse({"ok": True, "status": response.status_code, "body": response.text})

    async def _membership(self, request: Request) -> Response:
        given = await request.json()
        try:
            channel = self._workspace.channel(given.get("channel"))
        except SlackError as error:
            return _refused(error.code, 404)
        channel.bot_is_member = bool(given.get("member"))
        return JSONResponse({"ok": True})

    async def _calls(self, request: Request) -> Response:
        return JSONResponse({"ok": True, "calls": self._web_api.calls_of(request.query_params.get("method"))})

    async def _messages(self, request: Request) -> Response:
        try:
            channel = self._workspace.channel(request.query_params.get("channel"))
        except SlackError as error:
            return _refused(error.code, 404)
        return JSONResponse({"ok": True, "messages": list(self._workspace.messages[channel.id].values())})

    async def _reset(self, _request: Request) -> Response:
        self._reset_everything()
        return JSONResponse({"ok": True})


def _refused(text: str, status: int) -> Response:
    return JSONResponse({"ok": False, "error": text}, status)
