"""The error manager: every error once, along its path, whoever sees it how often."""

from __future__ import annotations

import builtins
import copy
import gc
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from coresys.errors.capture import Capture, leaves
from coresys.errors.hierarchy import RouteError
from coresys.errors.journal import Journal, JournalEntry, size_of
from coresys.errors.manager import ErrorManager
from coresys.errors.paths import Paths
from coresys.errors.rates import OTHERS, Rate, Rates
from coresys.errors.values import Values
from coresys.system_records import ErrorRecord
from coresys.testing.fakes import FakeClock, RecordingMonitoringManager


class World:
    """A manager with a path to a sink, and what got there."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.monitoring = RecordingMonitoringManager()
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(monitoring=self.monitoring, clock=self.clock, **options)
        self.errors.sink("operator", self.arrived.append)
        self.errors.route("shop", "operator")
        self.errors.route("orders", "shop")

    def numbers(self) -> list[int]:
        return sorted(leaf.number for record in self.arrived for leaf in leaves(record))


@pytest.fixture
def world() -> World:
    return World()


def group(message: str, *members: BaseException) -> BaseException:
    home = builtins if hasattr(builtins, "BaseExceptionGroup") else pytest.importorskip("exceptiongroup")
    made: BaseException = home.BaseExceptionGroup(message, list(members))
    return made


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail(error: BaseException) -> None:
    raise error


# -- paths ------------------------------------------------------------------------------------------------------------


def test_an_error_goes_along_its_path_to_the_sink(world: World) -> None:
    record = world.errors.report(ValueError("x"), component="orders")
    assert world.arrived == [record]
    assert (record.number, record.route, record.component) == (1, ("orders", "shop", "operator"), "orders")
    assert world.monitoring.errors == [record]
    assert world.errors.recent() == (record,)


@pytest.mark.parametrize(
    ("routes", "component", "path", "arrives"),
    [
        ({}, "a", ("a",), False),
        ({"a": "end"}, "a", ("a", "end"), True),
        ({"a": "b", "b": "end"}, "a", ("a", "b", "end"), True),
        ({"a": "b"}, "a", ("a", "b"), False),
        ({"a": "b", "c": "b", "b": "end"}, "c", ("c", "b", "end"), True),
        ({}, "end", ("end",), True),
    ],
)
def test_paths_are_resolved(routes: dict[str, str], component: str, path: tuple[str, ...], arrives: bool) -> None:
    paths = Paths(routes, sinks=("end",))
    assert (paths.resolve(component), paths.reaches_sink(component)) == (path, arrives)


@pytest.mark.parametrize(
    ("routes", "component", "path"),
    [
        ({}, "a", ("a", "rest", "end")),
        ({"a": "b"}, "a", ("a", "b", "rest", "end")),
        ({"rest": "end"}, "rest", ("rest", "end")),
    ],
)
def test_a_default_is_for_those_without_a_route(routes: dict[str, str], component: str, path: tuple[str, ...]) -> None:
    assert Paths({"rest": "end", **routes}, sinks=("end",), default="rest").resolve(component) == path


def test_a_default_that_leads_back_ends() -> None:
    paths = Paths({"rest": "a"}, default="rest")
    assert paths.resolve("a") == ("a", "rest")
    assert Paths(default="rest").resolve("rest") == ("rest",)


@pytest.mark.parametrize(
    ("routes", "component", "to", "problem"),
    [
        ({}, "a", "a", "a -> a"),
        ({"a": "b"}, "b", "a", "b -> a -> b"),
        ({"a": "b", "b": "c"}, "c", "a", "c -> a -> b -> c"),
        ({}, "end", "a", "is a sink"),
    ],
)
def test_circles_are_refused_and_change_nothing(routes: dict[str, str], component: str, to: str, problem: str) -> None:
    paths = Paths(routes, sinks=("end",))
    with pytest.raises(RouteError, match=problem):
        paths.with_route(component, to)
    errors = ErrorManager()
    errors.sink("end", print)
    for each, following in routes.items():
        errors.route(each, following)
    before = errors.paths
    with pytest.raises(RouteError):
        errors.route(component, to)
    assert errors.paths is before


def test_a_route_may_be_declared_anew_and_a_component_is_no_sink() -> None:
    paths = Paths({"a": "b"}, sinks=("end",)).with_route("a", "end")
    assert paths.resolve("a") == ("a", "end")
    with pytest.raises(RouteError, match="where errors end"):
        paths.with_sink("a")


def test_an_error_whose_path_leads_nowhere_is_kept_and_counted(world: World) -> None:
    world.errors.report(ValueError("x"), component="unheard of")
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.delivered, statistics.undelivered) == (1, 0, 1)
    assert [record.component for record in world.errors.recent()] == ["unheard of"]


# -- once -------------------------------------------------------------------------------------------------------------


def test_an_error_that_passes_several_guards_is_counted_once(world: World) -> None:
    with pytest.raises(ValueError, match="x"), world.errors.guard("shop"), world.errors.guard("orders"):
        raise ValueError("x")
    assert [record.component for record in world.arrived] == ["orders"]
    assert world.errors.statistics().seen == 1


def test_reporting_again_gives_the_record_that_was_made(world: World) -> None:
    error = caught(lambda: fail(ValueError("x")))
    assert world.errors.report(error, component="orders") is world.errors.report(error, component="shop")


class Slotted(Exception):
    __slots__ = ("x",)


@dataclass(frozen=True)
class Frozen(Exception):
    x: int = 1


class Guarded(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # as nasty as it gets
        raise AttributeError("no dictionary")


class Equal(Exception):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


KINDS: list[Callable[[], BaseException]] = [
    *(ValueError, lambda: OSError(2, "x"), lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "y"), StopIteration),
    *(Slotted, Frozen, Guarded, Equal, KeyboardInterrupt),
]


@pytest.mark.parametrize("make", KINDS)
def test_every_kind_of_exception_is_known_again(world: World, make: Callable[[], BaseException]) -> None:
    first, second = make(), make()
    for error in (first, first, second, first, second):
        world.errors.report(error, component="orders")
    assert world.errors.statistics().seen == 2
    assert world.errors.is_reported(first)


def test_frozen_exceptions_are_really_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Frozen().x = 2  # type: ignore[misc]  # that is the point


def test_raised_on_and_wrapped_in_new_frames_it_is_the_same(world: World) -> None:
    def inner() -> None:
        try:
            fail(ValueError("x"))
        except ValueError as error:
            world.errors.report(error, component="orders")
            raise

    def outer() -> None:
        try:
            inner()
        except ValueError as error:
            world.errors.report(error, component="orders")
            raise error

    error = caught(outer)
    world.errors.report(error, component="shop")
    stripped = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    world.errors.report(stripped, component="shop")
    assert world.errors.statistics().seen == 1


SAME = ValueError("always the same object")


def raises_same() -> None:
    raise SAME


def test_the_same_object_raised_again_later_is_another_error(world: World) -> None:
    for _ in range(5):
        with pytest.raises(ValueError, match="always"), world.errors.guard("shop"), world.errors.guard("orders"):
            raises_same()
    assert world.errors.statistics().seen == 5
    assert world.numbers() == [1, 2, 3, 4, 5]
    SAME.__traceback__ = None


def test_the_same_object_raised_in_a_loop_of_one_frame_is_another_error_each_time(world: World) -> None:
    same = ValueError("x")
    for _ in range(4):
        try:
            raise same
        except ValueError as error:
            world.errors.report(error, component="orders")
    assert world.errors.statistics().seen == 4


def test_raised_again_elsewhere_after_its_end_it_is_another_error(world: World) -> None:
    same = ValueError("x")
    for place in (lambda: fail(same), raises_same_of(same)):
        error = caught(place)
        world.errors.report(error, component="orders", ended=True)
        world.errors.report(error, component="orders", ended=True)  # as two hooks would
    assert world.errors.statistics().seen == 2


def test_reported_on_its_way_and_by_two_hooks_at_its_end_it_is_one(world: World) -> None:
    def inner() -> None:
        with world.errors.guard("orders"):
            fail(ValueError("x"))

    error = caught(lambda: inner())
    for _ in range(2):
        world.errors.report(error, component="threads", ended=True)
    assert world.errors.statistics().seen == 1


def raises_same_of(error: BaseException) -> Callable[[], None]:
    def other() -> None:
        raise error

    return other


def test_recursion_by_way_of_c_passes_on_by_the_instruction_that_raised(world: World) -> None:
    def down(depth: int) -> int:
        with world.errors.guard("orders"):
            return (
                max(map(down, range(depth, depth and depth - 1)), default=0)
                if depth < 0
                else max(map(down, [depth - 1] if depth else []))
            )

    with pytest.raises(ValueError, match="empty"):
        down(4)
    assert world.errors.statistics().seen == 1


def test_a_copy_is_another_error_and_pickles_go_without_the_mark(world: World) -> None:
    error = ValueError("x")
    world.errors.report(error, component="orders")
    again = pickle.loads(pickle.dumps(error))
    assert not world.errors.is_reported(again)
    world.errors.report(again, component="orders")
    shallow = ValueError("x")
    shallow.__dict__.update(error.__dict__)
    world.errors.report(shallow, component="orders")
    assert world.errors.statistics().seen == 3


def test_two_managers_count_for_themselves() -> None:
    one, another = World(), World()
    error = ValueError("x")
    for world in (one, another, one, another):
        world.errors.report(error, component="orders")
    assert (one.errors.statistics().seen, another.errors.statistics().seen) == (1, 1)


# -- groups -----------------------------------------------------------------------------------------------------------


def test_of_a_group_the_members_are_counted_and_it_arrives_whole(world: World) -> None:
    error = group("several", ValueError("a"), group("inner", KeyError("b"), OSError("c")))
    record = world.errors.report(error, component="orders")
    assert world.arrived == [record]
    assert [(leaf.number, leaf.kind) for leaf in leaves(record)] == [(1, "ValueError"), (2, "KeyError"), (3, "OSError")]
    assert record.number == 0
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.delivered) == (3, 3)
    assert dict(statistics.by_kind) == {"ValueError": 1, "KeyError": 1, "OSError": 1}
    assert [each.number for each in world.monitoring.errors] == [1, 2, 3]


def test_members_that_were_reported_before_are_not_counted_again(world: World) -> None:
    first = ValueError("a")
    world.errors.report(first, component="orders")
    record = world.errors.report(group("several", first, KeyError("b")), component="shop")
    assert [leaf.number for leaf in leaves(record)] == [1, 2]
    assert world.errors.statistics().seen == 2
    world.errors.report(group("again", first), component="shop")
    assert (world.errors.statistics().seen, len(world.arrived)) == (2, 2)


def test_a_member_that_is_reported_after_its_group_is_not_counted_again(world: World) -> None:
    leaf = ValueError("a")
    world.errors.report(group("several", leaf, KeyError("b")), component="shop")
    world.errors.report(leaf, component="orders")
    assert (world.errors.statistics().seen, len(world.arrived)) == (2, 1)


def test_members_beyond_the_bounds_of_a_record_arrive_on_their_own() -> None:
    world = World(capture=Capture(errors=3))
    world.errors.report(group("many", *(ValueError(number) for number in range(10))), component="orders")
    assert world.numbers() == list(range(1, 11))
    assert world.errors.statistics().delivered == 10


def test_cancellations_in_a_group_are_not_counted(world: World) -> None:
    world.errors.report(group("several", ValueError("a"), KeyboardInterrupt()), component="orders")
    assert world.errors.statistics().seen == 1


# -- sinks and monitoring that fail -----------------------------------------------------------------------------------


def test_a_sink_that_raises_loses_nothing_and_is_reported_itself(world: World) -> None:
    def broken(record: ErrorRecord) -> None:
        raise ZeroDivisionError

    world.errors.sink("broken", broken)
    world.errors.route("mail", "broken")
    world.errors.report(ValueError("x"), component="mail")
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.undelivered) == (2, 2)
    assert [record.component for record in world.errors.recent()] == ["mail", "sink broken"]


def test_a_sink_whose_errors_come_back_to_it_ends() -> None:
    errors = ErrorManager(default="operator")
    calls = []

    def broken(record: ErrorRecord) -> None:
        calls.append(record)
        raise ZeroDivisionError(len(calls))

    errors.sink("operator", broken)
    errors.report(ValueError("x"), component="orders")
    statistics = errors.statistics()
    assert len(calls) == 4
    assert (statistics.seen, statistics.undelivered) == (5, 5)


def test_a_sink_that_reports_has_its_own_delivered_after_it(world: World) -> None:
    order = []

    def nested(record: ErrorRecord) -> None:
        order.append(f"begin {record.message}")
        if record.message == "outer":
            world.errors.report(ValueError("inner"), component="deep")
        order.append(f"end {record.message}")

    world.errors.sink("nested", nested)
    world.errors.route("deep", "nested")
    world.errors.report(ValueError("outer"), component="deep")
    assert order == ["begin outer", "end outer", "begin inner", "end inner"]
    assert world.errors.statistics().delivered == 2


def test_what_interrupts_each_delivery_beside_the_sink_is_delivered_however_often() -> None:
    """As a timer's signal does on a busy machine: not what a sink reports itself, which has to end."""
    busy: World
    left = 10

    class Interrupted(Journal):
        def add(self, record: ErrorRecord, times: int = 1) -> JournalEntry:
            nonlocal left
            if left:
                left -= 1
                busy.errors.report(KeyError("handler"), component="orders")
            return super().add(record, times)

    busy = World(journal=Interrupted())
    busy.errors.report(ValueError("x"), component="orders")
    statistics = busy.errors.statistics()
    assert (statistics.seen, statistics.delivered, statistics.undelivered) == (11, 11, 0)
    assert busy.numbers() == list(range(1, 12))


