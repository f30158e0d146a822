"""What a success criterion says, and what came of it. Plain records; nothing here decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from coresys.budgets.model import Level, Status

QUANTILES: Mapping[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
"""Statistics that are a rank among samples."""

LARGEST = 1e300
"""The largest limit, and sample: the sum of as many as there may be is a number yet."""

STATISTICS = (*QUANTILES, "total", "value", "check", "slope", "derived")
COMPARISONS = ("<", "<=", "==", ">=", ">")
KINDS = ("target", "requirement", "validation", "success")

BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A criteria file that somebody chose: its path, and where that was written (``--coresys-criteria``,
    ``pyproject.toml:3``)."""

    path: str
    origin: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """One entry of a criteria file.

    ``limit`` is in ``unit``, a base unit; ``shown_limit`` as the file wrote it, with its own unit. ``measure`` is the
    budget key that feeds it, of the tests that ``tests`` (a glob over node ids) names: the worst of their figures.
    ``parts`` are the ids that a derived one rests on. ``line`` is where it stands in its file.
    """

    id: str
    statistic: str
    comparison: str = "=="
    limit: float | bool = True
    unit: str = "bool"
    shown_limit: str = "true"
    title: str = ""
    area: str = ""
    kind: str = "requirement"
    level: Level = "error"
    min_samples: int = 1
    measured: str = ""
    goal: str = ""
    source: str = ""
    measure: str | None = None
    tests: str = "*"
    needs: str = ""
    parts: tuple[str, ...] = ()
    line: int | None = None


class CriteriaFile:
    """The criteria of one run. ``name`` is what errors call the file, which is read when it is first asked for: most
    runs have no use for the set that is built in before they are over. ``origin`` is where it was chosen."""

    def __init__(
        self,
        name: str,
        read: Callable[[], Mapping[str, Criterion]] = dict,
        *,
        builtin: bool = False,
        origin: str = BUILT_IN,
    ) -> None:
        self.name, self.builtin, self.origin = name, builtin, origin
        self._read = read

    @cached_property
    def criteria(self) -> Mapping[str, Criterion]:
        """By id, in the order of the file."""
        return self._read()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a criterion. ``value`` is in base units; ``details`` tell what failed, or was measured beside."""

    criterion: Criterion
    verdict: Status
    value: float | bool | None = None
    samples: int = 0
    histogram: tuple[tuple[float, int], ...] = ()
    evidence: tuple[str, ...] = ()
    why: str | None = None
    details: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    parts: Mapping[str, Status] = field(default_factory=dict)
    recorded: Mapping[str, Any] = field(default_factory=dict)
    """What was recorded, as plain values without its histogram: for runs that are merged."""
