"""The environment of one test: its own in everything, and what was left in it is named and taken away."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from inturn import in_turn
from storms import no_threads_left

from coresys import build_system
from coresys.coordinators.assembly import build_environment
from coresys.coordinators.environment import SystemEnvironment
from coresys.errors.hierarchy import LeaseLimitError, LeftBehindError, LockOrderError, PoolsClosedError, RankError
from coresys.resources.tiers import Tier
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec, StateDefinition
from coresys.threads.watching.install import install, uninstall

__all__ = ["no_threads_left"]  # a fixture

SMALL = (Tier("small", 4096, 8), Tier("large", 1024 * 1024, 2))
DOOR = StateDefinition("door", ("shut", "open"), "shut", (("push", "shut", "open"),))


def opened(name: str = "t", **limits: Any) -> SystemEnvironment:
    return build_environment(EnvironmentSpec(name, **limits), tiers=SMALL, ranks=["book"])


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def use(own: SystemEnvironment) -> None:
    """Everything of it, as a test that leaves nothing."""
    own.state.define("door", DOOR)
    own.state.fire("door", "push")
    with own.resources.lease(100, owner="a"), own.threads.lock("book"):
        assert own.threads.submit(pow, 2, 5).result() == 32
    own.resources.register("f", owner="a", close=list)
    own.components.register(ComponentSpec("db"), start=list, stop=list)
    own.components.start()
    own.errors.report(OSError("seen"), component="web")
    own.monitoring.count("uses")
    own.cleanup.add(CleanupStep("used"), list)


def test_who_leaves_nothing_is_told_of_nothing() -> None:
    own = opened()
    use(own)
    assert own.left() == own.close() == ()
    assert own.places == ()
    assert own.close() == (), "a second time"


def test_two_share_nothing_and_the_next_one_finds_nothing() -> None:
    first, second = opened(), opened()
    use(first)
    kept = first.resources.lease(100, owner="a")
    first.clock.advance(100.0)  # type: ignore[attr-defined]
    for other in (second, opened()):
        assert other.state.names() == ()
        assert other.resources.leases() == ()
        assert [each.busy for each in other.pools.statistics()] == [0, 0]
        assert other.components.components() == ()
        assert other.errors.recent() == ()
        assert other.monitoring.snapshot().counters == ()
        assert other.threads.statistics().submitted == 0
        assert other.threads.locks() == ()
        assert first.clock.now() - other.clock.now() > 99
        use(other)
        assert other.close() == ()
    assert len(first.close()) == 1
    assert kept is not None


def here() -> int:
    return sys._getframe(1).f_lineno


class Leaving:
    """What a test may leave: each makes one thing, and returns what is told of it, but for its place, and its line."""

    def __init__(self, own: SystemEnvironment, gate: threading.Event) -> None:
        self.own, self.gate, self.kept = own, gate, list[Any]()

    def lent(self) -> tuple[str, int | None]:
        self.kept.append(self.own.resources.lease(10, owner="web"))
        return "a buffer of 10 bytes, lent to 'web', taken at", here() - 1

    def dropped(self) -> tuple[str, int | None]:
        self.own.resources.lease(20, owner="web")
        return "a buffer of 20 bytes, lent to 'web' and dropped, taken at", here() - 1

    def used(self) -> tuple[str, int | None]:
        lease = self.own.resources.lease(30, owner="web")
        self.kept += [lease, pickle.PickleBuffer(lease.view)]
        return "a buffer of 30 bytes, lent to 'web'", here() - 2

    def sliced(self) -> tuple[str, int | None]:
        with self.own.resources.lease(30, owner="web") as view:
            self.kept.append(view[:10])  # given back, and a slice of it is alive
        return "cleanup step 'close resources' failed: LeaseInUseError", None

    def task(self) -> tuple[str, int | None]:
        begun = threading.Event()

        def work() -> None:
            begun.set()
            self.gate.wait(30)

        self.own.threads.submit(work)
        begun.wait(10)
        return "a task that runs on", here() - 4

    def waiting(self) -> tuple[str, int | None]:
        begun = threading.Event()
        self.own.threads.submit_with(in_turn(begun.set, lambda: self.gate.wait(30)), channel="c")
        begun.wait(10)
        self.own.threads.submit_with(str, channel="c")
        return "1 task that had not begun", None

    def lock(self) -> tuple[str, int | None]:
        lock = self.own.threads.lock("book", name="ledger")
        lock.acquire()
        self.kept.append(lock)
        return "lock 'ledger', held by", here() - 2

    def failing(self) -> tuple[str, int | None]:
        self.own.resources.register("f", owner="web", close=lambda: int("x"))
        return "'f' of 'web', registered at", here() - 1

    def hanging(self) -> tuple[str, int | None]:
        self.own.resources.register("h", owner="web", close=lambda: self.gate.wait(30))
        return "'h' of 'web', registered at", here() - 1

    def step(self) -> tuple[str, int | None]:
        self.own.cleanup.add(CleanupStep("mine", deadline=0.02), lambda: self.gate.wait(30))
        return "cleanup step 'mine' did not end", None

    def failing_step(self) -> tuple[str, int | None]:
        self.own.cleanup.add(CleanupStep("bad"), lambda: int("x"))
        return "cleanup step 'bad' failed: ValueError: invalid literal", None

    def component(self) -> tuple[str, int | None]:
        self.own.components.register(ComponentSpec("web"), start=list, stop=lambda: int("x"))
        self.own.components.start()
        return "cleanup step 'stop components' failed", None


KINDS = [name for name in vars(Leaving) if not name.startswith("_")]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_is_named_once_with_its_place(kind: str, gate: threading.Event) -> None:
    own = opened()
    use(own)
    leaving = Leaving(own, gate)
    told, line = getattr(leaving, kind)()
    lines = own.close()
    about = [each for each in lines if each.startswith(told)]
    assert len(about) == 1, lines
    rest = [each for each in lines if each not in about]
    assert [each.partition(" on ")[0] for each in rest] == (["a task that runs"] if kind == "waiting" else [])
    if line is not None:
        assert f"{__file__}:{line}" in about[0]
    if kind in ("lent", "dropped", "used", "failing", "hanging", "lock"):
        assert [str(place) for place in own.places] == [f"{__file__}:{line}"]
    again = opened()
    use(again)
    assert again.close() == ()
    leaving.kept.clear()


def test_a_task_that_is_a_function_of_the_library_is_told_by_that_one(gate: threading.Event) -> None:
    """Locks are watched: whoever waits does so within functions of the watch, which are nobody's place."""
    install()
    try:
        own = opened()
        own.threads.submit(gate.wait, 30)
        while not any("Event.wait" in line or "threading.wait" in line for line in own.left()):
            threading.Event().wait(0.001)
        lines = own.close()
    finally:
        uninstall()
    called = "threading.Event.wait" if sys.version_info >= (3, 11) else "threading.wait"
    assert [line.partition(", ")[2] for line in lines] == [f"in {called}"] * len(lines)
    assert lines