def test_an_interrupt_in_a_sink_goes_on_and_what_waited_is_kept(world: World) -> None:
    def interrupted(record: ErrorRecord) -> None:
        world.errors.report(ValueError("waiting"), component="orders")
        raise KeyboardInterrupt

    world.errors.sink("tty", interrupted)
    world.errors.route("mail", "tty")
    with pytest.raises(KeyboardInterrupt):
        world.errors.report(ValueError("x"), component="mail")
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.undelivered, len(world.errors.recent())) == (2, 2, 2)
    world.errors.report(ValueError("after"), component="orders")
    assert world.errors.statistics().delivered == 1


def test_monitoring_that_raises_keeps_nothing_from_the_sink(world: World) -> None:
    world.monitoring.fail = ZeroDivisionError("broken")
    world.errors.report(ValueError("x"), component="orders")
    assert [record.message for record in world.arrived] == ["x"]
    assert [record.component for record in world.errors.recent()] == ["monitoring", "orders"]


# -- several at once --------------------------------------------------------------------------------------------------


@pytest.fixture
def hurried() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(threads: int, work: Callable[[int], None]) -> None:
    barrier = threading.Barrier(threads)
    problems: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            work(number)
        except BaseException as problem:
            problems.append(problem)

    all_threads = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join(30)
    assert problems == []


