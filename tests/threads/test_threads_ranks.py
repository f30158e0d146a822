"""The declared order: what a hierarchy is, and that every pair of ranks is refused in the wrong order only."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable

import pytest
from threads_helping import Runner, no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import LockOrderError, RankError
from coresys.threads import (
    LockHierarchy,
    OrderedCondition,
    OrderedLock,
    OrderedRLock,
    ReadWriteLock,
    SampledLock,
    acquire_all,
)

NAMES = ("system", "registry", "channel", "buffer", "slot", "log")
SIX = LockHierarchy("six", NAMES)
PAIRS = [(first, second) for first in NAMES for second in NAMES]


@pytest.mark.parametrize(
    ("name", "ranks", "same", "problem"),
    [
        ("", ["a"], {}, "no name"),
        ("x", [], {}, "no ranks"),
        ("x", ["a", "a"], {}, "'a' is declared twice"),
        ("x", ["a", ""], {}, "a rank has no name"),
        ("x", ["a"], {"b": "one"}, "'b', which is no rank"),
        ("x", ["a"], {"a": "both"}, "'both' is no rule"),
    ],
)
def test_a_hierarchy_that_is_wrong_in_itself_is_refused_by_name(
    name: str, ranks: list[str], same: dict[str, str], problem: str
) -> None:
    with pytest.raises(RankError, match=problem):
        LockHierarchy(name, ranks, same=same)  # type: ignore[arg-type]  # the point


def test_a_hierarchy_is_immutable_comparable_and_may_be_pickled() -> None:
    again = LockHierarchy("six", NAMES)
    assert again == SIX
    assert hash(again) == hash(SIX)
    assert again != LockHierarchy("six", NAMES, same={"log": "one"})
    assert SIX != "six"
    assert pickle.loads(pickle.dumps(SIX)) == SIX == copy.deepcopy(SIX)
    with pytest.raises(AttributeError, match="immutable"):
        SIX.name = "other"
    with pytest.raises(AttributeError, match="immutable"):
        del SIX.ranks
    assert len(SIX) == 6
    assert "slot" in SIX
    assert "nothing" not in SIX
    assert repr(SIX) == "<LockHierarchy six: system > registry > channel > buffer > slot > log>"


@pytest.mark.parametrize(
    "other",
    [
        LockHierarchy("six", ["cache", "index"]),
        LockHierarchy("six", NAMES[:2]),
        LockHierarchy("six", NAMES, same={"log": "one"}),
    ],
)
def test_hierarchies_that_share_a_name_only_have_no_order(other: LockHierarchy) -> None:
    inner, outer = OrderedLock(SIX["channel"]), OrderedLock(other.ranks[0])
    with inner, outer:
        pass
    with outer, inner:
        pass
    condition = OrderedCondition(other.ranks[0])
    with condition, inner:
        assert condition.wait(0) is False
    first, second = OrderedLock(SIX["system"]), OrderedLock(SIX["registry"])
    for given in ((first, outer, second), (second, first, outer), (outer, second, first)):
        with acquire_all(*given):
            pass


def test_hierarchies_that_say_the_same_are_one() -> None:
    again = pickle.loads(pickle.dumps(LockHierarchy("six", list(NAMES))))
    assert again.ranks[0] in SIX
    with OrderedLock(SIX["channel"]), pytest.raises(LockOrderError), OrderedLock(again["registry"]):
        pass
    with OrderedLock(pickle.loads(pickle.dumps(again["slot"]))), pytest.raises(LockOrderError):
        OrderedLock(SIX["slot"]).acquire()


def test_a_rank_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(RankError, match="did you mean channel"):
        SIX["chanel"]


def _lock(rank: str) -> OrderedLock:
    return OrderedLock(SIX[rank])


def _rlock(rank: str) -> OrderedLock:
    return OrderedRLock(SIX[rank])


def _sampled(rank: str) -> OrderedLock:
    return SampledLock(SIX[rank], every=1)


def _direct(first: OrderedLock, second: OrderedLock) -> None:
    with first, second:
        assert first.owned()
        assert second.owned()


def _through_calls(first: OrderedLock, second: OrderedLock) -> None:
    def inner() -> None:
        second.acquire()
        second.release()

    def middle() -> None:
        inner()

    with first:
        middle()


def _by_deadline(first: OrderedLock, second: OrderedLock) -> None:
    with first.within(1), second.within(1):
        pass


def _without_waiting(first: OrderedLock, second: OrderedLock) -> None:
    assert first.acquire(blocking=False)
    try:
        assert second.acquire(blocking=False)
        second.release()
    finally:
        first.release()


@pytest.mark.parametrize("way", [_direct, _through_calls, _by_deadline, _without_waiting])
@pytest.mark.parametrize("make", [_lock, _rlock, _sampled])
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_every_pair_of_ranks_is_taken_in_order_and_refused_out_of_it(
    outer: str,
    inner: str,
    make: Callable[[str], OrderedLock],
    way: Callable[[OrderedLock, OrderedLock], None],
) -> None:
    first, second = make(outer), make(inner)
    if SIX.may_follow(outer, inner):
        way(first, second)
    else:
        with pytest.raises(LockOrderError) as refused:
            way(first, second)
        error = refused.value
        assert (error.wanted, error.held) == (second.name, first.name)
        assert (error.rank, error.held_rank) == (f"six.{inner}", f"six.{outer}")
        assert __file__ in error.site
        assert __file__ in error.held_site
        assert error.site != error.held_site or way in (_direct, _by_deadline)
    assert not first.locked()
    assert not second.locked()


def test_an_order_error_names_both_locks_ranks_and_places() -> None:
    channel, registry = OrderedLock(SIX["channel"], name="orders"), OrderedLock(SIX["registry"], name="names")
    with channel:  # line A
        here = _line() - 1
        with pytest.raises(LockOrderError) as refused:
            registry.acquire()
    error = refused.value
    assert error.held_site == f"{__file__}:{here}"
    assert error.site == f"{__file__}:{here + 3}"
    assert "'registry' comes before 'channel' in hierarchy 'six'" in str(error)
    assert str(error).startswith("lock 'names' (rank six.registry) requested at ")


def _line() -> int:
    return sys._getframe(1).f_lineno


def test_it_is_refused_before_it_waits() -> None:

    channel, registry = _lock("channel"), _lock("registry")
    taken, leave = threading.Event(), threading.Event()

    def other() -> None:
        with registry:
            taken.set()
            leave.wait(20)

    holder = Runner(other)
    assert taken.wait(20)
    with channel, pytest.raises(LockOrderError):
        registry.acquire()  # held by another thread: to wait would hang this test
    leave.set()
    holder.finish()


def test_locks_let_go_out_of_turn_leave_the_order_of_the_others() -> None:
    a, b, c = _lock("system"), _lock("channel"), _lock("log")
    a.acquire()
    b.acquire()
    a.release()
    with pytest.raises(LockOrderError):
        a.acquire()
    with c:
        pass
    b.release()
    with a, b, c:
        pass


def test_locks_of_different_hierarchies_do_not_hide_one_another() -> None:
    other = LockHierarchy("other", ["x", "y"])
    a, x, b = _lock("channel"), OrderedLock(other["y"]), _lock("registry")
    with a, x:
        with pytest.raises(LockOrderError, match="comes before 'channel'"):
            b.acquire()
        with _lock("log"):
            pass


def test_a_lock_that_was_let_go_in_the_middle_can_be_taken_again_at_the_end() -> None:
    other = LockHierarchy("other", ["x", "y"])
    x, a = OrderedLock(other["x"]), _lock("channel")
    for _ in range(3):
        x.acquire()
        a.acquire()
        x.release()
        x.acquire()
        with pytest.raises(LockOrderError, match="re-entrant"):
            x.acquire()
        a.release()
        x.release()
    assert not x.locked()


@pytest.mark.parametrize(
    ("rule", "one_by_one", "reversed_", "at_once"),
    [("one", False, False, False), ("together", False, False, True), ("ascending", True, False, True)],
)
def test_what_two_locks_of_one_rank_may_do(rule: str, one_by_one: bool, reversed_: bool, at_once: bool) -> None:
    rank = LockHierarchy("h", ["a"], same={"a": rule})["a"]  # type: ignore[dict-item]  # one of three
    first, second = OrderedLock(rank), OrderedLock(rank)

    def allowed(way: Callable[[], None]) -> bool:
        try:
            way()
        except LockOrderError:
            return False
        finally:
            assert not first.locked()
            assert not second.locked()
        return True

    def all_at_once() -> None:
        with acquire_all(second, first):
            assert first.owned()
            assert second.owned()

    assert allowed(lambda: _direct(first, second)) is one_by_one
    assert allowed(lambda: _direct(second, first)) is reversed_
    assert allowed(all_at_once) is at_once


@pytest.mark.parametrize("side", ["reading", "writing"])
def test_read_write_locks_and_conditions_keep_the_order_too(side: str) -> None:
    shared = ReadWriteLock(SIX["registry"])
    condition = OrderedCondition(SIX["system"])
    with getattr(shared, side)():
        with pytest.raises(LockOrderError), condition:
            pass
        with _lock("log"):
            pass
    with condition, getattr(shared, side)():
        pass
    with _lock("channel"), pytest.raises(LockOrderError), getattr(shared, side)():
        pass


def test_locks_without_a_rank_have_no_order() -> None:
    a, b = OrderedLock(name="a"), OrderedLock(name="b")
    _direct(a, b)
    _direct(b, a)
    with a, pytest.raises(LockOrderError, match="not re-entrant"):
        a.acquire()
