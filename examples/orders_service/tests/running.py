"""The service in a process of its own, and its customers."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent


class Service:
    """``python -m orders FOLDER``, and what it has acknowledged so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orders", str(folder)], cwd=HERE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.port = int(self.output.readline().removeprefix("ready "))
        self.acknowledged: set[str] = set()

    def place(self, name: str) -> str:
        """Place an order, and wait for the answer; "" where there is none."""
        try:
            with socket.socket() as connection:
                connection.settimeout(60.0)
                connection.connect(("127.0.0.1", self.port))
                connection.sendall(json.dumps({"name": name, "amount": 1}).encode())
                connection.shutdown(socket.SHUT_WR)
                answer = connection.makefile().read()
        except OSError:  # it is gone, or going
            return ""
        if answer.startswith("placed"):
            self.acknowledged.add(name)
        return answer

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit status, and the last that it said."""
        self.process.send_signal(how)
        last = self.output.read()
        return self.process.wait(timeout=60.0), last


@contextmanager
def running(folder: Path) -> Iterator[Service]:
    service = Service(folder)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()
        service.output.close()


def states(folder: Path) -> dict[str, str]:
    """Where each order stands, as the store has it; each has come there by steps that follow on one another."""
    database = sqlite3.connect(folder / "orders.db")
    try:
        found = dict(database.execute("SELECT name, state FROM machine").fetchall())
        events = "SELECT event FROM history JOIN machine ON machine = id WHERE name = ? ORDER BY history.sequence"
        for name, state in found.items():
            made = [row[0] for row in database.execute(events, (name,))]
            assert made == ["place", "pay", "ship"][: ["new", "placed", "paid", "shipped"].index(state)]
        return found
    finally:
        database.close()


def charges(folder: Path) -> list[str]:
    """The orders that were charged."""
    database = sqlite3.connect(folder / "payments.db")
    try:
        return sorted(row[0] for row in database.execute("SELECT name FROM payment"))
    finally:
        database.close()


def receipts(folder: Path) -> int:
    """How many receipts were written, to their end."""
    return sum(each.read_text().endswith(" bytes\n") for each in (folder / "receipts").iterdir())
