"""Payments, kept by the order they are for: to ask for one twice is to be paid once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path


class Payments:
    """A ledger in a file of its own, as a payment provider's would be, or ":memory:". ``before`` is called before each
    charge."""

    def __init__(self, path: Path | str, *, before: Callable[[str], object] | None = None) -> None:
        self._lock = threading.Lock()
        self._before = before
        self._ledger = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._ledger.execute("PRAGMA journal_mode = WAL")
        self._ledger.execute("PRAGMA synchronous = OFF")  # the kernel has it all the same, whatever we die of
        self._ledger.execute("CREATE TABLE IF NOT EXISTS payment (name TEXT PRIMARY KEY)")

    def charge(self, order: str) -> None:
        """Charge an order, once however often this is asked for. Raises ConnectionError when the provider is away."""
        if self._before is not None:
            self._before(order)
        with self._lock:
            self._ledger.execute("INSERT OR IGNORE INTO payment VALUES (?)", (order,))

    def charged(self) -> set[str]:
        """The orders that were charged."""
        with self._lock:
            return {row[0] for row in self._ledger.execute("SELECT name FROM payment")}

    def close(self) -> None:
        with self._lock:
            self._ledger.close()
