"""PgBouncer in transaction mode before a test's Postgres, as Supabase's pooler stands before its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.logins import GROUPS, login_name

# `BRIGHTRUN_TEST_POOLER=pgbouncer`: every test's database is reached through it.
WANTED = os.environ.get("BRIGHTRUN_TEST_POOLER", "") == "pgbouncer"
MISSING = "PgBouncer is not installed (infra/setup/pooler.sh); what must hold behind a pooler was NOT tested"
# Fewer than a test's processes open: connections change hands all the time.
SERVER_CONNECTIONS = 4

_CONFIG = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
"""


def program() -> str | None:
    """The PgBouncer of this machine."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pooled(url: str, folder: Path) -> Iterator[int]:
    """A pooler before the server of an address; yields its port on 127.0.0.1."""
    server = conninfo_to_dict(url)
    host = str(server["host"])
    users = folder / "users.txt"
    users.write_text("".join(f'"{name}" ""\n' for name in ("postgres", *map(login_name, GROUPS))))
    config, port = folder / "pgbouncer.ini", _free_port()
    config.write_text(
        _CONFIG.format(host=host, port=server.get("port", 5432), listen=port, users=users, size=SERVER_CONNECTIONS)
    )
    # It refuses to run as root; whoever runs the server can reach its socket.
    owner = Path(host).owner()
    as_owner = ["-u", owner] if os.getuid() == 0 and owner != "root" else []
    for path in (folder, users, config):
        if as_owner:
            os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([str(program()), *as_owner, str(config)], stdout=log, stderr=log)
        try:
            _wait(process, port, folder / "pgbouncer.log")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def through(url: str, port: int) -> str:
    """The same database by way of the pooler."""
    return make_conninfo("", **(conninfo_to_dict(url) | {"host": "127.0.0.1", "port": str(port)}))


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
