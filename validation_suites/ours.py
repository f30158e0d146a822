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
    from coresys.coordinators.assembly import System
    from coresys.interfaces import IMonitoringManager


def state(path: Path | None = None, monitoring: IMonitoringManager | None = None) -> StateManager:
    """A state manager, which keeps its transitions in ``path`` if that is given."""
    from coresys.state import SQLiteStore

    store = None if path is None else SQLiteStore(path / "state.db")
    return StateManager(store=store, monitoring=monitoring)


def resources() -> ResourceManager:
    """A resource manager with the tiers that are usual."""
    return ResourceManager()


def errors(monitoring: IMonitoringManager | None = None) -> ErrorManager:
    """An error manager."""
    return ErrorManager(monitoring=monitoring)


def threads(workers: int = 20, ranks: Sequence[str] = ()) -> ThreadManager:
    """A thread manager with so many workers at most, and locks of these ranks, outermost first."""
    from coresys.threads import LockHierarchy, ThreadPool

    hierarchy = LockHierarchy("validated", ranks) if ranks else None
    return ThreadManager(pool=ThreadPool(workers, name="validated"), hierarchy=hierarchy)


def monitoring() -> MonitoringManager:
    """A monitoring manager that samples nothing by itself."""
    return MonitoringManager()


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
