"""The loop of repetitions, in this process: how often it repeats, and what it leaves out."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from coresys.measure import meters
from coresys.measure.leftovers import KINDS, Kind
from coresys.measure.series import Judged
from pytest_coresys.engine import confirm, repeat
from pytest_coresys.engine.confirm import Confirmation, Confirmed, Control, RunOnce
from pytest_coresys.engine.effort import Allowance
from pytest_coresys.engine.repeat import Structure

KEYED = Structure(only_grows=False, releases=False)  # sure after 450 repetitions


@pytest.fixture(autouse=True)
def heap_as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()


class Leaks:
    """Keeps a kilobyte in each run; ``ask`` leaves a cache behind, as a tracer does, that the next run frees."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.kept: list[bytearray] = []
        self.runs = 0
        self._cache: bytearray | None = None
        self._fails_at = fails_at

    def run(self) -> str | None:
        self.runs += 1
        if self.runs == self._fails_at:
            return "call failed: mine"
        self.kept.append(bytearray(1000))
        self._cache = None
        return None

    def ask(self, grown: float, often: float) -> Structure:
        self._cache = bytearray(400_000)
        return KEYED


def confirmed(leaks: Leaks, most: int, run: RunOnce | None = None) -> Confirmed:
    allowed, control = Allowance(60, 60, 60), Control()
    return Confirmation(run or leaks.run, most=most, allowed=allowed, control=control, ask=leaks.ask).run()


@pytest.mark.parametrize("most", [1, 4, 5, 6, 14, 30])
def test_it_repeats_as_often_as_it_may_and_no_more(most: int) -> None:
    leaks = Leaks()
    result = confirmed(leaks, most)
    assert leaks.runs == result.repetitions == most


def test_what_asking_left_in_caches_is_no_step_down() -> None:
    result = confirmed(Leaks(), 700)
    memory = result.keys["memory.growth"]
    assert memory["conclusion"] == "leak"
    assert 1000 <= memory["rate"] <= 1100
    assert min(memory["series"]) > 0


@pytest.mark.parametrize("room", [0, 7, 87, None])
def test_what_stops_growing_while_its_holder_is_looked_for_is_no_leak(room: int | None) -> None:
    """It grew until it was asked who holds it; but a cache with room for so many more is full, and nobody read that."""
    leaks = Leaks()
    run = leaks.run
    full_at: int | None = None

    def run_bounded() -> str | None:
        problem = run()
        if full_at is not None:
            del leaks.kept[: max(len(leaks.kept) - full_at, 0)]
        return problem

    def ask(grown: float, often: float) -> Structure:
        nonlocal full_at
        if room is not None and full_at is None:  # when it is asked depends on how quick the machine is
            full_at = len(leaks.kept) + room
        for _ in range(100):
            run_bounded()
        return KEYED

    leaks.ask = ask  # type: ignore[method-assign]
    result = confirmed(leaks, 1200, run_bounded)
    assert result.keys["memory.growth"]["conclusion"] == ("leak" if room is None else "flat")


@pytest.mark.parametrize("grows", [5000, -5000])
def test_what_judging_keeps_or_frees_is_not_the_tests(grows: int) -> None:
    """One run in ten keeps 100 bytes; what is told of the progress keeps or frees far more than that."""
    runs = 0
    kept: list[bytearray] = []
    buffers = [bytearray(5000) for _ in range(100)]

    def run() -> None:
        nonlocal runs
        runs += 1
        if runs % 10 == 0:
            kept.append(bytearray(50))

    def progress(_: int) -> None:
        if grows > 0:
            buffers.append(bytearray(grows))
        else:
            buffers.pop()

    confirmation = Confirmation(
        run,
        most=700,
        allowed=Allowance(60, 60, 60),
        control=Control(),
        ask=lambda grown, often: KEYED,
        progress=progress,
    )
    memory = confirmation.run().keys["memory.growth"]
    assert len(buffers) != 100
    assert memory["conclusion"] == "leak"
    assert 10 <= memory["rate"] <= 30


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """Descriptors that a test opens; closed after it."""
    descriptors: list[int] = []
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_what_seemed_flat_is_looked_at_again_as_long_as_others_go_on(opened: list[int]) -> None:
    """No descriptor in the first 40 runs, then one in five; the memory beside it takes hundreds to be sure of."""
    leaks = Leaks()

    def run() -> str | None:
        if leaks.runs > 40 and leaks.runs % 5 == 0:
            opened.append(os.dup(0))
        return leaks.run()

    result = confirmed(leaks, 700, run)
    assert result.keys["descriptors.leaked"]["conclusion"] == "leak"
    assert result.keys["descriptors.leaked"]["rate"] == pytest.approx(0.2, abs=0.05)
    assert result.keys["threads.leaked"]["conclusion"] == "flat"


