"""python -m orders FOLDER: serve until SIGTERM; what was acknowledged is brought to its end, also by the next one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coresys import build_system
from coresys.cleanup.verify import Baseline, process_probes
from coresys.coordinators.assembly import System
from coresys.monitoring.export import openmetrics
from coresys.state import SQLiteStore
from coresys.system_records import CleanupStep
from orders.intake import Intake
from orders.payments import Payments
from orders.service import Orders


@contextmanager
def serving(folder: Path) -> Iterator[tuple[System, Intake]]:
    """The whole service, put together and started; it is taken down at the end."""
    store = SQLiteStore(folder / "orders.db", durability="process", timeout=1.0)
    with build_system("orders", store=store, workers=8, ranks=Orders.RANKS, timeout=20.0) as system:
        orders = Orders(system, Payments(folder / "payments.db"), folder)
        intake = Intake(system, orders)
        system.cleanup.add(
            CleanupStep("write the figures", phase="flush"),
            lambda: (folder / "figures.txt").write_text(openmetrics(system.monitoring.snapshot())),
        )
        system.start()
        yield system, intake


def main(folder: Path) -> None:
    logging.basicConfig(format="%(name)s: %(message)s")
    before = Baseline(process_probes("threads", "descriptors"))
    try:
        with serving(folder) as (system, intake):
            print(f"ready {intake.port}", flush=True)
            system.serve()
    except SystemExit:  # what a signal comes to
        report = system.cleanup.last_report
        assert report is not None
        left = "; ".join((*report.left, *before.left())) or "nothing"
        print(f"down in {report.seconds:.3f} s, left: {left}", flush=True)
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
