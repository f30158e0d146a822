"""What every store does, in SQL that both databases understand; ``Database`` is what a kind of database has to give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, Protocol

from pytest_coresys.history import schema
from pytest_coresys.history.model import (
    NO_FIGURE,
    HistoryError,
    Point,
    Run,
    RunRow,
    criteria_of,
    measures_of,
    row_of,
    totals_of,
)

Row = Sequence[Any]
_RENAMED = {"over": "over_limit", "near": "near_limit", "within": "within_limit"}
_VERDICTS = ("not_measured", "within", "near", "suspected", "over")  # as the query counts them


class Transaction(Protocol):
    """What is done within it is done as a whole, or not at all."""

    def rows(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """What a query finds."""

    def do(self, sql: str, values: Mapping[str, Any] | None = None) -> None:
        """A statement."""

    def do_all(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """The same statement with each of these."""


class Database(Protocol):
    """A kind of database. ``writing`` is a transaction that nobody else's runs beside, as far as our tables go.

    All of its errors are HistoryError.
    """

    url: str

    def reading(self) -> AbstractContextManager[Transaction]: ...

    def writing(self) -> AbstractContextManager[Transaction]: ...

    def version(self, transaction: Transaction) -> int:
        """That of the schema, 0 where there is none yet."""

    def set_version(self, transaction: Transaction, version: int) -> None: ...

    def close(self) -> None: ...


class SqlStore:
    """A history over a database. Its tables are made, or brought up to date, when it is opened."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.url = database.url
        with database.reading() as transaction:
            version = database.version(transaction)
        if version < schema.VERSION:
            self._migrate()
        elif version > schema.VERSION:
            self._refuse(version)

    def _migrate(self) -> None:
        with self._database.writing() as transaction:
            version = self._database.version(transaction)  # once more: another run may have done it meanwhile
            if version > schema.VERSION:
                self._refuse(version)
            for number, statements in enumerate(schema.MIGRATIONS[version:], version + 1):
                for statement in statements:
                    transaction.do(statement)
                self._database.set_version(transaction, number)

    def _refuse(self, version: int) -> None:
        problem = f"it was written by a newer coresys (schema {version}, this one knows {schema.VERSION})"
        raise HistoryError(url=self.url, problem=problem)

    def save(self, run: Run, *, keep: int | None = None) -> None:
        """Keep a run, in one transaction, and of each machine no more than so many: no test of it is there twice."""
        row = {_RENAMED.get(name, name): value for name, value in asdict(row_of(run)).items()}
        row["compliant"] = int(row["compliant"])
        with self._database.writing() as transaction:
            there = {identity: set(merged.split()) for identity, merged in transaction.rows(schema.SELECT_IDS, {})}
            mine = set(row["merged"].split()) or {row["id"]}
            if row["id"] in there or any(mine <= (parts or {identity}) for identity, parts in there.items()):
                return
            _delete(transaction, [identity for identity, parts in there.items() if (parts or {identity}) < mine])
            transaction.do(schema.INSERT_RUN, row)
            once_open = {(nodeid, key) for nodeid, key in transaction.rows(schema.SELECT_OPEN, {})}
            transaction.do_all(schema.INSERT_MEASURE, measures_of(run, once_open))
            transaction.do_all(schema.INSERT_TOTAL, totals_of(run))
            transaction.do_all(schema.INSERT_CRITERION, criteria_of(run))
            if keep is not None:
                _prune(transaction, keep)

    def runs(self, last: int, machine: str | None = None) -> list[RunRow]:
        """The last runs, oldest first."""
        with self._database.reading() as transaction:
            rows = transaction.rows(schema.SELECT_RUNS, {"last": last, "machine": machine or ""})
        return [_run_row(row) for row in reversed(rows)]

    def trend(self, key: str, last: int, *, machine: str | None = None, nodeid: str | None = None) -> list[Point]:
        """The last figures of a criterion or a measure, oldest first."""
        values = {"key": key, "last": last, "machine": machine or "", "nodeid": nodeid or ""}
        with self._database.reading() as transaction:
            found = [] if nodeid else _criterion(transaction, values)
            if not found:
                rows = transaction.rows(schema.SELECT_MEASURE, values)
                points = {row[0]: _point(*row) for row in rows}  # of runs of before, or of one test
                totals = [] if nodeid else transaction.rows(schema.SELECT_TOTAL, values)
                points.update((row[0], Point(*row)) for row in totals)
                found = sorted(points.values(), key=lambda point: (point.started, point.run))[-last:]
        return found

    def criteria(self, ids: Sequence[str], last: int, machine: str) -> dict[str, list[Point]]:
        """The last figures of each of these criteria, oldest first, in one transaction."""
        with self._database.reading() as transaction:
            return {name: _criterion(transaction, {"key": name, "last": last, "machine": machine}) for name in ids}

    def unit(self, criterion: str) -> str:
        """The unit that a criterion had last; empty where that is not known."""
        with self._database.reading() as transaction:
            rows = transaction.rows(schema.SELECT_UNIT, {"key": criterion})
        return str(rows[0][0]) if rows else ""

    def keys(self) -> list[str]:
        """The measures and criteria that there are figures of."""
        with self._database.reading() as transaction:
            return sorted(row[0] for row in transaction.rows(schema.SELECT_KEYS, {}))

    def prune(self, keep: int) -> int:
        """Keep so many runs of each machine, the last ones; returns how many are gone."""
        with self._database.writing() as transaction:
            return _prune(transaction, keep)

    def close(self) -> None:
        """Give up what is open."""
        self._database.close()


def _point(run: str, started: str, value: float, worst: int) -> Point:
    verdict = _VERDICTS[worst]
    return Point(run, started, None if verdict in NO_FIGURE else value, verdict)


def _criterion(transaction: Transaction, values: Mapping[str, Any]) -> list[Point]:
    return [Point(*row) for row in transaction.rows(schema.SELECT_CRITERION, values)[::-1]]


def _prune(transaction: Transaction, keep: int) -> int:
    old = [row[0] for row in transaction.rows(schema.SELECT_OLD, {"keep": keep})]
    _delete(transaction, old)
    return len(old)


def _delete(transaction: Transaction, ids: Sequence[str]) -> None:
    for statement in schema.DELETE_PARTS:
        transaction.do_all(statement, [{"id": each} for each in ids])


def _run_row(row: Row) -> RunRow:
    values = list(row)
    values[-1] = bool(values[-1])
    return RunRow(*values)
