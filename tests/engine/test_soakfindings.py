"""The words for what a soak found."""

from __future__ import annotations

from coresys.budgets.model import Limit
from coresys.records import Finding
from pytest_coresys.engine.looks import Looked
from pytest_coresys.engine.soakfindings import failed, grown, told
from pytest_coresys.engine.trends import Trend

MIB = 2.0**20
TIMES = [float(second) for second in range(9)]
OVER = Trend("over", 2 * MIB, 1.5 * MIB, 2.5 * MIB, rate=2 * MIB)


def finding(key: str, trend: Trend, unit: str, maximum: float, tests: list[tuple[str, float]]) -> Finding:
    return grown(
        trend,
        Limit(key, maximum, "warn", origin="pyproject.toml:3"),
        unit=unit,
        readings=(TIMES, TIMES),
        rounds=1200,
        rounds_an_hour=100.0,
        tests=tests,
        worker="gw1",
    )


def test_memory_that_grows_is_told_with_its_interval_its_quarters_and_the_tests_that_account_for_it() -> None:
    tests = [("t.py::small", 30.0), ("t.py::large", 900.0), ("t.py::half", 400.0), ("t.py::none", -5.0)]
    found = finding("memory.growth_rate", OVER, "B/h", MIB, tests)
    assert found.level == "warn"
    assert found.summary == ("memory.growth_rate: 2 MiB/h > 1 MiB/h (pyproject.toml:3) over 1,200 rounds in worker gw1")
    assert found.details == (
        "grows: t.py::large +900 B a round, t.py::half +400 B a round",
        "memory.growth_rate 2 MiB/h, between 1.5 MiB/h and 2.5 MiB/h",
        "in the four quarters of the time: 3.5 KiB/h, 3.5 KiB/h, 3.5 KiB/h, 3.5 KiB/h",
    )
    assert found.tests == ("t.py::large", "t.py::half")


def test_where_no_single_test_grows_that_is_told() -> None:
    found = finding("memory.growth_rate", OVER, "B/h", MIB, [("t.py::none", 0.0)])
    assert found.details[-1] == "no single test was seen to grow: together they do, or in some rounds only"
    assert found.tests == ()


def test_counts_are_told_a_round() -> None:
    found = finding("threads.leaked", Trend("over", 50.0, rate=50.0), "count", 0, [("t.py::a", 0.5)])
    assert found.summary == "threads.leaked: 0.5 a round > 0 (pyproject.toml:3) over 1,200 rounds in worker gw1"
    assert found.details == (
        "grows: t.py::a +0.5 a round",
        "from 0 to 8 in 1,200 rounds, more in each quarter of them",
    )


def test_shares_are_told_as_they_are_at_the_end() -> None:
    found = finding("memory.fragmentation", Trend("over", 0.2), "ratio", 0.05, [])
    assert found.summary.startswith("memory.fragmentation: 20 % > 5 % (pyproject.toml:3)")
    assert found.details == ("stranded since the warm-up, and more in each quarter of the time",)


def test_failures_of_each_test_are_a_warning_of_their_own() -> None:
    once, worn = failed({"t.py::a": ["round 2: x"], "t.py::b": ["round 2: y", "round 3: y", "round 4: y"]}, times=3)
    assert {once.level, worn.level} == {"warn"}
    assert once.owner == "test t.py::a"
    assert once.details == ("round 2: x",)
    assert worn.details[-1] == "left out of the rounds from then on"


def test_what_was_not_measured_is_told_by_its_why() -> None:
    assert told(Trend("not_measured", why="too short: 3 readings")) == "too short: 3 readings"


def test_what_was_seen_at_looks_comes_back_as_it_was() -> None:
    assert Looked().last_level is None
    assert Looked().entries() == []
    looked = Looked()
    looked.add(0.25, 0.0001, "not_measured", 0.0, -1.0, 2.0)
    looked.add(0.5, 0.005, "over", 5.0, 3.0, 9.0)
    assert looked.last_level == 0.005
    assert looked.entries() == [
        {"at": 0.25, "level": 0.0001, "verdict": "not_measured", "rate": 0.0, "interval": [-1.0, 2.0]},
        {"at": 0.5, "level": 0.005, "verdict": "over", "rate": 5.0, "interval": [3.0, 9.0]},
    ]
