"""A history in PostgreSQL, for a fleet: by SQLAlchemy 2 and whatever driver its URL names (the extra ``postgres``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pytest_coresys.history.model import HistoryError
from pytest_coresys.history.store import Row, Transaction

_LOCK = 0x636F7265  # of the advisory lock that writers take turns by: "core"
_PATIENCE = 10  # seconds, to connect and for a turn
_MOST_AT_ONCE = 1000


class _Statements:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        return [tuple(row) for row in self._connection.execute(text(sql), dict(values))]

    def do(self, sql: str, values: Mapping[str, Any] | None = None) -> None:
        self._connection.execute(text(sql), dict(values or {}))

    def do_all(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        waiting = [dict(row) for row in rows]
        for at in range(0, len(waiting), _MOST_AT_ONCE):
            self._connection.execute(text(sql), waiting[at : at + _MOST_AT_ONCE])


class PostgresDatabase:
    """What a URL of SQLAlchemy names. Writers take turns, for a run of a fleet is short and comes seldom."""

    def __init__(self, url: str) -> None:
        self.url = "postgresql"
        with self._told():
            parsed = make_url(url)
            self.url = parsed.render_as_string(hide_password=True)
            options = {"connect_timeout": _PATIENCE} if "psycopg" in parsed.drivername else {}
            # A connection for each use: one that is kept may be dead when the run is over.
            self._engine = create_engine(parsed, poolclass=NullPool, connect_args=options)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._told(), self._engine.begin() as connection:
            yield _Statements(connection)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        with self._told(), self._engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield _Statements(connection)

    def version(self, transaction: Transaction) -> int:
        there = transaction.rows("SELECT to_regclass('coresys_schema')", {})
        if there[0][0] is None:
            return 0
        found = transaction.rows("SELECT version FROM coresys_schema", {})
        return int(found[0][0]) if found else 0

    def set_version(self, transaction: Transaction, version: int) -> None:
        transaction.do("CREATE TABLE IF NOT EXISTS coresys_schema (version INTEGER NOT NULL)")
        transaction.do("DELETE FROM coresys_schema")
        transaction.do("INSERT INTO coresys_schema (version) VALUES (:version)", {"version": version})

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()
            raise HistoryError(url=self.url, problem=cause[0] if cause else type(error).__name__) from None
        except ImportError as error:  # the driver that the URL names
            raise HistoryError(url=self.url, problem=f"{error}: install pytest-coresys[postgres]") from None
