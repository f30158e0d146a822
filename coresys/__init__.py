"""coresys: measuring what programs leave behind, and the core systems of long-running services."""

from coresys.budgets.model import Evidence, Limit, Verdict
from coresys.errors.hierarchy import BudgetExceededError, CoreSysError, UnitError
from coresys.records import Finding, Location

__all__ = [
    "BudgetExceededError",
    "CoreSysError",
    "Evidence",
    "Finding",
    "Limit",
    "Location",
    "UnitError",
    "Verdict",
]
