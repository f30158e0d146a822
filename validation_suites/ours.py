"""Our managers, as subjects: a factory for each role. ``path`` is a folder where a manager may keep things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coresys import (
    CleanupManager,
    ComponentManager,
    ErrorManager,
    MonitoringManager,
    ResourceManager,
    StateManager,
    TestManager,
    ThreadManager,
)

if TYPE_CHECKING:
    from coresys.clock import WallClock
    from coresys.coordinators.assembly import System
    from coresys.interfaces import IMonitoringManager
    from coresys.state import Durability


def state(
    path: Path | None = None,
    monitoring: IMonitoringManager | None = None,
    durability: Durability = "process",
    kept: int | None = None,
) -> StateManager:
    """A state manager, which keeps its transitions in ``path`` if that is given, as durable as is said.

    ``kept``: how many transitions of a machine are kept, in memory, and in the store.
    """
    from coresys.state import SQLiteStore

    bounds: dict[str, Any] = {} if kept is None else {"history_count": kept, "history_bytes": 10**9}
    if path is None:
        return StateManager(monitoring=monitoring, **bounds)
    rows: dict[str, Any] = {} if kept is None else {"history_rows": kept, "history_bytes": 10**10}
    store = SQLiteStore(path / "state.db", durability=durability, **rows)
    return StateManager(store=store, monitoring=monitoring)


def resources() -> ResourceManager:
    """A resource manager with the tiers that are usual."""
    return ResourceManager()


def errors(
    monitoring: IMonitoringManager | None = None,
    clock: WallClock | None = None,
    context: Sequence[str] = (),
    values: bool = False,
) -> ErrorManager:
    """An error manager. Its records have these context variables, and the values of local variables if that is said."""
    from coresys.errors import Capture, Values

    capture = Capture(context=context, values=Values() if values else None)
    return ErrorManager(monitoring=monitoring, clock=clock, capture=capture)


def threads(workers: int = 20, ranks: Sequence[str] = ()) -> ThreadManager:
    """A thread manager with so many workers at most, and locks of these ranks, outermost first."""
    from coresys.threads import LockHierarchy, ThreadPool

    hierarchy = LockHierarchy("validated", ranks) if ranks else None
    return ThreadManager(pool=ThreadPool(workers, name="validated"), hierarchy=hierarchy)


def monitoring(sampling: float | None = None, clock: WallClock | None = None) -> MonitoringManager:
    """A monitoring manager that samples nothing by itself; or this process, so many times a second, until it is
    closed."""
    if sampling is None:
        return MonitoringManager(clock=clock)
    from coresys.monitoring.manager import process_sources

    made = MonitoringManager(sources=process_sources(), rate=sampling, clock=clock)
    made.start()
    return made


def components() -> ComponentManager:
    """A component manager."""
    return ComponentManager()


def tests() -> TestManager:
    """A test manager that opens whole environments."""
    from coresys.coordinators.assembly import build_environment

    return TestManager(build_environment)


def cleanup() -> CleanupManager:
    """A cleanup manager."""
    return CleanupManager()


def system(store: Path | None = None, **options: Any) -> System:
    """A whole system of ours, wired: what is judged of coordinators is judged on that."""
    from coresys.coordinators.assembly import build_environment, build_system
    from coresys.state import SQLiteStore

    kept = None if store is None else SQLiteStore(store / "state.db")
    given = {"sampling": None, "environments": build_environment, **options}
    return build_system("validated", store=kept, **given)


FACTORIES: Mapping[str, Callable[..., Any]] = {
    "state": state,
    "resources": resources,
    "errors": errors,
    "threads": threads,
    "monitoring": monitoring,
    "components": components,
    "tests": tests,
    "cleanup": cleanup,
}
