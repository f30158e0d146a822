"""A history in one file, by the standard library. Write-ahead log; one writer at a time, others wait for their turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_coresys.history.model import HistoryError
from pytest_coresys.history.store import Row, Transaction

_PATIENCE = 10.0  # seconds, that a writer waits for others


class _Statements:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        return self._connection.execute(sql, dict(values)).fetchall()

    def do(self, sql: str, values: Mapping[str, Any] | None = None) -> None:
        self._connection.execute(sql, dict(values or {}))

    def do_all(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._connection.executemany(sql, (dict(row) for row in rows))


class SQLiteDatabase:
    """The file at ``path``, which is made where there is none; its folder has to be there."""

    def __init__(self, path: Path, url: str) -> None:
        self.url = url
        self._connection: sqlite3.Connection | None = None
        with self._told():
            # Transactions are begun by us; the controller may close it in another thread than it was opened in.
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA foreign_keys = ON")
            with suppress(sqlite3.OperationalError):  # where files cannot be shared (a network's), it does without
                self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._told():
            assert self._connection is not None
            self._connection.execute(begin)
            try:
                yield _Statements(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has undone it already
                    self._connection.execute("ROLLBACK")
                raise

    def version(self, transaction: Transaction) -> int:
        return int(transaction.rows("PRAGMA user_version", {})[0][0])

    def set_version(self, transaction: Transaction, version: int) -> None:
        transaction.do(f"PRAGMA user_version = {version:d}")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HistoryError(url=self.url, problem=str(error)) from None