@pytest.mark.usefixtures("hurried")
def test_errors_of_eight_threads_are_counted_exactly(world: World) -> None:
    def work(number: int) -> None:
        for turn in range(40):
            try:
                with world.errors.guard("shop"), world.errors.guard(f"part {number}"):
                    fail(ValueError(f"{number} {turn}"))
            except ValueError as error:
                world.errors.report(error, component="shop")

    for number in range(8):
        world.errors.route(f"part {number}", "shop")
    at_once(8, work)
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.delivered, statistics.undelivered) == (320, 320, 0)
    assert world.numbers() == list(range(1, 321))
    assert sorted(each.number for each in world.monitoring.errors) == list(range(1, 321))
    assert dict(statistics.by_component) == {f"part {number}": 40 for number in range(8)}
    assert sum(entry.count for entry in world.errors.entries()) == 320


@pytest.mark.usefixtures("hurried")
def test_one_exception_that_eight_threads_report_is_counted_once(world: World) -> None:
    for turn in range(1, 26):
        error = caught(lambda: fail(ValueError("x")))
        at_once(8, lambda number: void(world.errors.report(error, component=f"part {number}")))  # noqa: B023
        assert world.errors.statistics().seen == turn


@pytest.mark.usefixtures("hurried")
def test_of_one_object_that_several_threads_raise_at_once_each_that_is_counted_is_whole(world: World) -> None:
    """How many are counted cannot be held to: the interpreter mixes the tracebacks. What is counted, is as always."""
    world = World(journal=Journal(count=10))
    same = TimeoutError("shared")

    def work(number: int) -> None:
        for _ in range(50):
            with pytest.raises(TimeoutError), world.errors.guard("orders"):
                raise same

    at_once(8, work)
    statistics = world.errors.statistics()
    assert 0 < statistics.seen <= 400
    assert (statistics.delivered, statistics.undelivered) == (statistics.seen, 0)
    assert world.numbers() == list(range(1, statistics.seen + 1))
    assert [entry.count for entry in world.errors.entries()] == [statistics.seen]
    same.__traceback__ = None


