from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from orders.service import Orders

from conftest import Provider
from coresys.errors.hierarchy import DuplicateMachineError, TransitionRefusedError


def counted(orders: Orders) -> dict[str, float]:
    """How often orders came to each state."""
    snapshot = orders.system.monitoring.snapshot()
    return {component: value for name, component, value in snapshot.counters if name == "orders"}


def test_an_order_is_paid_and_shipped_with_a_receipt_of_its_document(orders: Orders, tmp_path: Path) -> None:
    assert orders.place("order 1", 2, b"tea and cake").result() == "shipped"
    receipt = (tmp_path / "receipts" / "order%201.txt").read_text()
    assert receipt == f"{hashlib.sha256(b'tea and cake').hexdigest()} 12 bytes\n"
    assert orders.system.resources.leases() == ()


def test_many_orders_go_side_by_side_and_how_long_they_take_is_known(orders: Orders) -> None:
    futures = [orders.place(f"order {number}", 1) for number in range(6)]
    assert {future.result() for future in futures} == {"shipped"}
    assert counted(orders) == {"placed": 6, "shipped": 6}
    (took,) = [each for each in orders.system.monitoring.snapshot().distributions if each.name == "orders.time"]
    assert (took.count, took.unit) == (6, "seconds")
    assert orders.system.threads.statistics().workers <= 3


def test_an_order_of_nothing_is_refused_and_not_kept(orders: Orders, tmp_path: Path) -> None:
    with pytest.raises(TransitionRefusedError, match="an order is of 1 to 1000, not of 0"):
        orders.place("order 1", 0)
    assert orders.system.state.names() == ()
    assert list((tmp_path / "documents").iterdir()) == []
    assert orders.place("order 1", 1).result() == "shipped"


def test_a_name_is_taken_once(orders: Orders, provider: Provider) -> None:
    provider.away = 100
    orders.place("order 1", 1, b"mine").result()
    with pytest.raises(DuplicateMachineError):
        orders.place("order 1", 1, b"another's")


def test_a_provider_that_is_away_for_a_moment_is_asked_again(orders: Orders, provider: Provider) -> None:
    provider.away = 2
    assert orders.place("order 1", 1).result() == "shipped"
    assert provider.asked == ["order 1"] * 3
    assert orders.system.errors.statistics().recovered == 2


def test_after_four_attempts_the_connection_is_made_anew(orders: Orders, provider: Provider) -> None:
    provider.away = 4
    assert orders.place("order 1", 1).result() == "shipped"
    assert orders.system.components.status("payments").restarted == 1


def test_a_provider_that_stays_away_means_trouble_and_an_alarm(orders: Orders, provider: Provider) -> None:
    provider.away = 5
    assert orders.place("order 1", 1).result() == "trouble"
    last = orders.system.state.describe("order 1").last
    assert last is not None
    assert last.cause == "ProviderAwayError: it does not answer"
    assert orders.problems[-1].route == ("payments", "orders", "operator")
    assert orders.retry("order 1").result() == "shipped"


def test_what_is_under_way_is_finished_before_it_is_down(orders: Orders, provider: Provider) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slowly(order: str) -> None:
        asked.set()
        go_on.wait()

    provider.also = slowly
    under_way = orders.place("order 1", 1)
    asked.wait()
    down = threading.Thread(target=orders.system.shutdown)
    down.start()
    go_on.set()
    down.join()
    assert under_way.result() == "shipped"
    report = orders.system.cleanup.last_report
    assert report is not None
    assert report.complete


def test_an_order_that_comes_while_they_are_stopped_is_refused(orders: Orders) -> None:
    orders.system.components.stop("orders")
    with pytest.raises(RuntimeError, match="no orders are taken now"):
        orders.place("order 1", 1)
    assert orders.system.state.names() == ()
    orders.system.components.start("orders")
    assert orders.place("order 1", 1).result() == "shipped"
