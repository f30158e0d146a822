"""What is measured of components: hooks, memory, and a coordinator of whatever managers. Each function returns the
faults it finds, in words, or bytes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from coresys.system_records import (
    ComponentRecord,
    ComponentSpec,
    LeaseRecord,
    OwnerUsage,
    StateDefinition,
    TransitionRecord,
)
from validation_suites.running import in_words, meanwhile

if TYPE_CHECKING:
    from coresys.interfaces import IResourceManager


# -- hooks -----------------------------------------------------------------------------------------------------------


def hook_faults(make: Callable[[], Any]) -> list[str]:
    """Hooks that refuse, at each operation, for the component itself and for one that goes along with it: changes that
    went through all the same. And hooks that agree: changes that were made before they were asked, or without."""
    faults: list[str] = []
    for action in ("register", "start", "start all", "stop", "stop all", "restart"):
        for refuse in (_by_a_text, _by_raising):
            for target in ("orders", "db"):
                faults += _went_through(make(), action, refuse, target)
        faults += _unasked(make(), action)
    return faults


def _by_a_text(change: Any) -> str | None:
    return f"no {change.action} now"


def _by_raising(change: Any) -> str | None:
    raise PermissionError(f"no {change.action} now")


class _Parts:
    """Two components, of which ``orders`` needs ``db``; what was called of them."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.called: list[str] = []

    def register(self, name: str) -> None:
        needs = ("db",) if name == "orders" else ()
        self.manager.register(
            ComponentSpec(name, needs=needs, restarts=5),
            start=lambda: self.called.append(f"start {name}"),
            stop=lambda: self.called.append(f"stop {name}"),
        )

    def up_to(self, action: str) -> None:
        """All that comes before an action."""
        if action != "register":
            self.register("db")
            self.register("orders")
        if action.startswith("stop") or action == "restart":
            self.manager.start()

    def do(self, action: str) -> None:
        if action == "register":
            self.register("db")
            self.register("orders")
        elif action == "restart":
            self.manager.restart("db")  # and orders with it, which needs it
        elif action.endswith("all"):
            getattr(self.manager, action.split()[0])()
        else:
            # What is named takes the other one along: what it needs, or what needs it.
            getattr(self.manager, action)("orders" if action == "start" else "db")

    def standing(self) -> dict[str, str]:
        return {each.name: each.state for each in self.manager.components()}


def _went_through(manager: Any, action: str, refuse: Callable[[Any], str | None], target: str) -> list[str]:
    parts = _Parts(manager)
    parts.up_to(action)
    if action == "register" and target == "orders":
        parts.register("db")
    before, what = parts.standing(), f"{action}, refused {refuse.__name__.strip('_').replace('_', ' ')} for {target}"
    parts.called.clear()
    manager.add_hook(lambda change: None)
    remove = manager.add_hook(lambda change: refuse(change) if change.component == target else None)
    manager.add_hook(lambda change: None)
    faults = []
    try:
        if action == "register":
            parts.register(target)
        else:
            parts.do(action)
        faults.append(f"{what}: no error")
    except Exception as error:
        if getattr(error, "component", None) != target:
            faults.append(f"{what}: the error does not say whose change it was: {in_words(error)}")
    if parts.called:
        faults.append(f"{what}: {', '.join(parts.called)} all the same")
    if parts.standing() != before:
        faults.append(f"{what}: stands at {parts.standing()}, and stood at {before}")
    remove()
    if not faults:
        try:
            if action == "register":
                parts.register(target)
            else:
                parts.do(action)
        except Exception as error:
            faults.append(f"{action}, once it is not refused any more: {in_words(error)}")
    _end(manager)
    return faults


def _unasked(manager: Any, action: str) -> list[str]:
    """A hook that agrees, and looks where all stand by then."""
    parts = _Parts(manager)
    parts.up_to(action)
    before = parts.standing()
    parts.called.clear()
    asked: list[str] = []
    early: list[str] = []

    def hook(change: Any) -> None:
        asked.append(change.component)
        if action != "register" and (parts.called or parts.standing() != before):
            early.append(f"{action}: {', '.join(parts.called) or 'a state'} before {change.component} was asked about")

    remove = manager.add_hook(hook)
    parts.do(action)
    remove()
    missing = [name for name in ("db", "orders") if name not in asked]
    _end(manager)
    return early + [f"{action}: nobody was asked about {name}" for name in missing]


def _end(manager: Any) -> None:
    manager.stop()
    close = getattr(manager, "close", None)
    if close is not None:
        close()


# -- memory ----------------------------------------------------------------------------------------------------------


def _nothing() -> None:
    """What a component does when it starts and stops."""


def held_by(build: Callable[[], object]) -> int:
    """Bytes that are in use with what ``build`` returns, and not without; garbage is collected first."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start(1)
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        built = build()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        del built
    finally:
        if not tracing:
            tracemalloc.stop()
    return after - before


def registered(target: Any, number: int) -> Any:
    """Register so many idle components with a manager or a coordinator, and start them."""
    for at in range(number):
        target.register(ComponentSpec(f"part-{at}"), start=_nothing, stop=_nothing)
    target.start()
    return target


def bytes_per_component(make: Callable[[], Any], number: int = 100) -> float:
    """Of a coordinator (or manager) with so many idle components, less one with none."""
    registered(make(), 2)
    full = held_by(lambda: registered(make(), number))
    return (full - held_by(make)) / number


def bytes_of_coordinator(coordinator: Callable[[], Any], manager: Callable[[], Any], number: int = 100) -> float:
    """Of a coordinator with so many idle components, less what the same take in a manager without one."""
    registered(coordinator(), 2)
    registered(manager(), 2)
    return held_by(lambda: registered(coordinator(), number)) - held_by(lambda: registered(manager(), number))


# -- a coordinator of fakes ------------------------------------------------------------------------------------------


class FakeStates:
    """Machines as plain words: what IStateManager has, as far as a coordinator of components goes."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self._tables: dict[str, StateDefinition] = {}

    def define(self, name: str, definition: StateDefinition) -> None:
        self.states[name], self._tables[name] = definition.initial, definition

    def fire(self, name: str, event: str, payload: Any = None, **more: Any) -> TransitionRecord:
        source = self.states[name]
        target = next(to for named, at, to in self._tables[name].transitions if (named, at) == (event, source))
        self.states[name] = target
        self.events.append((name, event))
        return TransitionRecord(name, self._tables[name].name, len(self.events), 0.0, event, source, target)

    def release(self, name: str) -> None:
        del self.states[name]


