"""Builds the default system: the one place that names managers and wires them to one another."""

from __future__ import annotations

import logging
import os
import signal
import threading
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from coresys.cleanup.alone import Alone
from coresys.cleanup.manager import CleanupManager
from coresys.clock import MonotonicClock, WallClock, monotonic
from coresys.components.manager import ComponentManager
from coresys.coordinators.cleanup import CleanupCoordinator
from coresys.coordinators.component import ComponentCoordinator
from coresys.coordinators.environment import SystemEnvironment
from coresys.coordinators.monitoring import MonitoringCoordinator
from coresys.coordinators.testing import TestingCoordinator
from coresys.errors import ErrorManager
from coresys.errors.hierarchy import CleanupIncompleteError, LeaseInUseError, LeftBehindError
from coresys.monitoring.manager import MonitoringManager, process_sources
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import DEFAULT_TIERS, Tier
from coresys.state import SQLiteStore, StateManager
from coresys.state.store import StateStore
from coresys.system_records import (
    CleanupReport,
    CleanupStep,
    EnvironmentSpec,
    ErrorRecord,
    LeaseRecord,
)
from coresys.testing.clocks import MovableClock
from coresys.testing.manager import TestManager
from coresys.threads import LockHierarchy, OrderedLock, ThreadManager, ThreadPool

if TYPE_CHECKING:
    from types import TracebackType

    from coresys.interfaces import Environment

log = logging.getLogger("coresys")

COORDINATORS = "coordinators"
"""The innermost rank of every system's locks: a coordinator may be called by whoever holds any other."""

_COMPONENTS_SHARE, _THREADS_SHARE, _SHARE = 0.5, 0.6, 0.5  # of the time that is left, for what may hang
_LEAST = 0.1  # seconds, for what may hang, where others have taken all the time: it mostly does not
_LOOK, _IDLE_LOOKS = 0.001, 20  # seconds between looks at tasks that end; how often nothing may be seen to go on


@dataclass(frozen=True, slots=True)
class Coordinators:
    """The four that bring managers together."""

    monitoring: MonitoringCoordinator
    component: ComponentCoordinator
    testing: TestingCoordinator
    cleanup: CleanupCoordinator


