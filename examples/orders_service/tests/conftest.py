from __future__ import annotations

import getpass  # noqa: F401  # as pytest's tmp_path does, in the first test that has one
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from orders.payments import Payments, ProviderAwayError
from orders.service import Orders

from coresys import build_system
from coresys.state import SQLiteStore
from coresys.testing.fakes import FakeClock


class Provider:
    """The other end of the payments: away for as many calls as it is told to be."""

    def __init__(self) -> None:
        self.away = 0
        self.asked: list[str] = []
        self.also: Callable[[str], object] | None = None  # is called too

    def __call__(self, order: str) -> None:
        self.asked.append(order)
        if self.also is not None:
            self.also(order)
        if self.away > 0:
            self.away -= 1
            raise ProviderAwayError("it does not answer")


@contextmanager
def orders_in(folder: Path, provider: Provider, *, store: SQLiteStore | None = None) -> Iterator[Orders]:
    """The service without its intake; in memory where no store is given, for a disk that syncs takes most of a test's
    time, and each test is repeated. Nobody waits before something is tried again: the clock moves on at once. Whatever
    is left when it is down fails the test."""
    with build_system("orders", store=store, workers=3, ranks=Orders.RANKS, sampling=None, clock=FakeClock()) as system:
        payments = Payments(":memory:" if store is None else folder / "payments.db", before=provider)
        orders = Orders(system, payments, folder)
        system.start()
        yield orders


def exits(order: str) -> None:
    """As a library does that should not."""
    raise SystemExit(3)


def pytest_sessionstart() -> None:
    """What is made once in a process (imports, first uses of SQLite) is made before the first test, and is none's."""
    provider = Provider()
    with TemporaryDirectory() as made, TemporaryDirectory() as parent:
        with orders_in(Path(made), provider, store=SQLiteStore(Path(made) / "orders.db")) as orders:
            provider.also, provider.away = exits, 5
            orders.place("held up", 1).exception()
            provider.also = None
            orders.place("in trouble", 1).result()
            orders.place("shipped", 1).result()
            orders.system.coordinators.monitoring.report()
        copy = shutil.copytree(made, Path(parent) / "copy")
        with orders_in(copy, provider, store=SQLiteStore(copy / "orders.db")) as orders:
            orders.retry("in trouble").result()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def orders(tmp_path: Path, provider: Provider) -> Iterator[Orders]:
    with orders_in(tmp_path, provider) as service:
        yield service
