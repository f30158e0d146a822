from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from orders.payments import Payments
from orders.service import Orders


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
def orders(tmp_path: Path, provider: Provider) -> Iterator[Orders]:
    payments = Payments(tmp_path / "payments.db", before=provider)
    with Orders(tmp_path / "orders.db", payments) as service:
        yield service
    payments.close()
