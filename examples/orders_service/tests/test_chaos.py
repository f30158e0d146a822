"""Nothing is lost, whatever befalls the service: threads that are killed, a store that is locked, a disk that is full,
and the end of the process, asked for or not (for ``kill -9`` see test_restarts.py)."""

from __future__ import annotations

import ctypes
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from orders.service import Orders

from conftest import Provider, orders_in
from coresys.errors.hierarchy import StoreError, TransitionFailedError
from coresys.state import SQLiteStore
from running import charges, receipts, running, states

resource = pytest.importorskip("resource")
SPAWNS = "it starts processes of its own, whose time is most of its own"


def test_a_library_that_wants_to_exit_costs_no_order_and_no_thread(orders: Orders, provider: Provider) -> None:
    def exits(order: str) -> None:
        provider.also = None
        raise SystemExit(3)

    provider.also = exits
    with pytest.raises(SystemExit):
        orders.place("order 1", 1).result()
    assert orders.alarms[-1].kind == "SystemExit"
    assert orders.place("order 2", 1).result() == "shipped"  # and so does the other now
    orders.system.shutdown()
    assert provider.asked == ["order 1", "order 2", "order 1"]
    assert orders.system.state.names() == ()


def test_a_thread_that_is_lost_is_replaced(orders: Orders) -> None:
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


@pytest.mark.coresys_no_repeat(reason=SPAWNS)
def test_orders_that_a_full_disk_holds_up_go_on_when_there_is_room(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.place("first") == "placed first"
        most = (tmp_path / "orders.db-wal").stat().st_size + 20_000
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        answers = [service.place(f"order {number}") for number in range(60)]
        assert answers[-1].startswith("refused: StoreError")  # not acknowledged
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert service.place("last") == "placed last"
        status, last = service.end(signal.SIGTERM)
    assert (status, last.endswith("left: nothing\n")) == (128 + signal.SIGTERM, True)
    # Of those that nobody was told of some may still be new: the next process forgets them.
    found = {name for name, state in states(tmp_path).items() if state != "new"}
    assert found == service.acknowledged
    assert set(states(tmp_path).values()) <= {"shipped", "new"}
    assert charges(tmp_path) == sorted(found)


@pytest.mark.coresys_no_repeat(reason=SPAWNS)
def test_what_was_acknowledged_on_a_full_disk_is_done_after_a_kill_when_there_is_room(
    tmp_path: Path, provider: Provider
) -> None:
    with running(tmp_path) as service:
        service.place("first")
        most = (tmp_path / "orders.db-wal").stat().st_size + 20_000
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        for number in range(60):
            service.place(f"order {number}")
        service.end(signal.SIGKILL)
    with orders_in(tmp_path, provider, store=SQLiteStore(tmp_path / "orders.db")):
        pass
    found = states(tmp_path)
    assert set(found) >= service.acknowledged
    assert set(found.values()) == {"shipped"}
    assert charges(tmp_path) == sorted(found)


@pytest.mark.coresys_no_repeat(reason=SPAWNS)
def test_a_signal_under_load_ends_it_when_all_is_done_that_was_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path) as service:

        def customer(number: int) -> None:
            at = 0
            while service.place(f"order {number}-{at}").startswith("placed"):
                at += 1

        with ThreadPoolExecutor(4) as customers:
            asking = [customers.submit(customer, number) for number in range(4)]
            while len(service.acknowledged) < 40:
                threading.Event().wait(0.01)
            status, last = service.end(signal.SIGTERM)
            for each in asking:
                each.result()
    assert status == 128 + signal.SIGTERM
    assert last.endswith("left: nothing\n")
    found = states(tmp_path)
    assert set(found) >= service.acknowledged
    assert set(found.values()) == {"shipped"}
    assert charges(tmp_path) == sorted(found)
    assert receipts(tmp_path) == len(found)
