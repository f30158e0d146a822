"""The service is ended, or killed in the midst of its work again and again, and started anew on the same files."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from orders.payments import Payments
from orders.service import Orders
from orders.table import ORDER

HERE = Path(__file__).resolve().parent.parent


def run_and_kill(folder: Path, after: int) -> list[str]:
    """Start the service, kill it when it has acknowledged so many orders; all that it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-m", "orders", str(folder)], cwd=HERE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        acknowledged = []
        for line in service.stdout:
            if line.startswith("placed "):
                acknowledged.append(line.removeprefix("placed ").strip())
            if len(acknowledged) == after:
                service.send_signal(signal.SIGKILL)
        assert service.wait() == -signal.SIGKILL
    return acknowledged


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """What is on the disk of a service that was killed three times, each time at work on what the one before had left,
    and that brought the rest to its end when it was started once more; and the orders that it acknowledged."""
    folder = tmp_path_factory.mktemp("killed")
    acknowledged: list[str] = []
    for after in (1, 7, 20):
        acknowledged += run_and_kill(folder, after)
    payments = Payments(folder / "payments.db")
    with Orders(folder / "orders.db", payments) as orders:
        for future in orders.resume():
            future.result()
    payments.close()
    return folder, acknowledged


def test_no_order_that_was_acknowledged_is_lost_to_a_kill_and_none_is_charged_twice(
    killed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    left, acknowledged = killed
    folder = shutil.copytree(left, tmp_path / "left")
    payments = Payments(folder / "payments.db")
    with Orders(folder / "orders.db", payments) as orders:
        assert orders.resume() == []
        states = {machine.name: machine.state for machine in orders.states}
        assert len(acknowledged) >= 28
        assert set(acknowledged) <= set(states)
        assert set(states.values()) == {"shipped"}
        for machine in orders.states:
            events = [record.event for record in machine.history()]
            assert events == ["place", "pay", "ship"]
    assert payments.charged() == set(states)
    payments.close()


def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path) -> None:
    payments = Payments(":memory:")
    with Orders(tmp_path / "orders.db", payments) as first:
        first.states.add("placed", ORDER)
        first.states.fire("placed", "place", 3)
        first.states.add("paid", ORDER)
        first.states.fire("paid", "place", 3)
        first.states.fire("paid", "pay")
        first.place("done", 1).result()
    with Orders(tmp_path / "orders.db", payments) as second:
        assert [future.result() for future in second.resume()] == ["shipped", "shipped"]
        assert {machine.state for machine in second.states} == {"shipped"}
    assert payments.charged() == {"placed", "done"}
    payments.close()
