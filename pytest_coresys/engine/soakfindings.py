"""The words for what a soak found: what grows, how surely, and which tests do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from coresys.budgets.model import Limit
from coresys.budgets.units import format_quantity
from coresys.records import Finding
from pytest_coresys.engine import trends
from pytest_coresys.engine.trends import Trend
from pytest_coresys.reports.soaks import RATE

FAILED = "soak.failed"
_MOST_NAMED = 3
_LEAST_SHARE = 0.1  # of what all tests grow by that do
_LEAST_OF_MOST = 0.4  # of what the first grows by: some 200 B a round are nobody's, and fall to whichever test is first


def told(trend: Trend) -> str:
    """The rate of memory with its interval, or why there is none."""
    if trend.status == "not_measured":
        return trend.why or "not measured"
    low, high = (format_quantity(end, "B/h") for end in (trend.low, trend.high))
    return f"{RATE} {format_quantity(trend.rate, 'B/h')}, between {low} and {high}"


def grown(
    trend: Trend,
    limit: Limit,
    *,
    unit: str,
    readings: tuple[Sequence[float], Sequence[float]],
    rounds: int,
    rounds_an_hour: float,
    tests: Sequence[tuple[str, float]],
    worker: str | None,
) -> Finding:
    """The finding for a trend that is over. ``tests`` are what each was seen to add in a round."""
    named = those_that_grow(tests)
    seen = list(_seen(trend, limit.key, unit, readings, rounds))
    if named:
        each = ", ".join(f"{nodeid} +{_amount(amount, limit.key)} a round" for nodeid, amount in named)
        seen.insert(0, f"grows: {each}")
    elif tests:
        seen.append("no single test was seen to grow: together they do, or in some rounds only")
    actual = _actual(trend, limit.key, unit, rounds_an_hour)
    most = f"> {format_quantity(limit.maximum or 0, unit)} ({limit.origin})"
    where = f" in worker {worker}" if worker else ""
    return Finding(
        limit.key,
        limit.level,
        f"{limit.key}: {actual} {most} over {rounds:,} rounds{where}",
        details=tuple(seen),
        tests=tuple(nodeid for nodeid, _ in named),
    )


def suspected(finding: Finding, bounds: Sequence[str]) -> Finding:
    """The finding where all that grows is kept to sizes that were not reached: a cache that fills, or none."""
    return replace(
        finding,
        level="suspicion",
        summary=f"{finding.key}: suspected: {'; '.join(bounds)}",
        details=(*finding.details[:-1], finding.summary.removeprefix(f"{finding.key}: "), *finding.details[-1:]),
    )


def _actual(trend: Trend, key: str, unit: str, rounds_an_hour: float) -> str:
    if unit == "count":
        return f"{trend.rate / rounds_an_hour:.3g} a round"
    return format_quantity(trend.rate if key == RATE else trend.value or 0.0, unit)


def _seen(
    trend: Trend, key: str, unit: str, readings: tuple[Sequence[float], Sequence[float]], rounds: int
) -> Iterator[str]:
    times, values = readings
    if key == RATE:
        yield told(trend)
        quarters = ", ".join(format_quantity(rate, unit) for rate in trends.rates_of_quarters(times, values))
        yield f"in the four quarters of the time: {quarters}"
    elif unit == "count":
        yield f"from {values[0]:.0f} to {values[-1]:.0f} in {rounds:,} rounds, more in each quarter of them"
    else:
        yield "stranded since the warm-up, and more in each quarter of the time"


def those_that_grow(tests: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Those that grow most: each by a tenth of it, at least."""
    growing = sorted((each for each in tests if each[1] > 0), key=lambda each: -each[1])
    whole = sum(amount for _, amount in growing)
    least = max(whole * _LEAST_SHARE, growing[0][1] * _LEAST_OF_MOST) if growing else 0.0
    return [each for each in growing[:_MOST_NAMED] if each[1] >= least]


def _amount(amount: float, key: str) -> str:
    return format_quantity(round(amount), "B") if key == RATE else f"{amount:.3g}"


def died(worker: str) -> Finding:
    """A worker that told nothing in the end: as a test that kills its process, it fails the run."""
    why = f"{FAILED}: worker {worker} died; how its tests do in rounds is not known"
    return Finding(FAILED, "error", why, owner=f"worker {worker}")


def failed(failures: Mapping[str, Sequence[str]], *, times: int) -> list[Finding]:
    """Tests that passed for the record, and not in each round: a fact, which changes no outcome.

    ``failures`` are by node id what each said; one that failed ``times`` times was left out.
    """
    findings = []
    for nodeid, problems in failures.items():
        left = ["left out of the rounds from then on"] if len(problems) >= times else []
        summary = f"{FAILED}: passed in the first round, failed in a later one"
        owner = f"test {nodeid}"  # by which findings are told apart
        findings.append(Finding(FAILED, "warn", summary, (*problems, *left), owner=owner, tests=(nodeid,)))
    return findings