class System:
    """Managers that were wired to one another, by ``build_system``. Leaving its ``with`` block takes it down.

    Errors that have no route of their own go to the log ``coresys``. Whoever calls ``shutdown`` has it taken down in
    the order: intake (environments of tests), components, threads, sampler, the store, buffers and resources; steps
    that were added to ``cleanup`` come before ours of their phase.
    """

    def __init__(
        self,
        name: str,
        *,
        store: StateStore | None,
        tiers: Iterable[Tier],
        workers: int,
        ranks: Iterable[str],
        clock: WallClock,
        sampling: float | None,
        daemon: bool,
        timeout: float,
        environments: Callable[[EnvironmentSpec], Environment],
    ) -> None:
        self.name, self.clock, self._timeout = name, clock, timeout
        self._sampling = sampling
        self.hierarchy = LockHierarchy(name, [*ranks, COORDINATORS])
        observed = _Observed()
        sources = [] if sampling is None else [*process_sources(), observed]
        self.monitoring = MonitoringManager(sources=sources, rate=sampling or 1.0, clock=clock)
        self.errors = ErrorManager(monitoring=self.monitoring, clock=clock, default="log")
        self.errors.sink("log", _write)
        pool = ThreadPool(workers, name=name, daemon=True, clock=clock)
        pool.wait_at_exit(not daemon)  # until a shutdown finds that something hangs
        self.threads = ThreadManager(pool=pool, hierarchy=self.hierarchy, clock=clock)
        self.resources = ResourceManager(
            BufferPools(tiers, on_leak=partial(_leaked, name, self.monitoring), now=clock.now)
        )
        self.state = StateManager(store=store, monitoring=self.monitoring, clock=clock)
        self.components = ComponentManager(clock=clock, monitoring=self.monitoring, errors=self.errors)
        self.cleanup = CleanupManager(on_error=partial(_step_failed, self.errors))
        self.tests = TestManager(environments)
        self._down = threading.Event()
        self._until: float | None = None
        self._kept: dict[str, Any] = {}  # what is made once, though two may make it
        self._lives: StateManager | None = None
        self._coordinators: Coordinators | None = None
        self._put_back: Callable[[], None] | None = None  # handlers of signals, when the system is down
        self.threads_ended: Callable[[], object] = _nothing
        """Called in a shutdown when tasks have ended, or their time has, and before locks are closed."""
        self._add_steps()
        observed.look = lambda: self.coordinators.monitoring.observe()

    @property
    def lives(self) -> StateManager:
        """The machines of components, environments and the system itself: of this process, so no store has them.

        Nor is monitoring told of them: distributions of how long environments are open fill for a long time, which a
        test that is repeated would be charged with.
        """
        made = self._lives
        if made is None:
            made = self._kept.setdefault("lives", StateManager(clock=self.clock))
            self._lives = made
        return made

    @property
    def coordinators(self) -> Coordinators:
        """The four coordinators, made when they are first asked for: all who ask at once get the same."""
        made = self._coordinators
        if made is None:
            made = self._kept.setdefault("coordinators", self._new_coordinators())
            self._coordinators = made
        return made

    def _new_coordinators(self) -> Coordinators:
        return Coordinators(
            MonitoringCoordinator(
                monitoring=self.monitoring,
                threads=self.threads,
                resources=self.resources,
                lock=self._lock("monitoring"),
            ),
            ComponentCoordinator(
                components=self.components,
                state=self.lives,
                resources=self.resources,
                on_left=partial(_component_left, self.name, self.monitoring),
                on_error=partial(_not_let_go, self.errors),
                lock=self._lock("component"),
            ),
            TestingCoordinator(
                tests=self.tests, resources=self.resources, state=self.lives, lock=self._lock("testing")
            ),
            CleanupCoordinator(
                cleanup=self.cleanup, state=self.lives, resources=self.resources, lock=self._lock("cleanup")
            ),
        )

    def _lock(self, name: str) -> OrderedLock:
        # Not one of the thread manager's, which are closed with the threads: a cleanup goes on after that.
        return OrderedLock(self.hierarchy[COORDINATORS], name=f"{self.name}/{name} coordinator")

    # -- up ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all components, in their order; what fails is stopped again, and StartFailedError raised."""
        self.components.start()

    def serve(self, *signals: signal.Signals) -> None:
        """Wait until the process gets a signal (SIGTERM or SIGINT where none is named), in the main thread.

        It raises SystemExit(128 + its number) then, so that ``with`` blocks, that of the system too, are left as at any
        other end. What handled those signals before does so again when the system is down: until then another such
        signal does not cut the cleanup short.
        """
        self._handle_signals_as_before()  # those that an earlier call has replaced
        self._put_back = self.cleanup.exit_on(*(signals or (signal.SIGTERM, signal.SIGINT)))
        while True:
            MonotonicClock.sleep(1.0)  # a signal that was sent to another thread does not wake this one

    # -- down --------------------------------------------------------------------------------------------------------

    def _add_steps(self) -> None:
        # In the thread that cleans up, where there is nothing that could hang: a test's environment mostly has nothing,
        # and six threads for its end would take longer than the rest. What may hang goes through ``within``.
        after: tuple[str, ...] = ()
        for name, phase, run in (
            ("close environments", "stop-intake", self._close_environments),
            ("stop components", "drain", self._stop_components),
            ("end threads", "drain", self._end_threads),
            ("end sampling", "flush", self._end_sampling),
            ("close state", "release", self._close_state),
            ("close resources", "release", self._close_resources),
        ):
            self.cleanup.add(CleanupStep(name, phase=phase, last=True, here=True, after=after), run)
            after = (name,)

    def shutdown(self, *, deadline: float | None = None) -> CleanupReport:
        """Take the system down within ``deadline`` seconds (its ``timeout``, by default); a second time does nothing.

        The report says what failed, or did not end in its time, and what was left: buffers that were lent, with their
        places.
        """
        seconds = self._timeout if deadline is None else deadline
        until = monotonic() + seconds
        # Of two at once the stricter holds, and one from inside a step gives nobody more time.
        self._until = until if self._until is None else min(self._until, until)
        try:
            return self.coordinators.cleanup.run(deadline=seconds)
        finally:
            self._down.set()
            self._handle_signals_as_before()
            if not self.cleanup.steps():  # not from inside a step, before the others
                self._let_go()

    def _handle_signals_as_before(self) -> None:
        if threading.current_thread() is threading.main_thread():  # another may not
            put_back, self._put_back = self._put_back, None
            if put_back is not None:
                put_back()

    def _seconds(self, share: float) -> float:
        """A share of what is left."""
        return max((self._timeout if self._until is None else self._until - monotonic()) * share, _LEAST)

    def _let_go(self) -> None:
        """Nothing of what is down keeps another: it is gone with whoever had it, without a collector."""
        self.components.close()
        if self._lives is not None:
            self._lives.close()

    def forget(self) -> None:
        """Let go of what was declared to its managers as well, once it is down, and nobody is to hear of what follows.

        An environment's test declares what has the environment, mostly: a guard, an alarm's callback, a sink. Whoever
        has a manager can look at what it has seen.
        """
        self.errors.forget()
        self.monitoring.forget()
        self.state.forget()

    def within(self, share: float, call: Callable[[], object]) -> None:
        """Call something that may hang. Raises TimeoutError where it takes longer than a share of what is left."""
        seconds = self._seconds(share)
        alone = Alone(call, f"{self.name}: shutdown")
        if not alone.ended.wait(seconds):
            raise TimeoutError(f"it did not end within {seconds:.3g} s, and goes on on a thread of its own")
        error, _ = alone.outcome()
        try:
            if error is not None:
                raise error
        finally:
            del error  # it has this frame

    def _stop_components(self) -> None:
        if any(each.state not in ("stopped", "failed") for each in self.components.components()):
            self.within(_COMPONENTS_SHARE, self.components.stop)

    def _end_threads(self) -> None:
        seconds = self._seconds(_THREADS_SHARE)
        self.threads.pool.shutdown(wait=False)  # no task is taken any more, and idle threads end
        left = self._drained(seconds)
        self.threads_ended()
        # Idle threads are waited for, but for who is one of them. Locks are closed: a task that waits for one may end.
        self.threads.shutdown(wait=not (left or get_ident() in self.threads.pool.running()))
        if left:
            self.threads.pool.wait_at_exit(False)  # else the process would never end
            raise TimeoutError(f"{left} did not end within {seconds:.3g} s")

    def _drained(self, seconds: float) -> str:
        """Wait until tasks have ended, but for the calling one; those that have not in that time, in words."""
        until, idle = monotonic() + seconds, 0
        while True:
            figures, running = self.threads.statistics(), self.threads.pool.running()
            own, queued = get_ident() in running, sum(figures.queued)
            others = figures.busy - own
            # Called by a task: what waits for its own thread is not waited for, once nobody else does anything.
            idle = idle + 1 if own and not others else 0
            if not others and (not queued or idle > _IDLE_LOOKS):
                return ""
            if monotonic() > until:
                waiting = f", and {queued} that had not begun" if queued else ""
                return f"{others} task{'' if others == 1 else 's'}{waiting}"
            MonotonicClock.sleep(_LOOK)

    def _end_sampling(self) -> None:
        if self._sampling is None:
            self.monitoring.close()
        else:
            self.within(_SHARE, self.monitoring.close)

    def _close_state(self) -> None:
        if self.state.durability == "memory" and not self.state.has_timers:
            self.state.close()
        else:
            self.within(_SHARE, self.state.close)

    def _close_environments(self) -> None:
        if self.tests.environments():
            self.within(_SHARE, self._close_all_environments)

    def _close_all_environments(self) -> None:
        left = [record for record in self.coordinators.testing.close_all() if record.left]
        _raise_all([LeftBehindError(environment=record.name, left=record.left) for record in left])

    def _close_resources(self) -> None:
        if self.resources.owned.owners():
            self.within(_SHARE, self._take_all_back)
        else:
            self._take_all_back()

    def _take_all_back(self) -> None:
        """Take back and close all that anybody holds; buffers are told in the report, for they were not given back."""
        self.resources.pools.take_back_orphans()  # those are told as dropped, not as lent
        owners = dict.fromkeys((*(lease.owner for lease in self.resources.leases()), *self.resources.owned.owners()))
        problems: list[Exception] = []
        for owner in owners:
            try:
                self.coordinators.cleanup.take_back(owner)
            except Exception as error:
                problems.append(error)
        try:
            self.resources.pools.close()
        except LeaseInUseError as error:
            problems.append(error)
        _raise_all(problems)

    def __enter__(self) -> System:
        if self._sampling is not None:
            self.monitoring.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        report = self.shutdown()
        if report.complete:
            return
        incomplete = CleanupIncompleteError(failed=report.failed, hung=report.hung, left=report.left)
        if error is None:
            raise incomplete
        log.error("%s: %s", self.name, incomplete)  # what is on its way says more

    def __repr__(self) -> str:
        state = "down" if self._down.is_set() else "up"
        return f"<System {self.name}: {state}, {self.components!r}, {self.threads!r}, {self.resources!r}>"


