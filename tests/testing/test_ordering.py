"""Threads make the steps that were stated, in that order; or it is told who did not, and nothing hangs."""

from __future__ import annotations

import doctest
import pickle
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from coresys.clock import sleep
from coresys.errors.hierarchy import OrderingError
from coresys.testing import ordering as ordering_module
from coresys.testing.ordering import Ordering
from coresys.threads import OrderedLock

SOON = 0.05  # seconds: the patience where it is to end


def test_the_examples_run() -> None:
    result = doctest.testmod(ordering_module)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize("seed", range(20))
def test_steps_are_made_in_their_order_whoever_makes_them(seed: int) -> None:
    steps = [f"step {number}" for number in range(30)]
    random = Random(seed)
    maker = {step: random.choice("abcd") for step in steps}
    whose = {name: [step for step in steps if maker[step] == name] for name in "abcd"}
    order, made = Ordering(*steps), []
    inside = threading.Lock()

    def make(mine: list[str]) -> Callable[[], int]:
        def run() -> int:
            for step in mine:
                with order.step(step):
                    assert inside.acquire(blocking=False), "two steps at once"
                    made.append(step)
                    inside.release()
            return len(mine)

        return run

    counts = order.run(**{name: make(mine) for name, mine in whose.items()})
    assert made == steps
    assert counts == {name: len(mine) for name, mine in whose.items()}


def test_a_wrong_order_is_told_at_once() -> None:
    order = Ordering("a", "b", "c", patience=3600)
    made: list[str] = []

    def one() -> None:
        order.reach("a")
        made.append("a")
        order.reach("c")
        made.append("c")
        order.reach("b")

    def other() -> None:
        made.append("other")

    with pytest.raises(OrderingError, match="step 'b' cannot come: one waits to begin 'c'") as told:
        order.run(one=one, other=other)
    assert sorted(made) == ["a", "other"]
    assert (told.value.step, told.value.standing) == ("b", (("one", "waits to begin 'c'"),))
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


def test_a_step_that_nobody_makes_is_told_when_all_have_ended() -> None:
    order = Ordering("a", "b", patience=3600)
    with pytest.raises(OrderingError, match="step 'b' cannot come"):
        order.run(one=lambda: order.reach("a"), other=lambda: None)


@pytest.mark.parametrize("kind", [threading.Lock, OrderedLock], ids=["lock", "lock of ours"])
def test_a_thread_that_never_arrives_is_named_with_where_it_stands(kind: Callable[[], Any]) -> None:
    order, never = Ordering("a", "b", patience=SOON), kind()
    never.acquire()

    def lost() -> None:
        never.acquire()
        never.release()
        order.reach("a")

    try:
        with pytest.raises(OrderingError) as told:
            order.run(lost=lost, waits=lambda: order.reach("b"))
    finally:
        never.release()
    standing = dict(told.value.standing)
    line = lost.__code__.co_firstlineno + 1
    assert standing["lost"] == f"stands at {__file__}:{line} (lost)"
    assert standing.get("waits", "waits to begin 'b'") == "waits to begin 'b'"
    assert told.value.step == "a"


@pytest.mark.parametrize(("step", "problem"), [("x", "step 'x' is not one of 'a', 'b'"), ("a", "step 'a' was made")])
def test_a_step_that_is_not_stated_or_was_made_is_refused(step: str, problem: str) -> None:
    order = Ordering("a", "b")
    order.reach("a")
    with pytest.raises(OrderingError, match=problem):
        order.reach(step)
    with pytest.raises(OrderingError, match=problem):  # for all, from then on
        order.reach("b")


def test_of_two_that_wait_for_one_step_the_second_is_told() -> None:
    order = Ordering("a", "b", "c", patience=3600)

    def begin() -> None:
        with order.step("a"):
            while len(order._waiting) < 2:
                sleep(0)

    with pytest.raises(OrderingError, match="step 'b' was made before"):
        order.run(one=lambda: order.reach("b"), other=lambda: order.reach("b"), begin=begin)


def test_what_a_step_raises_ends_the_order_for_all_and_is_what_is_raised() -> None:
    order = Ordering("a", "b", patience=3600)

    def fails() -> None:
        with order.step("a"):
            raise LookupError("gone")

    seen: list[str] = []

    def waits() -> None:
        try:
            order.reach("b")
        except OrderingError as error:
            seen.append(error.problem)
            raise

    with pytest.raises(LookupError, match="gone"):
        order.run(waits=waits, fails=fails)
    assert seen == ["step 'a' raised LookupError: gone"]


def test_a_step_may_wait_for_what_another_thread_cannot_tell() -> None:
    lock = OrderedLock(name="stock")
    order = Ordering("first holds it", "second may ask", "second waits for it")

    def first() -> None:
        with lock:
            order.reach("first holds it")
            order.reach("second waits for it", when=lambda: lock.statistics().waiting == 1)

    def second() -> str:
        order.reach("second may ask")
        with lock:
            return "had it"

    assert order.run(first=first, second=second)["second"] == "had it"
    assert lock.statistics().contended == 1


def test_what_a_step_waits_for_in_vain_is_told() -> None:
    order = Ordering("a", "b", patience=SOON)
    with pytest.raises(OrderingError, match="what step 'a' begins with did not come true"):
        order.reach("a", when=lambda: False)
    with pytest.raises(OrderingError):
        order.reach("b")


@pytest.mark.parametrize("steps", [(), ("a", "b", "a")])
def test_an_order_without_steps_or_with_one_twice_is_refused(steps: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="steps are at least one, and each there once"):
        Ordering(*steps)
