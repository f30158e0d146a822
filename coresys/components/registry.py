"""Which components are declared and what they need: the order they start in, and what is restarted with one.

Pure: nothing in here is called, waits, or changes; a registry with one component more is a new registry.
A component may need one that is declared later. So a circle is found when the component that closes it is declared,
an unknown name when something that needs it is to be started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import isfinite
from types import MappingProxyType
from typing import Any

from coresys.errors.hierarchy import (
    ComponentCycleError,
    ComponentSpecError,
    DuplicateComponentError,
    UnknownComponentError,
)
from coresys.errors.restart import ONE_FOR_ONE, REST_FOR_ONE
from coresys.system_records import ComponentSpec


class Registry:
    """Declared components, each with those that it needs.

    >>> registry = Registry()
    >>> for spec in (ComponentSpec("shop", needs=("db", "mail")), ComponentSpec("mail"), ComponentSpec("db")):
    ...     registry = registry.declared(spec)
    >>> registry.order
    ('mail', 'db', 'shop')
    >>> registry.restarted_with("db")
    ('db', 'shop')
    """

    def __init__(self, specs: Mapping[str, ComponentSpec] = MappingProxyType({})) -> None:
        self.specs = specs

    def declared(self, spec: ComponentSpec) -> Registry:
        """This registry with one component more.

        Raises ComponentSpecError, DuplicateComponentError, or ComponentCycleError, which names the circle.
        """
        problem = _problem(spec)
        if problem is not None:
            raise ComponentSpecError(component=spec.name, problem=problem)
        if spec.name in self.specs:
            raise DuplicateComponentError(component=spec.name)
        way = self._way(spec)
        if way:
            raise ComponentCycleError(component=spec.name, cycle=(spec.name, *way))
        return Registry(MappingProxyType({**self.specs, spec.name: spec}))

    def spec(self, name: str) -> ComponentSpec:
        """What was declared of a component. Raises UnknownComponentError."""
        try:
            return self.specs[name]
        except KeyError:
            raise self._unknown(name, None) from None

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All components, each after those that it needs; among those that are free to start, as they were declared.

        What is needed and not declared is taken as if nobody needed it.
        """
        declared = list(self.specs)
        at = {name: number for number, name in enumerate(declared)}
        open_needs = {name: sum(need in at for need in spec.needs) for name, spec in self.specs.items()}
        free = [at[name] for name, needs in open_needs.items() if not needs]
        heapify(free)
        order = []
        while free:
            name = declared[heappop(free)]
            order.append(name)
            for user in self._users.get(name, ()):
                open_needs[user] -= 1
                if not open_needs[user]:
                    heappush(free, at[user])
        return tuple(order)

    def sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Some components, in the order they start in; they stop in the reverse."""
        wanted = set(names)
        return tuple(name for name in self.order if name in wanted)

    def with_needs(self, names: Iterable[str]) -> tuple[str, ...]:
        """These and all that they need, through whatever others, in the order they start in.

        Raises UnknownComponentError for what is not declared, with who needs it.
        """
        found: set[str] = set()
        ahead: list[tuple[str, str | None]] = [(name, None) for name in names]
        while ahead:
            name, by = ahead.pop()
            if name in found:
                continue
            if name not in self.specs:
                raise self._unknown(name, by)
            found.add(name)
            ahead += [(need, name) for need in self.specs[name].needs]
        return self.sorted(found)

    def with_users(self, names: Iterable[str]) -> tuple[str, ...]:
        """These and all that need them, through whatever others, in the order they start in."""
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self._users.get(name, ())
        return self.sorted(found)

    def restarted_with(self, name: str) -> tuple[str, ...]:
        """What has to be stopped and started for one to be restarted, in the order it is started in.

        By ``one-for-one`` that is the component and those that need it, for these cannot run while it does not. By
        ``rest-for-one`` all that start after it are with them.
        """
        if self.spec(name).strategy == REST_FOR_ONE:
            return self.order[self.order.index(name) :]
        return self.with_users([name])

    @cached_property
    def _users(self) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for name, spec in self.specs.items():
            for need in spec.needs:
                users.setdefault(need, []).append(name)
        return users

    def _way(self, spec: ComponentSpec) -> tuple[str, ...]:
        """How a component that is to be declared comes back to itself: the shortest way, () where there is none."""
        came: dict[str, str] = {}
        level = list(spec.needs)
        came.update(dict.fromkeys(level, spec.name))
        while level:
            if spec.name in level:
                way = [spec.name]
                while came[way[0]] != spec.name:
                    way.insert(0, came[way[0]])
                return tuple(way)
            following = []
            for name in level:
                for need in self.specs[name].needs if name in self.specs else ():
                    if need not in came:
                        came[need] = name
                        following.append(need)
            level = following
        return ()

    def _unknown(self, name: str, by: str | None) -> UnknownComponentError:
        near = tuple(get_close_matches(name, self.specs, n=3))
        return UnknownComponentError(component=name, needed_by=by, near=near)

    def __repr__(self) -> str:
        return f"<Registry: {len(self.specs)} components>"


def _problem(spec: ComponentSpec) -> str | None:
    """What is wrong with a declaration by itself."""
    if not spec.name:
        return "a component has a name"
    needs: Any = spec.needs
    if isinstance(needs, str):
        return f"needs is a tuple of names, not the text {needs!r}"
    twice = sorted({need for need in spec.needs if spec.needs.count(need) > 1})
    if twice:
        return f"needs {', '.join(map(repr, twice))} more than once"
    if spec.restarts < 0:
        return f"restarts is at least 0, not {spec.restarts}"
    if not (isfinite(spec.within) and spec.within > 0):
        return f"within is more than 0 seconds, not {spec.within}"
    if spec.strategy not in (ONE_FOR_ONE, REST_FOR_ONE):
        return f"a strategy is {ONE_FOR_ONE!r} or {REST_FOR_ONE!r}, not {spec.strategy!r}"
    return None


__all__ = ["Registry"]
