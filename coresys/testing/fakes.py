"""Fakes to give to what is tested: they keep what they were told, and do what they are told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

from coresys.errors.hierarchy import DuplicateMachineError, RollbackError, TransitionRefusedError, UnknownMachineError
from coresys.errors.restart import RestartIntensity
from coresys.system_records import (
    ComponentRecord,
    ComponentSpec,
    ErrorRecord,
    MachineRecord,
    MonitoringSnapshot,
    StateDefinition,
    StateStatistics,
    TransitionRecord,
)

if TYPE_CHECKING:
    from coresys.clock import Clock, WallClock
    from coresys.interfaces import IComponentManager, IMonitoringManager, IStateManager


class FakeClock:
    """A clock that stands still until somebody sleeps, or moves it on. Any thread may use it.

    >>> clock = FakeClock(now=100.0)
    >>> clock.sleep(2.5)
    >>> clock.now(), clock.slept
    (102.5, [2.5])
    """

    def __init__(self, now: float = 1000.0, *, time: float = 1_700_000_000.0) -> None:
        self._now, self._offset = now, time - now
        self._lock = Lock()
        self.slept: list[float] = []

    def now(self) -> float:
        """Seconds since some point."""
        return self._now

    def time(self) -> float:
        """The time of day, which goes on with it."""
        return self._now + self._offset

    def sleep(self, seconds: float) -> None:
        """Move on at once, and remember."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """The same, for coroutines."""
        self.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Move on, without anybody having slept; back, for a time of day that was set."""
        with self._lock:
            self._now += seconds

    def move_to(self, now: float) -> None:
        """Stand at a point, exactly."""
        with self._lock:
            self._now = now


class RecordingMonitoringManager:
    """Keeps all that it is told. ``fail`` makes it raise, which it must not: to see what comes of that.

    ``seconds`` and ``seconds_in_source`` are those of ``transitions``, each at the place of its transition.
    """

    def __init__(self) -> None:
        self.errors: list[ErrorRecord] = []
        self.transitions: list[TransitionRecord] = []
        self.seconds: list[float] = []
        self.seconds_in_source: list[float] = []
        self._lock = RLock()  # of these three, which go together; re-entrant for a signal's handler
        self.values: list[tuple[str, str, float]] = []
        self.fail: Exception | None = None

    def transition_made(self, record: TransitionRecord, *, seconds: float, seconds_in_source: float) -> None:
        """Keep it, with its times."""
        with self._lock:
            self.transitions.append(record)
            self.seconds.append(seconds)
            self.seconds_in_source.append(seconds_in_source)

    def error_seen(self, record: ErrorRecord) -> None:
        """Keep it, or fail."""
        if self.fail is not None:
            raise self.fail
        self.errors.append(record)

    def count(self, name: str, value: float = 1, *, component: str = "") -> None:
        """Keep it."""
        self.values.append((name, component, value))

    gauge = count

    def record(self, name: str, value: float, *, unit: str, component: str = "") -> None:
        """Keep it."""
        self.values.append((name, component, value))

    def snapshot(self) -> MonitoringSnapshot:
        """The counters as they were told, one by one."""
        return MonitoringSnapshot(0.0, tuple(self.values))


class RecordingComponentManager:
    """Starts and stops nothing, and keeps what it was asked to in ``calls``.

    ``components`` are there from the start, running, in the order they start in. As every IComponentManager it refuses
    what was restarted too often, by the ``restarts`` and ``within`` of the component's spec and the time of ``clock``
    (by default the real one). ``refuse`` names those that it refuses besides; ``fail`` are errors that starting a
    component raises, by its name, once each.
    """

    def __init__(self, *components: str, clock: Clock | None = None) -> None:
        self._clock = clock
        self.calls: list[tuple[str, str | None]] = []
        self.refuse: set[str] = set()
        self.fail: dict[str, Exception] = {}
        self._specs: dict[str, ComponentSpec] = {}
        self._states: dict[str, str] = {}
        self._restarted: dict[str, int] = {}
        self._intensities: dict[str, RestartIntensity] = {}
        for name in components:
            self._know(ComponentSpec(name), "running")

    def register(
        self,
        spec: ComponentSpec,
        *,
        start: Callable[[], object],
        stop: Callable[[], object],
        healthy: Callable[[], bool] | None = None,
    ) -> None:
        """Know of a component, which is stopped; its callables are not called."""
        self._know(spec, "stopped")

    def _know(self, spec: ComponentSpec, state: str) -> None:
        self._specs[spec.name], self._states[spec.name], self._restarted[spec.name] = spec, state, 0
        self._intensities[spec.name] = RestartIntensity(spec.restarts, spec.within, clock=self._clock)

    def start(self, name: str | None = None) -> None:
        """Note that, and say so in ``status``; or raise what it was told to."""
        self.calls.append(("start", name))
        for each in self._specs if name is None else (name,):
            problem = self.fail.pop(each, None)
            if problem is not None:
                self._states[each] = "failed"
                raise problem
            self._states[each] = "running"

    def stop(self, name: str | None = None) -> None:
        """Note that, and say so in ``status``."""
        self.calls.append(("stop", name))
        for each in self._specs if name is None else (name,):
            self._states[each] = "stopped"

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        """Note that; False, and failed, for what was restarted too often, and for those in ``refuse``."""
        self.calls.append(("restart", name))
        problem = self.fail.pop(name, None)
        if problem is not None:
            raise problem
        allowed = name not in self.refuse and self._intensities[name].allow(name)
        self._states[name] = "running" if allowed else "failed"
        self._restarted[name] += allowed
        return allowed

    def status(self, name: str) -> ComponentRecord:
        """Where it stands."""
        return ComponentRecord(name, self._states[name], self._specs[name].needs, self._restarted[name])

    def components(self) -> tuple[ComponentRecord, ...]:
        """All, in the order they start in."""
        return tuple(map(self.status, self._specs))


