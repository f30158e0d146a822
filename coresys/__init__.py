"""coresys: measuring what programs leave behind, and the core systems of long-running services."""

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

__all__ = [
    "Budget",
    "BudgetExceededError",
    "BudgetNotMeasuredError",
    "CoreSysError",
    "Evidence",
    "Finding",
    "Limit",
    "Location",
    "Reading",
    "UnitError",
    "UnknownMeasureError",
    "Verdict",
    "budget",
]
