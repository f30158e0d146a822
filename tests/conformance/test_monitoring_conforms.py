"""What IMonitoringManager promises."""

from __future__ import annotations

import math
from functools import partial

import pytest
from conforming import at_once

from coresys.interfaces import IMonitoringManager
from coresys.system_records import Distribution, ErrorRecord, MonitoringSnapshot, TransitionRecord

ROLE = "monitoring"


def counted(snapshot: MonitoringSnapshot, name: str) -> dict[str, float]:
    return {component: value for each, component, value in snapshot.counters if each == name}


def gauged(snapshot: MonitoringSnapshot, name: str) -> dict[str, float]:
    return {component: value for each, component, value in snapshot.gauges if each == name}


def spread(snapshot: MonitoringSnapshot, name: str) -> dict[str, Distribution]:
    return {each.component: each for each in snapshot.distributions if each.name == name}


def grown(before: MonitoringSnapshot, after: MonitoringSnapshot) -> set[float]:
    """By how much counters have grown, whatever they are called."""
    was = {(name, component): value for name, component, value in before.counters}
    return {value - was.get((name, component), 0) for name, component, value in after.counters} - {0.0}


def test_counts_add_up_by_name_and_component(one: IMonitoringManager) -> None:
    one.count("served", 2, component="a")
    one.count("served", component="a")
    one.count("served", 0.5, component="a/b")
    one.count("served")
    one.count("sent", component="a")
    found = one.snapshot()
    assert counted(found, "served") == {"a": 3.0, "a/b": 0.5, "": 1.0}
    assert counted(found, "sent") == {"a": 1.0}


def test_a_gauge_is_what_it_was_last_set_to(one: IMonitoringManager) -> None:
    for value in (3, 7, -2):
        one.gauge("open", value, component="a")
    one.gauge("open", 1)
    assert gauged(one.snapshot(), "open") == {"a": -2.0, "": 1.0}


def test_values_make_a_distribution(one: IMonitoringManager) -> None:
    for value in (0.25, 4.0, 0.5):
        one.record("took", value, unit="s", component="a")
    one.record("took", 1.0, unit="s")
    found = spread(one.snapshot(), "took")
    assert set(found) == {"a", ""}
    told = found["a"]
    assert (told.unit, told.count, told.least, told.most) == ("s", 3, 0.25, 4.0)
    assert told.total == pytest.approx(4.75)


def test_every_transition_is_told_once(one: IMonitoringManager) -> None:
    before = one.snapshot()
    for number in range(1, 4):
        record = TransitionRecord("m", "door", number, 0.0, "push", "shut", "open")
        one.transition_made(record, seconds=0.25, seconds_in_source=8.0)
    after = one.snapshot()
    assert 3.0 in grown(before, after)
    assert {(each.count, each.most) for each in after.distributions} >= {(3, 0.25), (3, 8.0)}


def test_every_error_is_told_once(one: IMonitoringManager) -> None:
    before = one.snapshot()
    for number in range(1, 4):
        one.error_seen(ErrorRecord(number, 0.0, "OSError", "gone", "web", "f", "main"))
    after = one.snapshot()
    assert 3.0 in grown(before, after)
    assert "web" in {component for _, component, _ in after.counters}


def test_nothing_that_it_is_told_makes_it_raise(one: IMonitoringManager) -> None:
    one.count("served", 2, component="a")
    for value in (-1, math.nan, math.inf, -math.inf):
        one.count("served", value, component="a")
    for value in (math.nan, math.inf):
        one.gauge("open", value, component="a")
        one.record("took", value, unit="s", component="a")
    record = TransitionRecord("m", "door", 1, 0.0, "push", "shut", "open")
    one.transition_made(record, seconds=math.nan, seconds_in_source=-1.0)
    assert counted(one.snapshot(), "served")["a"] == 2.0, "a counter only grows"
    one.count("served", component="a")
    assert counted(one.snapshot(), "served")["a"] == 3.0


def test_a_snapshot_is_of_its_moment_and_to_take_it_disturbs_nobody(one: IMonitoringManager) -> None:
    one.count("served", component="a")
    one.gauge("open", 1, component="a")
    one.record("took", 1.0, unit="s", component="a")
    found = one.snapshot()
    again = one.snapshot()
    assert (again.counters, again.gauges, again.distributions) == (found.counters, found.gauges, found.distributions)
    one.count("served", component="a")
    one.gauge("open", 2, component="a")
    one.record("took", 1.0, unit="s", component="a")
    assert (counted(found, "served")["a"], gauged(found, "open")["a"], spread(found, "took")["a"].count) == (1, 1, 1)
    assert one.snapshot().time >= found.time


def test_what_many_threads_tell_is_all_there(one: IMonitoringManager) -> None:
    def tell(component: str) -> None:
        for number in range(100):
            one.count("served", component="all")
            one.count("served", 2, component=component)
            one.record("took", 1.0, unit="s", component="all")
            one.gauge("open", number, component=component)

    at_once(*(partial(tell, f"c{number}") for number in range(6)))
    found = one.snapshot()
    assert counted(found, "served") == {"all": 600.0, **{f"c{number}": 200.0 for number in range(6)}}
    assert spread(found, "took")["all"].count == 600
    assert gauged(found, "open") == {f"c{number}": 99.0 for number in range(6)}


def test_two_never_meet(one: IMonitoringManager, other: IMonitoringManager) -> None:
    before = other.snapshot()
    for component in ("a", "", "a/b"):
        one.count("served", component=component)
        one.gauge("open", 1, component=component)
        one.record("took", 1.0, unit="s", component=component)
    record = TransitionRecord("m", "door", 1, 0.0, "push", "shut", "open")
    one.transition_made(record, seconds=0.25, seconds_in_source=8.0)
    one.error_seen(ErrorRecord(1, 0.0, "OSError", "gone", "web", "f", "main"))
    after = other.snapshot()
    assert (after.counters, after.gauges, after.distributions) == (
        before.counters,
        before.gauges,
        before.distributions,
    )
    other.count("served", 5, component="a")
    assert counted(other.snapshot(), "served") == {"a": 5.0}
    assert counted(one.snapshot(), "served")["a"] == 1.0
