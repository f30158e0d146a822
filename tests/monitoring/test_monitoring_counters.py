"""Counters and gauges: what is taken, what is refused, and that labels without end end."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring_helping import no_threads_left, together  # noqa: F401  # autouse

from coresys.monitoring import OTHERS, Counters, Gauges, SeriesNames


class Text(str):
    def __hash__(self) -> int:
        raise AssertionError("asked again and again")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0, 0), (3, 3), (2.5, 2.5), (True, 1), (Fraction(1, 2), 0.5), (2.0**1000, 2.0**1000),
        (-1, None), (-0.5, None), (math.nan, None), (math.inf, None), (2**1001, None), (10**400, None),
        ("x", None), (None, None), ([], None),
    ],
)  # fmt: skip
def test_a_counter_takes_what_makes_it_grow_and_never_raises(value: Any, kept: float | None) -> None:
    counters = Counters()
    counters.add("n", 1)
    counters.add("n", value)
    counters.add("fresh", value)
    assert counters.values() == ({("n", ""): 1} if kept is None else {("n", ""): 1 + kept, ("fresh", ""): kept})
    assert counters.refused == (2 if kept is None else 0)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(0, 0), (-3, -3), (2.5, 2.5), (False, 0), (math.nan, None), (-math.inf, None), (10**400, None), ("x", None)],
)
def test_a_gauge_takes_figures_and_never_raises(value: Any, kept: float | None) -> None:
    gauges = Gauges()
    gauges.set("g", 7)
    assert gauges.set("g", value) == kept
    assert gauges.values() == {("g", ""): 7 if kept is None else kept}
    assert gauges.refused == (kept is None)


@pytest.mark.parametrize("name", [None, 5, [], b"n"])
def test_a_name_that_is_no_text_is_refused(name: Any) -> None:
    counters, gauges = Counters(), Gauges()
    counters.add(name)
    counters.add("n", 1, name)
    gauges.set(name, 1)
    assert (counters.values(), gauges.values()) == ({}, {})
    assert (counters.refused, gauges.refused) == (2, 1)


def test_a_text_of_a_users_own_class_is_made_plain() -> None:
    counters = Counters()
    counters.add("n", 1, "c")
    counters.add(Text("n"), 1, Text("c"))
    assert counters.values() == {("n", "c"): 2}
    assert SeriesNames().admit(Text("n"), "c") == ("n", "c")


def test_whole_numbers_stay_whole_beyond_what_floats_hold() -> None:
    counters = Counters()
    counters.add("n", 2**53)
    counters.add("n")
    assert counters.values() == {("n", ""): 2**53 + 1}


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("uvwxyz")), max_size=80))
def test_series_are_bounded_and_sums_by_name_stay_right(told: list[tuple[str, str]]) -> None:
    names = SeriesNames(names=3, components=2)
    counters = Counters(names)
    for name, component in told:
        counters.add(name, 1, component)
    found = counters.values()
    assert sum(found.values()) == len(told)
    assert len(names) <= 3 * 2
    assert len(found) <= 3 * (2 + 1) + 1
    first = list(dict.fromkeys(name for name, _ in told))[:3]
    for name in first:
        kept = list(dict.fromkeys(component for each, component in told if each == name))[:2]
        for component in kept:
            assert found[name, component] == told.count((name, component))
        assert sum(value for (each, _), value in found.items() if each == name) == sum(each == name for each, _ in told)
    assert names.left_out == sum(value for (_, component), value in found.items() if component == OTHERS)


@pytest.mark.parametrize(("names", "components"), [(0, 1), (1, 0)])
def test_bounds_are_at_least_one(names: int, components: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SeriesNames(names, components)


def test_many_threads_with_new_names_stay_within_the_bound() -> None:
    names = SeriesNames(names=5, components=5)
    counters = Counters(names)

    def work() -> None:
        for number in range(200):
            counters.add(f"n{number % 9}", 1, f"c{number % 8}")

    together(*[work] * 8)
    assert len(names) == 25
    assert sum(counters.values().values()) == 1600
