"""For tests of the validation suites: what measures a criterion finds a planted fault, and nothing in what is sound.

A *case* is a call that measures one subject and returns the faults it found, in words. ``Table`` holds, by criterion,
cases that have to find something and cases that must not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pytest_coresys.criteria.loading import builtin
from pytest_coresys.criteria.model import Criterion

Case = Callable[[], Iterable[str]]


def criterion(identity: str) -> Criterion:
    """As the built-in set has it."""
    return builtin().criteria[identity]


def over(identity: str, operation: Callable[[], object], calls: int = 5) -> list[str]:
    """The median of an operation's seconds where that is beyond the limit of the criterion: one slow call is none."""
    from time import perf_counter

    seconds = []
    for _ in range(calls):
        began = perf_counter()
        told = operation()
        seconds.append(told if isinstance(told, float) else perf_counter() - began)
    return above(identity, median(seconds))


def above(identity: str, value: float) -> list[str]:
    """A figure that is beyond the limit of a criterion."""
    limit = criterion(identity).limit
    return [f"{identity}: {value} > {limit}"] if value > limit else []


def raising(measure: Callable[[], Any]) -> list[str]:
    """What is measured, and an error for a fault, as the suites take it."""
    try:
        return list(measure())
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


@dataclass(frozen=True, slots=True)
class Table:
    """Cases by criterion."""

    faulty: Mapping[str, Mapping[str, Case]]
    sound: Mapping[str, Case] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, Case]]:
        """All faulty ones, each with what it is called."""
        return [(f"{name}: {what}", case) for name, cases in self.faulty.items() for what, case in cases.items()]

    def lacks(self, *patterns: str) -> list[str]:
        """Criteria whose id begins so, and that no faulty subject is there for."""
        return [name for name in builtin().criteria if name.startswith(patterns) and name not in self.faulty]