@pytest.mark.usefixtures("hurried")
def test_a_copy_for_each_time_that_it_is_raised_is_counted_exactly(world: World) -> None:
    """What the limits say to do about that."""
    same = TimeoutError("shared")

    def work(number: int) -> None:
        for _ in range(50):
            with pytest.raises(TimeoutError), world.errors.guard("orders"):
                raise copy.copy(same)

    at_once(8, work)
    assert world.errors.statistics().seen == 400


def void(anything: object) -> None:
    pass


@pytest.mark.usefixtures("hurried")
def test_groups_that_share_members_are_counted_exactly(world: World) -> None:
    members = [ValueError(number) for number in range(40)]

    def work(number: int) -> None:
        for at in range(0, 40, 4):
            world.errors.report(group("some", *members[at : at + 8]), component="orders")

    at_once(8, work)
    assert world.errors.statistics().seen == 40
    assert set(world.numbers()) == set(range(1, 41))


def test_a_finalizer_may_report_in_the_midst_of_a_report() -> None:
    """Collections come at any allocation, so that reports come inside of reports; nothing waits, nothing is lost."""
    world = World(journal=Journal(count=10_000))

    class Dying:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            world.errors.report(KeyError("dying"), component="orders")

    thresholds = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(300):
            Dying()
            world.errors.report(ValueError("x"), component="orders")
            world.errors.statistics()
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert dict(world.errors.statistics().by_kind) == {"ValueError": 300, "KeyError": 300}
    assert world.errors.statistics().delivered == 600
    assert world.numbers() == list(range(1, 601))
    assert sum(entry.count for entry in world.errors.entries()) == 600


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that signal")
def test_a_signal_handler_may_report_in_the_midst_of_a_report(world: World) -> None:
    told = 0

    def handler(number: int, frame: object) -> None:
        nonlocal told
        told += 1
        world.errors.report(KeyError("signal"), component="orders")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(500):
            world.errors.report(ValueError("x"), component="orders")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert told
    assert world.errors.statistics().seen == 500 + told
    assert world.errors.statistics().delivered == 500 + told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_locks_of_threads_that_it_has_not(world: World) -> None:
    with world.errors._lock, world.errors._declaring:
        child = os.fork()
        if not child:
            signal.alarm(5)
            world.errors.report(ValueError("x"), component="orders")
            os._exit(0 if world.errors.statistics().seen == 1 and len(world.arrived) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_nothing_of_an_error_is_kept_alive() -> None:
    world = World(capture=Capture(values=Values()), journal=Journal())

    class Mine(Exception):
        pass

    class Thing:
        pass

    refs: list[weakref.ref[Any]] = []

    def work() -> None:
        thing = Thing()
        refs.append(weakref.ref(thing))
        raise Mine("x")

    gc.disable()
    try:
        try:
            with world.errors.guard("orders"):
                work()
        except Mine as error:
            refs.append(weakref.ref(error))
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()
    assert dict(world.arrived[0].frames[-1].values)["thing"] == "<Thing>"


def record_of(kind: str, *, component: str = "c", time: float = 0.0, message: str = "") -> ErrorRecord:
    return ErrorRecord(1, time, kind, message, component, kind, "main")


def test_the_journal_keeps_one_of_a_kind_with_count_and_times() -> None:
    journal = Journal()
    for time in (1.0, 2.0, 5.0):
        journal.add(record_of("A", time=time, message=str(time)))
    journal.add(record_of("A", component="other"))
    journal.add(record_of("B"))
    first, *others = journal.entries()
    assert (first.count, first.first, first.last, first.record.message) == (3, 1.0, 5.0, "5.0")
    assert [(entry.component, entry.fingerprint) for entry in others] == [("other", "A"), ("c", "B")]
    assert [entry.fingerprint for entry in journal.entries("other")] == ["A"]


def test_the_journal_is_bounded_by_count_and_what_was_seen_longest_ago_goes() -> None:
    journal = Journal(count=2)
    for kind in ("A", "B", "A", "C"):
        journal.add(record_of(kind))
    assert [entry.fingerprint for entry in journal.entries()] == ["A", "C"]
    assert journal.forgotten == 1


def test_the_journal_is_bounded_by_bytes_and_keeps_the_last_whatever_its_size() -> None:
    one = size_of(record_of("A"))
    journal = Journal(bytes=3 * one)
    for kind in "ABCD":
        journal.add(record_of(kind))
    assert ([entry.fingerprint for entry in journal.entries()], journal.size) == (["B", "C", "D"], 3 * one)
    journal.add(record_of("E", message="x" * 10_000))
    assert [entry.fingerprint for entry in journal.entries()] == ["E"]
    assert journal.size == size_of(journal.entries()[0].record)


def test_the_journal_that_is_given_is_the_one_that_is_kept_although_it_is_empty() -> None:
    journal = Journal(count=1)
    world = World(journal=journal)
    for number in range(2):
        world.errors.report(ValueError("x"), component=f"part {number}")
    assert (len(journal), journal.forgotten) == (1, 1)
    assert [entry.component for entry in world.errors.entries()] == ["part 1"]


def test_the_size_of_a_record_is_about_what_it_takes() -> None:
    import tracemalloc

    capture = Capture(values=Values())
    kept = []
    error = caught(lambda: fail(ValueError("x" * 100)))
    capture(error)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [capture(error) for _ in range(100)]
        used = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
    assert 0.4 < size_of(kept[0]) / used < 2.5


# -- figures ----------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_the_last_minute(world: World) -> None:
    for _ in range(30):
        world.errors.report(ValueError(), component="orders")
    world.errors.report(KeyError(), component="mail")
    statistics = world.errors.statistics()
    assert statistics.rate == pytest.approx(31 / 60)
    assert dict(statistics.rate_by_component) == pytest.approx({"orders": 0.5, "mail": 1 / 60})
    assert dict(statistics.rate_by_kind) == pytest.approx({"ValueError": 0.5, "KeyError": 1 / 60})
    world.clock.advance(61)
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.rate, statistics.rate_by_kind) == (31, 0.0, ())


