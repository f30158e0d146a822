"""Links in SQLite, some of them with an end, and pages of them."""

from __future__ import annotations

import atexit
import sqlite3
import threading
from pathlib import Path

from . import codes

SCHEMA = 2

_open: list[Store] = []


class StoreError(Exception):
    """The database cannot be used."""


class Store:
    def __init__(self, path: str | Path = ":memory:") -> None:
        self._lock = threading.Lock()
        self._timers: list[threading.Timer] = []
        self.connection = sqlite3.connect(path, check_same_thread=False)

    def schema_version(self) -> int:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return version

    def migrate(self) -> None:
        with self._lock, self.connection:
            self.connection.execute("CREATE TABLE IF NOT EXISTS links (id INTEGER PRIMARY KEY, url TEXT NOT NULL)")
            self.connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def add(self, url: str, ttl: float | None = None) -> str:
        with self._lock, self.connection:
            cursor = self.connection.execute("INSERT INTO links (url) VALUES (?)", (url,))
        code = codes.encode(cursor.lastrowid or 0)
        if ttl is not None:
            timer = threading.Timer(ttl, self.remove, (code,))
            timer.daemon = True
            timer.start()
            self._timers.append(timer)
        return code

    def find(self, code: str) -> str | None:
        with self._lock:
            row = self.connection.execute("SELECT url FROM links WHERE id = ?", (codes.decode(code),)).fetchone()
        return row[0] if row else None

    def remove(self, code: str) -> None:
        with self._lock, self.connection:
            self.connection.execute("DELETE FROM links WHERE id = ?", (codes.decode(code),))

    def urls(self) -> list[str]:
        with self._lock:
            return [url for (url,) in self.connection.execute("SELECT url FROM links ORDER BY id")]

    def first_page(self, size: int) -> tuple[list[str], str]:
        """The first *size* addresses by the alphabet, and the token that next_page() takes."""
        return self.next_page(f"0:{size}")

    def next_page(self, token: str) -> tuple[list[str], str]:
        start, size = map(int, token.split(":"))
        return sorted(self.urls())[start : start + size], f"{start + size}:{size}"

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
            timer.join()
        self.connection.close()
        if self in _open:
            _open.remove(self)


def open_store(path: str | Path = ":memory:") -> Store:
    """The store at *path*, brought up to date."""
    store = Store(path)
    _open.append(store)
    version = store.schema_version()
    if version > SCHEMA:
        store.close()
        raise StoreError(f"schema {version} is newer than this program, which knows {SCHEMA}")
    store.migrate()
    return store


def close_all() -> None:
    while _open:
        _open[-1].close()


atexit.register(close_all)
