"""Steps threads through a stated order, so that a test of an interleaving sees the same one each time.

>>> from coresys.testing.ordering import Ordering
>>> order = Ordering("the reader looks", "the writer writes", "the reader looks again")
>>> stock, seen = {"apples": 3}, []
>>> def read() -> None:
...     with order.step("the reader looks"):
...         seen.append(stock["apples"])
...     with order.step("the reader looks again"):
...         seen.append(stock["apples"])
>>> def write() -> None:
...     with order.step("the writer writes"):
...         stock["apples"] = 2
>>> _ = order.run(reader=read, writer=write)
>>> seen
[3, 2]

A thread that comes too early waits for its turn. One that cannot have it, or that never comes, is an OrderingError in
all that wait, which says what was missing and where each thread stands; so a test fails and does not hang:

>>> order = Ordering("a", "b")
>>> def wrong() -> None:
...     order.reach("b")
...     order.reach("a")
>>> order.run(worker=wrong)
Traceback (most recent call last):
...
coresys.errors.hierarchy.OrderingError: step 'a' cannot come: worker waits to begin 'b'

Invariant, under ``_condition``: the steps before ``_at`` are over; that one is going on where ``_inside``, and is else
the only one that may begin.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from coresys.clock import monotonic, sleep
from coresys.errors.hierarchy import OrderingError
from coresys.frames import current_frames
from coresys.threads.sites import NOT_KNOWN, outside, site_of

_LOOK = 0.0005  # seconds between two looks at a condition of somebody's
_OURS = (__name__, "threading")


class Ordering:
    """The order of the steps that some threads make, each of them once.

    ``patience`` is how many seconds of the machine's clock nothing may happen before whoever waits gives up. Raises
    ValueError where there is no step, or one is there twice.
    """

    def __init__(self, *steps: str, patience: float = 10.0) -> None:
        if not steps or len(set(steps)) != len(steps):
            raise ValueError(f"steps are at least one, and each there once: {', '.join(steps) or 'none'}")
        self._steps, self._patience = steps, patience
        self._condition = threading.Condition()
        self._at, self._inside = 0, False
        self._waiting: dict[int, str] = {}  # thread to step
        self._threads: dict[str, threading.Thread] = {}  # those of ``run``; nobody else takes part while it runs
        self._ended: set[str] = set()
        self._failed: OrderingError | None = None
        self._last = monotonic()  # when something happened

    @contextmanager
    def step(self, name: str, *, when: Callable[[], object] | None = None) -> Iterator[None]:
        """The block is this step: it begins when all before it are over, and the next one may begin when it ends.

        ``when``: it does not begin before this is true, which is looked at again and again: for what another thread is
        about to do and cannot tell, as to wait for a lock. Raises OrderingError where it is not stated, was made
        before, or cannot come any more. What the block raises ends the order for all.
        """
        self._begin(name)
        try:
            if when is not None:
                self._await(name, when)
            yield
        except BaseException as error:
            self._fail(f"step {name!r} raised {type(error).__name__}: {error}", name)
            raise
        with self._condition:
            self._at, self._inside, self._last = self._at + 1, False, monotonic()
            self._look_for_an_end()
            self._condition.notify_all()

    def reach(self, name: str, *, when: Callable[[], object] | None = None) -> None:
        """A step without anything in it: a point that is passed when its turn has come."""
        with self.step(name, when=when):
            pass

    def run(self, **functions: Callable[[], Any]) -> dict[str, Any]:
        """Call each function in a thread of its name, and return what they returned, by name, when all have ended.

        Raises the first error of a function, or OrderingError where a thread hangs (it is left, a daemon) or a step was
        not made. Of threads that are all of ``run``'s, it is seen at once that the next step cannot come.
        """
        results: dict[str, Any] = {}
        errors: dict[str, BaseException] = {}

        def call(name: str, function: Callable[[], Any]) -> None:
            try:
                results[name] = function()
            except BaseException as error:  # told to whoever runs us
                errors[name] = error
            finally:
                with self._condition:
                    self._ended.add(name)
                    self._last = monotonic()
                    self._look_for_an_end()
                    self._condition.notify_all()

        with self._condition:
            self._last = monotonic()
            self._threads = {
                name: threading.Thread(target=call, args=(name, function), name=name, daemon=True)
                for name, function in functions.items()
            }
        for thread in self._threads.values():
            thread.start()
        self._await_all()
        raised = [errors[name] for name in functions if name in errors]
        for error in sorted(raised, key=lambda each: isinstance(each, OrderingError)):  # a cause before what it caused
            raise error
        if self._failed is not None:
            raise self._failed
        return results

    # -- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> None:
        me = threading.get_ident()
        with self._condition:
            if self._failed is not None:
                raise self._failed
            if name not in self._steps:
                self._give_up(f"step {name!r} is not one of {', '.join(map(repr, self._steps))}", name)
            index = self._steps.index(name)
            self._waiting[me] = name
            try:
                self._look_for_an_end()
                self._await_turn(index)
            finally:
                self._waiting.pop(me, None)
            self._inside, self._last = True, monotonic()

    def _await_turn(self, index: int) -> None:
        while self._failed is None and (self._at != index or self._inside):
            if self._at > index or (self._at == index and self._inside):
                self._give_up(f"step {self._steps[index]!r} was made before", self._steps[index])
            self._condition.wait(max(0.0, self._left()))
            if self._failed is None and self._left() <= 0:
                self._give_up(f"step {self._steps[self._at]!r} did not {'end' if self._inside else 'come'}", None)
        if self._failed is not None:
            raise self._failed

    def _await(self, name: str, when: Callable[[], object]) -> None:
        while not when():
            if self._failed is not None:
                raise self._failed
            if self._left() <= 0:
                self._fail(f"what step {name!r} begins with did not come true", name)
                assert self._failed is not None
                raise self._failed
            sleep(_LOOK)

    def _await_all(self) -> None:
        with self._condition:
            while len(self._ended) < len(self._threads) and self._left() > 0:
                self._condition.wait(max(0.0, self._left()))
            if len(self._ended) < len(self._threads):
                self._note(f"{self._next()} is as far as it came", None)
        for name in self._ended:
            self._threads[name].join()

    def _left(self) -> float:
        return self._last + self._patience - monotonic()

    def _next(self) -> str:
        return f"step {self._steps[self._at]!r}" if self._at < len(self._steps) else "the last step"

    def _look_for_an_end(self) -> None:
        """Give up where the next step cannot come: all threads that could make it wait for later ones, or ended."""
        going_on = [thread for name, thread in self._threads.items() if name not in self._ended]
        if not self._threads or self._inside or self._at >= len(self._steps) or self._failed is not None:
            return
        step = self._steps[self._at]
        later = self._steps[self._at + 1 :]  # who waits for an earlier one is told that it was made
        if all(self._waiting.get(thread.ident or 0) in later for thread in going_on):
            self._note(f"step {step!r} cannot come", step)

    def _fail(self, problem: str, step: str | None) -> None:
        with self._condition:
            self._note(problem, step)

    def _give_up(self, problem: str, step: str | None) -> None:
        self._note(problem, step)
        assert self._failed is not None
        raise self._failed

    def _note(self, problem: str, step: str | None) -> None:
        """The first problem is the cause; whoever waits is told of that one."""
        if self._failed is None:
            step = step if step is not None or self._at >= len(self._steps) else self._steps[self._at]
            self._failed = OrderingError(problem=problem, step=step, standing=self._standing())
        self._condition.notify_all()

    def _standing(self) -> tuple[tuple[str, str], ...]:
        """Where each thread that takes part is, in words."""
        frames = current_frames()
        names: dict[int | None, str] = {
            thread.ident: thread.name for thread in threading.enumerate() if thread.ident in self._waiting
        }
        names.update((thread.ident, name) for name, thread in self._threads.items() if name not in self._ended)
        found = []
        for ident, name in names.items():
            if ident is None:
                continue
            if ident in self._waiting:
                found.append((name, f"waits to begin {self._waiting[ident]!r}"))
            elif ident != threading.get_ident():
                found.append((name, f"stands at {_place(frames.get(ident))}"))
        return tuple(found)


def _place(frame: FrameType | None) -> str:
    found = outside(frame, _OURS)
    return NOT_KNOWN if found is None else f"{site_of(found)} ({found.f_code.co_name})"


__all__ = ["Ordering"]
