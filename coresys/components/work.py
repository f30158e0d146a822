"""One change on its way: what it is going to do, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from coresys.clock import Clock
from coresys.components.claims import Claim
from coresys.components.telling import RUNNING, STARTING, STOPPED, STOPPING
from coresys.errors.restart import RestartIntensity
from coresys.system_records import ComponentRecord, ComponentSpec


class Offer:
    """What a component provides. ``lasts``: also in its next run."""

    __slots__ = ("interface", "lasts", "provided")

    def __init__(self, interface: object, provided: Any, *, lasts: bool) -> None:
        self.interface, self.provided, self.lasts = interface, provided, lasts


class Component:
    """A registered component. It is changed by whoever has claimed it; what others look at, under the manager's lock.

    ``wanted``: it was started, and nobody has asked for it to be stopped since; it may be down for what befell it, or
    one that it needs, and is brought back with that. ``starts`` numbers its runs. ``offers`` are what it provides, by
    identity of the interface: whoever asks calls no ``__eq__`` of anybody's under the lock.
    """

    __slots__ = (
        "check", "healthy", "intensity", "name", "offers", "problem", "restarted", "spec", "start", "starts", "state",
        "stop", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        spec: ComponentSpec,
        start: Callable[[], object],
        stop: Callable[[], object],
        check: Callable[[], bool] | None,
        clock: Clock,
    ) -> None:
        self.spec, self.start, self.stop, self.check = spec, start, stop, check
        self.name = spec.name
        self.intensity = RestartIntensity(spec.restarts, spec.within, clock=clock)
        self.state, self.problem = STOPPED, None  # type: str, str | None
        self.healthy: bool | None = None
        self.restarted = self.starts = 0
        self.wanted = False
        self.offers: dict[int, Offer] = {}  # replaced, never changed

    @property
    def in_flux(self) -> bool:
        """Whether its start() or stop() is being called."""
        return self.state in (STARTING, STOPPING)

    @property
    def running(self) -> bool:
        return self.state == RUNNING

    def record(self) -> ComponentRecord:
        """Where it stands."""
        return ComponentRecord(self.name, self.state, self.spec.needs, self.restarted, self.healthy, self.problem)


class Scope:
    """The part of the components that somebody may touch; ``label`` says which, in an error."""

    __slots__ = ("has", "label")

    def __init__(self, has: Callable[[str], bool], label: str) -> None:
        self.has, self.label = has, label


def scope_of(part: str | Iterable[str]) -> Scope:
    """Of a text: all names that begin with it; else of these names."""
    if isinstance(part, str):
        return Scope(lambda name: name.startswith(part), f"{part}*")
    names = frozenset(part)
    return Scope(names.__contains__, ", ".join(sorted(names)) or "nothing")


WHOLE = Scope(lambda name: True, "everything")


class Work(Claim):
    """A claim, and what is done under it.

    ``asked``: the components that hooks are asked about. ``current`` is the one whose start() or stop() is called now:
    ``called`` is set before, and ``done`` gets an item when that has returned. ``started`` are those that this change,
    and those from inside of it, have started, and whether each was wanted before.
    """

    __slots__ = (
        "asked", "called", "cause", "current", "done", "name", "scope", "started", "starts", "stops", "unwanted",
    )  # fmt: skip

    def __init__(self, action: str, name: str | None, scope: Scope, cause: str | None = None) -> None:
        super().__init__(action, name if name is not None else scope.label)
        self.name, self.scope, self.cause = name, scope, cause
        self.asked: tuple[str, ...] = ()
        self.starts: list[Component] = []
        self.stops: list[Component] = []
        self.unwanted: list[Component] = []
        self.started: list[tuple[Component, bool]] = []
        self.current: Component | None = None
        self.called = False
        self.done: list[object] = []

    def begin(self, component: Component) -> None:
        """Its start() or stop() is next."""
        self.called, self.done = False, []
        self.current = component


__all__ = ["WHOLE", "Component", "Scope", "Work", "scope_of"]
