"""Nothing that is recorded is lost or doubled: threads, threads that end, snapshots meanwhile, forks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from monitoring_helping import (  # noqa: F401  # fixtures
    PATIENCE,
    forks,
    in_a_child,
    no_threads_left,
    stormy,
    together,
    with_threads,
)

from coresys.monitoring import Counters, Histogram, MonitoringManager
from coresys.monitoring import shards as shards_module
from coresys.monitoring.shards import Shards
from coresys.system_records import Distribution

TURNS = 400


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_eight_threads_lose_and_double_nothing_while_others_look() -> None:
    histogram, counters, manager = Histogram(), Counters(), MonitoringManager()
    done = threading.Event()
    looks: list[tuple[int, float]] = []

    def work(number: int) -> None:
        for turn in range(TURNS):
            histogram.record(1.0)
            histogram.record(turn + 1.0)
            counters.add("turns", component=f"c{turn % 3}")
            manager.record("m", 0.5, unit="seconds", component=f"c{number % 2}")

    def look() -> None:
        while not done.is_set():
            found = histogram.distribution()
            looks.append((found.count, found.total))
            counters.values()
            manager.snapshot()

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    together(*(partial(work, number) for number in range(8)))
    done.set()
    looker.join(PATIENCE)
    found = histogram.distribution()
    assert found.count == 8 * TURNS * 2
    assert found.total == 8 * (TURNS + TURNS * (TURNS + 1) / 2)
    assert (found.least, found.most) == (1.0, TURNS)
    assert sum(counters.values().values()) == 8 * TURNS
    assert [each.count for each in manager.snapshot().distributions] == [4 * TURNS, 4 * TURNS]
    counts = [count for count, _ in looks]
    assert counts == sorted(counts)  # what was seen once is there from then on


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_threads_that_end_lose_nothing_and_leave_no_shards_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "_FEWEST", 3)  # summed up again and again
    histogram, counters = Histogram(), Counters()

    def short() -> None:
        histogram.record(2.0)
        counters.add("n")
        histogram.record(2.0)

    def spawn() -> None:
        for _ in range(25):
            threads = [threading.Thread(target=short) for _ in range(4)]
            for thread in threads:
                thread.start()
            histogram.record(2.0)
            for thread in threads:
                thread.join()

    def watch() -> list[int]:
        seen = []
        for _ in range(150):
            seen.append(histogram.distribution((0.5,)).count)
        return seen

    *_, seen = together(*[spawn] * 4, watch)
    found = histogram.distribution()
    assert found.count == 4 * 25 * 9
    assert found.total == 2.0 * found.count
    assert counters.values() == {("n", ""): 4 * 25 * 4}
    assert seen == sorted(seen)
    # Of 400 threads, those that lived at the same time.
    assert len(histogram._shards.all()) <= 64


class Cell:
    def __init__(self, ident: int = 0) -> None:
        self.ident, self.value = ident, 0


def sum_of(shards: Shards[Cell]) -> int:
    return sum(cell.value for cell in shards.all())


def merge(cells: object) -> Cell:
    merged = Cell()
    merged.value = sum(cell.value for cell in cells)  # type: ignore[attr-defined]
    return merged


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_shard_that_was_found_before_it_was_looked_for_is_not_summed_up_while_it_is_written_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that has its shard in hand, and has not written yet, while others make room."""
    monkeypatch.setattr(shards_module, "_FEWEST", 2)
    shards: Shards[Cell] = Shards(Cell, merge)
    found, write = threading.Event(), threading.Event()

    def slow() -> None:
        cell = shards.mine()
        found.set()
        assert write.wait(PATIENCE)
        cell.value += 1

    def quick() -> None:
        shards.mine().value += 1

    thread = threading.Thread(target=slow)
    thread.start()
    assert found.wait(PATIENCE)
    # As if it had been idle when somebody looked: nobody finds its shard any more, and it still has it.
    shards.by_thread.pop(thread.ident or 0)
    for _ in range(10):
        in_a_thread(quick)
    shards._sum_up()
    write.set()
    thread.join(PATIENCE)
    assert sum_of(shards) == 11


def test_a_shard_of_a_thread_that_is_about_to_enter_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summing up while another thread stands between making its shard known and standing under its identity."""
    monkeypatch.setattr(shards_module, "_FEWEST", 1)
    made, go_on = threading.Event(), threading.Event()

    class Late(Shards[Cell]):
        def add(self, shard: Cell) -> None:
            super().add(shard)
            if threading.current_thread().name == "late":
                made.set()
                assert go_on.wait(PATIENCE)

    shards = Late(Cell, merge)

    def late() -> None:
        shards.mine().value += 1

    def quick() -> None:
        shards.mine().value += 1

    thread = threading.Thread(target=late, name="late")
    thread.start()
    assert made.wait(PATIENCE)
    for _ in range(5):
        in_a_thread(quick)
    shards._sum_up()
    go_on.set()
    thread.join(PATIENCE)
    shards._sum_up()
    assert sum_of(shards) == 6
    assert len(shards.all()) == 1


def test_a_shard_that_is_found_under_an_identity_is_never_one_that_was_summed_up() -> None:
    """A thread begins and ends just then: whoever inherits its identity finds its shard."""
    shards: Shards[Cell] = Shards(Cell, merge)

    def quick() -> None:
        shards.mine().value += 1

    class Popping(dict[int, Cell]):
        def pop(self, *given: Any) -> Any:
            found = super().pop(*given)
            in_a_thread(quick)
            return found

    shards.by_thread = Popping()
    in_a_thread(quick)
    shards.add(Cell())
    shards._sum_up()
    assert len(shards.by_thread) == 1
    assert all(shard in shards.all() for shard in shards.by_thread.values())
    assert sum_of(shards) == 2


def test_ended_threads_are_one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    shards: Shards[Cell] = Shards(Cell, merge)
    gate = threading.Barrier(11)

    def work() -> None:
        shards.mine().value += 1
        gate.wait(PATIENCE)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    gate.wait(PATIENCE)
    for thread in threads:
        thread.join()
    shards.mine().value += 1
    assert repr(shards) == "<Shards: 11, of 11 threads>"
    shards._sum_up()
    assert repr(shards) == "<Shards: 2, of 1 threads>"
    assert sum_of(shards) == 11
    shards._sum_up()
    assert len(shards.all()) == 2


@forks
@with_threads
@pytest.mark.usefixtures("stormy")
def test_a_forked_child_goes_on_with_what_was_counted() -> None:
    histogram, manager = Histogram(), MonitoringManager()
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            manager.record("m", 1.0, unit="seconds")
            manager.count(f"n{threading.get_ident() % 7}")

    def child() -> None:
        found: Distribution = histogram.distribution()
        assert (found.count, found.total) == (1, 5.0)
        histogram.record(5.0)
        assert histogram.distribution().count == 2
        before = sum(each.count for each in manager.snapshot().distributions)
        manager.record("m", 1.0, unit="seconds")
        manager.record("new", 1.0, unit="seconds")
        manager.count("new")
        thread = threading.Thread(target=manager.record, args=("m", 1.0), kwargs={"unit": "seconds"})
        thread.start()
        thread.join()
        assert sum(each.count for each in manager.snapshot().distributions) == before + 3

    histogram.record(5.0)
    threads = [threading.Thread(target=storm) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert [in_a_child(child) for _ in range(5)] == [0] * 5
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert histogram.distribution().count == 1
