"""What each process of an installation does, from start to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import uvicorn
from slack_bolt.adapter.socket_mode import SocketModeHandler

from bot.commands import COMMANDS
from bot.sending import sender
from infra.http.service_app import create_service_app
from infra.local_files import LocalFiles
from infra.loops import reconciling, repeat
from infra.seeding import seed_managers_group
from infra.settings import LOCAL_APP_TOKEN, LOCAL_BOT_TOKEN, DatabaseRole, Settings
from infra.wiring import build_parts, slack_client
from infra.workspace.app import WorkspaceConfig
from infra.workspace.serving import serve

_IDLE_SECONDS = 0.25


def stop_signal() -> threading.Event:
    """Set when the process should end: SIGTERM, SIGINT, or the death of the parent that holds our stdin."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=_wait_for_parent, args=(stop,), name="parent", daemon=True).start()
    return stop


def _wait_for_parent(stop: threading.Event) -> None:
    _read_to_end()
    stop.set()


def _read_to_end() -> None:
    # Not through sys.stdin: a thread that holds its lock at the end crashes the interpreter.
    while os.read(0, 1024):
        pass


def run_workspace(settings: Settings) -> None:
    """The local workspace."""
    config = WorkspaceConfig(
        bot_token=LOCAL_BOT_TOKEN,
        app_token=LOCAL_APP_TOKEN,
        signing_secret=settings.signing_secret_value(),
        commands=COMMANDS,
        request_url=f"{settings.service_url}/slack/events",
        snapshot=settings.data_dir / "workspace.json",
    )
    _end_with_parent()
    serve(config, settings.host, settings.workspace_port)


def run_http(settings: Settings) -> None:
    """Ingest, links, and Slack's signed requests."""
    parts = build_parts(settings, DatabaseRole.INGEST)
    alone = settings.database_url_of(DatabaseRole.BOT) == settings.database_url_of(DatabaseRole.INGEST)
    bot = parts if alone else build_parts(settings, DatabaseRole.BOT)
    if isinstance(parts.files, LocalFiles):
        parts.files.remove_abandoned()
    app = create_service_app(parts, bot)
    _end_with_parent()
    uvicorn.run(app, host=settings.host, port=settings.http_port, log_level="warning", timeout_graceful_shutdown=5)
    parts.db.close()
    bot.db.close()


def run_bot(settings: Settings) -> None:
    """Socket Mode, where there is an app token, and the outbox worker."""
    parts = build_parts(settings, DatabaseRole.BOT)
    stop = stop_signal()
    token = settings.slack_app_token.get_secret_value() if settings.slack_app_token else ""
    if settings.uses_local_workspace:
        token = LOCAL_APP_TOKEN
    handler = SocketModeHandler(parts.slack_app(), token) if token else None
    if handler is not None:
        handler.connect()  # type: ignore[no-untyped-call]
    seed_managers_group(parts.db, settings)
    send = sender(parts.context(), slack_client(settings, retries=False))
    repeat(send, pause=_IDLE_SECONDS, until=stop.is_set, rest=stop.wait)
    if handler is not None:
        handler.client.auto_reconnect_enabled = False
        handler.close()  # type: ignore[no-untyped-call]
    parts.db.close()


def run_reconcile(settings: Settings) -> None:
    """The reconcile loop."""
    parts = build_parts(settings, DatabaseRole.FUNCTIONS)
    stop = stop_signal()
    repeat(reconciling(parts), pause=settings.reconcile_seconds, until=stop.is_set, rest=stop.wait)
    parts.db.close()


def _end_with_parent() -> None:
    """uvicorn handles the signals itself; the parent's death becomes one."""

    def watch() -> None:
        _read_to_end()
        signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


PROCESSES: dict[str, Callable[[Settings], None]] = {
    "workspace": run_workspace,
    "http": run_http,
    "bot": run_bot,
    "reconcile": run_reconcile,
}
