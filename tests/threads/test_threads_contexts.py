"""Contexts as ExitStack enters them: both methods looked up on the type, and called with the context."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from typing import Any, Protocol
from unittest import mock

import pytest
from threads_helping import Runner, child, interpreters, no_threads_left  # noqa: F401  # autouse

from coresys.errors.hierarchy import LockClosedError, LockOrderError, LockTimeoutError
from coresys.threads import (
    LockHierarchy,
    OrderedCondition,
    OrderedLock,
    OrderedRLock,
    ReadWriteLock,
    SampledLock,
    acquire_all,
    held_locks,
)

H = LockHierarchy("h", ["outer", "inner"])
Ways = tuple[AbstractContextManager[Any], Callable[[], bool]]  # and whether anybody has it


def of_lock(kind: type[OrderedLock]) -> Ways:
    lock = kind(H["inner"], name="l")
    return lock, lock.locked


def of_within() -> Ways:
    lock = OrderedLock(H["inner"], name="l")
    return lock.within(5), lock.locked


def of_condition() -> Ways:
    condition = OrderedCondition(H["inner"], name="l")
    return condition, condition.lock.locked


def of_reading() -> Ways:
    lock = ReadWriteLock(H["inner"], name="l")
    return lock.reading(), lambda: lock.readers > 0


def of_writing() -> Ways:
    lock = ReadWriteLock(H["inner"], name="l")
    return lock.writing(5), lock._gate.locked


def of_several() -> Ways:
    lock = OrderedLock(H["inner"], name="l")
    return acquire_all(lock), lock.locked


WAYS: dict[str, Callable[[], Ways]] = {
    "OrderedLock": lambda: of_lock(OrderedLock),
    "OrderedRLock": lambda: of_lock(OrderedRLock),
    "SampledLock": lambda: of_lock(SampledLock),
    "within": of_within,
    "condition": of_condition,
    "reading": of_reading,
    "writing": of_writing,
    "acquire_all": of_several,
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@every_way
def test_an_exit_stack_takes_it_and_lets_it_go(way: Callable[[], Ways]) -> None:
    context, taken = way()
    with ExitStack() as stack:
        stack.enter_context(context)
        assert taken()
        assert held_locks() == ("l",)
    assert not taken()
    assert held_locks() == ()


@every_way
def test_a_stack_enters_what_the_context_itself_would(way: Callable[[], Ways]) -> None:
    context, _ = way()
    with context as entered:
        pass
    with ExitStack() as stack:
        again, _ = way()
        assert type(stack.enter_context(again)) is type(entered)


@every_way
def test_a_stack_that_raises_lets_it_go(way: Callable[[], Ways]) -> None:
    context, taken = way()

    def raises() -> None:
        with ExitStack() as stack:
            stack.enter_context(context)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        raises()
    assert not taken()


@every_way
def test_a_stack_of_asyncio_takes_it_and_lets_it_go(way: Callable[[], Ways]) -> None:
    context, taken = way()

    async def enter() -> bool:
        async with AsyncExitStack() as stack:
            stack.enter_context(context)
            return taken()

    assert asyncio.run(enter())
    assert not taken()


@pytest.mark.parametrize("kind", [OrderedLock, OrderedRLock, SampledLock])
def test_what_a_stack_only_leaves_is_let_go(kind: type[OrderedLock]) -> None:
    lock = kind(name="l")
    with ExitStack() as stack:
        assert lock.acquire()
        stack.push(lock)
    assert not lock.locked()


def test_a_stack_is_refused_what_the_lock_refuses_and_takes_nothing() -> None:
    outer, inner = OrderedLock(H["outer"], name="outer"), OrderedLock(H["inner"], name="inner")
    condition, shared = OrderedCondition(H["outer"], name="c"), ReadWriteLock(H["outer"], name="rw")
    with inner:
        for context in (outer, outer.within(1), condition, shared.reading(), shared.writing()):
            with pytest.raises(LockOrderError) as refused, ExitStack() as stack:
                stack.enter_context(context)
            assert refused.value.site.startswith(__file__)  # not a line of contextlib
        assert held_locks() == ("inner",)
    outer.close()
    with pytest.raises(LockClosedError), ExitStack() as stack:
        stack.enter_context(outer)


def test_what_a_stack_has_taken_is_named_with_the_place_of_whoever_asked() -> None:
    lock = OrderedLock(name="l")
    with ExitStack() as stack:
        stack.enter_context(lock)

        def late() -> None:
            lock.acquire(timeout=0.001)

        with pytest.raises(LockTimeoutError) as told:
            Runner(late).finish()
    assert told.value.holder_site is not None
    assert told.value.holder_site.startswith(__file__)


def test_a_subclass_may_have_methods_of_its_own() -> None:
    told: list[str] = []

    class Loud(OrderedLock):
        def __enter__(self) -> Loud:
            told.append("enter")
            return super().__enter__()

        def __exit__(self, *exc: object) -> None:
            told.append("exit")
            super().__exit__(*exc)

    lock = Loud(name="l")
    with lock:
        pass
    with ExitStack() as stack:
        assert stack.enter_context(lock) is lock
        assert lock.owned()
    assert told == ["enter", "exit"] * 2
    assert not lock.locked()


def test_a_subclass_may_be_abstract_too() -> None:
    class Named(abc.ABC):
        @abc.abstractmethod
        def title(self) -> str: ...

    class Titled(OrderedLock, Named):
        def title(self) -> str:
            return self.name

    lock = Titled(name="l")
    with ExitStack() as stack:
        assert stack.enter_context(lock).title() == "l"
    assert isinstance(lock, Named)
    assert isinstance(lock, OrderedLock)


def test_the_types_are_contexts() -> None:
    for kind in (OrderedLock, OrderedRLock, SampledLock, OrderedCondition):
        assert issubclass(kind, contextlib.AbstractContextManager)
        for name in ("__enter__", "__exit__"):
            assert callable(getattr(kind, name))


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_takes_them_by_a_stack(version: str) -> None:
    found = interpreters()
    if version not in found:
        pytest.skip(f"no Python {version} here")
    result = child(
        """
