"""What a signal or the collector lets in, wherever it can come: nobody waits for himself, and nothing is lost."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting, untraced
from monitoring_helping import PATIENCE, no_threads_left, together  # noqa: F401  # autouse

from coresys.monitoring import Alarms, Counters, Histogram, MonitoringManager, Threshold
from coresys.monitoring import alarms as alarms_module
from coresys.monitoring import counters as counters_module
from coresys.monitoring import histogram as histogram_module
from coresys.monitoring import manager as manager_module
from coresys.monitoring import shards as shards_module
from coresys.system_records import AlarmRecord
from coresys.threads import atomics as atomics_module

FILES = {
    module.__file__
    for module in (alarms_module, counters_module, histogram_module, manager_module, shards_module, atomics_module)
}


def handled(work: Callable[[], object], at: int, handler: Callable[[], object], files: Any = FILES) -> bool:
    """Run ``work`` on a thread of its own, with ``handler`` called at place ``at``; False when it has fewer."""
    hitting = Hitting(files, at, untraced(handler))
    thread = threading.Thread(target=hitting.watching, args=(work,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"it waits for itself, or the handler does, at place {at}: {hitting.where}"
    return hitting.seen >= at


def used_before(work: Callable[[], object]) -> None:
    """On another thread, so that there are shards of others; the one that is hit makes its own."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("warm", [False, True], ids=["the first value", "a known bucket"])
def test_a_handler_that_records_in_the_middle_of_recording_loses_nothing(warm: bool) -> None:
    at = 0
    while True:
        at += 1
        histogram = Histogram()
        times = 2 if warm else 1

        def work(histogram: Histogram = histogram, times: int = times) -> None:
            for _ in range(times):
                histogram.record(1.0)

        hit = handled(work, at, partial(histogram.record, 1.0))
        found = histogram.distribution()
        assert (found.count, found.total) == (times + hit, float(times + hit)), at
        if not hit:
            break
    assert at > 4


@pytest.mark.slow
@NOT_TRACED
def test_a_handler_that_records_in_the_middle_of_a_snapshot_is_counted() -> None:
    at = 0
    while True:
        at += 1
        manager = MonitoringManager()
        used_before(partial(manager.record, "m", 1.0, unit="s"))
        used_before(partial(manager.count, "n"))

        def handler(manager: MonitoringManager = manager) -> None:
            manager.record("m", 1.0, unit="s")
            manager.record("fresh", 1.0, unit="s")
            manager.count("n")
            manager.gauge("g", 1.0)
            manager.snapshot()

        hit = handled(manager.snapshot, at, handler)
        found = manager.snapshot()
        counts = {each.name: each.count for each in found.distributions}
        assert counts == ({"m": 2, "fresh": 1} if hit else {"m": 1}), at
        assert [value for _, _, value in found.counters] == [1 + hit], at
        if not hit:
            break
    assert at > 20


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("name", ["n", "other"], ids=["the same series", "a new one"])
def test_a_handler_that_counts_in_the_middle_of_counting_loses_nothing(name: str) -> None:
    at = 0
    while True:
        at += 1
        counters = Counters()

        def work(counters: Counters = counters) -> None:
            counters.add("n")
            counters.add("n")

        hit = handled(work, at, partial(counters.add, name))
        assert sum(counters.values().values()) == 2 + hit, at
        assert counters.refused == 0
        if not hit:
            break
    assert at > 6


@pytest.mark.slow
@NOT_TRACED
def test_a_handler_in_the_middle_of_summing_up_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "_FEWEST", 2)
    at = 0
    while True:
        at += 1
        histogram = Histogram()
        gate = threading.Barrier(3)

        def work(histogram: Histogram = histogram, gate: threading.Barrier = gate) -> None:
            histogram.record(1.0)
            gate.wait(PATIENCE)

        together(*[work] * 3)
        histogram._shards.by_thread.clear()  # or the thread that is hit inherits an identity, and the shard with it
        before = histogram.distribution().count
        hit = handled(partial(histogram.record, 1.0), at, partial(histogram.record, 1.0))
        assert histogram.distribution().count == before + 1 + hit, at
        if not hit:
            break
    assert at > 8