def test_all_kinds_at_once_are_each_named(gate: threading.Event) -> None:
    own = opened()
    leaving = Leaving(own, gate)
    told = [getattr(leaving, kind)()[0] for kind in KINDS if kind not in ("hanging", "component", "sliced")]
    lines = own.close()
    for each in told:
        assert [line for line in lines if line.startswith(each)], (each, lines)
    leaving.kept.clear()


def test_what_is_left_at_one_line_is_counted() -> None:
    own = opened()
    kept = [own.resources.lease(10, owner="web") for _ in range(3)]
    assert len(own.left()) == len(own.close()) == len(kept)


@pytest.mark.parametrize("kind", ["lent", "dropped", "task", "waiting", "lock"])
def test_what_stands_now_is_looked_at_and_nothing_taken_away(kind: str, gate: threading.Event) -> None:
    own = opened()
    leaving = Leaving(own, gate)
    told, _ = getattr(leaving, kind)()
    for _ in range(2):
        assert [line for line in own.left() if line.startswith(told)]
    own.close()
    leaving.kept.clear()


def test_what_a_task_gives_back_as_it_ends_was_not_left() -> None:
    own = opened()
    lock, begun, go_on = own.threads.lock("book"), threading.Event(), threading.Event()

    def work() -> None:
        with own.resources.lease(10, owner="web"), lock:
            begun.set()
            go_on.wait(10)

    own.threads.submit(work)
    begun.wait(10)
    assert len(own.left()) == 3
    threading.Timer(0.02, go_on.set).start()
    assert own.close() == ()


def test_what_a_step_of_the_tests_own_gives_back_was_not_left() -> None:
    own = opened()
    lease = own.resources.lease(10, owner="web")
    own.cleanup.add(CleanupStep("give back", phase="release"), lease.release)
    assert own.close() == ()


def test_what_hangs_costs_its_time_and_no_more(gate: threading.Event) -> None:
    own = opened(timeout=0.1)
    own.resources.register("h", owner="web", close=lambda: gate.wait(30))
    lease = own.resources.lease(10, owner="web")
    lines = own.close()
    assert [line.partition(", ")[0] for line in lines] == ["'h' of 'web'", "a buffer of 10 bytes"]
    assert "lent to 'web'" in lines[1]
    gate.set()
    assert own.close() == lines, "what ends later is not told again"
    assert lease is not None


