"""How Slack hands things to the bot: Socket Mode envelopes or signed HTTP, and the wait for an ack."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
import json
import logging
import secrets
import time
import uuid
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.workspace.state import APP_ID, Json

logger = logging.getLogger(__name__)

ACK_SECONDS = 3.0
EVENT_RETRY_DELAYS_S = (0.0, 60.0, 300.0)
TICKET_SECONDS = 30.0
KEPT_DELIVERIES = 500


class DeliveryError(Exception):
    """The bot did not take a delivery; `code` is the word that Slack shows the person."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Sent:
    """One delivery as it was made: `kind` is slash_commands, interactive or events_api."""

    kind: str
    payload: Json


def sign(secret: str, timestamp: int, body: str) -> str:
    """Slack's v0 request signature: HMAC-SHA256 over `v0:{timestamp}:{body}`."""
    base = f"v0:{timestamp}:{body}".encode()
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class Delivery:
    """Delivers over a connected socket, else (or when HTTP is preferred) to the request URL."""

    def __init__(self, *, signing_secret: str, request_url: str | None, prefer_http: bool) -> None:
        self.request_url = request_url
        self.sent: deque[Sent] = deque(maxlen=KEPT_DELIVERIES)
        self._secret = signing_secret
        self._prefer_http = prefer_http
        self._sockets: list[WebSocket] = []
        self._turn = 0
        self._tickets: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._retries: set[asyncio.Task[None]] = set()
        # trust_env off: a proxy of the environment must not stand between two local programs.
        self._http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=100))

    async def close(self) -> None:
        """Give up pending retries and connections."""
        for task in self._retries:
            task.cancel()
        await self._http.aclose()

    def issue_ticket(self) -> str:
        """A single-use ticket for one Socket Mode connection."""
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = time.monotonic() + TICKET_SECONDS
        return ticket

    async def serve_socket(self, socket: WebSocket) -> None:
        """Run one Socket Mode connection until the bot leaves."""
        expires = self._tickets.pop(socket.query_params.get("ticket", ""), 0.0)
        if expires < time.monotonic():
            await socket.close(1008)
            return
        await socket.accept()
        self._sockets.append(socket)
        count = len(self._sockets)
        debug = {"host": "applink-local", "approximate_connection_time": 18060}
        hello = {"num_connections": count, "debug_info": debug, "connection_info": {"app_id": APP_ID}}
        try:
            await socket.send_json({"type": "hello", **hello})
            while True:
                self._take_ack(await socket.receive_text())
        except WebSocketDisconnect:
            logger.info("the bot left Socket Mode")
        finally:
            self._sockets.remove(socket)

    def _take_ack(self, text: str) -> None:
        try:
            ack = json.loads(text)
        except ValueError:
            logger.warning("a Socket Mode message is not JSON: %.100s", text)
            return
        if not isinstance(ack, dict):
            logger.warning("a Socket Mode message is not an object: %.100s", text)
            return
        waiting = self._waiting.get(ack.get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(ack.get("payload") or {})

    async def send(self, kind: str, payload: Json, retry: tuple[int, str] | None = None) -> Json:
        """Deliver and wait for the ack; returns what the ack carried, `{}` when it was empty.

        Args:
            kind: slash_commands, interactive or events_api.
            payload: the body, as the bot sees it.
            retry: number and reason, for a repeated event.

        Raises:
            DeliveryError: `dispatch_failed` (nobody there, or an answer other than 200) or
                `operation_timeout` (no ack within three seconds).
        """
        # A copy: the view or message in it lives on and changes, a repeated delivery must not.
        self.sent.append(Sent(kind, copy.deepcopy(payload)))
        try:
            async with asyncio.timeout(ACK_SECONDS):
                if self._sockets and not (self._prefer_http and self.request_url):
                    return await self._send_to_socket(kind, payload, retry)
                return await self._send_to_url(kind, payload, retry)
        except TimeoutError:
            raise DeliveryError("operation_timeout") from None

    def send_event(self, payload: Json) -> None:
        """Deliver an event in the background, and repeat it as the Events API does until it is taken."""
        task = asyncio.create_task(self._send_event(payload))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _send_event(self, payload: Json) -> None:
        retry: tuple[int, str] | None = None
        for number, delay in enumerate((*EVENT_RETRY_DELAYS_S, None), start=1):
            try:
                await self.send("events_api", payload, retry)
            except DeliveryError as error:
                if delay is None:
                    logger.warning("event %s was given up: %s", payload["event_id"], error.code)
                    return
                reason = "http_timeout" if error.code == "operation_timeout" else "http_error"
                retry = (number, reason)
                await asyncio.sleep(delay)
            else:
                return

    async def _send_to_socket(self, kind: str, payload: Json, retry: tuple[int, str] | None) -> Json:
        self._turn += 1
        socket = self._sockets[self._turn % len(self._sockets)]
        envelope_id = str(uuid.uuid4())
        takes_answer = kind != "events_api"
        envelope = {"envelope_id": envelope_id, "type": kind, "accepts_response_payload": takes_answer}
        if kind == "events_api":
            number, reason = retry or (0, "")
            envelope |= {"retry_attempt": number, "retry_reason": reason}
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answer
        try:
            await socket.send_json({**envelope, "payload": payload})
            return await answer
        except (WebSocketDisconnect, RuntimeError):  # Starlette raises RuntimeError on a closed socket
            raise DeliveryError("dispatch_failed") from None
        finally:
            del self._waiting[envelope_id]

    async def _send_to_url(self, kind: str, payload: Json, retry: tuple[int, str] | None) -> Json:
        headers = {}
        if retry is not None:
            headers = {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        response = await self.post_signed(kind, payload, extra_headers=headers)
        if response.status_code != httpx.codes.OK:
            logger.warning("the bot answered %s to %s", response.status_code, kind)
            raise DeliveryError("dispatch_failed")
        if not response.text.strip():
            return {}
        if response.headers.get("content-type", "").startswith("application/json"):
            return _parsed_answer(response)
        return {"text": response.text}

    async def post_signed(
        self,
        kind: str,
        payload: Json,
        *,
        extra_headers: dict[str, str],
        secret: str | None = None,
        age_s: int = 0,
    ) -> httpx.Response:
        """POST a payload to the request URL, signed with the secret (or a wrong one), `age_s` seconds old.

        Raises:
            DeliveryError: `dispatch_failed` without a request URL or a listener on it.
        """
        if self.request_url is None:
            raise DeliveryError("dispatch_failed")
        content_type = "application/x-www-form-urlencoded"
        if kind == "events_api":
            body, content_type = json.dumps(payload), "application/json"
        elif kind == "interactive":
            body = urlencode({"payload": json.dumps(payload)})
        else:
            body = urlencode(payload)
        stamp = int(time.time()) - age_s
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": str(stamp),
            "X-Slack-Signature": sign(secret or self._secret, stamp, body),
        }
        try:
            return await self._http.post(self.request_url, content=body, headers=headers | extra_headers)
        except httpx.TimeoutException:
            raise DeliveryError("operation_timeout") from None
        except httpx.TransportError as error:
            logger.warning("the request URL cannot be reached: %s", error)
            raise DeliveryError("dispatch_failed") from None


def _parsed_answer(response: httpx.Response) -> Json:
    try:
        answer: Json = response.json()
    except ValueError:
        logger.warning("the bot's answer is not JSON: %.100s", response.text)
        raise DeliveryError("dispatch_failed") from None
    return answer