def _nothing() -> None:
    """Nobody asked to be told."""


def _raise_all(problems: list[Exception]) -> None:
    problems[:] = {str(problem): problem for problem in problems}.values()  # one buffer may be in the way twice
    try:
        if len(problems) > 1:
            failed = tuple((type(problem).__name__, str(problem)) for problem in problems)
            raise CleanupIncompleteError(failed=failed, hung=(), left=()) from problems[0]
        if problems:
            raise problems[0]
    finally:
        problems.clear()  # they have this frame, and the one above it


class _Observed:
    """A source of the sampler that has no figures of its own: with each sample a coordinator is told to look."""

    names: tuple[str, ...] = ()
    every = 0.0
    look: Callable[[], None]

    def read(self, readings: array[float], now: float) -> None:
        self.look()

    def close(self) -> None:
        del self.look  # which has the system


# Who tells whom. Managers have these, and not the system: it would be in a circle with each.


def _leaked(system: str, monitoring: MonitoringManager, lease: LeaseRecord) -> None:
    monitoring.count("resources.leaked", component=lease.owner)
    log.warning("%s: a buffer of %r was dropped, taken at %s", system, lease.owner, lease.where)


def _component_left(system: str, monitoring: MonitoringManager, component: str, left: tuple[str, ...]) -> None:
    monitoring.count("components.left", len(left), component=component)
    log.warning("%s: component %r left %s", system, component, "; ".join(left))


