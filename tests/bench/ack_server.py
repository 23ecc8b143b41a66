"""The servers of the ack measurement, each in a process of its own; prints its address and serves until killed.

`python -m tests.bench.ack_server workspace|bare|ours FOLDER`, the last two with the workspace's address and
the last one with the database's as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from slack_bolt import Ack, App
from slack_bolt.adapter.starlette import SlackRequestHandler
from slack_sdk import WebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from blocks.train_form import ACTION_PRESET
from bot.app import create_app
from bot.commands import COMMANDS
from functions.model.people import Role
from infra.clock import utc_now
from infra.http.app import create_http_app
from infra.local_files import LocalFiles
from infra.postgres.database import PostgresDatabase
from infra.workspace.app import WorkspaceConfig
from infra.workspace.serving import WorkspaceServer
from infra.workspace.state import WorkspaceUser
from tests.bench.acks import PEOPLE, SECRET, TOKEN
from tests.scenario.bot_house import bot_context
from tests.scenario.house import SetClock, add_demo_file
from tests.serving import served

_DEMO_FILE = Path(__file__).resolve().parents[2] / "infra" / "demo" / "nell-harrow.json"


def main() -> None:
    """Serve what was asked for until standard input ends."""
    kind, folder, *rest = sys.argv[1:]
    if kind == "workspace":
        users = tuple(WorkspaceUser(user, user.lower(), "Engineer") for user in PEOPLE)
        config = WorkspaceConfig(
            bot_token=TOKEN,
            app_token="xapp-bench",
            signing_secret=SECRET,
            users=users,
            commands=COMMANDS,
            request_url=rest[0],
        )
        with WorkspaceServer(config) as workspace:
            _announce(workspace.base_url)
        return
    client = WebClient(token=TOKEN, base_url=f"{rest[0]}/api/")
    app = _bare(client) if kind == "bare" else _ours(client, Path(folder), rest[1])
    with served(app, port=int(rest[-1])) as url:
        _announce(url)


def _announce(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
    sys.stdin.read()


def _bare(client: WebClient) -> Starlette:
    app = App(client=client, signing_secret=SECRET)

    def only_ack(ack: Ack) -> None:
        ack()

    app.action(ACTION_PRESET)(only_ack)
    handler = SlackRequestHandler(app)

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    return Starlette(routes=[Route("/slack/events", events, methods=["POST"])])


def _ours(client: WebClient, folder: Path, database_url: str) -> Starlette:
    db = PostgresDatabase(database_url, default_limit_cents=500_00)
    files = LocalFiles(folder / "files", secret=SECRET, base_url="http://localhost", clock=utc_now)
    add_demo_file(db, files, _DEMO_FILE, SetClock())
    app = create_app(bot_context(db, files, default_role=Role.MEMBER), client=client, signing_secret=SECRET)
    return create_http_app(db, files, secret=SECRET, clock=utc_now, slack_app=app)


if __name__ == "__main__":
    main()
