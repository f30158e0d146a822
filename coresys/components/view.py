"""A part of the components, as a manager of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from coresys.components.manager import ComponentManager
from coresys.components.work import Scope
from coresys.errors.hierarchy import UnknownComponentError
from coresys.system_records import ComponentRecord, ComponentSpec

if TYPE_CHECKING:
    from coresys.interfaces import IComponentManager

T = TypeVar("T")


class ComponentView:
    """What ``ComponentManager.view`` returns: the same promises, for a part; all other components are not there for it.

    A change that would have to start or stop something outside of the part raises OutsideViewError, and changes
    nothing: a need outside that does not run, say, or a component outside that needs one which is to be stopped.
    """

    __slots__ = ("_manager", "_scope")

    def __init__(self, manager: ComponentManager, scope: Scope) -> None:
        self._manager, self._scope = manager, scope

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        """As ComponentManager.register. Raises OutsideViewError for a name that is not of this part."""
        self._manager._register(spec, start, stop, healthy, self._scope)

    def start(self, name: str | None = None) -> None:
        """As ComponentManager.start; None: all of this part."""
        self._manager._start(name, self._scope)

    def stop(self, name: str | None = None) -> None:
        """As ComponentManager.stop; None: all of this part."""
        self._manager._stop(name, self._scope)

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """As ComponentManager.restart. By ``rest-for-one``, those of this part that start after it are restarted."""
        return self._manager._restart(name, self._scope, cause)

    def status(self, name: str) -> ComponentRecord:
        """Where a component of this part stands. Raises UnknownComponentError for all others."""
        self._see(name)
        return self._manager.status(name)

    def components(self) -> tuple[ComponentRecord, ...]:
        """Those of this part, in the order they start in."""
        return self._manager._records(self._scope)

    def check(self, name: str) -> ComponentRecord:
        """As ComponentManager.check."""
        self._see(name)
        return self._manager.check(name)

    def provide(self, name: str, interface: Callable[..., object], provided: object) -> None:
        """As ComponentManager.provide, for components of this part."""
        self._see(name)
        self._manager.provide(name, interface, provided)

    def require(self, name: str, interface: Callable[..., T], *, of: str | None = None) -> T:
        """As ComponentManager.require, for components of this part; whoever provides it may be outside."""
        self._see(name)
        return self._manager.require(name, interface, of=of)

    def _see(self, name: str) -> None:
        if not self._scope.has(name):
            raise UnknownComponentError(component=name)

    def __repr__(self) -> str:
        records = self.components()
        running = sum(record.state == "running" for record in records)
        return f"<ComponentView of {self._scope.label}: {len(records)} components, {running} running>"


if TYPE_CHECKING:
    _check: type[IComponentManager] = ComponentView

__all__ = ["ComponentView"]