@pytest.mark.slow
@NOT_TRACED
def test_an_interruption_at_any_place_leaves_it_usable_and_whole() -> None:
    at = 0
    while True:
        at += 1
        manager = MonitoringManager()
        manager.record("m", 2.0, unit="s")

        def work(manager: MonitoringManager = manager) -> None:
            manager.record("m", 2.0, unit="s")
            manager.record("new", 2.0, unit="s")
            manager.count("n")
            manager.gauge("g", 2.0)

        hitting = Hitting(FILES, at)
        if not hitting.watching(work):
            break
        used_before(partial(manager.record, "new", 2.0, unit="s"))
        used_before(partial(manager.count, "n"))
        found = manager.snapshot()
        for each in found.distributions:
            assert each.total == 2.0 * each.count, (at, hitting.where)
        counts = {each.name: each.count for each in found.distributions}
        assert counts["m"] in (1, 2), at
        assert counts["new"] in (1, 2), at
        assert [value for _, _, value in found.counters] in ([1], [2]), at
    assert at > 20


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("work", ["observe", "tell"])
def test_a_handler_in_the_middle_of_an_alarm_makes_one_of_one_crossing(work: str) -> None:
    at = 0
    while True:
        at += 1
        told: list[AlarmRecord] = []
        alarms = Alarms()
        alarms.add(Threshold("depth", 10), told.append)

        def handler(alarms: Alarms = alarms) -> None:
            alarms.observe("depth", 12)
            alarms.tell()

        if work == "tell":
            alarms.observe("depth", 11)
        doing = alarms.tell if work == "tell" else partial(alarms.observe, "depth", 11)
        hit = handled(doing, at, handler)
        alarms.tell()
        assert [alarm.number for alarm in told] == [1], at
        if not hit:
            break
    assert at > 5


class Naive:
    """What the checks above are for: a call between reading and writing."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def record(self) -> None:
        self.counts[1] = self.counts.get(1, 0) + 1


@NOT_TRACED
def test_the_check_itself_sees_a_count_that_is_lost() -> None:
    lost = 0
    for at in range(1, 5):
        naive = Naive()
        hit = handled(naive.record, at, naive.record, {__file__})
        lost += naive.counts[1] != 1 + hit
    assert lost


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that signal")
@pytest.mark.slow
def test_a_real_handler_that_records_all_the_while_loses_nothing() -> None:
    manager = MonitoringManager()
    calls = [0]

    def handler(number: int, frame: object) -> None:
        calls[0] += 1
        manager.record("m", 1.0, unit="s")
        manager.count("n")
        if calls[0] % 16 == 0:
            manager.snapshot()
        signal.setitimer(signal.ITIMER_REAL, 1e-4)  # once: on a busy machine the next would come before this has ended

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        turns = 0
        while calls[0] < 300:
            turns += 1
            manager.record("m", 1.0, unit="s")
            manager.count("n")
            if turns % 64 == 0:
                manager.snapshot()
                # Again: where the system gives the signal to another thread, CPython may miss it until the next one.
                signal.setitimer(signal.ITIMER_REAL, 1e-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = manager.snapshot()
    assert [value for _, _, value in found.counters] == [turns + calls[0]]
    assert found.distributions[0].count == turns + calls[0] == found.distributions[0].total


@pytest.mark.slow
def test_finalizers_that_record_whenever_the_collector_comes_lose_nothing() -> None:
    manager = MonitoringManager()
    finalized = [0]
    value = [1.0]

    class Dying:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            finalized[0] += 1
            manager.record("m", value[0], unit="s")
            manager.count("n")
            manager.record(f"m{finalized[0] % 5}", 1.0, unit="s")

    threshold = gc.get_threshold()
    turns = 3000
    for turn in range(turns):
        Dying()
        value[0] = 1.016**turn  # a bucket that is new, to both of them
        # The collector comes at the next objects, or those after them: wherever in what follows those are made.
        gc.set_threshold(1 + turn % 12)
        manager.record("m", value[0], unit="s")
        manager.count("n")
        manager.record(f"m{turn % 7}", 1.0, unit="s")
        gc.set_threshold(*threshold)
        if turn % 50 == 0:
            manager.snapshot()
    gc.collect()
    found = manager.snapshot()
    assert finalized[0] == turns
    assert [value for _, _, value in found.counters] == [2 * turns]
    assert sum(each.count for each in found.distributions) == 4 * turns
