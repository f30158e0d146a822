"""What changed between two runs, beyond noise."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest

from pytest_coresys.reports.comparing import Change, Counted, compare, lines, mann_whitney, why_not_comparable


def tally(values: list[float]) -> dict[float, int]:
    found: dict[float, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


def exact(one: list[float], two: list[float]) -> float:
    """The chance by all ways to deal the figures out: how many are as far from the middle as these, or farther."""
    pooled, half = one + two, len(one) * len(two) / 2

    def distance(mine: tuple[int, ...]) -> float:
        others = [pooled[at] for at in range(len(pooled)) if at not in mine]
        u = sum((pooled[at] > other) + (pooled[at] == other) / 2 for at in mine for other in others)
        return abs(u - half)

    seen = distance(tuple(range(len(one))))
    ways = [distance(mine) for mine in combinations(range(len(pooled)), len(one))]
    return sum(each >= seen - 1e-9 for each in ways) / len(ways)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([1.1, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7], [2.5, 3.5, 6.5, 8.5, 9.5, 10.5, 11.5]),
        ([1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0], [2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0]),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    ],
    ids=["apart", "with ties", "mixed"],
)
def test_the_chance_is_that_of_all_ways_to_deal(one: list[float], two: list[float]) -> None:
    assert mann_whitney(tally(one), tally(two)) == pytest.approx(exact(one, two), abs=0.015)


@pytest.mark.parametrize(
    ("first", "second"), [({}, {1.0: 9}), ({1.0: 9}, {1.0: 9}), ({1.0: 1}, {2.0: 1})], ids=["none", "alike", "one"]
)
def test_of_nothing_nothing_is_said(first: Counted, second: Counted) -> None:
    assert mann_whitney(first, second) > 0.3


def test_noise_alone_is_hardly_ever_taken_for_a_change() -> None:
    rng = random.Random(7)
    chances = [
        mann_whitney(tally([rng.gauss(5, 1) for _ in range(60)]), tally([rng.gauss(5, 1) for _ in range(60)]))
        for _ in range(1000)
    ]
    assert sum(chance < 0.05 for chance in chances) == pytest.approx(50, abs=25)
    assert sum(chance < 0.001 for chance in chances) <= 5


def run_of(**parts: Any) -> dict[str, Any]:
    machine = {"cpu": "x", "cores": 2, "memory": 2**34, "system": "Linux 6.1"}
    return {"run": {"machine": parts.pop("machine", machine), "python": "3.12.1"}, "tests": [], "criteria": [],
            "findings": [], **parts}  # fmt: skip


def criterion(values: list[float], verdict: str = "within", **more: Any) -> dict[str, Any]:
    counts = tally(values)
    histogram = {"bounds": list(counts), "counts": list(counts.values())}
    value = sorted(values)[-1] if values else None
    return {"id": "shop.time", "verdict": verdict, "value": value, "unit": "s", "comparison": "<", "statistic": "p99",
            "histogram": histogram, "trend": [], **more}  # fmt: skip


def trend(*values: float) -> list[dict[str, Any]]:
    return [{"run": str(at), "started": "", "value": value, "verdict": "within"} for at, value in enumerate(values)]


FAST = [0.001 + at * 1e-6 for at in range(100)]
SLOWER = [value * 1.5 for value in FAST]
TWICE = [value * 2.1 for value in FAST]


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        (criterion(FAST), criterion(TWICE), "worse"),
        (criterion(TWICE), criterion(FAST), "better"),
        (criterion(FAST), criterion(SLOWER), "~"),  # so much a busier machine may do
        (criterion(FAST), criterion(SLOWER, trend=trend(*[0.0011] * 4, 0.00112)), "worse"),
        (criterion(FAST), criterion(SLOWER, trend=trend(*[0.0011] * 4, 0.0017)), "~"),  # an earlier run was as slow
        (criterion(FAST), criterion(TWICE, trend=trend(*[0.0011] * 4, 0.003)), "~"),
        (criterion(FAST), criterion(SLOWER, trend=trend(*[0.0011] * 4)), "~"),  # too few to know
        (criterion(FAST, unit="B"), criterion(SLOWER, unit="B"), "worse"),
        (criterion(FAST), criterion([value * 1.05 for value in FAST]), "~"),
        (criterion(FAST), criterion(FAST), None),
        (criterion([0.001]), criterion([0.04]), "~"),
        (criterion(FAST), criterion(FAST, "over"), "worse"),  # by another limit
        (criterion(FAST, "over"), criterion(FAST, "near"), "better"),
        (criterion(FAST), criterion([], "not_measured"), "changed"),
        (criterion(FAST, "over"), criterion([], "not_measured"), "changed"),
        (criterion(FAST, comparison=">"), criterion(TWICE, comparison=">"), "better"),
        (criterion([*FAST, 0.03]), criterion([*TWICE, 0.01]), "changed"),
        (criterion([*TWICE, 0.01]), criterion([*FAST, 0.03]), "changed"),
        (criterion([0.04], statistic="value"), criterion([0.001], statistic="value"), "~"),
        (criterion(FAST), criterion(TWICE, "over"), "worse"),
        (criterion(FAST), criterion(SLOWER, "over"), "~ told"),
        (criterion([0.04], statistic="value"), criterion([0.06], "over", statistic="value"), "~ told"),
        (criterion([0.04], statistic="value"), criterion([0.046], "near", statistic="value"), "~"),
        (criterion([0], statistic="total", unit="count"), criterion([1], "over", statistic="total", unit="count"),
         "worse"),
    ],
)  # fmt: skip
def test_a_criterion(was: dict[str, Any], now: dict[str, Any], word: str | None) -> None:
    found = compare(run_of(criteria=[was]), run_of(criteria=[now]))
    assert words(found) == ([] if word is None else [word])


def words(found: list[Change]) -> list[str]:
    return [f"{change.word} told" if change.word == "~" and change.note else change.word for change in found]


def test_criteria_that_came_and_went() -> None:
    found = compare(run_of(criteria=[criterion(FAST, id="old")]), run_of(criteria=[criterion(FAST, id="fresh")]))
    assert [(change.word, change.what) for change in found] == [("new", "fresh"), ("gone", "old")]
    unseen = [criterion([], "not_measured", id=name) for name in ("one", "other")]
    assert compare(run_of(criteria=unseen[:1]), run_of(criteria=unseen[1:])) == [], "of the built-in set, most are"


def test_figures_of_another_machine_are_not_compared_and_verdicts_are() -> None:
    old, other = run_of(criteria=[criterion(FAST)]), {"cpu": "y", "cores": 64, "memory": 2**38, "system": "Linux 6.1"}
    slow = run_of(criteria=[criterion([value * 9 for value in FAST])], machine=other)
    assert compare(old, slow) == []
    late = run_of(criteria=[criterion([value * 99 for value in FAST], "over")], machine=other)
    assert words(compare(old, late)) == ["~ told"]
    assert "other machines (x, Python 3.12.1; y, Python 3.12.1)" in str(why_not_comparable(old, slow))
    over = run_of(criteria=[criterion(FAST, "over")], machine=other)
    assert [change.word for change in compare(old, over)] == ["worse"]
    assert why_not_comparable(old, old) is None


def measured(verdict: str, value: float | None, series: list[float] | None = None, **more: Any) -> dict[str, Any]:
    name, key = more.pop("name", "t.py::a"), more.pop("key", "memory.growth")
    measure = {"verdict": verdict, "value": value, "unit": "B", "level": "error", "series": series or [],
               "evidence": "repeated", "resolution": 16, **more}  # fmt: skip
    return {"nodeid": name, "measures": {key: measure}}


SECONDS: dict[str, Any] = {"key": "time.call", "unit": "s", "evidence": "screened", "resolution": 0}
SHARE: dict[str, Any] = {"key": "cpu.share", "unit": "ratio", "evidence": "screened", "resolution": 0}
THREADS: dict[str, Any] = {"key": "threads.leaked", "unit": "count", "resolution": 0}
PEAK: dict[str, Any] = {"key": "memory.peak", "evidence": "screened", "resolution": 0}
CROWD: dict[str, Any] = {"key": "threads.peak", "unit": "count", "evidence": "screened", "resolution": 0}
SWAYS = [-8.0, 0.0, 0.0, 8.0, 0.0, -8.0, 0.0, 0.0, 8.0, 0.0]


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        (measured("within", 0), measured("over", 1024), "worse"),
        (measured("over", 1024), measured("within", 0), "better"),
        (measured("over", 1024), measured("over", 2048), None),
        (measured("over", 1000, [1000.0] * 20), measured("over", 2000, [2000.0] * 20), "worse"),
        (measured("over", 1000, [1000.0] * 20), measured("over", 1010, [1010.0] * 20), None),
        (measured("over", 100, [100.0] * 20), measured("over", 115, [115.0] * 20), None),  # less than can be seen
        (measured("within", 0, [0.0] * 20), measured("within", 0, [-8.0] * 20), None),  # both are none
        (measured("within", 0, SWAYS), measured("within", 0, [value + 8 for value in SWAYS * 9]), None),
        (measured("within", 0), measured("over", 12), "~ told"),
        (measured("within", 0), measured("not_measured", None), None),
        (measured("over", 99), measured("not_measured", None), "changed"),
        (measured("not_measured", None), measured("over", 99), "changed"),
        (measured("within", 0, name="t.py::b"), measured("over", 1, name="t.py::a"), "new"),
        (measured("within", 0, **THREADS), measured("over", 1, **THREADS), "worse"),
        (measured("within", 0.01, **SECONDS), measured("over", 0.03, **SECONDS), "~ told"),
        (measured("over", 1.0, **SHARE), measured("within", 0.3, **SHARE), "~ told"),
        (measured("within", 100_000, **PEAK), measured("over", 102_500, **PEAK), "~ told"),
        (measured("within", 5, **CROWD), measured("over", 6, **CROWD), "~ told"),
        (measured("within", 0.01, **SECONDS), measured("near", 0.018, **SECONDS), None),
    ],
)
def test_a_test(was: dict[str, Any], now: dict[str, Any], word: str | None) -> None:
    found = compare(run_of(tests=[was]), run_of(tests=[now]))
    assert words(found) == ([] if word is None else [word])


def test_what_a_test_was_not_held_to_before_is_no_worse_but_new() -> None:
    old, new = measured("within", 0), measured("over", 0.5, **SHARE)
    (found,) = compare(run_of(tests=[old]), run_of(tests=[new]))
    assert (found.word, found.note) == ("new", "new measure")
    (found,) = compare(run_of(), run_of(tests=[new]))
    assert (found.word, found.note) == ("new", "new test")


def test_what_is_less_than_an_empty_test_shows_is_nothing() -> None:
    old, new = run_of(tests=[measured("over", 100, [100.0] * 20)]), run_of(tests=[measured("over", 150, [150.0] * 20)])
    assert words(compare(old, new)) == ["worse"]
    new["run"]["noise_floor"] = {"memory.growth": 64}
    assert compare(old, new) == []


def test_findings_of_the_run() -> None:
    finding = {"key": "threads.leaked", "level": "error", "owner": "fixture pool (c.py:9)", "summary": "one left"}
    (new,) = compare(run_of(), run_of(findings=[finding]))
    assert (new.word, new.what) == ("new", "fixture pool (c.py:9)")
    (gone,) = compare(run_of(findings=[finding]), run_of())
    assert gone.word == "gone"
    assert compare(run_of(findings=[finding]), run_of(findings=[{**finding, "summary": "two left"}])) == []
    soaked = [{"key": "memory.growth_rate", "level": "error", "owner": None, "summary": f"{rate} MiB/h > 1 MiB/h"}
              for rate in (184, 185)]  # fmt: skip
    assert compare(run_of(findings=soaked[:1]), run_of(findings=soaked[1:])) == []
    assert words(compare(run_of(), run_of(findings=soaked[1:]))) == ["new"]


@pytest.mark.parametrize("named", [{"owner": None, "locks": ["a.py:3", "a.py:4"]}, {"owner": "fixture pool (c.py:9)"}])
def test_a_finding_of_the_run_that_a_baseline_excuses_is_not_gone(named: dict[str, Any]) -> None:
    error = {"key": "locks.potential_deadlocks", "level": "error", "summary": "A and B", **named}
    warned, suspected = {**error, "level": "warn"}, {**error, "level": "suspicion"}
    for was, now in ((error, warned), (warned, error), (suspected, error), (error, suspected)):
        (row,) = compare(run_of(findings=[was]), run_of(findings=[now]))
        assert (row.word, row.old, row.new) == ("changed", was["level"], now["level"])
        assert row.note == "still there: A and B"
    assert compare(run_of(findings=[warned]), run_of(findings=[warned])) == []
    assert words(compare(run_of(findings=[warned]), run_of())) == ["gone"]
    assert words(compare(run_of(), run_of(findings=[warned]))) == ["new"]
    assert compare(run_of(findings=[suspected]), run_of()) == [], "it was never shown"


def test_it_is_printed_a_line_each_with_what_proves_it() -> None:
    old = run_of(criteria=[criterion(FAST), criterion([1.0], id="b")], tests=[measured("within", 0.01, **SECONDS)])
    new = run_of(criteria=[criterion(TWICE), criterion([2.0], id="b")], tests=[measured("over", 0.03, **SECONDS)])
    assert lines(compare(old, new)) == [
        "worse    shop.time          1.1 ms, within -> 2.3 ms, within  (2.1 times, p < 1e-6)",
        "~        t.py::a time.call  10 ms, within -> 30 ms, over  (another verdict, and nothing proved)",
        "~        1 with other figures, of which nothing is proved",
    ]
