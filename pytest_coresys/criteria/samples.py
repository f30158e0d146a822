"""What tests recorded for a criterion: mergeable, and plain enough to travel between processes.

A quantile needs many samples and no single one: they go into a histogram (see ``coresys.monitoring.histogram``), whose
counts add up exactly, whoever recorded them. Slopes stand for themselves, and are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coresys.monitoring.histogram import Histogram
from coresys.system_records import Distribution

_MOST_DETAILS = 20


@dataclass(slots=True)
class Samples:
    """Of one criterion, from one test or from many.

    ``right`` and ``wrong`` are how many checks were; ``slopes`` each a rate with the ends of its interval; ``failures``
    lines that say which checks failed, ``notes`` others, such as what was measured beside; ``unmeasured`` why nothing
    could be.
    """

    histogram: Histogram = field(default_factory=Histogram)
    right: int = 0
    wrong: int = 0
    slopes: list[tuple[float, float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def add(self, value: float) -> None:
        """One sample, in base units. Raises ValueError where it is no finite number."""
        if not math.isfinite(value):
            raise ValueError(f"a sample is a finite number, not {value!r}")
        self.histogram.record(value)

    def check(self, ok: bool, detail: str = "") -> None:
        """One check; ``detail`` is kept of those that failed."""
        if ok:
            self.right += 1
        else:
            self.wrong += 1
            self.tell_failure(detail or "a check failed")

    def slope(self, rate: float, low: float, high: float) -> None:
        """One rate with its interval, in base units."""
        if not (math.isfinite(rate) and math.isfinite(low) and math.isfinite(high) and low <= rate <= high):
            raise ValueError(f"a slope is within its interval, all finite: not {rate!r} in {low!r} to {high!r}")
        self.slopes.append((rate, low, high))

    def say(self, line: str) -> None:
        """Keep a line for the report."""
        _keep(line, self.notes)

    def tell_failure(self, line: str) -> None:
        """Keep a line that says what failed: it comes before all that was only noted, whichever was first."""
        _keep(line, self.failures)

    @property
    def details(self) -> list[str]:
        """The lines for the report: what failed first, for that is why it is over."""
        return list(dict.fromkeys((*self.failures, *self.notes)))[:_MOST_DETAILS]

    def fail_to_measure(self, why: str) -> None:
        """Note that it could not be measured here, and why."""
        if why not in self.unmeasured:
            self.unmeasured.append(why)

    def distribution(self) -> Distribution:
        """The samples: count, sum, extremes, buckets."""
        return self.histogram.distribution(())

    @property
    def number(self) -> int:
        """How many samples, checks and slopes there are."""
        return self.distribution().count + self.right + self.wrong + len(self.slopes)

    def merge(self, other: Samples) -> None:
        """Add what another one has, which stays as it is."""
        self.histogram.merge(other.distribution())
        self.right += other.right
        self.wrong += other.wrong
        self.slopes += other.slopes
        for line in other.failures:
            self.tell_failure(line)
        for line in other.notes:
            self.say(line)
        for why in other.unmeasured:
            self.fail_to_measure(why)

    def plain(self) -> dict[str, Any]:
        """As JSON can carry it."""
        buckets = self.distribution().buckets
        return {**self.plain_figures(), "buckets": [[edge, count] for edge, count in buckets], "details": self.details}

    def plain_figures(self) -> dict[str, Any]:
        """The same, without the buckets and what was said, which an entry of the run file has anyway."""
        found = self.distribution()
        return {
            "count": found.count,
            "total": found.total,
            "least": found.least if found.count else None,
            "most": found.most if found.count else None,
            "right": self.right,
            "wrong": self.wrong,
            "slopes": [list(slope) for slope in self.slopes],
            "unmeasured": self.unmeasured,
            **({"failures": self.failures} if self.failures else {}),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Samples:
        """What ``plain`` wrote."""
        failures = list(data.get("failures", ()))
        new = cls(
            right=data["right"],
            wrong=data["wrong"],
            slopes=[(rate, low, high) for rate, low, high in data["slopes"]],
            failures=failures,
            notes=[line for line in data["details"] if line not in failures],
            unmeasured=list(data["unmeasured"]),
        )
        if data["count"]:
            buckets = tuple((edge, count) for edge, count in data["buckets"])
            figures = (data["count"], data["total"], data["least"], data["most"])
            new.histogram.merge(Distribution("", "", "", *figures, buckets=buckets))
        return new


def _keep(line: str, lines: list[str]) -> None:
    if line and line not in lines and len(lines) < _MOST_DETAILS:
        lines.append(line)


def merged(several: Iterable[Samples]) -> Samples:
    """All of them as one."""
    whole = Samples()
    for each in several:
        whole.merge(each)
    return whole
