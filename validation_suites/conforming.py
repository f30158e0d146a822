"""Whether a manager has what its protocol says: every method, which can be called as the protocol calls it.

A type checker proves the same of ours before they are run: ``validation_suites/typed.py`` is there for that.
"""

from __future__ import annotations

import inspect
from typing import Any

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def departures(protocol: type, manager: object) -> list[str]:
    """Where a manager departs from a protocol: what it lacks, and what cannot be called as the protocol says."""
    found = []
    for name in members_of(protocol):
        told = f"{type(manager).__name__}.{name}"
        try:
            mine = getattr(manager, name)
        except AttributeError:
            found.append(f"{told} is missing, of {protocol.__name__}")
            continue
        theirs = vars(protocol)[name]
        if not callable(theirs):  # a property
            continue
        if not callable(mine):
            found.append(f"{told} can not be called")
            continue
        found += [f"{told}: {problem}" for problem in _uncallable(inspect.signature(theirs), mine)]
    return found


def members_of(protocol: type) -> tuple[str, ...]:
    """What whoever implements it has to have."""
    return tuple(name for name, value in vars(protocol).items() if not name.startswith("_") and _is_member(value))


def _is_member(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, property)


def _uncallable(wanted: inspect.Signature, mine: Any) -> list[str]:
    """Why it could not be called with each parameter, as the protocol has them, and with those alone that it
    demands."""
    try:
        signature = inspect.signature(mine)
    except (TypeError, ValueError):  # of C: only a call can tell
        return []
    parameters = [each for each in wanted.parameters.values() if each.name != "self"]
    needed = [each for each in parameters if each.default is each.empty and each.kind not in _VARIABLE]
    problems = []
    for chosen in (needed, [each for each in parameters if each.kind not in _VARIABLE]):
        try:
            signature.bind(*(None for each in chosen if each.kind in _BY_PLACE), **_by_keyword(chosen))
        except TypeError as error:
            names = ", ".join(each.name for each in chosen)
            problems.append(f"can not be called with ({names}): {error}")
    return problems[:1]


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _by_keyword(parameters: list[inspect.Parameter]) -> dict[str, None]:
    return {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
