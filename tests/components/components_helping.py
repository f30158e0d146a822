"""What the tests of components share: components that write down what is called, and a manager around them."""

from __future__ import annotations

import threading
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


PATIENCE = 20.0  # seconds: only what hangs lasts as long


class Runner(threading.Thread):
    """A thread that keeps what its function raised."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.function()
        except BaseException as error:
            self.error = error

    def finish(self) -> None:
        """Raises what it raised, or AssertionError where it hangs."""
        self.join(PATIENCE)
        assert not self.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error


class Held:
    """Something that a component does until it is let go: ``reached`` says that it has begun."""

    def __init__(self) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.let_go.wait(PATIENCE)

    def begun(self) -> None:
        assert self.reached.wait(PATIENCE)


def waits(world: World, runner: Runner) -> None:
    """Return when a thread waits for its claim."""
    until = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        with world.components._claims.lock:
            if any(each.thread == runner.ident and each.gate for each in world.components._claims._waiting):
                return
        assert runner.is_alive(), runner.error
        until.wait(0.001)
    raise AssertionError("it does not wait")
