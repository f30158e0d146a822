"""From samples to verdicts. Pure; every boundary is a row in its tests.

Never judged on a maximum: one preempted call proves nothing. A quantile is read from buckets of 0.8 %, so that it is
over only if all of its bucket is beyond the limit, and within only if all of it is not: in between it is near.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from coresys.budgets.judge import NEAR_SHARE, worst
from coresys.budgets.model import Status
from coresys.budgets.units import format_quantity
from coresys.monitoring.histogram import between, quantile
from coresys.system_records import Distribution
from pytest_coresys.criteria.model import QUANTILES, CriteriaFile, Criterion, Result
from pytest_coresys.criteria.samples import Samples

_MOST_PARTS = 4  # that a why names

Evidence = Mapping[str, Sequence[str]]


def judge_all(
    file: CriteriaFile, samples: Mapping[str, Samples], evidence: Evidence, unpassed: Evidence | None = None
) -> dict[str, Result]:
    """A result for each criterion. ``evidence``: the node ids behind each; ``unpassed`` those of tests that did not
    pass, each with what happened, as ``run.unpassed`` words it."""
    found = {
        criterion.id: judge(
            criterion,
            samples.get(criterion.id, Samples()),
            tuple(evidence.get(criterion.id, ())),
            tuple((unpassed or {}).get(criterion.id, ())),
        )
        for criterion in file.criteria.values()
        if criterion.statistic != "derived"
    }
    return {name: found.get(name) or _derived(criterion, file, found) for name, criterion in file.criteria.items()}


def judge(
    criterion: Criterion, samples: Samples, evidence: tuple[str, ...] = (), unpassed: tuple[str, ...] = ()
) -> Result:
    """Judge what is not derived. Samples of the others alone prove nothing good of what a test that did not pass was
    to show: it is at best not measured."""
    number, found = samples.number, samples.distribution()
    result = replace(
        _JUDGES[criterion.statistic](criterion, samples, found),
        samples=number,
        evidence=evidence,
        details=tuple(samples.details),
        histogram=found.buckets,
        recorded=samples.plain_figures() if number or samples.unmeasured else {},
    )
    if result.verdict == "over":
        return result
    if unpassed:
        # "no test recorded anything" would only say the same again.
        whys = [_did_not_pass(unpassed), *([result.why] if result.why and (number or samples.unmeasured) else [])]
        return replace(result, verdict="not_measured", why="; ".join(whys))
    if evidence and not number and not samples.unmeasured:
        return replace(result, why=f"what is evidence for it recorded nothing: {_some(evidence)}")
    return result


def _did_not_pass(tests: Sequence[str]) -> str:
    if len(tests) == 1:
        return f"a test that is evidence for it did not pass: {tests[0]}"
    return f"{len(tests)} tests that are evidence for it did not pass: {_some(tests)}"


def is_for_want_of_a_pass(why: str | None) -> bool:
    """Whether a reason, as a run file has it, is that a test did not pass."""
    return why is not None and any(words in why for words in _WANTS_A_PASS)


_WANTS_A_PASS = ("for it did not pass: ", "for it failed: ")  # the second as run files of before have it


def _few(criterion: Criterion, samples: Samples) -> str | None:
    """Why there is too little to judge by, if so."""
    number = samples.number
    if samples.unmeasured:
        return "; ".join(samples.unmeasured)
    if not number:
        if criterion.measure is not None:
            return f"no test measured {criterion.measure}"
        return f"not measured: needs {criterion.needs}" if criterion.needs else "no test is evidence for it"
    if number < criterion.min_samples:
        return f"{number} sample{'' if number == 1 else 's'}, of {criterion.min_samples} that it needs"
    return None


def _unmeasured(criterion: Criterion, why: str, value: float | None = None) -> Result:
    return Result(criterion, "not_measured", value=value, why=why)


def _judge_quantile(criterion: Criterion, samples: Samples, found: Distribution) -> Result:
    share = QUANTILES[criterion.statistic]
    value = quantile(found, share) if found.count else None
    if why := _few(criterion, samples):
        return _unmeasured(criterion, why, value)
    first, second = (_status(criterion, end) for end in between(found, share))
    return Result(criterion, first if first == second else "near", value=value)


def _judge_value(criterion: Criterion, samples: Samples, found: Distribution) -> Result:
    """Each value is a figure of its own: the worst of them counts."""
    value = _worst_value(criterion, found) if found.count else None
    if why := _few(criterion, samples):
        return _unmeasured(criterion, why, value)
    assert value is not None
    return Result(criterion, _status(criterion, value), value=value)


def _worst_value(criterion: Criterion, found: Distribution) -> float:
    if criterion.comparison in (">", ">="):
        return found.least
    if criterion.comparison in ("<", "<="):
        return found.most
    return max((found.least, found.most), key=lambda value: abs(value - criterion.limit))


def _judge_total(criterion: Criterion, samples: Samples, found: Distribution) -> Result:
    if why := _few(criterion, samples):
        if found.count and _status(criterion, found.total) == "over" and _only_grows(criterion):
            return Result(criterion, "over", value=found.total)
        return _unmeasured(criterion, why, found.total if found.count else None)
    return Result(criterion, _status(criterion, found.total), value=found.total)


def _only_grows(criterion: Criterion) -> bool:
    """Whether more samples cannot mend a total that is beyond its limit: faults are counted, none taken back."""
    return criterion.comparison in ("==", "<", "<=") and criterion.limit == 0


def _judge_check(criterion: Criterion, samples: Samples, found: Distribution) -> Result:
    if samples.wrong:
        number = samples.right + samples.wrong
        told = f": {samples.details[0]}" if samples.details else ""
        return Result(criterion, "over", value=False, why=f"{samples.wrong} of {number} checks failed{told}")
    if why := _few(criterion, samples):
        return _unmeasured(criterion, why)
    return Result(criterion, "within", value=True)


def _judge_slope(criterion: Criterion, samples: Samples, found: Distribution) -> Result:
    """Over if the lower end of an interval is beyond the limit, within if the upper ends of all are not."""
    if not samples.slopes:
        return _unmeasured(criterion, _few(criterion, samples) or "no slope was recorded")
    upwards = criterion.comparison in ("<", "<=")
    rate, low, high = (max if upwards else min)(samples.slopes, key=lambda slope: slope[2 if upwards else 1])
    bad = [slope for slope in samples.slopes if _status(criterion, slope[1 if upwards else 2]) == "over"]
    if bad:
        rate, low, high = (max if upwards else min)(bad)
        return Result(criterion, "over", value=rate, interval=(low, high))
    if why := _few(criterion, samples):
        return replace(_unmeasured(criterion, why, rate), interval=(low, high))
    status = _status(criterion, high if upwards else low)
    if status == "over":
        between = f"{format_quantity(low, criterion.unit)} and {format_quantity(high, criterion.unit)}"
        why = f"too short to tell: the slope is between {between}, and the limit is {criterion.shown_limit}"
        return replace(_unmeasured(criterion, why, rate), interval=(low, high))
    return Result(criterion, status, value=rate, interval=(low, high))


_JUDGES: Mapping[str, Callable[[Criterion, Samples, Distribution], Result]] = {
    **dict.fromkeys(QUANTILES, _judge_quantile),
    "value": _judge_value,
    "total": _judge_total,
    "check": _judge_check,
    "slope": _judge_slope,
}


def _status(criterion: Criterion, value: float) -> Status:
    """One figure against the limit; near is from 90 % of a limit that is not zero."""
    limit, comparison = criterion.limit, criterion.comparison
    holds = {
        "<": value < limit,
        "<=": value <= limit,
        "==": value == limit,
        ">=": value >= limit,
        ">": value > limit,
    }[comparison]
    if not holds:
        return "over"
    if comparison in ("<", "<=") and limit > 0 and value >= NEAR_SHARE * limit:
        return "near"
    if comparison in (">", ">=") and limit > 0 and NEAR_SHARE * value <= limit:
        return "near"
    return "within"


def _derived(criterion: Criterion, file: CriteriaFile, found: Mapping[str, Result]) -> Result:
    """Over if any part is, else not measured if any is, else near if any is. Parts that only warn make it a warning."""
    parts: dict[str, Status] = {}
    for name in _flat(criterion, file):
        parts[name] = found[name].verdict
    verdict = worst(list(parts.values()))
    evidence = dict.fromkeys(nodeid for name in parts for nodeid in found[name].evidence)
    why = None
    if verdict in ("over", "not_measured"):
        names = [name for name, status in parts.items() if status == verdict]
        what = "over" if verdict == "over" else "not measured"
        why = f"{len(names)} of {len(parts)} parts {'is' if len(names) == 1 else 'are'} {what}: {_some(names)}"
    if verdict == "over" and all(
        found[name].criterion.level == "warn" for name, each in parts.items() if each == "over"
    ):
        criterion, why = replace(criterion, level="warn"), f"{why}; of level warn"
    value = None if verdict == "not_measured" else verdict != "over"
    return Result(criterion, verdict, value=value, samples=len(parts), evidence=tuple(evidence), why=why, parts=parts)


def _flat(criterion: Criterion, file: CriteriaFile) -> dict[str, None]:
    """What it rests on in the end, derived ones resolved."""
    found: dict[str, None] = {}
    for name in criterion.parts:
        part = file.criteria[name]
        found.update(_flat(part, file) if part.statistic == "derived" else {name: None})
    return found


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_PARTS
    return ", ".join(names[:_MOST_PARTS]) + (f" and {more} more" if more > 0 else "")


def from_budgets(file: CriteriaFile, tests: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Samples, list[str]]]:
    """What the measures of tests feed, by criterion: their figures, and the tests that have one.

    A test that failed or was skipped tells nothing good of itself, and is left out, as is what was not measured.
    """
    wanted = [criterion for criterion in file.criteria.values() if criterion.measure is not None]
    found: dict[str, tuple[Samples, list[str]]] = {}
    if not wanted:
        return found
    for test in tests:
        for criterion in wanted:
            measure = test["measures"].get(criterion.measure)
            if measure is None or measure["verdict"] == "not_measured" or measure["value"] is None:
                continue
            if fnmatchcase(test["nodeid"], criterion.tests):
                samples, nodeids = found.setdefault(criterion.id, (Samples(), []))
                samples.add(measure["value"])
                nodeids.append(test["nodeid"])
    return found