@pytest.mark.parametrize(("every", "rate"), [(1, 1.0), (2, 0.5)])
@pytest.mark.parametrize("closed_at", [90, 100, 105, 140])
def test_the_rate_is_of_what_goes_on(every: int, rate: float, closed_at: int, opened: list[int]) -> None:
    """A pool is closed half way, from where on there is a leak: that half convicts, and says how much it is."""
    leaks = Leaks()
    opened += [os.dup(0) for _ in range(20)]

    def run() -> str | None:
        if leaks.runs == closed_at:
            while opened:
                os.close(opened.pop())
        if leaks.runs > closed_at and leaks.runs % every == 0:
            opened.append(os.dup(0))
        return leaks.run()

    result = confirmed(leaks, 300, run)
    descriptors = result.keys["descriptors.leaked"]
    assert descriptors["conclusion"] == "leak"
    assert descriptors["rate"] == pytest.approx(rate, abs=0.05)


def test_one_reading_far_from_its_neighbours_hides_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address space that is a megabyte larger for one moment: its end is no fall of a sawtooth."""
    leaks = Leaks()
    read = meters.MemoryMeter.read

    def reading(meter: meters.MemoryMeter) -> meters.Memory:
        memory = read(meter)
        return memory._replace(mapped=memory.mapped + 2**20) if leaks.runs == 400 else memory

    monkeypatch.setattr(meters.MemoryMeter, "read", reading)
    memory = confirmed(leaks, 700).keys["memory.growth"]
    assert memory["conclusion"] == "leak"
    assert max(memory["series"]) < 1200


class Clock:
    """Stands for the clock: each call of ``run`` takes so many seconds."""

    def __init__(self, run: Callable[[], str | None], seconds: float) -> None:
        self._run, self._seconds, self._now = run, seconds, 0.0

    def monotonic(self) -> float:
        return self._now

    def run(self) -> str | None:
        self._now += self._seconds
        return self._run()


@pytest.mark.parametrize(
    ("seconds", "left", "asked_at"),
    [(0.001, 60.0, 629), (0.01, 60.0, 64), (0.01, 0.0, None)],
    ids=["later, where that is cheaper", "early, where it spares much", "not at all, with the effort overdrawn"],
)
def test_when_it_is_asked_who_keeps_it(
    monkeypatch: pytest.MonkeyPatch, seconds: float, left: float, asked_at: int | None
) -> None:
    leaks, asked = Leaks(), []
    clock = Clock(leaks.run, seconds)

    def ask(grown: float, often: float) -> Structure:
        asked.append(leaks.runs)
        return KEYED

    monkeypatch.setattr(confirm, "monotonic", clock.monotonic)
    allowed = Allowance(60, 60, left)
    result = Confirmation(clock.run, most=1000, allowed=allowed, control=Control(), ask=ask).run()
    warm_up_and_first = repeat.WARM_UP - 1  # the first reading is taken before any repetition that counts
    assert asked == ([] if asked_at is None else [asked_at + warm_up_and_first])
    assert result.keys["memory.growth"]["conclusion"] == ("unclear" if asked_at is None else "leak")


@pytest.mark.parametrize(("seconds", "runs", "conclusion"), [(1.0, 1, "too few"), (0.2, 15, "unclear")])
def test_it_gives_up_at_once_where_too_few_repetitions_fit_into_what_is_allowed(
    seconds: float, runs: int, conclusion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaks = Leaks()
    clock = Clock(leaks.run, seconds)
    monkeypatch.setattr(confirm, "monotonic", clock.monotonic)
    result = Confirmation(clock.run, most=1000, allowed=Allowance(3, 3, 3), control=Control()).run()
    assert leaks.runs == result.repetitions == runs
    assert result.keys["memory.growth"]["conclusion"] == conclusion


@pytest.mark.parametrize("at", [2, 5, 6, 40, 67])
def test_a_repetition_that_goes_wrong_ends_it(at: int) -> None:
    leaks = Leaks(fails_at=at)
    result = confirmed(leaks, 300)
    assert result.problem == "call failed: mine"
    assert leaks.runs == at
    assert not result.keys


def test_the_first_is_tried_once_more_after_a_collection() -> None:
    """It may have looked whether what the last run left was collected, which was frozen as it was."""
    leaks = Leaks(fails_at=1)
    result = confirmed(leaks, 700)
    assert result.problem is None
    assert result.keys["memory.growth"]["conclusion"] == "leak"
    assert confirmed(Leaks(fails_at=1), 1).problem == "call failed: mine"  # where there may be no other

    class Never(Leaks):
        def run(self) -> str | None:
            self.runs += 1
            return "call failed: mine"

    never = Never()
    assert confirmed(never, 300).problem == "call failed: mine"
    assert never.runs == 2


def test_one_that_goes_wrong_right_after_the_asking_ends_it_too() -> None:
    leaks = Leaks(fails_at=302)  # nothing is read after those that follow the asking
    result = confirmed(leaks, 300)
    assert leaks.runs == 302
    assert result.problem == "call failed: mine"
    assert not result.keys


@pytest.mark.parametrize(("step", "conclusion", "rate"), [(1, "flat", 0), (200, "leak", 200)])
def test_lows_that_rise_by_less_than_could_be_told_are_no_leak(
    step: int, conclusion: str, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirm, "beneath", lambda values, at: [step * number for number in range(len(values))])
    leaks = Leaks()
    memory = confirmed(leaks, 700).keys["memory.growth"]
    assert 1 <= memory["resolution"] < 200
    assert (memory["conclusion"], memory["rate"]) == (conclusion, rate)


class Threads:
    """Stands for the threads of the process: each run starts one, of a pool of ``size`` at most, that lives so long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lives: float, run: float, size: int = 10_000) -> None:
        self.now, self.runs = 0.0, 0
        self._lives, self._run, self._size = lives, run, size
        self._begun: list[float] = []
        before = threading.active_count()
        for counts in ((meters, "thread_count"), (threading, "active_count")):
            monkeypatch.setattr(*counts, lambda: before + len(self.alive()))
        monkeypatch.setitem(KINDS, "threads.leaked", Kind(self.alive, lambda tid, nothing: str(tid)))
        monkeypatch.setattr(confirm, "monotonic", lambda: self.now)
        monkeypatch.setattr(confirm, "pauses", self.pauses)

    def alive(self) -> dict[int, None]:
        return {at: None for at, begun in enumerate(self._begun) if self.now < begun + self._lives}

    def pauses(self, until: float, each: float) -> Iterator[None]:
        while self.now < until:
            self.now += each
            yield

    def run(self) -> str | None:
        self.runs += 1
        self.now += self._run
        if len(self.alive()) < self._size:
            self._begun.append(self.now)
        return None

    def confirmed(self, *, seconds: float, run: RunOnce | None = None, left: Collection[str] = ()) -> dict[str, Any]:
        def ask(grown: float, often: float) -> Structure:
            self.now += 5.0
            return KEYED

        allowed = Allowance(seconds, seconds, seconds)
        confirmation = Confirmation(run or self.run, most=300, allowed=allowed, control=Control(), ask=ask, left=left)
        return confirmation.run().keys["threads.leaked"]


