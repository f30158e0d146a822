from __future__ import annotations

import pytest
from orders.service import Orders

from conftest import Provider
from coresys.errors.hierarchy import DuplicateMachineError, TransitionRefusedError


def test_an_order_is_paid_and_shipped(orders: Orders) -> None:
    assert orders.place("order 1", 2).result() == "shipped"
    history = orders.states.history("order 1")
    assert [(record.event, record.actor) for record in history] == [
        ("place", "customer"),
        ("pay", "payments"),
        ("ship", "warehouse"),
    ]
    assert orders.shipped.get() == 1


def test_many_orders_go_side_by_side(orders: Orders) -> None:
    futures = [orders.place(f"order {number}", 1) for number in range(16)]
    assert {future.result() for future in futures} == {"shipped"}
    assert orders.tally() == {"placed": 16, "paid": 16, "shipped": 16}
    assert orders.threads.statistics().workers <= 4


def test_an_order_of_nothing_is_refused_and_not_kept(orders: Orders) -> None:
    with pytest.raises(TransitionRefusedError, match="an order is of 1 to 1000, not of 0"):
        orders.place("order 1", 0)
    assert orders.states.names() == ()
    assert orders.place("order 1", 1).result() == "shipped"


def test_a_name_is_taken_once(orders: Orders) -> None:
    orders.place("order 1", 1).result()
    with pytest.raises(DuplicateMachineError):
        orders.place("order 1", 1)


def test_a_provider_that_is_away_for_a_moment_is_asked_again(orders: Orders, provider: Provider) -> None:
    provider.away = 2
    assert orders.place("order 1", 1).result() == "shipped"
    assert provider.asked == ["order 1"] * 3
    assert orders.errors.statistics().recovered == 2


def test_a_provider_that_stays_away_means_trouble_and_an_alarm(orders: Orders, provider: Provider) -> None:
    provider.away = 4
    assert orders.place("order 1", 1).result() == "trouble"
    assert orders.states.machine("order 1").last.cause == "ConnectionError: the provider is away"
    assert orders.alarms[-1].kind == "ConnectionError"
    assert orders.alarms[-1].route == ("payments", "orders", "operator")
    assert orders.retry("order 1").result() == "shipped"
