"""A PostgreSQL server of its own on loopback, for tests: Debian's programs, a new cluster, no user's data."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program(name: str) -> str | None:
    """Where a program of the server is, if it is installed."""
    found = next((str(place / name) for place in _PLACES if (place / name).exists()), None)
    return found or shutil.which(name)


def why_not() -> str | None:
    """Why no server can be started here, if so."""
    if program("initdb") is None or program("pg_ctl") is None:
        return "PostgreSQL is not installed"
    return None if os.geteuid() or _other() else "PostgreSQL does not run as root, and there is no other user"


def _other() -> str | None:
    """Whom it can run as, where we are root."""
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running one, without a database: ``postgresql+psycopg://tester@127.0.0.1:PORT/``."""
    user = None if os.geteuid() else _other()
    folder = Path(tempfile.mkdtemp(prefix="coresys-pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        port = _free_port()
        data = folder / "data"
        _run(user, "initdb", "-D", str(data), "-U", "tester", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=40"
        )
        _run(user, "pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/"
        finally:
            _run(user, "pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str | None, name: str, *arguments: str) -> None:
    path = program(name)
    assert path is not None
    # Into a file: pg_ctl would leave a pipe to the server that it starts, and nobody would see its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [path, *arguments], user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
        output.seek(0)
        told = output.read().decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"{name} failed: {told}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
