"""The manager keeps what its interface promises: all is there once, nothing raises, and nobody is called back."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

import pytest
from monitoring_helping import PATIENCE, linux, no_threads_left, together  # noqa: F401  # autouse

from coresys.errors import ErrorManager
from coresys.monitoring import OTHERS, MonitoringManager, Series, ThreadSource, Threshold, process_sources
from coresys.state import StateManager
from coresys.state.table import State, TransitionTable, on
from coresys.system_records import AlarmRecord, ErrorRecord, TransitionRecord
from coresys.testing.fakes import FakeClock


def transition(table: str = "order", source: str = "new") -> TransitionRecord:
    return TransitionRecord("o-1", table, 1, 0.0, "pay", source, "paid")


def test_everything_that_is_told_is_in_the_snapshot() -> None:
    clock = FakeClock(time=5000.0)
    manager = MonitoringManager(clock=clock)
    manager.count("served")
    manager.count("served", 2, component="web")
    manager.gauge("depth", 3)
    manager.record("delay", 0.5, unit="seconds")
    manager.record("delay", 7, unit="bytes")
    found = manager.snapshot()
    assert found.time == 5000.0
    assert list(found.counters) == [("served", "", 1), ("served", "web", 2)]
    assert list(found.gauges) == [("depth", "", 3)]
    assert [(each.name, each.unit, each.count, each.total) for each in found.distributions] == [
        ("delay", "bytes", 1, 7.0), ("delay", "seconds", 1, 0.5),
    ]  # fmt: skip
    assert (found.refused, found.left_out, found.not_measured) == (0, 0, ())


@pytest.mark.parametrize("odd", [None, "x", [], math.nan, math.inf, 10**400, object(), b"", 1j])
def test_whatever_is_told_nothing_raises_and_what_is_no_figure_is_counted(odd: Any) -> None:
    manager = MonitoringManager()
    manager.alarm(Threshold("g", above=1), lambda alarm: pytest.fail("it was no figure"))
    manager.count("n", odd)
    manager.gauge("g", odd)
    manager.record("d", odd, unit="s")
    manager.transition_made(odd, seconds=odd, seconds_in_source=odd)
    manager.error_seen(odd)
    manager.check()
    found = manager.snapshot()
    assert found.refused >= 5
    assert (found.counters, found.gauges) == ((), ())
    assert all(each.count == 0 for each in found.distributions)


@pytest.mark.parametrize("odd", [None, 5, [], b"n"])
def test_names_components_and_units_that_are_no_texts_are_refused(odd: Any) -> None:
    manager = MonitoringManager()
    manager.count(odd)
    manager.count("n", component=odd)
    manager.gauge(odd, 1)
    manager.gauge("g", 1, component=odd)
    manager.record(odd, 1, unit="s")
    manager.record("d", 1, unit=odd)
    manager.record("d", 1, unit="s", component=odd)
    found = manager.snapshot()
    assert found.refused == 7
    assert (found.counters, found.gauges, found.distributions) == ((), (), ())


def test_a_transition_is_counted_and_timed_by_its_table() -> None:
    manager = MonitoringManager()
    for seconds in (0.001, 0.003):
        manager.transition_made(transition(), seconds=seconds, seconds_in_source=60.0)
    found = manager.snapshot()
    assert list(found.counters) == [("state.transitions", "order", 2)]
    assert [(each.name, each.component, each.count, each.most) for each in found.distributions] == [
        ("state.time_in_state", "order.new", 2, 60.0),
        ("state.transition_time", "order", 2, 0.003),
    ]


def test_an_error_is_counted_by_component_and_severity() -> None:
    manager = MonitoringManager()
    for severity in ("error", "warning", "error"):
        manager.error_seen(ErrorRecord(1, 0.0, "ValueError", "no", "web", "f", "t", severity=severity))
    assert manager.snapshot().counters == (
        ("errors.by_severity", "error", 2), ("errors.by_severity", "warning", 1), ("errors.seen", "web", 3),
    )  # fmt: skip


@pytest.mark.slow
def test_every_transition_and_every_error_of_eight_threads_is_seen_once() -> None:
    manager = MonitoringManager()
    states, errors = StateManager(monitoring=manager), ErrorManager(monitoring=manager)
    errors.sink("log", lambda record: None)
    errors.route("web", "log")
    table = TransitionTable(
        "flip", states=[State("a", initial=True), State("b")], transitions=[on("go", "a", "b"), on("go", "b", "a")]
    )
    machines = [states.add(f"m{number}", table) for number in range(3)]

    def work() -> None:
        for turn in range(150):
            machines[turn % 3].fire("go")
            if turn % 10 == 0:
                errors.report(ValueError(str(turn)), component="web")

    together(*[work] * 8)
    found = manager.snapshot()
    counters = {(name, component): value for name, component, value in found.counters}
    assert counters["state.transitions", "flip"] == sum(machine.sequence for machine in machines) == 1200
    assert counters["errors.seen", "web"] == errors.statistics().seen == 120
    times = {each.name: each.count for each in found.distributions if each.name == "state.transition_time"}
    assert times == {"state.transition_time": 1200}


def test_series_without_end_end_and_that_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = MonitoringManager(names=3, components=4)
    for number in range(50):
        manager.count("hits", component=f"customer-{number}")
        manager.record("delay", 1.0, unit="seconds", component=f"customer-{number}")
        manager.record("size", 1.0, unit=f"unit-{number}")
        manager.gauge(f"g{number}", 1)
    with caplog.at_level(logging.WARNING, "coresys.monitoring"):
        manager.check()
        manager.check()
    found = manager.snapshot()
    assert len(found.counters) == 5
    assert {(name, component): value for name, component, value in found.counters}["hits", OTHERS] == 46
    assert len(found.gauges) == 4
    assert sorted((each.name, each.unit, each.component, each.count) for each in found.distributions)[0] == (
        OTHERS, "", OTHERS, 48,
    )  # fmt: skip
    assert sum(each.count for each in found.distributions) == 100
    assert found.left_out == 46 + 46 + 48 + 47
    assert [record.getMessage() for record in caplog.records] == [
        "too many series: what is told for further ones goes to '(others)', 187 times so far"
    ]


def test_a_histogram_of_its_own_is_the_same_series() -> None:
    manager = MonitoringManager()
    delays = manager.histogram("delay", unit="seconds", component="web")
    delays.record(1.0)
    manager.record("delay", 2.0, unit="seconds", component="web")
    assert manager.histogram("delay", unit="seconds", component="web") is delays
    assert manager.snapshot().distributions == (delays.distribution(),)
    with pytest.raises(TypeError, match="a unit is a text"):
        manager.histogram("delay", unit=5)  # type: ignore[arg-type]


def test_telling_calls_nobody_back_and_check_does() -> None:
    told: list[AlarmRecord] = []
    manager = MonitoringManager()
    manager.alarm(Threshold("heap", above=500_000, rearm=400_000, component="web"), told.append)
    for value in (400_000, 600_000, 450_000, 700_000, 399_999, 600_001):
        manager.gauge("heap", value, component="web")
        manager.gauge("heap", 900_000, component="orders")
    assert told == []
    manager.check()
    assert [(alarm.number, alarm.value) for alarm in told] == [(1, 600_000), (2, 600_001)]
    manager.close()
    assert len(told) == 2


def test_the_last_alarms_are_told_when_it_is_closed() -> None:
    told: list[AlarmRecord] = []
    with MonitoringManager() as manager:
        manager.alarm(Threshold("g", above=1), told.append)
        manager.gauge("g", 2)
    assert len(told) == 1
    manager.close()
    manager.count("after")
    assert manager.snapshot().counters == (("after", "", 1),)
    with pytest.raises(RuntimeError):
        manager.start()


@linux
@pytest.mark.slow
def test_the_sampler_fills_gauges_and_fires_alarms() -> None:
    told = threading.Event()
    alarms: list[AlarmRecord] = []

    def receive(alarm: AlarmRecord) -> None:
        alarms.append(alarm)
        told.set()

    sources = [*process_sources(), ThreadSource()]
    assert {name: each.every for each in sources for name in each.names} == {
        "process.cpu_share": 0.0, "process.voluntary_switches": 0.0, "process.involuntary_switches": 0.0,
        "memory.in_use": 0.5, "memory.pymalloc": 0.5, "memory.malloc": 0.5, "memory.mapped": 0.5,
        "process.descriptors": 1.0, "process.threads": 1.0,
        "threads.cpu_share": 5.0, "threads.busiest_cpu_share": 5.0, "threads.run_queue_share": 5.0,
        "memory.fragmentation": 10.0,
    }  # fmt: skip
    manager = MonitoringManager(sources=sources, rate=200)
    manager.alarm(Threshold("process.threads", above=1.5), receive)
    manager.start()
    assert told.wait(PATIENCE)
    end = time.monotonic() + PATIENCE
    while manager.series("memory.in_use").added < 3 and time.monotonic() < end:
        time.sleep(0.005)
    found = manager.snapshot()
    manager.close()
    gauges = {name for name, _, _ in found.gauges}
    assert gauges >= {
        "memory.in_use", "process.cpu_share", "process.voluntary_switches", "process.descriptors",
        "memory.fragmentation", "process.threads",
    }  # fmt: skip
    assert [alarm.number for alarm in alarms] == [1]
    assert found.not_measured == ()
    verdict = manager.growth()
    assert verdict is not None
    assert "closed" in repr(manager)


class Grows:
    """Memory that grows by ``rate`` bytes an hour, until it is steady."""

    names = ("memory.in_use",)
    every = 0.0

    def __init__(self, rate: float) -> None:
        self.rate, self.value, self.then = rate, 5e7, 0.0

    def read(self, readings: Any, now: float) -> None:
        self.value += self.rate * (now - self.then) / 3600 if self.then else 0.0
        self.then = now
        readings[0] = self.value

    def close(self) -> None:
        pass


def test_growth_is_an_alarm_once_and_is_armed_again_when_it_has_ended() -> None:
    clock = FakeClock()
    memory = Grows(4 * 2**20)
    told: list[AlarmRecord] = []
    manager = MonitoringManager(sources=[memory], clock=clock, growth_limit=2**20)
    manager.alarm(Threshold("memory.growth_rate", above=2**20), told.append)

    def minutes(count: int) -> None:
        for _ in range(count * 120):
            manager._sampler.sample()
            clock.advance(0.5)

    minutes(3)
    assert [alarm.number for alarm in told] == [1]
    verdict = manager.growth()
    assert verdict is not None
    assert (verdict.verdict, round(verdict.rate / 2**20, 2)) == ("growing", 4.0)
    memory.rate = 0.0
    minutes(12)
    verdict = manager.growth()
    assert verdict is not None
    assert verdict.verdict == "steady"
    assert len(told) == 1
    memory.rate = 8 * 2**20
    minutes(12)
    assert [alarm.number for alarm in told] == [1, 2]
    manager.close()


def test_without_memory_there_is_no_verdict_and_no_series() -> None:
    manager = MonitoringManager()
    assert manager.growth() is None
    with pytest.raises(KeyError):
        manager.series("memory.in_use")
    manager.close()


def test_what_this_system_cannot_give_is_not_measured_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(self: object, every: float = 0.0) -> None:
        raise NotImplementedError("no mallinfo2 here")

    monkeypatch.setattr("coresys.monitoring.manager.MemorySource.__init__", missing)
    manager = MonitoringManager(sources=process_sources())
    manager._sampler.sample()
    manager._sampler.sample()
    found = dict(manager.snapshot().not_measured)
    manager.close()
    assert found["memory.in_use"] == "NotImplementedError: no mallinfo2 here"
    assert "process.cpu_share" not in found
    assert isinstance(manager.series("memory.in_use"), Series)
    assert manager.series("memory.in_use").last() is None
    assert len([record for record in caplog.records if "memory.in_use" in record.getMessage()]) == 1
