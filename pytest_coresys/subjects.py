"""What the validation suites test: ours, or what ``--coresys-subject ROLE=MODULE:FACTORY`` names.

A factory makes a manager that satisfies the protocol of its role. It is called without arguments, or with those of the
keywords a suite offers that its signature has (such as ``path``, a folder to keep things in): one that takes none is
asked only what can be asked without.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.keys import unknown

# By role, the protocol of coresys.interfaces that its managers satisfy.
_PROTOCOLS = {
    "state": "IStateManager",
    "resources": "IResourceManager",
    "errors": "IErrorManager",
    "threads": "IThreadManager",
    "monitoring": "IMonitoringManager",
    "components": "IComponentManager",
    "tests": "ITestManager",
    "cleanup": "ICleanupManager",
}
ROLES = tuple(_PROTOCOLS)
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
        what = f"{role}={name}: {type(error).__name__}: {error}{_where_it_is(module, error)}"
        raise ConfigError(place=_OPTION, problem=what) from None
    if not callable(found):
        raise ConfigError(place=_OPTION, problem=f"{role}={name}: that is no function, but {type(found).__name__}")
    factory: Factory = found
    return factory


def _where_it_is(module: str, error: Exception) -> str:
    """What to do where a module is not found that is right here: ``pytest`` alone does not look there."""
    name, here = module.partition(".")[0], Path.cwd()
    if not isinstance(error, ModuleNotFoundError) or error.name != name or {"", str(here)} & set(sys.path):
        return ""
    there = next((each for each in (f"{name}.py", name) if (here / each).exists()), None)
    how = 'python -m pytest puts on the path, as does pythonpath = ["."] in the configuration of pytest'
    return "" if there is None else f" ({there} is in the current folder, which {how})"


def check_subjects(given: Iterable[str]) -> dict[str, Factory]:
    """All of them, loaded. Raises ConfigError."""
    return {role: load_factory(role, name) for role, name in parse_subjects(given).items()}


def try_subjects(given: Iterable[str]) -> None:
    """Have each of them make a manager once. Raises ConfigError for what no test could get an answer from."""
    names = parse_subjects(given)
    for role, name in names.items():
        if problem := _why_no_subject(role, load_factory(role, name)):
            raise ConfigError(place=_OPTION, problem=f"{role}={name}: {problem}")


def _why_no_subject(role: str, factory: Factory) -> str:
    from coresys import interfaces  # for the runs that name one alone

    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of C: only a call can tell
        signature = inspect.Signature()
    try:
        signature.bind()
    except TypeError as error:
        return f"a factory needs no argument, and is given those of its signature that a suite offers: {error}"
    protocol = getattr(interfaces, _PROTOCOLS[role])
    try:
        manager = factory()
        lacking = [name for name in vars(protocol) if not name.startswith("_") and not hasattr(manager, name)]
        if lacking:
            what = f"what it makes ({type(manager).__name__}) has no {', '.join(lacking)}"
            return f"{what}; what {protocol.__name__} asks for, and it cannot do, raises NotImplementedError"
        close(manager)
    except Exception as error:  # of whatever kind: it is a stranger's
        return f"it raised {type(error).__name__}: {error}"
    return ""


def close(manager: Any) -> None:
    """End a manager that has an end."""
    end = getattr(manager, "close", None) or getattr(manager, "shutdown", None)
    if end is not None:
        end()


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
