"""An ssh server of its own on loopback, for tests: Debian's programs, its own keys, and no user's configuration."""

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

_SSHD = Path("/usr/sbin/sshd")
_SEPARATED = Path("/run/sshd")  # where a server of root's wants an empty folder
_WAIT = 30.0


def why_not() -> str | None:
    """Why no server can be started here, if so."""
    if not _SSHD.exists() or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "OpenSSH is not installed"
    return None


@contextmanager
def server(folder: Path, hosts: list[str]) -> Iterator[Path]:
    """The configuration of a client for which these are hosts, all of them this machine and this user."""
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        _SEPARATED.mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, log = folder / "sshd_config", folder / "log"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder / 'client.pub'}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        encoding="utf-8",
    )
    client = folder / "ssh_config"
    client.write_text(
        f"Host {' '.join(hosts)}\nHostName 127.0.0.1\nPort {port}\nUser {pwd.getpwuid(os.geteuid()).pw_name}\n"
        f"IdentityFile {folder / 'client'}\nIdentitiesOnly yes\nBatchMode yes\nLogLevel ERROR\n"
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([str(_SSHD), "-D", "-f", str(config), "-E", str(log)], stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _WAIT
        while not log.exists() or "listening" not in log.read_text("utf-8"):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < until, "the ssh server does not listen"
            time.sleep(0.02)
        yield client
    finally:
        process.terminate()
        process.wait()
