"""Brings components, their states and what they hold together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

from coresys.coordinators.views import ScopedResources, ScopedStates
from coresys.errors.hierarchy import CoreSysError, StateError
from coresys.system_records import ComponentRecord, ComponentSpec, StateDefinition

if TYPE_CHECKING:
    from coresys.interfaces import IComponentManager, IResourceManager, IStateManager

LIFE = StateDefinition(
    name="component",
    states=("stopped", "starting", "running", "stopping", "failed"),
    initial="stopped",
    transitions=(
        ("start", "stopped", "starting"),
        ("start", "failed", "starting"),
        ("started", "starting", "running"),
        ("fail", "starting", "failed"),
        ("stop", "running", "stopping"),
        ("stopped", "stopping", "stopped"),
        ("fail", "stopping", "failed"),
        # Where no note could be taken of how it stopped, it is started from where the last note was.
        ("start", "running", "starting"),
        ("start", "stopping", "starting"),
        ("start", "starting", "starting"),
    ),
)
"""The states of a component, as its machine has them."""


class ComponentCoordinator:
    """Registers components whose states are machines, and whose buffers and resources end with them.

    A component's machine is in the state manager under its name (in the part ``components`` of it); every start and
    stop moves it, whoever asked for that: a person, a restart policy, a cleanup. When a component has stopped, or
    failed to start, all that it still holds is taken back and closed. Buffers that it had not given back, and what
    failed to close, are told by ``left``, and to ``on_left``; what it had registered is closed without a word: that is
    what it was registered for. The error itself of what failed to close goes to ``on_error``, with the component's
    name: nobody gets it raised.

    ``components``, ``state`` and ``resources`` are the parts of the managers that components live in: a component
    called ``web`` leases with ``coordinator.resources.lease(4096, owner="web")``.
    """

    def __init__(
        self,
        *,
        components: IComponentManager,
        state: IStateManager,
        resources: IResourceManager,
        part: str = "components",
        on_left: Callable[[str, tuple[str, ...]], object] | None = None,
        on_error: Callable[[str, Exception], object] | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.components: IComponentManager = components  # as a whole: who needs whom goes across parts
        self.state = ScopedStates(state, part)
        self.resources = ScopedResources(resources, part)
        self._on_left, self._on_error = on_left, on_error
        self._lock = nullcontext() if lock is None else lock
        self._left: dict[str, tuple[str, ...]] = {}

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
        lease: int | None = None,
        reserve: int = 0,
    ) -> None:
        """Declare a component, which may hold ``lease`` bytes of buffers and is kept ``reserve`` bytes.

        Raises what its managers raise; then nothing is declared.
        """
        self.state.define(spec.name, LIFE)
        before = None
        try:
            if lease is not None or reserve:
                before = self.resources.usage(spec.name)
                self.resources.limit(spec.name, lease=lease, reserve=reserve)
            self.components.register(
                spec,
                start=partial(self._start, spec.name, start),
                stop=partial(self._stop, spec.name, stop),
                healthy=healthy,
            )
        except BaseException:
            with suppress(CoreSysError):  # what it failed of is on its way
                if before is not None:
                    self.resources.limit(spec.name, lease=before.lease_limit, reserve=before.lease_reserve)
            with suppress(CoreSysError):
                self.state.release(spec.name)
            raise

    def _start(self, name: str, start: Callable[[], object]) -> None:
        self.state.fire(name, "start")
        try:
            start()
        except BaseException as error:
            self._fail(name, error)
            self._let_go(name)
            raise
        self.state.fire(name, "started")

    def _stop(self, name: str, stop: Callable[[], object]) -> None:
        # A component has to stop, whether a store can take a note of it or not.
        with suppress(StateError):
            self.state.fire(name, "stop")
        try:
            stop()
        except BaseException as error:
            self._fail(name, error)
            self._let_go(name)
            raise
        self._let_go(name)
        with suppress(StateError):
            self.state.fire(name, "stopped")

    def _fail(self, name: str, error: BaseException) -> None:
        # What it failed of is on its way; that the store cannot take a note of it must not hide it.
        with suppress(StateError):
            self.state.fire(name, "fail", cause=f"{type(error).__name__}: {error}")

    def _let_go(self, name: str) -> None:
        """Take back what a component has left, and tell it."""
        left = [
            f"a buffer of {lease.requested} bytes{'' if lease.where is None else f', taken at {lease.where}'}"
            for lease in self.resources.leases(name)
        ]
        try:
            self.resources.release_owner(name)
        except CoreSysError as error:
            left.append(str(error))
            self._tell_error(name, error)
        with self._lock:
            self._left[name] = tuple(left)
        if left and self._on_left is not None:
            try:
                self._on_left(name, tuple(left))
            except Exception as error:  # a stranger's: the component has stopped all the same
                with self._lock:
                    self._left[name] = (*left, f"whoever was to be told failed: {type(error).__name__}: {error}")

    def _tell_error(self, name: str, error: CoreSysError) -> None:
        if self._on_error is not None:
            with suppress(Exception):  # a stranger's: the component has stopped all the same, and ``left`` says it
                self._on_error(name, error)

    def left(self, name: str) -> tuple[str, ...]:
        """What a component had not given back when it last stopped; a line for each thing."""
        with self._lock:
            return self._left.get(name, ())

    def start(self, name: str | None = None) -> None:
        """Start a component and what it needs; None: all."""
        self.components.start(name)

    def stop(self, name: str | None = None) -> None:
        """Stop a component and those that need it; None: all."""
        self.components.stop(name)

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """Stop and start it, and by its strategy others too; False where it has been restarted too often."""
        return self.components.restart(name, cause=cause)

    def status(self, name: str) -> ComponentRecord:
        """Where it stands."""
        return self.components.status(name)

    def __repr__(self) -> str:
        standing = ", ".join(f"{each.name} {each.state}" for each in self.components.components())
        return f"<ComponentCoordinator: {standing or 'no components'}>"


__all__ = ["LIFE", "ComponentCoordinator"]