class RecordingStateManager:
    """Machines in a dictionary: enough to see events, snapshots and rollbacks, in ``calls`` and in ``state``.

    ``fail`` are errors that an event raises, by machine and event, once each.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.fail: dict[tuple[str, str], Exception] = {}
        self._definitions: dict[str, StateDefinition] = {}
        self._history: dict[str, list[TransitionRecord]] = {}
        self._snapshots: dict[tuple[str, str], tuple[str, int]] = {}

    def define(self, name: str, definition: StateDefinition) -> None:
        """Hold a machine. Raises DuplicateMachineError."""
        if name in self._definitions:
            raise DuplicateMachineError(machine=name, where="this fake")
        self._definitions[name], self._history[name] = definition, []

    def names(self) -> tuple[str, ...]:
        """The machines that are held."""
        return tuple(self._definitions)

    def _definition(self, name: str) -> StateDefinition:
        try:
            return self._definitions[name]
        except KeyError:
            raise UnknownMachineError(machine=name, near=tuple(get_close_matches(name, self._definitions))) from None

    def state(self, name: str) -> str:
        """The state it is in."""
        definition = self._definition(name)
        return self._history[name][-1].target if self._history[name] else definition.initial

    def describe(self, name: str) -> MachineRecord:
        """Where it stands."""
        history = self._history[name]
        return MachineRecord(name, self._definition(name).name, self.state(name), len(history), 0.0)

    def fire(
        self, name: str, event: str, payload: Any = None, *, cause: str | None = None, actor: str | None = None
    ) -> TransitionRecord:
        """Make a transition, or raise what was told for it."""
        self.calls.append(("fire", name, event))
        state = self.state(name)
        problem = self.fail.pop((name, event), None)
        if problem is not None:
            raise problem
        for declared, source, target in self._definition(name).transitions:
            if declared == event and source in (state, "*"):
                return self._move(name, event, target, cause, actor)
        allowed = tuple(each for each, source, _ in self._definition(name).transitions if source == state)
        raise TransitionRefusedError(machine=name, state=state, event=event, reason="not declared", allowed=allowed)

    def _move(self, name: str, event: str, target: str, cause: str | None, actor: str | None) -> TransitionRecord:
        history = self._history[name]
        record = TransitionRecord(
            name, self._definition(name).name, len(history) + 1, 0.0, event, self.state(name), target, cause, actor
        )
        history.append(record)
        return record

    def fire_all(
        self,
        events: Mapping[str, str],
        payloads: Mapping[str, Any] | None = None,
        *,
        cause: str | None = None,
        actor: str | None = None,
    ) -> tuple[TransitionRecord, ...]:
        """One after the other; this fake does not undo the first when the second fails."""
        return tuple(self.fire(name, event, cause=cause, actor=actor) for name, event in events.items())

    def history(self, name: str, last: int | None = None) -> tuple[TransitionRecord, ...]:
        """All transitions, or the last ones."""
        history = self._history[name]
        return tuple(history if last is None else history[max(0, len(history) - last) :])

    def rollback(
        self,
        name: str,
        steps: int | None = None,
        *,
        to_sequence: int | None = None,
        to_snapshot: str | None = None,
        cause: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Go back. Raises RollbackError where there is nothing to go back to."""
        wanted = [each for each in (to_snapshot, to_sequence, steps) if each is not None]
        self.calls.append(("rollback", name, str(wanted[0] if wanted else 1)))
        history = self._history[name]
        if to_snapshot is not None:
            if (name, to_snapshot) not in self._snapshots:
                raise RollbackError(machine=name, wanted=to_snapshot, problem="no such snapshot")
            target, _ = self._snapshots[name, to_snapshot]
        else:
            back = 1 if steps is None else steps
            if to_sequence is not None:
                back = len(history) - to_sequence
            if not 0 < back <= len(history):
                raise RollbackError(machine=name, wanted=f"{back} steps", problem=f"only {len(history)} were made")
            target = history[-back].source
        return self._move(name, "rollback", target, cause, actor).target

    def snapshot(self, name: str, label: str) -> int:
        """Remember where it stands."""
        self._snapshots[name, label] = (self.state(name), len(self._history[name]))
        return len(self._history[name])

    def release(self, name: str) -> None:
        """Hold it no longer."""
        del self._definitions[name], self._history[name]

    def statistics(self) -> StateStatistics:
        """How many machines there are and transitions were made."""
        return StateStatistics(len(self._definitions), sum(map(len, self._history.values())), 0, 0)


if TYPE_CHECKING:
    _clock: type[WallClock] = FakeClock
    _monitoring: type[IMonitoringManager] = RecordingMonitoringManager
    _components: type[IComponentManager] = RecordingComponentManager
    _states: type[IStateManager] = RecordingStateManager

__all__ = [
    "FakeClock",
    "RecordingComponentManager",
    "RecordingMonitoringManager",
    "RecordingStateManager",
]