from contextlib import ExitStack
from coresys.threads import *
from coresys.threads import held_locks
h = LockHierarchy("h", list("abcdefg"))
rw, other = ReadWriteLock(h["d"]), ReadWriteLock(h["e"])
with ExitStack() as stack:
    for each in (OrderedLock(h["a"]), OrderedRLock(h["b"]), SampledLock(h["c"]), rw.reading(), other.writing(),
                 OrderedCondition(h["f"]), OrderedLock(h["g"]).within(1)):
        stack.enter_context(each)
    assert len(held_locks()) == 7, held_locks()
assert held_locks() == ()
""",
        python=found[version],
    )
    assert result.returncode == 0, result.stderr


class HasName(Protocol):
    @property
    def name(self) -> str: ...


def test_a_lock_may_have_a_protocol_for_a_base_and_be_asked_for_by_isinstance() -> None:
    class Named(OrderedLock, HasName):  # type: ignore[misc, metaclass, unused-ignore]
        pass

    with ExitStack() as stack:
        lock = stack.enter_context(Named(name="a"))
        assert lock.owned()
    assert isinstance(lock, OrderedLock)
    assert issubclass(Named, OrderedLock)
    assert not isinstance(OrderedLock(), Named)
    assert not isinstance(3, OrderedLock)


def test_the_methods_of_a_class_may_be_replaced_and_put_back() -> None:
    entered: list[object] = []
    free = OrderedLock()
    with mock.patch.object(OrderedLock, "__enter__", lambda lock: entered.append(lock)):
        free.__enter__()
    assert entered == [free]
    with OrderedLock() as lock:
        assert lock.owned()