@pytest.mark.parametrize(("later", "share"), [(0, 1), (54.9, 1), (60, 0), (1e6, 0)])
def test_a_rate_forgets_what_is_a_minute_old(later: float, share: int) -> None:
    rate = Rate()
    rate.add(1000.0, 60)
    assert (rate.rate(1000.0 + later), rate.total) == (share, 60)


def test_a_rate_goes_on_over_the_turn_of_its_slots() -> None:
    rate = Rate()
    for second in range(600):
        rate.add(float(second))
    assert rate.rate(599.0) == pytest.approx(1.0, abs=0.1)


def test_names_are_bounded() -> None:
    rates = Rates(2)
    for name in ("a", "b", "c", "d", "a"):
        rates.add(name, 0.0)
    assert rates.totals() == ((OTHERS, 2), ("a", 2), ("b", 1))
    assert sorted(rates) == [OTHERS, "a", "b"]


# -- guards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_requests_to_end_pass_a_guard_unreported(world: World, error: BaseException) -> None:
    with pytest.raises(type(error)), world.errors.guard("orders"):
        raise error
    assert world.errors.statistics().seen == 0


def test_a_guard_decorates_functions_coroutines_and_generators(world: World) -> None:
    import asyncio

    @world.errors.guard("orders")
    def plain(error: BaseException) -> None:
        """What it does."""
        raise error

    @world.errors.guard("orders")
    async def coroutine(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    @world.errors.guard("orders")
    def generator(error: BaseException) -> Iterator[int]:
        yield 1
        raise error

    assert (plain.__name__, plain.__doc__) == ("plain", "What it does.")
    with pytest.raises(ValueError, match="1"):
        plain(ValueError(1))
    with pytest.raises(ValueError, match="2"):
        asyncio.run(coroutine(ValueError(2)))
    with pytest.raises(ValueError, match="3"):
        list(generator(ValueError(3)))
    assert [record.message for record in world.arrived] == ["1", "2", "3"]


def test_an_asynchronous_generator_is_refused(world: World) -> None:
    async def numbers() -> Any:
        yield 1

    with pytest.raises(TypeError, match="use the guard inside"):
        world.errors.guard("orders")(numbers)


def test_a_guard_captures_in_the_context_of_what_failed() -> None:
    request: ContextVar[str] = ContextVar("request")
    world = World(capture=Capture(context=[request]))

    def work() -> None:
        request.set("r-1")
        with world.errors.guard("orders"):
            raise ValueError

    thread_problem: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except ValueError as error:
            thread_problem.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [record.context for record in world.arrived] == [(("request", "'r-1'"),)]
    assert len(thread_problem) == 1


@pytest.mark.slow
def test_the_hierarchy_stays_light_to_import() -> None:
    import subprocess

    code = (
        "import sys; import coresys.errors.hierarchy; "
        "print([name for name in sys.modules if name.startswith('coresys.errors.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['coresys.errors.hierarchy']"


def test_the_names_of_the_package_are_there() -> None:
    import coresys.errors

    for name in coresys.errors.__all__:
        assert getattr(coresys.errors, name).__name__ == name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = coresys.errors.nonsense
