"""Alarms: once when crossed, and only then; whatever threads and callbacks do."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring_helping import (  # noqa: F401  # fixtures
    forks,
    in_a_child,
    no_threads_left,
    stormy,
    together,
    with_threads,
)

from coresys.monitoring import Alarms, Threshold
from coresys.system_records import AlarmRecord
from coresys.testing.fakes import FakeClock


def fired(threshold: Threshold, values: Iterable[float]) -> list[float]:
    told: list[AlarmRecord] = []
    alarms = Alarms()
    alarms.add(threshold, told.append)
    for value in values:
        alarms.observe(threshold.name, value)
        alarms.tell()
    assert [alarm.number for alarm in told] == list(range(1, len(told) + 1))
    return [alarm.value for alarm in told]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([99, 100], []),  # at the limit is not above it
        ([100.5], [100.5]),
        ([99, 101, 102, 101], [101]),
        ([101, 100, 101], [101]),  # at or above the lower mark it stays fired
        ([101, 80, 101], [101]),
        ([101, 79.9, 100, 101], [101, 101]),
        ([101, math.nan, 101], [101]),
        ([math.nan, 101, -5, math.nan, 300], [101, 300]),
    ],
)
def test_it_fires_once_when_crossed_and_again_only_after_it_fell(values: list[float], expected: list[float]) -> None:
    assert fired(Threshold("depth", above=100, rearm=80), values) == expected


@pytest.mark.parametrize(
    ("values", "expected"), [([101, 100, 101], [101]), ([101, 99, 101], [101, 101]), ([100, 100], [])]
)
def test_without_a_lower_mark_it_is_armed_again_below_the_limit(values: list[float], expected: list[float]) -> None:
    assert fired(Threshold("depth", above=100), values) == expected


@given(st.lists(st.integers(-3, 13), max_size=200))
def test_alarms_are_those_of_a_plain_machine(values: list[int]) -> None:
    armed, expected = True, []
    for value in values:
        if armed and value > 10:
            armed = False
            expected.append(value)
        elif not armed and value < 5:
            armed = True
    assert fired(Threshold("depth", above=10, rearm=5), values) == expected


@given(st.lists(st.sampled_from([12, 0]), max_size=50))
def test_what_was_crossed_between_two_looks_is_told_one_by_one(values: list[int]) -> None:
    told: list[AlarmRecord] = []
    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), told.append)
    for value in values:
        alarms.observe("depth", value)
    crossed = sum(after > before for before, after in zip([0, *values], values, strict=False))
    assert alarms.tell() == len(told) == crossed
    assert alarms.tell() == 0


@pytest.mark.parametrize(("above", "rearm"), [(10, 11), (math.nan, None), (math.inf, None), (10, math.nan)])
def test_marks_the_wrong_way_round_are_refused(above: float, rearm: float | None) -> None:
    with pytest.raises(ValueError, match="depth: fires above"):
        Threshold("depth", above=above, rearm=rearm)


def test_components_are_apart_and_those_of_others_no_concern() -> None:
    told: list[tuple[str, str]] = []
    alarms = Alarms(components=2)
    alarms.add(Threshold("heap", above=10, component=None, alarm="any"), lambda a: told.append((a.alarm, a.component)))
    alarms.add(Threshold("heap", above=20, component="web"), lambda a: told.append((a.alarm, a.component)))
    for component in ("web", "web", "orders", "third"):
        alarms.observe("heap", 15, component)
    alarms.observe("heap", 25, "web")
    alarms.observe("other", 99, "web")
    alarms.tell()
    assert sorted(told) == [("any", "orders"), ("any", "web"), ("heap", "web")]
    assert alarms.missed == 1  # "third" is one too many, and that is known
    assert repr(alarms) == "<Alarms: 2 thresholds, 3 fired and not armed again>"


def test_an_alarm_has_what_was_seen_and_when() -> None:
    told: list[AlarmRecord] = []
    alarms = Alarms(clock=FakeClock(5.0, time=1000.0))
    alarms.add(Threshold("heap", above=10, alarm="too much"), told.append)
    alarms.observe("heap", 15)
    alarms.tell()
    assert told == [AlarmRecord("too much", "heap", "", 15, 10, 1000.0, 1)]


def test_a_callback_that_raises_is_told_of_once_and_keeps_no_other_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[float] = []

    def broken(alarm: AlarmRecord) -> None:
        raise RuntimeError("nobody is at home")

    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), broken)
    alarms.add(Threshold("depth", above=10), lambda alarm: told.append(alarm.value))
    with caplog.at_level(logging.ERROR, "coresys.monitoring"):
        for value in (11, 0, 12, 0, 13):
            alarms.observe("depth", value)
            alarms.tell()
    assert told == [11, 12, 13]
    assert alarms.failed == 3
    assert [record.getMessage() for record in caplog.records] == ["whoever is to hear of alarm 'depth' raised"]


def test_a_callback_may_observe_tell_and_add() -> None:
    told: list[float] = []
    alarms = Alarms()

    def again(alarm: AlarmRecord) -> None:
        told.append(alarm.value)
        alarms.observe("depth", 0)
        if alarm.number < 3:
            alarms.observe("depth", 20 + alarm.number)
        alarms.tell()
        alarms.add(Threshold("later", above=1), again)

    alarms.add(Threshold("depth", above=10), again)
    alarms.observe("depth", 20)
    alarms.tell()
    assert told == [20, 21, 22]


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_a_thousand_crossings_by_many_threads_are_told_once_each() -> None:
    told: list[int] = []
    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), lambda alarm: told.append(alarm.number))
    lock = threading.Lock()

    def cross() -> None:
        for _ in range(125):
            with lock:  # one crossing each: what is told meanwhile is anybody's
                alarms.observe("depth", 11)
                alarms.observe("depth", 5)
            alarms.tell()

    def hover() -> None:
        for _ in range(300):
            alarms.observe("quiet", 10)
            alarms.tell()

    together(*[cross] * 8, hover)
    alarms.tell()
    assert sorted(told) == list(range(1, 1001))


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_many_threads_that_cross_together_make_one_alarm() -> None:
    told: list[int] = []
    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), lambda alarm: told.append(alarm.number))

    def cross() -> None:
        for value in accumulate([11, *[0] * 50, *[1] * 50]):
            alarms.observe("depth", value)
            alarms.tell()

    together(*[cross] * 8)
    assert told == [1]


@forks
@with_threads
def test_what_was_not_told_is_the_parents_to_tell() -> None:
    told: list[int] = []
    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), lambda alarm: told.append(alarm.number))
    alarms.observe("depth", 11)

    def child() -> None:
        alarms.observe("depth", 12)
        assert alarms.tell() == 0
        alarms.observe("depth", 1)
        alarms.observe("depth", 12)
        alarms.tell()
        assert told == [2]

    assert in_a_child(child) == 0
    assert (alarms.tell(), told) == (1, [1])


@forks
@with_threads
@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_a_fork_in_the_middle_of_observing_leaves_no_lock_held() -> None:
    alarms = Alarms()
    alarms.add(Threshold("depth", above=10), lambda alarm: None)
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            alarms.observe("depth", 11)
            alarms.observe("depth", 0)
            alarms.tell()

    def child() -> None:
        alarms.observe("depth", 11)
        alarms.observe("depth", 0)
        alarms.observe("depth", 11)
        assert alarms.tell() >= 1

    threads = [threading.Thread(target=storm) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [in_a_child(child) for _ in range(10)] == [0] * 10
    finally:
        stop.set()
        for thread in threads:
            thread.join()
