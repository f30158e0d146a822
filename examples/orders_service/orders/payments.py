"""Payments, kept by the order they are for: to ask for one twice is to be paid once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path


class ProviderAwayError(Exception):
    """The provider of payments does not answer, or there is no connection to it."""


class Payments:
    """A connection to a ledger in a file of its own, as a payment provider's would be; or ":memory:", for tests.

    ``before`` is called before each charge.
    """

    def __init__(self, path: Path | str, *, before: Callable[[str], object] | None = None) -> None:
        self._path, self._before = path, before
        self._lock = threading.Lock()
        self._ledger: sqlite3.Connection | None = None

    def connect(self) -> None:
        with self._lock:
            self._ledger = sqlite3.connect(self._path, timeout=1.0, isolation_level=None, check_same_thread=False)
            self._ledger.execute("CREATE TABLE IF NOT EXISTS payment (name TEXT PRIMARY KEY)")

    def charge(self, order: str) -> None:
        """Charge an order, once however often this is asked for. Raises ProviderAwayError."""
        if self._before is not None:
            self._before(order)
        self._execute("INSERT OR IGNORE INTO payment VALUES (?)", order)

    def charged(self) -> set[str]:
        """The orders that were charged."""
        return {row[0] for row in self._execute("SELECT name FROM payment")}

    def close(self) -> None:
        with self._lock:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = None

    def _execute(self, statement: str, *values: str) -> list[tuple[str]]:
        with self._lock:
            if self._ledger is None:
                raise ProviderAwayError("there is no connection")
            try:
                return self._ledger.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:  # it is locked, its disk is full
                raise ProviderAwayError(str(error)) from error