@pytest.mark.parametrize(("lives", "conclusion", "rate"), [(2.0, "leak", 1.0), (0.3, "flat", 0.0)])
def test_a_thread_that_ended_while_something_else_took_long_did_not_end_in_time(
    lives: float, conclusion: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory grows along with it, and to find out who holds that takes seconds, in which all of them end."""
    threads = Threads(monkeypatch, lives=lives, run=0.0005)
    leaks = Leaks()

    def run() -> str | None:
        leaks.run()
        return threads.run()

    found = threads.confirmed(seconds=60, run=run)
    assert (found["conclusion"], found["rate"]) == (conclusion, rate)
    assert set(found["series"]) == {rate}


@pytest.mark.parametrize(
    ("run", "left"),
    [(0.1, ()), (2.5, ("threads.leaked",))],
    ids=["twenty at a time", "gone before the next one"],
)
def test_threads_that_end_late_are_suspected_though_their_number_does_not_grow(
    run: float, left: Collection[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Threads(monkeypatch, lives=2.0, run=run).confirmed(seconds=600, left=left)
    assert (found["conclusion"], found["rate"]) == ("unclear", 1.0)
    assert "older ones ended meanwhile" in found["may_end"]


@pytest.mark.parametrize(
    ("lives", "run", "size"),
    [(1e9, 0.01, 8), (0.9, 0.1, 10_000)],
    ids=["a pool of eight", "nine at a time, each of which ends in time"],
)
def test_a_pool_that_is_full_and_threads_that_end_in_time_are_none_left(
    lives: float, run: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Threads(monkeypatch, lives=lives, run=run, size=size).confirmed(seconds=60, left=("threads.leaked",))
    assert (found["conclusion"], found["rate"]) == ("flat", 0.0)


def test_what_is_left_in_one_run_of_forty_by_something_that_ends_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too rare to see enough of them die."""
    threads = Threads(monkeypatch, lives=2.0, run=0.0)
    monkeypatch.setattr(repeat, "conclude", lambda *_, **__: "leak")
    monkeypatch.setattr(Confirmation, "_judged", lambda self, key: Judged("growing", 0.025, 0.0))
    found = threads.confirmed(seconds=60, run=lambda: None)
    assert (found["conclusion"], found["rate"]) == ("unclear", pytest.approx(0.03, abs=0.01))


def test_a_repetition_that_goes_wrong_while_threads_are_waited_for_ends_it_for_processes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both seem to leak: nobody repeats again for the second kind, and the reason is told as of any repetition."""
    looked: list[bool] = []

    def look() -> dict[int, None]:
        looked.append(True)
        return {}

    monkeypatch.setattr(repeat, "conclude", lambda *_, **__: "leak")
    monkeypatch.setattr(Confirmation, "_judged", lambda self, key: Judged("growing", 1.0, 0.0))
    monkeypatch.setitem(KINDS, "threads.leaked", Kind(look, lambda tid, nothing: ""))
    runs: list[bool] = []

    def run() -> str | None:
        runs.append(bool(looked))
        return "it failed" if looked else None

    allowed = Allowance(60.0, 60.0, 60.0)
    confirmation = Confirmation(run, most=300, allowed=allowed, control=Control(), ask=lambda *_: KEYED)
    assert confirmation.run().problem == "it failed"
    assert runs.count(True) == 1
