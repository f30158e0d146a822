"""From a URL to a store: ``sqlite:///.coresys/history.db`` (from the root), ``postgresql+psycopg://…``, or ``none``."""

from __future__ import annotations

from pathlib import Path

from pytest_coresys.history.model import HistoryError, HistoryStore

DEFAULT = "sqlite:///.coresys/history.db"
KEEP = 500
"""Runs of each machine that a store keeps."""
NONE = "none"
_SQLITE = "sqlite:///"


def check_url(url: str) -> str | None:
    """What is wrong with a URL, before any test runs; None if it may be right."""
    if url == NONE or (url.startswith(_SQLITE) and len(url) > len(_SQLITE)):
        return None
    if url.startswith(("postgresql://", "postgresql+")) and "://" in url:
        return None
    return f'"{url}" is no history: write none, sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE'


def open_store(url: str, folder: Path) -> HistoryStore:
    """The store that a URL names; a path in it is from ``folder``. Raises HistoryError, of whatever goes wrong."""
    from pytest_coresys.history.store import SqlStore

    if problem := check_url(url):
        raise HistoryError(url=url, problem=problem)
    if url.startswith(_SQLITE):
        from pytest_coresys.history.sqlite import SQLiteDatabase

        path = folder / url.removeprefix(_SQLITE)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name == ".coresys":
                _ignore_itself(path.parent)
        except OSError as error:
            raise HistoryError(url=url, problem=str(error.strerror or error)) from None
        return SqlStore(SQLiteDatabase(path, url))
    try:
        from pytest_coresys.history.postgres import PostgresDatabase
    except ImportError as error:
        raise HistoryError(url=_bare(url), problem=f"{error}: install pytest-coresys[postgres]") from None
    return SqlStore(PostgresDatabase(url))


def _bare(url: str) -> str:
    """Without what may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _ignore_itself(folder: Path) -> None:
    mark = folder / ".gitignore"
    if not mark.exists():
        mark.write_text("*\n", encoding="utf-8")
