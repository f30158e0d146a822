"""The end of a component manager: it lets go of what was declared, and records stay."""

from __future__ import annotations

import gc
import weakref
from typing import Protocol

import pytest

from coresys.components import ComponentManager
from coresys.components.hooks import ComponentChange
from coresys.errors.hierarchy import StartFailedError
from coresys.system_records import ComponentSpec


class Stops(Protocol):
    def stop(self) -> None: ...


class Service:
    """Has the manager that has its methods."""

    def __init__(self, components: ComponentManager) -> None:
        self.components = components
        self.stopped = 0

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped += 1

    def healthy(self) -> bool:
        return True

    def allows(self, change: ComponentChange) -> None:
        assert change.component


def test_who_was_declared_is_gone_when_the_manager_is_closed_without_a_collector() -> None:
    components = ComponentManager()
    service = Service(components)
    components.register(ComponentSpec("a"), start=service.start, stop=service.stop, healthy=service.healthy)
    components.provide("a", Stops, service)
    components.add_hook(service.allows)
    components.start()
    components.stop()
    seen = weakref.ref(service), weakref.ref(components)
    gc.collect()
    gc.disable()
    try:
        components.close()
        components.close()
        del service
        assert seen[0]() is None
        assert components.status("a").state == "stopped"
        del components
        assert seen[1]() is None
    finally:
        gc.enable()


def test_what_runs_is_left_as_it_is() -> None:
    components = ComponentManager()
    service = Service(components)
    for name in ("a", "b"):
        components.register(ComponentSpec(name), start=service.start, stop=service.stop)
    components.start("a")
    components.close()
    assert components.status("a").state == "running"
    components.stop("a")
    assert service.stopped == 1


def test_what_is_started_after_that_fails_and_says_why() -> None:
    components = ComponentManager()
    components.register(ComponentSpec("a"), start=lambda: None, stop=lambda: None)
    components.close()
    with pytest.raises(StartFailedError, match="the component manager is closed"):
        components.start("a")
