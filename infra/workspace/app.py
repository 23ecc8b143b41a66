"""The workspace as one application: Slack's side, the page's side and the controls, wired together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from infra.workspace.chat import Chat, bot_message
from infra.workspace.control import Control
from infra.workspace.delivery import Delivery
from infra.workspace.files import FileStore
from infra.workspace.interactions import Interactions
from infra.workspace.page_api import PageApi, file_response
from infra.workspace.response_urls import ResponseUrls
from infra.workspace.state import APP_ID, DEFAULT_USERS, SlackError, Workspace, WorkspaceUser
from infra.workspace.views import Views
from infra.workspace.web_api import WebApi, parse_object

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
SAVE_EVERY_S = 2.0


@dataclass(frozen=True)
class WorkspaceConfig:
    """What a workspace needs to know.

    Attributes:
        bot_token: the token that the Web API accepts (xoxb-…).
        app_token: the token that may open Socket Mode connections (xapp-…).
        signing_secret: the secret that signs HTTP deliveries.
        users: the people.
        commands: (command, description, usage hint) of each slash command of the app.
        request_url: where HTTP deliveries go; None for Socket Mode only.
        snapshot: the JSON file that survives restarts (uploads lie in a folder beside it); None to forget.
        prefer_http: deliver over HTTP also while a socket is connected.
    """

    bot_token: str
    app_token: str
    signing_secret: str
    users: tuple[WorkspaceUser, ...] = DEFAULT_USERS
    commands: tuple[tuple[str, str, str], ...] = ()
    request_url: str | None = None
    snapshot: Path | None = None
    prefer_http: bool = False


class WorkspaceApp(Starlette):
    """Starlette, which also keeps the server's own `send` within reach (a fault may break the connection)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        scope["workspace.send"] = send
        await super().__call__(scope, receive, send)


class _Parts:
    """Everything that one workspace consists of."""

    def __init__(self, config: WorkspaceConfig) -> None:
        self.config = config
        self.workspace = Workspace(config.users)
        folder = None if config.snapshot is None else config.snapshot.with_suffix(".files")
        self.files = FileStore(self.workspace, folder, bot_message)
        self.views = Views(self.workspace)
        self.delivery = Delivery(
            signing_secret=config.signing_secret,
            request_url=config.request_url,
            prefer_http=config.prefer_http,
        )
        self.responses = ResponseUrls(self.workspace, self.files)
        words = tuple(word for word, _, _ in config.commands)
        self.interactions = Interactions(self.workspace, self.views, self.files, self.delivery, self.responses, words)
        chat = Chat(self.workspace, self.files)
        self.web_api = WebApi(
            chat.methods | self.views.methods | self.files.methods,
            bot_token=config.bot_token,
            app_token=config.app_token,
            open_connection=self._connection_url,
        )
        self.page = PageApi(self.workspace, self.views, self.files, self.interactions, config.commands)
        self.control = Control(self.workspace, self.web_api, self.delivery, self.reset)

    def reset(self) -> None:
        """Empty channels, no views, files, calls or faults."""
        self.workspace.clear()
        self.views.clear()
        self.files.clear()
        self.web_api.clear()
        self.delivery.sent.clear()
        self.workspace.pages.push({"type": "reset"})

    def load(self) -> None:
        """Take over the snapshot, if there is one."""
        path = self.config.snapshot
        if path is not None and path.exists():
            saved = json.loads(path.read_text(encoding="utf-8"))
            self.workspace.restore(saved)
            self.files.records = saved["files"]
        self.workspace.dirty = False

    def save(self) -> None:
        """Write the snapshot if anything changed; a reader never sees half of it."""
        path = self.config.snapshot
        if path is None or not self.workspace.dirty:
            return
        self.workspace.dirty = False
        text = json.dumps({**self.workspace.snapshot(), "files": self.files.records})
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)

    async def save_regularly(self) -> None:
        """Write the snapshot every few seconds, for as long as the server runs."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            try:
                self.save()
            except OSError:
                logger.exception("the snapshot was not written; the next change tries again")

    async def call(self, request: Request) -> Response:
        """The Web API; the address under which the bot calls goes into the links it is given."""
        self.workspace.base_url = str(request.base_url)
        return await self.web_api.endpoint(request)

    async def upload(self, request: Request) -> Response:
        """The second step of an external upload: the bytes."""
        try:
            self.files.write(request.path_params["file_id"], await request.body())
        except SlackError as error:
            return JSONResponse(error.answer(), 404)
        return PlainTextResponse("OK")

    async def private_file(self, request: Request) -> Response:
        """A file for the bot, who shows its token."""
        if request.headers.get("authorization") != f"Bearer {self.config.bot_token}":
            return JSONResponse({"ok": False, "error": "not_authed"}, 403)
        return file_response(self.files, request.path_params["file_id"])

    async def respond(self, request: Request) -> Response:
        """A response URL."""
        try:
            body = parse_object(await request.body())
            self.responses.use(request.path_params["key"], body)
        except SlackError as error:
            lost = error.code in {"used_url", "expired_url"}
            return JSONResponse(error.answer(), 404 if lost else 400)
        return JSONResponse({"ok": True})

    async def link(self, socket: WebSocket) -> None:
        """Socket Mode."""
        await self.delivery.serve_socket(socket)

    def _connection_url(self, request: Request) -> str:
        address = f"ws://{request.url.netloc}/link?ticket={self.delivery.issue_ticket()}"
        return f"{address}&app_id={APP_ID}"


async def _index(_request: Request) -> Response:
    return FileResponse(PAGE / "index.html")


def create_app(config: WorkspaceConfig) -> Starlette:
    """The application; serve it with uvicorn (one process: the workspace lives in its memory)."""
    parts = _Parts(config)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        parts.load()
        saving = asyncio.create_task(parts.save_regularly())
        try:
            yield
        finally:
            saving.cancel()
            parts.save()
            await parts.delivery.close()

    routes: list[BaseRoute] = [
        Route("/", _index),
        Mount("/static", StaticFiles(directory=PAGE, check_dir=False)),
        Route("/api/{method}", parts.call, methods=["GET", "POST"]),
        Route("/upload/{file_id}", parts.upload, methods=["POST"]),
        Route("/files-pri/{file_id}/{name:path}", parts.private_file),
        Route("/respond/{key}", parts.respond, methods=["POST"]),
        WebSocketRoute("/link", parts.link),
        *parts.page.routes,
        *parts.control.routes,
    ]
    return WorkspaceApp(routes=routes, lifespan=lifespan)