def test_two_that_close_it_at_once_close_it_once(gate: threading.Event) -> None:
    own, found = opened(), list[Any]()
    kept = own.resources.lease(10, owner="web")
    entered, go_on = threading.Event(), threading.Event()
    own.cleanup.add(CleanupStep("slow", here=True), in_turn(entered.set, lambda: go_on.wait(10)))
    closers = [threading.Thread(target=lambda: found.append(own.close())) for _ in range(2)]
    closers[0].start()
    entered.wait(10)
    closers[1].start()
    go_on.set()
    for each in closers:
        each.join()
    assert len(own.close()) == 1
    assert max(map(len, found)) == 1
    assert kept is not None


def test_its_limits_are_its_own() -> None:
    own = opened(lease=8192, threads=2)
    with own.resources.lease(4096, owner="a"), own.resources.lease(4096, owner="b"), pytest.raises(LeaseLimitError):
        own.resources.lease(1, owner="c")
    with pytest.raises(LeaseLimitError):
        own.resources.lease(1024 * 1024, owner="a")
    for each in [own.threads.submit(threading.Event().wait, 0.01) for _ in range(5)]:
        each.result()
    assert own.threads.statistics().most_workers <= 2
    assert own.most_held == ("a", 4096)
    assert own.close() == ()
    with pytest.raises(PoolsClosedError):
        own.resources.lease(1, owner="a")


def test_a_large_buffer_is_to_be_granted() -> None:
    own = opened()
    with pytest.raises(LeaseLimitError):
        own.resources.lease(1024 * 1024, owner="a")
    own.resources.grant("a", 1024 * 1024)
    with own.resources.lease(1024 * 1024, owner="a") as view:
        assert len(view) == 1024 * 1024
    assert own.close() == ()


def test_one_may_be_opened_within_another() -> None:
    with build_system("s", sampling=None, tiers=SMALL) as system:
        testing = system.coordinators.testing
        with testing.environment("outer") as outer:
            inner_testing = outer.coordinators.testing  # type: ignore[attr-defined]
            with inner_testing.environment("inner") as inner:
                lease = inner.resources.lease(10, owner="web")
                assert outer.left() == ()
                lease.release()
            with pytest.raises(LeftBehindError, match="inner"), inner_testing.environment("inner") as inner:
                lease = inner.resources.lease(10, owner="web")
            assert outer.left() == ()
        assert testing.last is not None
        assert testing.last.left == ()
        assert lease is not None


def test_one_that_is_open_within_another_is_closed_with_it_and_told() -> None:
    own = opened()
    inner = own.coordinators.testing.open(EnvironmentSpec("inner"))
    lease = inner.resources.lease(10, owner="web")
    (line,) = own.close()
    assert "close environments" in line
    assert "lent to 'web'" in line
    assert lease is not None


def test_nothing_that_a_thread_has_in_hand_is_kept_by_a_look_at_it(gate: threading.Event) -> None:
    class Thing:
        pass

    def work() -> weakref.ref[Thing]:
        thing, own, begun = Thing(), opened(), threading.Event()
        own.threads.submit(in_turn(begun.set, lambda: gate.wait(30)))
        begun.wait(10)
        assert own.left()
        gate.set()
        assert own.close() == ()
        return weakref.ref(thing)

    gc.disable()
    try:
        assert work()() is None
    finally:
        gc.enable()


def test_many_are_opened_and_closed_at_once() -> None:
    failed: list[str] = []

    def run(number: int) -> None:
        for _ in range(5):
            own = opened(f"t{number}")
            use(own)
            kept = [own.resources.lease(10, owner="web") for _ in range(number)]
            if len(own.close()) != len(kept):
                failed.append(own.name)

    runners = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for each in runners:
        each.start()
    for each in runners:
        each.join()
    assert failed == []


def test_a_test_may_run_the_whole_cleanup_itself() -> None:
    with build_system("tests", sampling=None) as system:
        with system.coordinators.testing.environment("own") as own:
            own.resources.lease(10, owner="a").release()
            assert own.cleanup.run().complete
        assert system.coordinators.testing.last is not None
        assert system.coordinators.testing.last.left == ()


def test_locks_of_a_test_have_the_order_that_it_declares() -> None:
    with build_system("tests", sampling=None) as system:
        with system.coordinators.testing.environment("own") as own:
            assert isinstance(own, SystemEnvironment)
            own.declare_ranks("outer", "inner")
            outer, inner = own.threads.lock("outer"), own.threads.lock("inner")
            with outer, inner:
                pass
            with inner, pytest.raises(LockOrderError, match="outer"):
                outer.acquire()
            with pytest.raises(RankError, match="declare the order before the first"):
                own.declare_ranks("other")
        with system.coordinators.testing.environment("given", ranks=["one"]) as given:
            assert isinstance(given, SystemEnvironment)
            with given.threads.lock("one"):
                pass
            with pytest.raises(RankError, match="there are one, coordinators"):
                given.threads.lock("zebra")
