"""TestManager and MovableClock."""

from __future__ import annotations

import doctest
import sys
import threading
from typing import Any

import pytest
from interrupting import NOT_TRACED, Hitting

from coresys.errors.hierarchy import DuplicateEnvironmentError, UnknownEnvironmentError
from coresys.system_records import EnvironmentSpec
from coresys.testing import clocks, manager
from coresys.testing.clocks import MovableClock
from coresys.testing.fakes import FakeClock
from coresys.testing.manager import TestManager


class World:
    made: list[World] = []  # noqa: RUF012  # emptied by the fixture below

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.name, self.leaves, self.closed, self.error = spec.name, ("a thing",), 0, None
        World.made.append(self)

    def left(self) -> tuple[str, ...]:
        return self.leaves

    def close(self) -> tuple[str, ...]:
        self.closed += 1
        if self.error is not None:
            raise self.error
        return self.leaves


@pytest.fixture(autouse=True)
def _none_were_made() -> None:
    World.made.clear()


def manager_of(make: Any = World, **given: Any) -> TestManager:
    return TestManager(make, **given)


def test_the_examples_run() -> None:
    assert doctest.testmod(clocks).attempted >= 4
    assert doctest.testmod(clocks).failed == 0


def test_records_say_how_long_it_took_to_open_and_close() -> None:
    clock = FakeClock()

    def make(spec: EnvironmentSpec) -> World:
        clock.advance(2.0)
        return World(spec)

    tests = manager_of(make, now=clock.now)
    opened = tests.open_environment(EnvironmentSpec("a"))
    assert (opened.open, opened.setup_seconds, opened.cleanup_seconds) == (True, 2.0, None)
    assert tests.verify_environment("a").left == ("a thing",)
    assert World.made[0].closed == 0
    closed = tests.close_environment("a")
    assert (closed.open, closed.cleanup_seconds, closed.left) == (False, 0.0, ("a thing",))
    assert repr(tests) == "<TestManager: 0 environments open>"


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()], ids=repr)
def test_a_name_is_free_again_where_its_environment_could_not_be_made(error: BaseException) -> None:
    def make(spec: EnvironmentSpec) -> World:
        if not World.made:
            World(spec)
            raise error
        return World(spec)

    tests = manager_of(make)
    with pytest.raises(type(error)):
        tests.open_environment(EnvironmentSpec("a"))
    assert tests.environments() == ()
    assert tests.open_environment(EnvironmentSpec("a")).open


def test_one_that_is_being_made_has_its_name_and_is_not_open_yet() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def make(spec: EnvironmentSpec) -> World:
        entered.set()
        go_on.wait(10)
        return World(spec)

    tests = manager_of(make)
    opener = threading.Thread(target=tests.open_environment, args=(EnvironmentSpec("a"),))
    opener.start()
    entered.wait(10)
    with pytest.raises(DuplicateEnvironmentError):
        tests.open_environment(EnvironmentSpec("a"))
    with pytest.raises(UnknownEnvironmentError):
        tests.environment("a")
    with pytest.raises(UnknownEnvironmentError):
        tests.close_environment("a")
    assert tests.environments() == ()
    go_on.set()
    opener.join()
    assert [each.name for each in tests.environments()] == ["a"]


def test_one_that_is_closed_by_two_is_closed_once() -> None:
    tests = manager_of()
    tests.open_environment(EnvironmentSpec("a"))
    both, found = threading.Barrier(2), list[str]()

    def close() -> None:
        both.wait(10)
        try:
            found.append(str(tests.close_environment("a").open))
        except UnknownEnvironmentError:
            found.append("unknown")

    closers = [threading.Thread(target=close) for _ in range(2)]
    for each in closers:
        each.start()
    for each in closers:
        each.join()
    assert (sorted(found), World.made[0].closed) == (["False", "unknown"], 1)


def test_one_that_fails_to_close_is_gone_all_the_same() -> None:
    tests = manager_of()
    tests.open_environment(EnvironmentSpec("a"))
    World.made[0].error = OSError("stuck")  # type: ignore[assignment]
    with pytest.raises(OSError, match="stuck"):
        tests.close_environment("a")
    assert tests.environments() == ()
    assert tests.open_environment(EnvironmentSpec("a")).open


@NOT_TRACED
def test_an_interruption_of_opening_leaves_a_name_free_or_an_environment_open() -> None:
    for at in range(1, 40):
        tests = manager_of()
        World.made.clear()
        hitting = Hitting({manager.__file__}, at, same_handler=sys.version_info >= (3, 11))
        again = hitting.watching(lambda tests=tests: tests.open_environment(EnvironmentSpec("a")))  # type: ignore[misc]
        if not again:
            break
        known = [each.name for each in tests.environments()]
        assert not any(world.closed for world in World.made) or not known, f"closed, and open, at {hitting.where}"
        if not known:  # what was made, and not given to anybody yet, is nobody's: no code can know of it
            assert tests.open_environment(EnvironmentSpec("a")).open, f"the name is taken after {hitting.where}"
    assert at > 4


@NOT_TRACED
def test_an_interruption_of_closing_leaves_it_open_or_closed_and_forgotten() -> None:
    for at in range(1, 40):
        tests = manager_of()
        World.made.clear()
        tests.open_environment(EnvironmentSpec("a"))
        hitting = Hitting({manager.__file__}, at, same_handler=sys.version_info >= (3, 11))
        again = hitting.watching(lambda tests=tests: tests.close_environment("a"))  # type: ignore[misc]
        if not again:
            break
        assert World.made[0].closed == (not tests.environments()), f"lost at {hitting.where}"
        if not tests.environments():
            assert tests.open_environment(EnvironmentSpec("a")).open, f"the name is taken after {hitting.where}"
    assert at > 4


def test_a_clock_that_is_moved_goes_on_from_there() -> None:
    clock, other = MovableClock(), MovableClock()
    before, day = clock.now(), clock.time()
    clock.advance(3600)
    clock.advance(0)
    assert clock.now() - before >= 3600
    assert clock.time() - day >= 3599
    assert clock.now() - other.now() >= 3599, "nobody else goes by it"
    clock.sleep(0)
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="moved on"):
            clock.advance(wrong)


def test_a_clock_that_many_move_has_gone_as_far_as_all_together() -> None:
    clock = MovableClock()
    before = clock.now()

    def move() -> None:
        for _ in range(500):
            clock.advance(1)

    movers = [threading.Thread(target=move) for _ in range(4)]
    for each in movers:
        each.start()
    for each in movers:
        each.join()
    assert 2000 <= clock.now() - before < 3000
