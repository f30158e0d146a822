"""coresys: measuring what programs leave behind, and the core systems of long-running services.

The names of the core systems are imported when they are first asked for: a plugin that only measures starts without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from coresys.budgets.context import Budget, budget
from coresys.budgets.model import Evidence, Limit, Verdict
from coresys.errors.hierarchy import (
    BudgetExceededError,
    BudgetNotMeasuredError,
    CoreSysError,
    UnitError,
    UnknownMeasureError,
)
from coresys.records import Finding, Location, Reading

if TYPE_CHECKING:
    from coresys.cleanup.manager import CleanupManager
    from coresys.components.manager import ComponentManager
    from coresys.coordinators.assembly import build_system
    from coresys.coordinators.cleanup import CleanupCoordinator
    from coresys.coordinators.component import ComponentCoordinator
    from coresys.coordinators.monitoring import MonitoringCoordinator
    from coresys.coordinators.testing import TestingCoordinator
    from coresys.errors.manager import ErrorManager
    from coresys.interfaces import (
        ICleanupManager,
        IComponentManager,
        IErrorManager,
        IMonitoringManager,
        IResourceManager,
        IStateManager,
        ITestManager,
        IThreadManager,
    )
    from coresys.monitoring.manager import MonitoringManager
    from coresys.resources.manager import ResourceManager
    from coresys.state.manager import StateManager
    from coresys.testing.manager import TestManager
    from coresys.threads.manager import ThreadManager

_LATER = {
    "CleanupCoordinator": "coresys.coordinators.cleanup",
    "CleanupManager": "coresys.cleanup.manager",
    "ComponentCoordinator": "coresys.coordinators.component",
    "ComponentManager": "coresys.components.manager",
    "ErrorManager": "coresys.errors.manager",
    "ICleanupManager": "coresys.interfaces",
    "IComponentManager": "coresys.interfaces",
    "IErrorManager": "coresys.interfaces",
    "IMonitoringManager": "coresys.interfaces",
    "IResourceManager": "coresys.interfaces",
    "IStateManager": "coresys.interfaces",
    "ITestManager": "coresys.interfaces",
    "IThreadManager": "coresys.interfaces",
    "MonitoringCoordinator": "coresys.coordinators.monitoring",
    "MonitoringManager": "coresys.monitoring.manager",
    "ResourceManager": "coresys.resources.manager",
    "StateManager": "coresys.state.manager",
    "TestManager": "coresys.testing.manager",
    "TestingCoordinator": "coresys.coordinators.testing",
    "ThreadManager": "coresys.threads.manager",
    "build_system": "coresys.coordinators.assembly",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Budget",
    "BudgetExceededError",
    "BudgetNotMeasuredError",
    "CleanupCoordinator",
    "CleanupManager",
    "ComponentCoordinator",
    "ComponentManager",
    "CoreSysError",
    "ErrorManager",
    "Evidence",
    "Finding",
    "ICleanupManager",
    "IComponentManager",
    "IErrorManager",
    "IMonitoringManager",
    "IResourceManager",
    "IStateManager",
    "ITestManager",
    "IThreadManager",
    "Limit",
    "Location",
    "MonitoringCoordinator",
    "MonitoringManager",
    "Reading",
    "ResourceManager",
    "StateManager",
    "TestManager",
    "TestingCoordinator",
    "ThreadManager",
    "UnitError",
    "UnknownMeasureError",
    "Verdict",
    "budget",
    "build_system",
]
