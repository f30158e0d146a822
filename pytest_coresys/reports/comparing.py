"""What changed between two runs, beyond noise. Pure.

Where each side has many figures (samples of a criterion, repetitions of a test) they are compared by their ranks: the
test of Mann and Whitney, with ties, at the level of one in a thousand, for there are many rows; and the middle has to
have moved by a tenth, and by more than the resolution and the noise floor. If the quantile that is judged went the
other way meanwhile, it is neither worse nor better.

All samples of a run are of one state of the machine, of which their ranks say nothing. So a time has to have left the
range of earlier runs too, where the run file has enough of those (its trend), or else to have doubled or halved.

A verdict that changed is proved by repetitions on the side that is over, or by what was counted one by one. Of one
figure on each side nothing proves that it is no noise: where that changed the verdict, it is told, as ``~``.

Source: H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than the
other", Annals of Mathematical Statistics 18 (1947).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, sqrt
from typing import Any

from coresys.budgets.units import format_quantity
from pytest_coresys.criteria.units import SCALED
from pytest_coresys.history.model import fingerprint
from pytest_coresys.wire import WORST_FIRST, finding_subject

Run = Mapping[str, Any]
Counted = Mapping[float, int]  # figures, and how often each was seen

LEVEL = 0.001
LEAST_CHANGE = 0.1  # of the median: less is proved by thousands of samples, and of no use to anybody
_LEAST_TIMES = 2.0  # by what a busier machine may make everything slower
_LEAST_TREND = 5  # earlier runs, to know what they range over
_LEAST_FIGURES = 8
NOTHING = "~"
_UNPROVED = "another verdict, and nothing proved"


@dataclass(frozen=True, slots=True)
class Change:
    """One row: ``word`` is "worse", "better", "new", "gone", "changed" or ``~``, where nothing is proved.

    "changed": it was not measured on one side, or its middle went one way and what is judged the other; or a finding
    of the run is there on both sides, at another level.

    ``what`` is a criterion or a test and its measure; ``old`` and ``new`` are in words.
    """

    word: str
    what: str
    old: str
    new: str
    note: str = ""


def compare(old: Run, new: Run) -> list[Change]:
    """What changed, the worst first; ``~`` rows are of what has other figures, of which nothing is proved."""
    same = fingerprint(old) == fingerprint(new)
    rows = [*_criteria(old, new, same), *_tests(old, new, same), *_run_findings(old, new)]
    order = ("worse", "new", "changed", "better", "gone", NOTHING)
    return sorted(rows, key=lambda row: order.index(row.word))


def why_not_comparable(old: Run, new: Run) -> str | None:
    """Why times and rates of two runs say nothing of each other, if so."""
    if fingerprint(old) == fingerprint(new):
        return None
    machines = [f"{run['run']['machine'].get('cpu')}, Python {run['run']['python']}" for run in (old, new)]
    return f"other machines ({machines[0]}; {machines[1]}): only verdicts are compared"


# -- criteria -------------------------------------------------------------------------------------------------------


def _criteria(old: Run, new: Run, same: bool) -> Iterator[Change]:
    before = {each["id"]: each for each in old["criteria"]}
    after = {each["id"]: each for each in new["criteria"]}
    for name, now in after.items():
        was = before.get(name)
        if was is None and now["verdict"] != "not_measured":
            yield Change("new", name, "-", _text(now))
        elif was is not None and (row := _criterion(was, now, same)):
            yield row
    for name, was in before.items():
        if name not in after and was["verdict"] != "not_measured":
            yield Change("gone", name, _text(was), "-")


def _criterion(was: Mapping[str, Any], now: Mapping[str, Any], same: bool) -> Change | None:
    texts, flipped = (_text(was), _text(now)), was["verdict"] != now["verdict"]
    if now["statistic"] == "derived":
        return Change(_word_of(was["verdict"], now["verdict"]), now["id"], *texts) if flipped else None
    if "not_measured" in (was["verdict"], now["verdict"]):
        return Change("changed", now["id"], *texts) if flipped else None
    if was["value"] == now["value"] or (flipped and _is_counted(now)):
        return Change(_word_of(was["verdict"], now["verdict"]), now["id"], *texts) if flipped else None
    row = _by_samples(was, now, texts) if same else None
    if row is not None and row.word != NOTHING:
        return row
    return _unproved(now["id"], was, now, texts) if flipped or same else None


def _unproved(what: str, was: Mapping[str, Any], now: Mapping[str, Any], texts: tuple[str, str]) -> Change:
    """Told, rather than counted, where it decides whether a run is compliant."""
    decides = (was["verdict"] == "over") is not (now["verdict"] == "over")
    return Change(NOTHING, what, *texts, note=_UNPROVED if decides else "")


def _is_counted(entry: Mapping[str, Any]) -> bool:
    return entry["unit"] not in SCALED


_BY_RANK = ("p50", "p95", "p99")


def _by_samples(was: Mapping[str, Any], now: Mapping[str, Any], texts: tuple[str, str]) -> Change | None:
    """By the ranks of all samples; None where there are too few."""
    counted = [_counted_of(each.get("histogram")) for each in (was, now)]
    if not all(sum(each.values()) >= _LEAST_FIGURES for each in counted) or now["statistic"] not in _BY_RANK:
        return None
    upwards = now["comparison"] in ("<", "<=")
    row = _by_rank(now["id"], counted[0], counted[1], texts, higher_is_worse=upwards)
    if row.word == NOTHING or (now["unit"] == "s" and not _left_its_range(counted, now)):
        return replace(row, word=NOTHING, note="")
    moved = now["value"] - was["value"]
    against = moved != 0 and ((moved > 0) is upwards) is not (row.word == "worse")
    return replace(row, word="changed") if against else row  # the middle went one way, what is judged the other


def _left_its_range(counted: Sequence[Counted], now: Mapping[str, Any]) -> bool:
    """Whether a time differs by more than from run to run."""
    earlier = [each["value"] for each in now.get("trend", ()) if isinstance(each, dict) and _is_number(each)]
    if len(earlier) >= _LEAST_TREND:
        return not min(earlier) <= now["value"] <= max(earlier)
    less, more = sorted(map(_median, counted))
    return more >= _LEAST_TIMES * less


def _is_number(point: Mapping[str, Any]) -> bool:
    return isinstance(point.get("value"), (int, float))


def _counted_of(histogram: Mapping[str, Any] | None) -> dict[float, int]:
    if not histogram:
        return {}
    return dict(zip(histogram["bounds"], histogram["counts"], strict=True))


def _text(entry: Mapping[str, Any]) -> str:
    """The figure of a criterion or a measure, and its verdict."""
    value, verdict = entry["value"], entry["verdict"].replace("_", " ")
    if value is None or entry["unit"] == "bool":
        return str(verdict)
    return f"{format_quantity(value, entry['unit'])}, {verdict}"


# -- tests ----------------------------------------------------------------------------------------------------------


def _tests(old: Run, new: Run, same: bool) -> Iterator[Change]:
    before, after = _measures(old), _measures(new)
    known = {test["nodeid"] for test in old["tests"]}
    floors = [run["run"].get("noise_floor", {}) for run in (old, new)]
    for (nodeid, key), now in after.items():
        was = before.get((nodeid, key))
        what = f"{nodeid} {key}"
        if was is None:
            if now["verdict"] == "over":
                yield Change("new", what, "-", _text(now), "new measure" if nodeid in known else "new test")
            continue
        texts, seen = (_text(was), _text(now)), _seen([*floors, {key: was.get("resolution")}], key, now)
        row = _series(what, was, now, texts, seen) if same else None
        if row is None and (was["verdict"] == "over") is not (now["verdict"] == "over"):
            row = _flipped(what, key, (was, now), texts, seen)
        if row is not None:
            yield row


def _seen(floors: Sequence[Mapping[str, Any]], key: str, now: Mapping[str, Any]) -> float:
    """By how much figures have to differ for that to be more than what an empty test shows, or what can be seen."""
    return max([floor.get(key) or 0 for floor in floors] + [now.get("resolution") or 0])


def _flipped(
    what: str, key: str, both: tuple[Mapping[str, Any], Mapping[str, Any]], texts: tuple[str, str], seen: float
) -> Change:
    was, now = both
    if "not_measured" in (was["verdict"], now["verdict"]):
        return Change("changed", what, *texts)
    over = was if was["verdict"] == "over" else now
    apart = abs((now["value"] or 0) - (was["value"] or 0))
    repeated = over.get("evidence") == "repeated" and apart > seen
    # What is left behind is counted one by one, and named; a peak is one figure of one run.
    if apart == 0 or repeated or (_is_counted(now) and not key.endswith(".peak")):
        return Change(_word_of(was["verdict"], now["verdict"]), what, *texts)
    return _unproved(what, was, now, texts)


def _measures(run: Run) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (test["nodeid"], key): measure
        for test in run["tests"]
        for key, measure in test["measures"].items()
        if measure["level"] != "off"
    }


def _series(
    what: str, was: Mapping[str, Any], now: Mapping[str, Any], texts: tuple[str, str], seen: float
) -> Change | None:
    """By the ranks of the repetitions; None where that proves nothing."""
    counted = [Counter(value for value in each["series"] if value is not None) for each in (was, now)]
    if not all(sum(each.values()) >= _LEAST_FIGURES for each in counted):
        return None
    if None in (was["value"], now["value"]):
        return None
    moved, middle = now["value"] - was["value"], _median(counted[1]) - _median(counted[0])
    if min(abs(moved), abs(middle)) <= max(seen, LEAST_CHANGE * abs(was["value"])) or (moved > 0) is not (middle > 0):
        return None
    row = _by_rank(what, counted[0], counted[1], texts, higher_is_worse=True)
    return row if row.word != NOTHING else None


# -- findings of the run --------------------------------------------------------------------------------------------


def _run_findings(old: Run, new: Run) -> Iterator[Change]:
    before, after = _found(old), _found(new)
    for name, now in after.items():
        was = before.get(name)
        if was is None and _is_proved(now):
            yield Change("new", _name(now), "-", now["summary"])
        elif was is not None and was["level"] != now["level"] and (_is_proved(was) or _is_proved(now)):
            # A baseline excuses it, or does no more: that cures nothing, and is no fault of the code.
            yield Change("changed", _name(now), was["level"], now["level"], f"still there: {now['summary']}")
    for name, was in before.items():
        if name not in after and _is_proved(was):
            yield Change("gone", _name(was), was["summary"], "-")


def _found(run: Run) -> dict[tuple[str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for each in run["findings"]:  # the worst first
        found.setdefault(_identity(each), each)
    return found


def _is_proved(finding: Mapping[str, Any]) -> bool:
    return bool(finding["level"] != "suspicion")


def _identity(finding: Mapping[str, Any]) -> tuple[str, str]:
    """What has neither an owner nor locks, as of a soak, is told by figures, which are never twice the same."""
    named = finding.get("owner") is not None or finding.get("locks")
    return finding["key"], finding_subject(finding) if named else ""


def _name(finding: Mapping[str, Any]) -> str:
    return str(finding.get("owner") or finding["key"])


# -- ranks ----------------------------------------------------------------------------------------------------------


def _by_rank(what: str, was: Counted, now: Counted, texts: tuple[str, str], *, higher_is_worse: bool) -> Change:
    chance = mann_whitney(was, now)
    before, after = _median(was), _median(now)
    moved = abs(after - before) > LEAST_CHANGE * abs(before)
    if chance >= LEVEL or not moved:
        return Change(NOTHING, what, *texts)
    word = "worse" if (after > before) is higher_is_worse else "better"
    times = f"{after / before:.3g} times" if before else ""
    return Change(word, what, *texts, note=f"{times}, p {'< 1e-6' if chance < 1e-6 else f'= {chance:.1g}'}".strip(", "))


def mann_whitney(first: Counted, second: Counted) -> float:
    """How likely ranks this different are, both ways, if both are from one distribution (normal, with ties).

    1.0 where nothing can be said: too few, or all alike.
    """
    one, two = sum(first.values()), sum(second.values())
    total = one + two
    if not one or not two:
        return 1.0
    ranks, passed, ties = 0.0, 0, 0.0
    for value in sorted({*first, *second}):
        mine, all_here = first.get(value, 0), first.get(value, 0) + second.get(value, 0)
        ranks += mine * (passed + (all_here + 1) / 2)
        passed += all_here
        ties += all_here**3 - all_here
    u = ranks - one * (one + 1) / 2
    variance = one * two / 12 * (total + 1 - ties / (total * (total - 1))) if total > 1 else 0.0
    if variance <= 0:
        return 1.0
    distance = max(abs(u - one * two / 2) - 0.5, 0.0)
    return erfc(distance / sqrt(variance) / sqrt(2))


def _median(counted: Counted) -> float:
    half, passed = sum(counted.values()) / 2, 0
    for value in sorted(counted):
        passed += counted[value]
        if passed >= half:
            return value
    raise ValueError("there are no figures")


def _word_of(was: str, now: str) -> str:
    if "not_measured" in (was, now) and "over" not in (was, now):
        return "changed"
    return "worse" if WORST_FIRST.index(now) < WORST_FIRST.index(was) else "better"


def lines(changes: Sequence[Change]) -> list[str]:
    """As they are printed: a line each, and how many have other figures, of which nothing is proved."""
    told = [change for change in changes if change.word != NOTHING or change.note]
    width = max((len(change.what) for change in told), default=0)
    found = []
    for change in told:
        note = f"  ({change.note})" if change.note else ""
        found.append(f"{change.word:<8} {change.what:<{width}}  {change.old} -> {change.new}{note}")
    unproved = len(changes) - len(told)
    return [*found, *([f"~        {unproved} with other figures, of which nothing is proved"] if unproved else [])]
