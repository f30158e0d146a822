"""What the validation suites test: ours, or what ``--coresys-subject ROLE=MODULE:FACTORY`` names.

A factory makes a manager that satisfies the protocol of its role. It is called without arguments, or with those of the
keywords a suite offers that its signature has (such as ``path``, a folder to keep things in): one that takes none is
asked only what can be asked without.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.keys import unknown

ROLES = ("state", "resources", "errors", "threads", "monitoring", "components", "tests", "cleanup")
_OPTION = "--coresys-subject"
Factory = Callable[..., Any]


def parse_subjects(given: Iterable[str]) -> dict[str, str]:
    """``MODULE:FACTORY`` by role. Raises ConfigError for what is none, or a role that is given twice."""
    found: dict[str, str] = {}
    for text in given:
        role, equals, name = (part.strip() for part in text.partition("="))
        module, colon, factory = name.partition(":")
        if not (equals and colon and module and factory):
            raise ConfigError(place=_OPTION, problem=f'"{text}": write ROLE=MODULE:FACTORY, as in state=acme.fsm:make')
        if role not in ROLES:
            raise ConfigError(place=_OPTION, problem=unknown("role", role, ROLES))
        if role in found:
            raise ConfigError(place=_OPTION, problem=f'"{text}": {role} is {found[role]} already')
        found[role] = name
    return found


def load_factory(role: str, name: str) -> Factory:
    """The factory that ``MODULE:FACTORY`` names. Raises ConfigError where there is none."""
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # of whatever kind: the module is a stranger's
        what = f"{role}={name}: {type(error).__name__}: {error}"
        raise ConfigError(place=_OPTION, problem=what) from None
    if not callable(found):
        raise ConfigError(place=_OPTION, problem=f"{role}={name}: that is no function, but {type(found).__name__}")
    factory: Factory = found
    return factory


def check_subjects(given: Iterable[str]) -> dict[str, Factory]:
    """All of them, loaded. Raises ConfigError."""
    return {role: load_factory(role, name) for role, name in parse_subjects(given).items()}


def takes(factory: Factory, keyword: str) -> bool:
    """Whether a factory can be given this keyword."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        each.kind is each.VAR_KEYWORD
        or (each.name == keyword and each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD))
        for each in parameters
    )


def make(factory: Factory, offered: Mapping[str, Any]) -> Any:
    """Call it with what it takes of what is offered."""
    return factory(**{name: value for name, value in offered.items() if takes(factory, name)})
