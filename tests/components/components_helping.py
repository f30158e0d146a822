"""What the tests of components share: components that write down what is called, and a manager around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from coresys.components import ComponentManager
from coresys.system_records import ComponentSpec
from coresys.testing.fakes import FakeClock, RecordingMonitoringManager

# A small service: who needs whom. Declared so that the order to start in is not that of declaration.
SHOP = {"shop": ("orders", "mail"), "mail": (), "orders": ("db",), "db": (), "audit": ("db",)}
ORDER = ("mail", "db", "orders", "shop", "audit")


class World:
    """A manager whose components write down their calls; ``during`` has what else is to be done in one, by its name
    (``start db``), and ``fail`` what it raises, each time."""

    def __init__(self, needs: dict[str, tuple[str, ...]] | None = None, **more: Any) -> None:
        self.clock = FakeClock()
        self.monitoring = RecordingMonitoringManager()
        self.calls: list[str] = []
        self.during: dict[str, Callable[[], object]] = {}
        self.fail: dict[str, BaseException] = {}
        self.unhealthy: set[str] = set()
        self.components = ComponentManager(clock=self.clock, **{"monitoring": self.monitoring, **more})
        for name, needed in (SHOP if needs is None else needs).items():
            self.add(ComponentSpec(name, needs=needed, restarts=1, within=5.0))

    def add(self, spec: ComponentSpec, components: Any = None) -> None:
        name = spec.name
        (components or self.components).register(
            spec,
            start=lambda: self.call(f"start {name}"),
            stop=lambda: self.call(f"stop {name}"),
            healthy=lambda: name not in self.unhealthy,
        )

    def call(self, what: str) -> None:
        self.calls.append(what)
        if what in self.during:
            self.during[what]()
        if what in self.fail:
            raise self.fail[what]

    def called(self) -> list[str]:
        """What was called since this was asked last."""
        calls, self.calls = self.calls, []
        return calls

    def states(self) -> dict[str, str]:
        return {record.name: record.state for record in self.components.components()}

    def running(self) -> list[str]:
        return [record.name for record in self.components.components() if record.state == "running"]

    def is_whole(self) -> bool:
        """Whether nothing is claimed or in the midst of anything, and all that runs has what it needs."""
        states = self.states()
        settled = set(states.values()) <= {"stopped", "running", "failed"} and not len(self.components._claims)
        records = self.components.components()
        return settled and all(
            states[need] == "running" for record in records if record.state == "running" for need in record.needs
        )

    @contextmanager
    def raising(self, what: str, error: BaseException) -> Iterator[None]:
        self.fail[what] = error
        try:
            yield
        finally:
            del self.fail[what]


def starts(*names: str) -> list[str]:
    return [f"start {name}" for name in names]


def stops(*names: str) -> list[str]:
    return [f"stop {name}" for name in names]
