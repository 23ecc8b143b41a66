"""`/page/*`: what the browser page asks and hears. `user` is whom the tab plays; nobody logs in.

A page that does not name its person yet plays the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.workspace.files import FileStore
from infra.workspace.interactions import Interactions
from infra.workspace.state import BOT_NAME, BOT_USER_ID, TEAM_ID, TEAM_NAME, Json, SlackError, Workspace
from infra.workspace.views import Views
from infra.workspace.web_api import parse_object

logger = logging.getLogger(__name__)

PageHandler = Callable[[str, Json], Awaitable[Json]]


class PageApi:
    """The page's requests, over the interactions that they become."""

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        files: FileStore,
        interactions: Interactions,
        commands: tuple[tuple[str, str, str], ...],
    ) -> None:
        self._workspace = workspace
        self._views = views
        self._files = files
        self._interactions = interactions
        self._commands = [
            {"command": word, "description": description, "usage_hint": hint} for word, description, hint in commands
        ]
        posts: dict[str, PageHandler] = {
            "command": lambda user, body: interactions.command(user, body["channel"], body["text"]),
            "message": self._message,
            "home": self._home,
            "action": interactions.action,
            "options": interactions.options,
            "submit": lambda user, body: interactions.submit(user, body["view_id"], body["state"]),
            "close": lambda user, body: interactions.close(user, body["view_id"], whole_stack=bool(body.get("all"))),
        }
        self.routes: list[BaseRoute] = [
            Route("/page/state", self._state),
            WebSocketRoute("/page/events", self._events),
            Route("/page/upload", self._upload, methods=["POST"]),
            Route("/page/file/{file_id}", self._file),
            Route("/archives/{channel}/{stamp}", _permalink),
            *[Route(f"/page/{n}", self._post(h), methods=["POST"]) for n, h in posts.items()],
        ]

    def _post(self, handler: PageHandler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                body = parse_object(await request.body())
                return JSONResponse(await handler(self._user(body), body))
            except SlackError as error:
                return JSONResponse({"ok": False, "error": error.code})
            except (KeyError, TypeError) as error:
                logger.exception("a page sent something malformed")
                return JSONResponse({"ok": False, "error": f"malformed request: {error!r}"}, 400)

        return endpoint

    def _user(self, body: Json) -> str:
        user = str(body["user"])
        if user not in self._workspace.users:
            raise SlackError("user_not_found")
        return user

    async def _message(self, user: str, body: Json) -> Json:
        channel = self._workspace.channel(body["channel"])
        fields: Json = {"user": user, "team": TEAM_ID, "text": str(body["text"])}
        if body.get("thread_ts"):
            fields["thread_ts"] = body["thread_ts"]
        return {"ok": True, "ts": self._workspace.post(channel, fields)["ts"]}

    async def _home(self, user: str, _body: Json) -> Json:
        return self._interactions.open_home(user)

    async def _state(self, request: Request) -> Response:
        workspace = self._workspace
        user = request.query_params.get("user") or next(iter(workspace.users))
        if user not in workspace.users:
            return JSONResponse({"ok": False, "error": "user_not_found"}, 404)
        people = [{"id": p.id, "name": p.name, "title": p.title, "is_bot": False} for p in workspace.users.values()]
        bot = {"id": BOT_USER_ID, "name": BOT_NAME, "title": "App", "is_bot": True}
        seen = [c for c in workspace.channels.values() if workspace.may_see(user, c)]
        return JSONResponse(
            {
                "team": {"id": TEAM_ID, "name": TEAM_NAME},
                "me": next(person for person in people if person["id"] == user),
                "bot": bot,
                "users": [*people, bot],
                "commands": self._commands,
                "channels": workspace.channels_of(user),
                "messages": {c.id: workspace.messages_for(user, c) for c in seen},
                "home": workspace.homes.get(user),
                "views": self._views.stack(user),
            }
        )

    async def _events(self, socket: WebSocket) -> None:
        user = socket.query_params.get("user") or next(iter(self._workspace.users))
        if user not in self._workspace.users:
            await socket.close(1008)
            return
        await socket.accept()
        queue = self._workspace.pages.connect(user)

        async def feed() -> None:
            while True:
                await socket.send_json(await queue.get())

        feeding = asyncio.create_task(feed())
        try:
            while True:  # the page says nothing; reading is how its leaving is noticed
                await socket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            self._workspace.pages.disconnect(queue)
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await feeding

    async def _upload(self, request: Request) -> Response:
        user, name = request.query_params.get("user", ""), request.query_params.get("name", "")
        if user not in self._workspace.users or not name:
            return JSONResponse({"ok": False, "error": "user and name are needed"}, 400)
        file_id = self._files.add(name=name, user=user)
        self._files.write(file_id, await request.body())
        return JSONResponse({"ok": True, "file": self._files.describe(file_id)})

    async def _file(self, request: Request) -> Response:
        return file_response(self._files, request.path_params["file_id"])


def file_response(files: FileStore, file_id: str) -> Response:
    """The bytes of a file with its type and name, or 404."""
    try:
        record, data = files.record(file_id), files.read(file_id)
    except SlackError as error:
        return JSONResponse(error.answer(), 404)
    name = f"inline; filename*=UTF-8''{quote(record['name'])}"
    return Response(data, media_type=record["mimetype"], headers={"Content-Disposition": name})


async def _permalink(request: Request) -> Response:
    digits = re.sub(r"\D", "", request.path_params["stamp"])
    channel = quote(request.path_params["channel"])
    return RedirectResponse(f"/?channel={channel}&ts={digits[:-6]}.{digits[-6:]}")
