"""Errors: those that coresys raises (``coresys.errors.hierarchy``), and what is done about errors.

The names below are imported from their modules when they are asked for: every layer imports ``hierarchy``, some of them
in processes that have to start fast, and needs nothing else of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coresys.errors.breaker import CircuitBreaker, CircuitBreakers
    from coresys.errors.budget import RetryBudget
    from coresys.errors.capture import Capture, leaves
    from coresys.errors.executors import ReportingExecutor, carry, watch
    from coresys.errors.hooks import ErrorHooks
    from coresys.errors.journal import Journal
    from coresys.errors.manager import ErrorManager
    from coresys.errors.paths import Paths
    from coresys.errors.policies import Break, Escalate, Policies, RestartComponent, RestoreState, Retry
    from coresys.errors.restart import RestartIntensity
    from coresys.errors.retry import Retrying
    from coresys.errors.secrets import Secrets
    from coresys.errors.states import ErrorState, ErrorStates
    from coresys.errors.values import Values

_WHERE = {
    "breaker": ("CircuitBreaker", "CircuitBreakers"),
    "budget": ("RetryBudget",),
    "capture": ("Capture", "leaves"),
    "executors": ("ReportingExecutor", "carry", "watch"),
    "hooks": ("ErrorHooks",),
    "journal": ("Journal",),
    "manager": ("ErrorManager",),
    "paths": ("Paths",),
    "policies": ("Break", "Escalate", "Policies", "RestartComponent", "RestoreState", "Retry"),
    "restart": ("RestartIntensity",),
    # No ``retry`` here: the module has that name, and is what ``coresys.errors.retry`` stands for.
    "retry": ("Retrying",),
    "secrets": ("Secrets",),
    "states": ("ErrorState", "ErrorStates"),
    "values": ("Values",),
}


def __getattr__(name: str) -> object:
    for module, names in _WHERE.items():
        if name in names:
            from importlib import import_module

            found: object = getattr(import_module(f"coresys.errors.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Break",
    "Capture",
    "CircuitBreaker",
    "CircuitBreakers",
    "ErrorHooks",
    "ErrorManager",
    "ErrorState",
    "ErrorStates",
    "Escalate",
    "Journal",
    "Paths",
    "Policies",
    "ReportingExecutor",
    "RestartComponent",
    "RestartIntensity",
    "RestoreState",
    "Retry",
    "RetryBudget",
    "Retrying",
    "Secrets",
    "Values",
    "carry",
    "leaves",
    "watch",
]