def _not_let_go(errors: ErrorManager, component: str, error: Exception) -> None:
    errors.report(error, component=component)


def _step_failed(errors: ErrorManager, error: BaseException, step: CleanupStep) -> None:
    errors.report(error, component="cleanup")


def _write(record: ErrorRecord) -> None:
    log.log(
        logging.WARNING if record.severity == "warning" else logging.ERROR,
        "%s: %s: %s",
        record.component,
        record.kind,
        record.message,
    )


def build_system(
    name: str = "system",
    *,
    store: StateStore | str | os.PathLike[str] | None = None,
    tiers: Iterable[Tier] = DEFAULT_TIERS,
    workers: int = 20,
    ranks: Iterable[str] = (),
    clock: WallClock | None = None,
    sampling: float | None = 1.0,
    timeout: float = 10.0,
    environments: Callable[[EnvironmentSpec], Environment] | None = None,
) -> System:
    """The default set of managers, wired to one another, and the four coordinators over them.

    >>> from coresys import build_system
    >>> with build_system("orders", ranks=["registry", "order"]) as system:
    ...     with system.threads.lock("registry"), system.resources.lease(4096, owner="web") as view:
    ...         len(view), system.threads.submit(pow, 2, 5).result()
    (4096, 32)

    ``store`` keeps the machines of ``system.state``: a store, or the path of an SQLite database that survives the
    process; None: memory. ``tiers`` are the buffers, ``workers`` the most threads for tasks (20 at most), ``ranks`` the
    order of the program's own locks, outermost first. ``sampling``: how often in a second the process and the system
    are looked at, once its ``with`` block is entered; None: never. ``timeout``: seconds that a shutdown may take.
    ``environments`` makes that of a test; by default a small system with the same tiers and ranks.
    """
    clock = MonotonicClock() if clock is None else clock
    if isinstance(store, (str, os.PathLike)):
        store = SQLiteStore(store)
    tiers, ranks = tuple(tiers), tuple(ranks)
    return System(
        name,
        store=store,
        tiers=tiers,
        workers=workers,
        ranks=ranks,
        clock=clock,
        sampling=sampling,
        daemon=False,
        timeout=timeout,
        environments=environments or (lambda spec: build_environment(spec, tiers=tiers, ranks=ranks)),
    )


_ENVIRONMENT_SECONDS = 0.4  # that the end of an environment may take, where something hangs
_ENVIRONMENT_WORKERS = 4


def build_environment(
    spec: EnvironmentSpec, *, tiers: Iterable[Tier] = DEFAULT_TIERS, ranks: Iterable[str] = ()
) -> SystemEnvironment:
    """A small system of its own for one test: managers, channel, lock ranks and a clock that nobody else has.

    ``spec.lease`` bounds what all its owners of buffers hold together, ``spec.threads`` the workers (4 by default),
    ``spec.timeout`` the seconds that its end may take. Buffers of more than 64 KiB are to be granted (``grant``).
    ``spec.ranks``, or else ``ranks``, are those of its locks; ``declare_ranks`` of it adds others.
    """
    ranks = tuple(ranks) if spec.ranks is None else spec.ranks
    system = System(
        spec.name,
        store=None,
        tiers=tiers,
        workers=_ENVIRONMENT_WORKERS if spec.threads is None else spec.threads,
        ranks=ranks,
        clock=MovableClock(),
        sampling=None,
        daemon=True,  # what a test leaves running must not keep the interpreter
        timeout=_ENVIRONMENT_SECONDS if spec.timeout is None else spec.timeout,
        environments=lambda inner: build_environment(inner, tiers=tiers, ranks=ranks),
    )
    return SystemEnvironment(system, spec)


__all__ = ["COORDINATORS", "Coordinators", "System", "build_environment", "build_system"]
