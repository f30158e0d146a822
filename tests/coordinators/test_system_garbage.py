"""What a system keeps when it is down: nothing, and it is kept by nothing."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from coresys import build_system
from coresys.coordinators.assembly import System
from coresys.errors import RestartComponent
from coresys.system_records import CleanupStep, ComponentSpec


class Service:
    """As services are: it has the system, which has its methods."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lock = system.threads.lock("service")
        system.errors.policies("service", {OSError: [RestartComponent(system.components)]})
        system.coordinators.component.register(ComponentSpec("service"), start=self.start, stop=self.stop)
        system.components.add_hook(lambda change: self.stop())
        system.coordinators.cleanup.add(CleanupStep("stop", phase="drain"), self.stop)

    def start(self) -> None:
        self.system.threads.submit(self.stop).result()

    def stop(self) -> None:
        with self.system.resources.lease(10, owner="service"):
            self.system.coordinators.monitoring.observe()


@pytest.mark.parametrize("sampling", [None, 1000.0], ids=["unsampled", "sampled"])
@pytest.mark.parametrize("stored", [False, True], ids=["in-memory", "stored"])
def test_a_system_that_is_down_is_gone_with_whoever_had_it_without_a_collector(
    sampling: float | None, stored: bool, tmp_path: Path
) -> None:
    gc.collect()
    gc.disable()
    try:
        store = tmp_path / "states.db" if stored else None
        with build_system("short", store=store, workers=2, ranks=["service"], sampling=sampling) as system:
            service = Service(system)
            system.start()
        assert system.components.status("service").state == "stopped"
        assert system.coordinators.cleanup.is_down
        seen = [weakref.ref(each) for each in (system, service, system.errors, system.components)]
        del system, service
        assert [each() for each in seen] == [None] * len(seen)
    finally:
        gc.enable()
