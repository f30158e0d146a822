"""The error manager restarts real components, by its policies."""

from __future__ import annotations

import pytest
from components_helping import SHOP, World, starts, stops

from coresys.errors.backoff import stop_after_attempt, wait_none
from coresys.errors.manager import ErrorManager
from coresys.errors.policies import RestartComponent
from coresys.errors.restart import RestartIntensity
from coresys.errors.retry import Retrying
from coresys.system_records import ErrorRecord


class Shop(World):
    def __init__(self) -> None:
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(default="operator")
        self.errors.sink("operator", self.arrived.append)
        super().__init__(errors=self.errors)
        self.components.start()
        self.called()
        self.connections = 0
        self.during["start orders"] = self.connect

    def connect(self) -> None:
        self.connections += 1

    def order(self) -> str:
        """Works on a connection that was made since the one that broke."""
        if self.connections < 1:
            raise ConnectionError("lost")
        return f"by connection {self.connections}"


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_call_that_fails_is_made_again_after_its_component_was_restarted(shop: Shop) -> None:
    retry = Retrying(stop=stop_after_attempt(2), wait=wait_none(), sleep=shop.clock.sleep)
    shop.errors.policies("orders", {ConnectionError: [retry, RestartComponent(shop.components)]})
    assert shop.errors.recovering("orders").call(shop.order) == "by connection 1"
    assert shop.called() == [*stops("shop", "orders"), *starts("orders", "shop")]
    assert [record.severity for record in shop.arrived] == ["warning", "error"]
    assert shop.components.status("orders").restarted == 1


def test_what_fails_again_and_again_is_given_up_and_told(shop: Shop) -> None:
    def never() -> None:
        raise ConnectionError("lost for good")

    shop.errors.policies("orders", {ConnectionError: [RestartComponent(shop.components, times=10)]})
    with pytest.raises(ConnectionError, match="lost for good"):
        shop.errors.recovering("orders").call(never)
    assert shop.states() == {**dict.fromkeys(SHOP, "running"), "shop": "stopped", "orders": "failed"}
    problem = shop.components.status("orders").problem
    assert problem is not None
    assert "ConnectionError in orders" in problem


def test_a_restart_that_fails_is_an_error_of_its_own_and_the_next_on_the_path_is_asked(shop: Shop) -> None:
    shop.errors.route("orders", "db")
    shop.errors.policies("orders", {ConnectionError: [RestartComponent(shop.components)]})
    shop.errors.policies("db", {ConnectionError: [RestartComponent(shop.components, "db")]})
    tries = []

    def fail_first() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no port")
        shop.connect()

    shop.during["start orders"] = fail_first
    assert shop.errors.recovering("orders").call(shop.order) == "by connection 1"
    assert shop.running() == ["mail", "db", "orders", "shop", "audit"]
    assert any("no port" in record.message for record in shop.arrived)


@pytest.mark.parametrize("strategy", ["rest-for-one"])
def test_a_policy_with_a_strategy_of_its_own_stops_and_starts_one_by_one(shop: Shop, strategy: str) -> None:
    restart = RestartComponent(shop.components, strategy=strategy, intensity=RestartIntensity(clock=shop.clock))
    shop.errors.policies("orders", {ConnectionError: [restart]})
    assert shop.errors.recovering("orders").call(shop.order) == "by connection 1"
    assert shop.called() == [*stops("audit", "shop", "orders"), *starts("orders", "shop", "audit")]


def test_what_a_health_check_found_is_handled_as_an_error(shop: Shop) -> None:
    shop.errors.policies("db", {RuntimeError: [RestartComponent(shop.components)]})
    shop.unhealthy.add("db")
    record = shop.components.check("db")
    assert record.healthy is False
    assert shop.errors.handle(RuntimeError("unhealthy"), component="db")
    assert shop.called() == [*stops("audit", "shop", "orders", "db"), *starts("db", "orders", "shop", "audit")]


def test_a_component_that_is_restarted_by_a_view_is_restarted(shop: Shop) -> None:
    view = shop.components.view(["orders", "shop"])
    shop.errors.policies("orders", {ConnectionError: [RestartComponent(view)]})
    assert shop.errors.recovering("orders").call(shop.order) == "by connection 1"
