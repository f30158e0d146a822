"""What is read of a pytest item before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_coresys.config.errors import ConfigError
from pytest_coresys.engine.plan import Plan, Planner
from pytest_coresys.fixtures import IS_ENVIRONMENT
from pytest_coresys.probes.registry import plugin_budgets


def path_of(item: pytest.Item) -> str:
    """The file of a test as its id has it, which need not exist."""
    return item.nodeid.split("::", 1)[0]


def plan_of(item: pytest.Item, planner: Planner, budget_hooks: Sequence[Any]) -> Plan:
    """What the test is held to; what is wrong with its markers, or with what a plugin says about it, is in the plan."""
    path, marks, line = path_of(item), list(item.iter_markers()), item.location[1]
    has_one = has_environment(item)
    try:
        given = plugin_budgets(budget_hooks, item) if budget_hooks else None
    except ConfigError as error:  # of another plugin: fails the test that it is about
        plan = planner.plan(path=path, marks=marks, line=line, environment=has_one)
        return replace(plan, problem=plan.problem or str(error))
    return planner.plan(path=path, marks=marks, line=line, plugin_budgets=given, environment=has_one)


def has_environment(item: pytest.Item) -> bool:
    """Whether a test is known to have an environment for itself: by the ``coresys`` fixture, or one made as it is.

    One of a wider scope is not the test's, and what is asked for while it runs is not known before.
    """
    found = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(_is_environment(name, fixtures) for name, fixtures in found.items())


def _is_environment(name: str, fixtures: Sequence[Any]) -> bool:
    """``fixtures`` of one name, the one in force last, which may ask for the one before it."""
    for each in reversed(fixtures):
        if each.scope == "function" and getattr(each.func, IS_ENVIRONMENT, False):
            return True
        if name not in each.argnames:
            return False
    return False


_INSIDE: dict[str, tuple[type[pytest.Item | pytest.Collector], ...]] = {
    "class": (pytest.Item,),
    "module": (pytest.Item, pytest.Class),
    "package": (pytest.Item, pytest.Class, pytest.Module),
    "session": (pytest.Item, pytest.Class, pytest.Module, pytest.Package),
}


def plan_around(item: pytest.Item, scope: str, planner: Planner) -> Plan:
    """What a fixture of that scope is held to, which the test uses: markers of whatever its scope is part of.

    A marker of one test, or of one class, says nothing about what others use too. But whether the test may be repeated
    is its own to say.
    """
    location: dict[str, Any] = {"path": path_of(item), "line": item.location[1]}
    inside = _INSIDE[scope]
    marks = [mark for node, mark in item.iter_markers_with_node() if not isinstance(node, inside)]
    own = planner.plan(marks=list(item.iter_markers("coresys_no_repeat")), **location)
    return replace(planner.plan(marks=marks, **location), no_repeat=own.no_repeat or own.problem)
