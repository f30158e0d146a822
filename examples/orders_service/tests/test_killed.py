"""The service is killed in the midst of its work, again and again, and started anew on the same files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from orders.payments import Payments
from orders.service import Orders

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


def test_no_order_that_was_acknowledged_is_lost_to_a_kill_and_none_is_charged_twice(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for after in (1, 7, 20):
        acknowledged += run_and_kill(tmp_path, after)
    payments = Payments(tmp_path / "payments.db")
    with Orders(tmp_path / "orders.db", payments) as orders:
        for future in orders.resume():
            future.result()
        states = {machine.name: machine.state for machine in orders.states}
        assert len(acknowledged) >= 28
        assert set(acknowledged) <= set(states)
        assert set(states.values()) == {"shipped"}
        for machine in orders.states:
            events = [record.event for record in machine.history()]
            assert events == ["place", "pay", "ship"]
    assert payments.charged() == set(states)
    payments.close()