class FakeResources:
    """Buffers that are bytearrays: what IResourceManager has, as far as a coordinator of components goes."""

    def __init__(self) -> None:
        self.held: dict[str, list[LeaseRecord]] = {}
        self.limits: dict[str, int | None] = {}

    def lease(self, size: int, *, owner: str, timeout: float | None = None) -> Any:
        record = LeaseRecord(1, owner, "fake", size, size)
        self.held.setdefault(owner, []).append(record)
        return bytearray(size)

    def limit(self, owner: str, *, lease: int | None = None, reserve: int = 0) -> None:
        self.limits[owner] = lease

    def leases(self, owner: str | None = None) -> tuple[LeaseRecord, ...]:
        return tuple(self.held.get(owner or "", ()))

    def release_owner(self, owner: str) -> int:
        return len(self.held.pop(owner, ()))

    def usage(self, owner: str) -> OwnerUsage:
        return OwnerUsage(owner, 0, self.limits.get(owner), 0, 0)


class FakeComponents:
    """Components that start in the order they were registered in: what IComponentManager has."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {}
        self._running: dict[str, bool] = {}

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        self._calls[spec.name], self._running[spec.name] = (start, stop), False

    def start(self, name: str | None = None) -> None:
        for each in self._calls if name is None else (name,):
            self._calls[each][0]()
            self._running[each] = True

    def stop(self, name: str | None = None) -> None:
        for each in reversed(list(self._calls)) if name is None else (name,):
            self._calls[each][1]()
            self._running[each] = False

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        if self._running[name]:
            self.stop(name)
        self.start(name)
        return True

    def status(self, name: str) -> ComponentRecord:
        return ComponentRecord(name, "running" if self._running[name] else "stopped", (), 0)

    def components(self) -> tuple[ComponentRecord, ...]:
        return tuple(map(self.status, self._calls))


FAKES: dict[str, Callable[[], Any]] = {
    "components": FakeComponents,
    "state": FakeStates,
    "resources": FakeResources,
}


def swap_faults(build: Callable[..., Any], sound: Mapping[str, Callable[[], Any]]) -> list[str]:
    """Each manager of a coordinator of components in turn, and all at once, is a fake that has what its protocol has:
    whether a component lives as ever, with its machine, its limit and what it leaves."""
    faults = []
    for swapped in (*((name,) for name in FAKES), tuple(FAKES)):
        managers = {name: (FAKES[name] if name in swapped else sound[name])() for name in FAKES}
        try:
            faults += [f"with a fake for {', '.join(swapped)}: {fault}" for fault in _life_faults(build, managers)]
        except Exception as error:
            faults.append(f"with a fake for {', '.join(swapped)}: {in_words(error)}")
    return faults


def _life_faults(build: Callable[..., Any], managers: dict[str, Any]) -> list[str]:
    coordinator = build(**managers)
    told: list[str] = []
    coordinator.register(
        ComponentSpec("web"), start=lambda: told.append("start"), stop=lambda: told.append("stop"), lease=1 << 20
    )
    coordinator.start()
    taken = coordinator.resources.lease(4096, owner="web")
    running = coordinator.status("web").state
    coordinator.stop()
    left, stopped = coordinator.left("web"), coordinator.status("web").state
    restarted = coordinator.restart("web") if stopped == "stopped" else None
    faults = []
    if told[:2] != ["start", "stop"] or (running, stopped) != ("running", "stopped"):
        faults.append(f"called {told}, and was {running}, then {stopped}")
    if len(left) != 1 or coordinator.resources.leases("web"):
        faults.append(f"a buffer was left, and {left} told of it")
    if restarted is not True:
        faults.append("it was not to be restarted")
    del taken
    coordinator.stop()
    return faults


# -- operations ------------------------------------------------------------------------------------------------------


def operations(resources: IResourceManager, owner: str = "web", size: int = 4096) -> dict[str, Callable[[], object]]:
    """One of each kind, that leaves all as it was."""

    def lease() -> None:
        with resources.lease(size, owner=owner):
            pass

    def register() -> None:
        resources.register("thing", owner=f"{owner} things", close=_nothing)
        resources.release_owner(f"{owner} things")

    return {
        "lease and release": lease,
        "usage": lambda: resources.usage(owner),
        "limit": lambda: resources.limit(owner, lease=1 << 20),
        "leases": lambda: resources.leases(owner),
        "register and close": register,
        "statistics": resources.statistics,
    }


def others_at_work(operation: Callable[[int], object], threads: int = 7) -> AbstractContextManager[None]:
    """Seven threads do the same now and then, meanwhile."""
    return meanwhile([partial(operation, number) for number in range(threads)], 0.002)
