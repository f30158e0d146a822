"""Nothing is lost, whatever befalls the service: threads that are killed, a store that is locked, a disk that is full,
and the end of the process, asked for or not (for ``kill -9`` see test_restarts.py)."""

from __future__ import annotations

import ctypes
import logging
import shutil
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from orders.service import Orders
from running import charges, receipts, running, states

from conftest import Provider, exits, orders_in
from coresys.errors.hierarchy import StoreError, TransitionFailedError
from coresys.state import SQLiteStore

resource = pytest.importorskip("resource")


# What processes went through is done once, in fixtures; tests, which are repeated, look at what that came to.


class Ended(NamedTuple):
    """A service that was ended: what it had acknowledged, and what it left."""

    folder: Path
    acknowledged: set[str]
    refused: str  # the last refusal, if there was one
    status: int
    last: str


def on_a_full_disk(folder: Path, how: signal.Signals, *, room: bool) -> Ended:
    """Let no file of a service grow any more; perhaps give it room again; end it."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("another process can be limited on Linux only")
    with running(folder) as service:
        service.place("first")
        most = (folder / "orders.db-wal").stat().st_size + 20_000
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        refused = [service.place(f"order {number}") for number in range(60)][-1]
        if room:
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            service.place("last")
        return Ended(folder, service.acknowledged, refused, *service.end(how))


@pytest.fixture(scope="module")
def full_for_a_while(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return on_a_full_disk(tmp_path_factory.mktemp("while"), signal.SIGTERM, room=True)


@pytest.fixture(scope="module")
def full_to_the_end(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return on_a_full_disk(tmp_path_factory.mktemp("end"), signal.SIGKILL, room=False)


@pytest.fixture(scope="module")
def under_load(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A service that got SIGTERM while four customers placed one order after the other."""
    with running(tmp_path_factory.mktemp("load")) as service, ThreadPoolExecutor(4) as customers:
        enough = threading.Event()

        def customer(number: int) -> None:
            for at in count():
                if not service.place(f"order {number}-{at}").startswith("placed"):
                    return
                if at == 10:
                    enough.set()

        asking = [customers.submit(customer, number) for number in range(4)]
        enough.wait()
        status, last = service.end(signal.SIGTERM)
        for each in asking:
            each.result()
    return Ended(service.folder, service.acknowledged, "", status, last)


def test_orders_that_a_full_disk_holds_up_go_on_when_there_is_room(full_for_a_while: Ended) -> None:
    folder, acknowledged, refused, status, last = full_for_a_while
    assert refused.startswith("refused: StoreError")  # not acknowledged
    assert {"first", "last"} < acknowledged
    assert (status, last.endswith("left: nothing\n")) == (128 + signal.SIGTERM, True)
    found = states(folder)
    # Of those that nobody was told of some may still be new: the next process forgets them.
    assert {found.pop(name) for name in acknowledged} == {"shipped"}
    assert set(found.values()) <= {"new"}
    assert charges(folder) == sorted(acknowledged)


def test_what_was_acknowledged_on_a_full_disk_is_done_when_there_is_room_after_a_kill(
    full_to_the_end: Ended, tmp_path: Path, provider: Provider
) -> None:
    folder = shutil.copytree(full_to_the_end.folder, tmp_path / "left")
    with orders_in(folder, provider, store=SQLiteStore(folder / "orders.db")):
        pass
    assert states(folder) == dict.fromkeys(full_to_the_end.acknowledged, "shipped")
    assert charges(folder) == sorted(full_to_the_end.acknowledged)


def test_a_signal_under_load_ends_it_when_all_is_done_that_was_acknowledged(under_load: Ended) -> None:
    assert (under_load.status, under_load.last.endswith("left: nothing\n")) == (128 + signal.SIGTERM, True)
    assert len(under_load.acknowledged) > 10
    found = states(under_load.folder)
    assert set(found) >= under_load.acknowledged  # it may have ended before a customer heard of it
    assert set(found.values()) == {"shipped"}
    assert charges(under_load.folder) == sorted(found)
    assert receipts(under_load.folder) == len(found)


def test_a_library_that_wants_to_exit_costs_no_order_and_no_thread(orders: Orders, provider: Provider) -> None:
    provider.also = exits
    with pytest.raises(SystemExit):
        orders.place("order 1", 1).result()
    provider.also = None
    assert orders.problems[-1].kind == "SystemExit"
    assert orders.place("order 2", 1).result() == "shipped"  # and so does the other now
    orders.system.shutdown()
    assert provider.asked == ["order 1", "order 2", "order 1"]
    assert orders.system.state.names() == ()


def test_a_thread_that_is_lost_is_replaced(orders: Orders, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="concurrent.futures")  # where it is told, at length
    lost = orders.system.threads.submit(threading.current_thread).result()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(lost.ident or 0), ctypes.py_object(SystemExit))
    futures = [orders.place(f"order {number}", 1) for number in range(4)]
    assert {future.result() for future in futures} == {"shipped"}
    lost.join()


def test_orders_that_a_locked_store_holds_up_go_on_when_it_is_free(tmp_path: Path, provider: Provider) -> None:
    store = SQLiteStore(tmp_path / "orders.db", timeout=0.0)
    other = sqlite3.connect(tmp_path / "orders.db", isolation_level=None, check_same_thread=False)

    def locks(order: str) -> None:
        if not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")  # for longer than it is tried again

    with orders_in(tmp_path, provider, store=store) as orders:
        provider.also = locks
        with pytest.raises(TransitionFailedError, match="locked"):  # acknowledged, and held up
            orders.place("order 1", 1).result()
        with pytest.raises(StoreError, match="locked"):  # not acknowledged
            orders.place("order 2", 1)
        orders.system.monitoring.check()
        assert orders.alarms[-1].name == "orders.held_up"
        provider.also = None
        other.execute("ROLLBACK")
        assert orders.place("order 2", 1).result() == "shipped"
    other.close()
    assert states(tmp_path) == {"order 1": "shipped", "order 2": "shipped"}
    assert charges(tmp_path) == ["order 1", "order 2"]
