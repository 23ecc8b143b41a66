"""Run the workspace: in the foreground, or in a thread beside the caller."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

import uvicorn

from infra.workspace.app import WorkspaceConfig, create_app

START_SECONDS = 10.0


def _uvicorn_config(config: WorkspaceConfig, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(config),
        host=host,
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )


def serve(config: WorkspaceConfig, host: str = "127.0.0.1", port: int = 3000) -> None:
    """Serve until interrupted."""
    uvicorn.Server(_uvicorn_config(config, host, port)).run()


class WorkspaceServer:
    """The workspace in a thread, as a context manager; port 0 takes a free one.

    Attributes:
        base_url: address of the page, without a slash at the end.
        api_url: base URL for slack_sdk's WebClient.
    """

    def __init__(self, config: WorkspaceConfig, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.base_url = f"http://{host}:{self._socket.getsockname()[1]}"
        self.api_url = f"{self.base_url}/api/"
        self._server = uvicorn.Server(_uvicorn_config(config, host, port))
        self._thread = threading.Thread(target=self._run, name="workspace", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> WorkspaceServer:
        """Start, and wait until it answers.

        Raises:
            RuntimeError: it did not start.
        """
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the workspace did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Save and stop."""
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._socket.close()
