"""Atomic values: their rules, one by one, and under a storm."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from threads_helping import no_threads_left, stormy, together  # noqa: F401  # fixtures

from coresys.threads import AtomicCounter, AtomicFlag, AtomicReference


def test_a_counter_says_what_it_became() -> None:
    counter = AtomicCounter(3)
    assert [counter.add(), counter.add(-2), counter.get()] == [4, 2, 2]
    assert counter.swap(9) == 2
    assert not counter.compare_and_set(2, 5)
    assert counter.compare_and_set(9, 5)
    counter.set(1)
    assert repr(counter) == "AtomicCounter(1)"


def test_a_flag_is_set_by_one_caller_and_cleared_by_one() -> None:
    flag = AtomicFlag()
    assert [flag.get(), flag.set(), flag.set(), flag.get(), bool(flag)] == [False, True, False, True, True]
    assert [flag.clear(), flag.clear(), flag.swap(True)] == [True, False, False]
    assert repr(flag) == "AtomicFlag(True)"


def test_a_reference_is_compared_by_identity() -> None:
    first, twin, other = [1], [1], [2]
    box = AtomicReference(first)
    assert not box.compare_and_set(twin, other)
    assert box.get() is first
    assert box.compare_and_set(first, other)
    assert box.swap(first) is other
    box.set(twin)
    assert box.update(lambda old: old + [5]) == [1, 5]
    assert repr(box) == "AtomicReference([1, 5])"


def test_update_asks_again_where_somebody_else_was_faster() -> None:
    box = AtomicReference[tuple[str, ...]](("a",))
    asked = []

    def grow(old: tuple[str, ...]) -> tuple[str, ...]:
        asked.append(old)
        if len(asked) == 1:
            box.set(("b",))
        return (*old, "c")

    assert box.update(grow) == ("b", "c")
    assert asked == [("a",), ("b",)]


@pytest.mark.parametrize("made", [AtomicCounter(), AtomicFlag(), AtomicReference(None)])
def test_atomics_cannot_be_copied_or_pickled(made: Any) -> None:
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="shared by the threads"):
            way(made)


@pytest.mark.slow
@pytest.mark.usefixtures("stormy")
def test_nothing_is_lost_or_doubled_in_a_storm() -> None:
    counter, cell, flag, box = AtomicCounter(), AtomicCounter(), AtomicFlag(), AtomicReference[tuple[int, ...]](())
    wins = AtomicCounter()

    def work() -> list[int]:
        seen = []
        for turn in range(300):
            seen.append(counter.add())
            while True:
                now = cell.get()
                if cell.compare_and_set(now, now + 1):
                    break
            if flag.set():
                wins.add()
                assert flag.clear()
            if turn % 10 == 0:
                box.update(lambda old: (*old, len(old)))
        return seen

    seen = sorted(number for numbers in together(*[work] * 8) for number in numbers)
    assert seen == list(range(1, 2401))
    assert counter.get() == cell.get() == 2400
    assert box.get() == tuple(range(240))
    assert not flag
    assert wins.get() > 0
