"""Components and their coordinator with one fault each. Each docstring says what is wrong."""

from __future__ import annotations

import time
from typing import Any

from coresys import ComponentManager
from coresys.components.hooks import ComponentChange
from coresys.coordinators.component import ComponentCoordinator
from coresys.system_records import ComponentRecord
from validation_suites.faults.faulty import Faulty


class NobodyIsAsked(ComponentManager):
    """hooks that are taken, and never asked"""

    def add_hook(self, hook: Any, *, name: str | None = None) -> Any:
        return lambda: None


class AskedTooLate(ComponentManager):
    """hooks that are asked when a component has started"""

    def start(self, name: str | None = None) -> None:
        hooks, self._hooks = self._hooks, type(self._hooks)()
        try:
            super().start(name)
        finally:
            self._hooks = hooks
        for each in self.components():
            self._ask(ComponentChange(each.name, "start"))


class OnlyTheNamed(ComponentManager):
    """hooks that are asked about what was named, and not about what goes along with it"""

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        for _, _, hook in self._hooks._hooks:
            hook(ComponentChange(name, "restart"))
        hooks, self._hooks = self._hooks, type(self._hooks)()
        try:
            return super().restart(name, cause=cause)
        finally:
            self._hooks = hooks


class NosyCoordinator(ComponentCoordinator):
    """a coordinator that uses what no protocol has"""

    def start(self, name: str | None = None) -> None:
        self.components.view("web")  # type: ignore[attr-defined]  # which is the fault
        super().start(name)


class ForgetfulCoordinator(ComponentCoordinator):
    """a coordinator that takes nothing back when a component has stopped"""

    def _let_go(self, name: str) -> None:
        self._left[name] = ()


class LargeCoordinator(ComponentCoordinator):
    """a coordinator that keeps 10 KB for each component, and 300 KB for itself"""

    def __init__(self, **managers: Any) -> None:
        super().__init__(**managers)
        self.kept = [bytearray(300 << 10)]

    def register(self, spec: Any, **more: Any) -> None:
        super().register(spec, **more)
        self.kept.append(bytearray(10 << 10))


class LargeComponents(LargeCoordinator):
    """components of 600 KB each"""

    def register(self, spec: Any, **more: Any) -> None:
        super().register(spec, **more)
        self.kept.append(bytearray(600 << 10))


def slowly(sound: Any, method: str, seconds: float) -> Any:
    """a method that takes its time"""

    def late(*args: Any, **named: Any) -> Any:
        time.sleep(seconds)
        return getattr(sound, method)(*args, **named)

    return Faulty(sound, **{method: late})


# -- interfaces: as a type checker and a signature see them ----------------------------------------------------------


class WithoutStatus:
    """a manager of components that lacks a method"""

    def register(self, spec: Any, *, start: Any, stop: Any, healthy: Any = None) -> None: ...

    def start(self, name: str | None = None) -> None: ...

    def stop(self, name: str | None = None) -> None: ...

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        return True

    def components(self) -> tuple[ComponentRecord, ...]:
        return ()


class WithOtherWords(WithoutStatus):
    """a manager of components that calls a parameter by another name"""

    def status(self, component: str) -> ComponentRecord:
        raise NotImplementedError


class WithAWish(WithoutStatus):
    """a manager of components that asks for more than the protocol gives"""

    def status(self, name: str, detail: int) -> ComponentRecord:
        raise NotImplementedError


class WithoutACause(WithoutStatus):
    """a manager of components that takes less than the protocol gives"""

    def status(self, name: str) -> ComponentRecord:
        raise NotImplementedError

    def restart(self, name: str) -> bool:  # type: ignore[override]  # which is the fault
        return True


class WithAnObligation(WithoutStatus):
    """a manager of components that asks for what may be left out"""

    def status(self, name: str) -> ComponentRecord:
        raise NotImplementedError

    def start(self, name: str | None) -> None:  # type: ignore[override]  # which is the fault
        return None


class WithAllSorts:
    """a manager that takes whatever it is given: nothing is wrong with that"""

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **named: Any) -> None:
            return None

        return call


INCOMPLETE = """
class Components:
    def start(self, name: str | None = None) -> None: ...


class IncompleteCoordinator:
    def __init__(self) -> None:
        self.components = Components()
"""
"""A coordinator whose manager of components lacks methods, as text: what a type checker has to find."""
