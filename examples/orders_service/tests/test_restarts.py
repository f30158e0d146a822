"""The service is ended, or killed in the midst of its work again and again, and started anew on the same files."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from orders.table import ORDER
from running import charges, receipts, running, states

from conftest import Provider, orders_in
from coresys.state import SQLiteStore, StateManager


def left_half_way(folder: Path) -> None:
    """What a process leaves that ends at four different moments."""
    (folder / "documents").mkdir()
    with StateManager(store=SQLiteStore(folder / "orders.db")) as state:
        for name, events in {
            "unheard": (),
            "placed": ("place",),
            "paid": ("place", "pay"),
            "done": ("place", "pay", "ship"),
        }.items():
            state.add(name, ORDER)
            (folder / "documents" / f"{name}.txt").write_bytes(b"tea")
            for event in events:
                state.fire(name, event, 3)


def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path, provider: Provider) -> None:
    left_half_way(tmp_path)
    with orders_in(tmp_path, provider, store=SQLiteStore(tmp_path / "orders.db")):
        pass  # it goes down when all is done
    assert states(tmp_path) == {"placed": "shipped", "paid": "shipped", "done": "shipped"}
    assert provider.asked == ["placed"]
    assert receipts(tmp_path) == 2


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """What a service left on the disk that was killed three times, each time at work on what the one before had left,
    and the orders that it acknowledged."""
    folder = tmp_path_factory.mktemp("killed")
    acknowledged: set[str] = set()
    for after in (1, 7, 20):
        with running(folder) as service:
            for number in range(after):
                service.place(f"order {after}-{number}")
            assert service.end(signal.SIGKILL)[0] == -signal.SIGKILL
            acknowledged |= service.acknowledged
    assert len(acknowledged) == 28
    return folder, acknowledged


def test_no_order_that_was_acknowledged_is_lost_to_a_kill_and_none_is_charged_twice(
    killed: tuple[Path, set[str]], tmp_path: Path, provider: Provider
) -> None:
    left, acknowledged = killed
    folder = shutil.copytree(left, tmp_path / "left")
    with orders_in(folder, provider, store=SQLiteStore(folder / "orders.db")):
        pass
    assert states(folder) == dict.fromkeys(acknowledged, "shipped")
    assert charges(folder) == sorted(acknowledged)
    assert receipts(folder) == len(acknowledged)
