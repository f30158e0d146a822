from __future__ import annotations

from collections.abc import Iterator

import pytest
from orders.payments import Payments
from orders.service import Orders

from coresys.errors.backoff import wait_none


class Provider:
    """The other end of the payments: away for as many calls as it is told to be."""

    def __init__(self) -> None:
        self.away = 0
        self.asked: list[str] = []

    def __call__(self, order: str) -> None:
        self.asked.append(order)
        if self.away > 0:
            self.away -= 1
            raise ConnectionError("the provider is away")


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def orders(provider: Provider) -> Iterator[Orders]:
    """A service in memory: a disk that syncs is most of a test's time, and each test is repeated."""
    payments = Payments(":memory:", before=provider)
    with Orders(":memory:", payments, wait=wait_none()) as service:
        yield service
    payments.close()
