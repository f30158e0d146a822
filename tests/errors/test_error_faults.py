"""Faults that were found by a review, each as it was shown, and what has to be instead."""

from __future__ import annotations

import asyncio
import builtins
import functools
import gc
import sys
import threading
import types
import weakref
from collections import namedtuple
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from interrupting import NOT_TRACED, Hitting, untraced

from coresys.errors import journal as journal_module
from coresys.errors import manager as manager_module
from coresys.errors import marks as marks_module
from coresys.errors import rates as rates_module
from coresys.errors.backoff import RetryState, stop_after_attempt, wait_fixed, wait_none
from coresys.errors.breaker import CircuitBreaker, CircuitBreakers
from coresys.errors.capture import Capture
from coresys.errors.executors import ReportingExecutor, carry, watch
from coresys.errors.hierarchy import CircuitOpenError, ObserverFailedError, RollbackError, StateError
from coresys.errors.hooks import ErrorHooks
from coresys.errors.manager import ErrorManager
from coresys.errors.retry import Retrying
from coresys.errors.secrets import Secrets
from coresys.errors.states import ErrorState, ErrorStates
from coresys.errors.values import Values
from coresys.state import SQLiteStore, State, StateManager, TransitionTable, after, on
from coresys.system_records import ErrorRecord
from coresys.testing.fakes import FakeClock

# Where there are locks, and what is called while one is held. Capturing is one place: it takes no lock.
FILES = {module.__file__ for module in (journal_module, manager_module, marks_module, rates_module)}


class World:
    def __init__(self, **more: Any) -> None:
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(default="operator", **more)
        self.errors.sink("operator", self.arrived.append)

    @property
    def seen(self) -> int:
        return self.errors.statistics().seen


@pytest.fixture
def world() -> World:
    return World()


def group(message: str, *members: BaseException) -> BaseException:
    home = builtins if hasattr(builtins, "BaseExceptionGroup") else pytest.importorskip("exceptiongroup")
    made: BaseException = home.BaseExceptionGroup(message, list(members))
    return made


def caught(work: Callable[..., object], *args: Any) -> BaseException:
    try:
        work(*args)
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def raised(text: str = "x") -> BaseException:
    def work() -> None:
        raise ValueError(text)

    return caught(work)


# -- signals, at any place -------------------------------------------------------------------------------------------


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("what", ["report", "statistics", "group"])
def test_a_signals_exception_at_any_place_leaves_no_lock_held(what: str) -> None:
    at = 0
    while True:
        at += 1
        world = World()
        error = group("g", ValueError("a"), KeyError("b")) if what == "group" else raised()
        if what == "statistics":
            world.errors._pending.append(("recovered", None))
        work: Callable[[], object] = (
            world.errors.statistics
            if what == "statistics"
            else functools.partial(world.errors.report, error, component="c")
        )
        if not Hitting(FILES, at).watching(work):
            break
        assert not world.errors._lock.locked(), at
        world.errors.report(error, component="c")  # whoever sees the exception next
        world.errors.statistics()
        assert not world.errors._pending, at
    assert at >= 7


@pytest.mark.slow
@NOT_TRACED
@pytest.mark.parametrize("asking", ["statistics", "report"])
@pytest.mark.parametrize("asked", ["statistics", "report"])
def test_a_signals_handler_at_any_place_waits_for_nobody(asked: str, asking: str) -> None:
    def of(world: World, what: str) -> Callable[[], object]:
        if what == "statistics":
            return world.errors.statistics
        return lambda: world.errors.report(raised(), component="c")

    at = 0
    while True:
        at += 1
        world = World()
        hitting = Hitting(FILES, at, untraced(of(world, asking)))
        thread = threading.Thread(target=hitting.watching, args=(of(world, asked),), daemon=True)
        thread.start()
        thread.join(5)
        assert not thread.is_alive(), at
        if hitting.seen < at:
            break
        reports = (asked, asking).count("report")
        assert (world.seen, len(world.arrived)) == (reports, reports), at
    assert at >= 7


# -- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [True, False])
def test_a_member_that_is_the_cause_or_context_of_its_group_stays_in_it(world: World, declared: bool) -> None:
    def work() -> None:
        try:
            raise ValueError("a")
        except ValueError as error:
            made = group("cleanup failed", error, KeyError("b"))
            if declared:
                raise made from error
            raise made  # noqa: B904  # the context is what this is about

    record = world.errors.report(caught(work), component="c")
    assert [member.kind for member in record.members] == ["ValueError", "KeyError"]
    assert record.errors_left_out == 0
    assert [[member.kind for member in each.members] for each in world.arrived] == [["ValueError", "KeyError"]]
    assert world.seen == 2


def test_members_with_one_cause_both_have_it() -> None:
    cause = caught(lambda: 1 / 0)
    first, second = ValueError("a"), ValueError("b")
    first.__cause__ = second.__cause__ = cause
    record = Capture()(group("g", first, second))
    assert [[each.kind for each in member.causes] for member in record.members] == [["ZeroDivisionError"]] * 2
    assert record.errors_left_out == 0


def test_a_circle_of_members_and_causes_ends() -> None:
    member = ValueError("a")
    whole = group("g", member)
    member.__cause__ = whole
    record = Capture()(whole)
    assert [(each.kind, each.causes) for each in record.members] == [("ValueError", ())]


def test_whether_a_group_is_an_error_is_found_out_however_deep_it_is(world: World) -> None:
    error: BaseException = KeyboardInterrupt()
    for _ in range(1500):
        error = group("g", error)

    def work() -> None:
        with world.errors.guard("c"):
            raise error

    came = type(caught(work))  # no more than its class: what shows such a group when a test fails may not be so careful
    assert (came, world.seen) == (type(error), 0)


def test_where_a_groups_way_ends_that_of_its_members_does(world: World) -> None:
    shared = ValueError("s")

    def one() -> None:
        raise shared

    def other() -> None:
        raise shared

    caught(one)
    world.errors.report(group("g", shared), component="c", ended=True)
    caught(other)
    world.errors.report(shared, component="c")
    assert world.seen == 2


# -- one error, on its way -------------------------------------------------------------------------------------------


def test_an_error_through_generators_that_call_themselves_is_one(world: World) -> None:
    def walk(items: list[Any]) -> Iterator[int]:
        with world.errors.guard("walk"):
            for item in items:
                yield from (walk(item) if isinstance(item, list) else map(int, [item]))

    caught(lambda: list(walk([[[["x"]]]])))
    assert world.seen == 1


def test_an_error_through_coroutines_that_await_themselves_is_one(world: World) -> None:
    async def ask(depth: int, future: asyncio.Future[int]) -> int:
        with world.errors.guard("ask"):
            return await (ask(depth - 1, future) if depth else future)

    async def gather(depth: int, future: asyncio.Future[int]) -> Any:
        with world.errors.guard("gather"):
            return await asyncio.gather(*([gather(depth - 1, future)] if depth else [future]))

    async def main(work: Callable[[int, asyncio.Future[int]], Any]) -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError("x"))
        with pytest.raises(ValueError, match="x"):
            await work(3, future)

    asyncio.run(main(ask))
    assert world.seen == 1
    asyncio.run(main(gather))
    assert world.seen == 2


def test_an_error_that_was_never_raised_here_and_passes_two_futures_is_one(world: World) -> None:
    source: Future[int] = Future()
    source.set_exception(ValueError("of another process"))

    def work() -> int:
        with world.errors.guard("worker"):
            return source.result()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        with pytest.raises(ValueError, match="another"), world.errors.guard("main"):
            future.result()
    assert world.seen == 1


def test_an_error_that_was_reported_before_it_was_raised_is_one_until_it_is_raised_anew(world: World) -> None:
    shared = ValueError("s")

    def one() -> None:
        with world.errors.guard("inner"):
            raise shared

    world.errors.report(shared, component="c")
    with pytest.raises(ValueError, match="s"), world.errors.guard("outer"):
        one()
    assert world.seen == 1
    caught(one)
    assert world.seen == 2


# -- futures ---------------------------------------------------------------------------------------------------------


def test_an_error_that_whoever_waits_reports_while_it_is_prepared_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go = threading.Event(), threading.Event()
    real = world.errors._captured

    def slow(*args: Any) -> ErrorRecord:
        if threading.current_thread().name == "worker":
            inside.set()
            assert go.wait(20)
        return real(*args)

    monkeypatch.setattr(world.errors, "_captured", slow)
    future: Future[int] = watch(Future(), world.errors, component="pool")
    thread = threading.Thread(target=future.set_exception, args=(raised(),), name="worker")
    thread.start()
    assert inside.wait(20)
    try:
        with world.errors.guard("caller"):
            future.result(20)
    except ValueError:
        pass
    finally:
        go.set()
        thread.join(20)
    assert (world.seen, [record.component for record in world.arrived]) == (1, ["caller"])
    del future
    gc.collect()
    assert world.seen == 1


@pytest.mark.parametrize("watched", [True, False])
def test_asking_a_future_for_its_result_closes_no_circle(world: World, watched: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        future: Future[int] = Future()
        if watched:
            watch(future, world.errors, component="c")
        gone = weakref.ref(future)
        future.set_exception(ValueError("x"))
        try:
            future.result()
        except ValueError:
            pass
        del future
        assert gone() is None
    finally:
        gc.enable()


# -- what is captured may be anything --------------------------------------------------------------------------------


class _OfItsOwn(BaseException):
    pass


class _Unreadable(Exception):
    def __str__(self) -> str:
        raise _OfItsOwn("hostile")


class _Text(str):
    def __str__(self) -> str:
        return self

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("code of the program ran")

    def __len__(self) -> int:
        raise RuntimeError("code of the program ran")


class _NoHash(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other


class _SameAsAll(type):
    asked = 0

    def __eq__(cls, other: object) -> bool:
        _SameAsAll.asked += 1
        return True

    def __hash__(cls) -> int:
        _SameAsAll.asked += 1
        return 1


def test_a_text_that_raises_an_exception_of_its_own_is_one_that_could_not_be_read(world: World) -> None:
    record = world.errors.report(_Unreadable(), component="c")
    assert "could not be read" in record.message
    assert "_OfItsOwn" in record.message


def test_a_keyboard_interrupt_that_comes_while_a_text_is_read_is_a_signals() -> None:
    class Slow(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Capture()(Slow())


def test_texts_and_notes_of_a_subclass_are_read_without_its_methods(world: World) -> None:
    error = ValueError(_Text("message"))
    error.__dict__["__notes__"] = [_Text("note"), 5]
    record = world.errors.report(error, component="c")
    assert (record.message, record.notes) == ("message", ("note",))
    assert type(record.message) is str


def test_a_variable_whose_class_cannot_be_hashed_is_shown() -> None:
    class Odd(metaclass=_NoHash):
        pass

    world = World(capture=Capture(values=Values()))

    def work() -> None:
        odd = Odd()
        raise ValueError(f"original, {type(odd) is Odd}")

    with pytest.raises(ValueError, match="original"), world.errors.guard("c"):
        work()
    assert world.seen == 1
    assert dict(world.arrived[0].frames[-1].values)["odd"].startswith("<")


def test_no_metaclass_is_asked_whether_a_class_is_another() -> None:
    class Odd(metaclass=_SameAsAll):
        pass

    odd = Odd()
    before = _SameAsAll.asked
    text = Values().show("odd", odd)
    assert (text.endswith("Odd>"), _SameAsAll.asked - before) == (True, 0)


def test_an_error_while_another_thread_imports_asyncio_is_captured(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", types.ModuleType("asyncio"))
    record = world.errors.report(ValueError("x"), component="c")
    monkeypatch.undo()
    assert (record.message, record.task) == ("x", None)


def test_a_class_that_was_made_where_there_is_no_name_is_captured(world: World) -> None:
    namespace: dict[str, Any] = {"type": type, "Exception": Exception}
    exec("Odd = type('Odd', (Exception,), {})", namespace)
    assert world.errors.report(namespace["Odd"]("x"), component="c").kind.endswith("Odd")


def test_a_finalizer_at_the_end_of_a_thread_leaves_no_thread_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    own = threading.local()

    class Ends:
        def __del__(self) -> None:
            raise ValueError("at the end")

    with ErrorHooks(world.errors):
        before = threading.enumerate()
        for _ in range(3):
            thread = threading.Thread(target=lambda: setattr(own, "ends", Ends()))
            thread.start()
            thread.join()
        assert threading.enumerate() == before
    assert [record.message for record in world.arrived] == ["at the end"] * 3


# -- secrets ---------------------------------------------------------------------------------------------------------


def login(user: str, password: str) -> None:
    raise ValueError("no")


@pytest.mark.parametrize(
    "wrapped",
    [
        pytest.param(lambda world: world.errors.guard("c")(login), id="guard"),
        pytest.param(lambda world: CircuitBreaker("b")(login), id="breaker"),
        pytest.param(lambda world: functools.partial(CircuitBreaker("b").call, login), id="breaker, called"),
        pytest.param(lambda world: Retrying(stop=stop_after_attempt(1)).wrap(login), id="retry"),
        pytest.param(lambda world: world.errors.recovering("c")(login), id="recovering"),
        pytest.param(
            lambda world: functools.partial(world.errors.recovering("c").call, login), id="recovering, called"
        ),
        pytest.param(lambda world: carry(login, world.errors, component="c"), id="carry"),
    ],
)
def test_the_wrappers_in_here_show_no_arguments(wrapped: Callable[[World], Callable[..., object]]) -> None:
    world = World(capture=Capture(values=Values()))
    with pytest.raises(ValueError, match="no"), world.errors.guard("outer"):
        wrapped(world)("bob", "hunter2")
    (record,) = world.arrived
    assert dict(record.frames[-1].values) == {"user": "'bob'", "password": "***"}
    assert "hunter2" not in repr(record)


def test_work_that_is_handed_to_a_pool_shows_no_arguments() -> None:
    world = World(capture=Capture(values=Values()))
    with ReportingExecutor(ThreadPoolExecutor(1), world.errors, component="pool") as pool:
        future = pool.submit(login, "bob", "hunter2")
        wait([future], 20)
    with pytest.raises(ValueError, match="no"), world.errors.guard("outer"):
        future.result()
    assert "hunter2" not in repr(world.arrived)


def test_fields_of_named_tuples_are_masked_by_their_names() -> None:
    credentials = namedtuple("credentials", "user password")  # as those of the standard library are
    values = Values()
    assert values.show("c", credentials("bob", "hunter2")) == "credentials(user='bob', password=***)"
    assert "hunter2" not in values.show("parts", urlsplit("postgres://app:hunter2@db/orders"))
    assert "orders" in values.show("parts", urlsplit("postgres://app:hunter2@db/orders"))


def test_a_list_of_a_secret_name_and_its_value_is_masked() -> None:
    assert Values().show("h", [["cookie", "s=1"], ["x", "y"]]) == "[['cookie', ***], ['x', 'y']]"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ('{"password": "correct horse battery"}', '{"password": ***}'),
        ('{"password": "hun,ter2"}', '{"password": ***}'),
        ("password='my secret phrase'", "password=***"),
        (r"{\"password\": \"hunter2\"}", r"{\"password\": ***}"),
        ("{'password': b'hunter2'}", "{'password': ***}"),
        ("{'tokens': ['abc','def']}", "{'tokens': ***}"),
        ("https://ghp_token123456@github.com/x", "https://***@github.com/x"),
        ("postgres://u:p@ss@host/x", "postgres://***@host/x"),
        ("Authorization: token ghp_abcdef", "Authorization: ***"),
        ("Authorization: Basic YTpi", "Authorization: Basic ***"),
        ("authorization: ApiKey abcdefghijk", "authorization: ***"),
        ("Authorization: Digest username=x, response=abcdef", "Authorization: ***"),
        ("Cookie: sessionid=abc; id=7", "Cookie: ***"),
        ("Set-Cookie: sid=abc", "Set-Cookie: ***"),
        ("private_key=abc", "private_key=***"),
        ("access_key=abc", "access_key=***"),
        ("aws_secret_access_key = abc/def+gh", "aws_secret_access_key = ***"),
        ("signature=abc&page=2", "signature=***&page=2"),
        ("jwt=eyJ.abc", "jwt=***"),
        ("X-Vault-Token: s.abcdef", "X-Vault-Token: ***"),
        ("Bearer\tabcdefghijkl", "Bearer ***"),
        ("host=db user=app pass=hunter2 port=5", "host=db user=app pass=*** port=5"),
        ("connect(auth=('me', 'hunter2'))", "connect(auth=***)"),
        ("credentials={'user': 'me', 'word': 'hunter2'}", "credentials=***"),
        ('{"pin": "1234", "n": 1}', '{"pin": ***, "n": 1}'),
        ("?sig=abc%2F&sid=12", "?sig=***&sid=***"),
        ("pass: 3, fail: 1; spin=2, compass=4, auth == 5", "pass: 3, fail: 1; spin=2, compass=4, auth == 5"),
        ("at http://host:80/a?x=1 of shop", "at http://host:80/a?x=1 of shop"),
        ("a@b.example wrote: hello", "a@b.example wrote: hello"),
    ],
)
def test_what_is_secret_in_a_text_is_masked_whole(text: str, scrubbed: str) -> None:
    assert Secrets().scrub(text) == scrubbed


# -- error states ----------------------------------------------------------------------------------------------------


class Watched:
    """A machine on the real state manager, watched over."""

    def __init__(self, *observers: Any, store: Any = None, **declared: Any) -> None:
        self.world = World()
        self.clock = FakeClock()
        self.states = StateManager(clock=self.clock, timers="manual", store=store, on_error=self._observed)
        table = TransitionTable(
            "t",
            states=[State("a", initial=True), State("busy"), State("broken", error=True)],
            transitions=[
                after(1, "a", "busy", guards=[lambda t: False]),
                on("work", "a", "busy", observers=observers),
                on("break", "a", "broken"),
                on("repair", "broken", "a"),
            ],
        )
        self.states.add("m", table)
        self.states.add("other", table)
        self.watch = ErrorStates(
            errors=self.world.errors,
            states=self.states,
            declared=[ErrorState("m", component="service", state="broken", enter="break", **declared)],
        )

    def _observed(self, error: StateError) -> None:
        self.watch.observed(error)


def test_the_cause_of_entering_an_error_state_is_scrubbed() -> None:
    watched = Watched()
    watched.watch.enter("m", ConnectionError("postgres://app:hunter2@db/orders is away"))
    cause = watched.states.history("m")[-1].cause
    assert cause == "ConnectionError: postgres://***@db/orders is away"
    assert watched.world.arrived[0].message == "postgres://***@db/orders is away"


def test_an_error_that_has_no_text_is_entered_for_all_the_same() -> None:
    watched = Watched()
    assert watched.watch.enter("m", _Unreadable())
    assert watched.states.state("m") == "broken"


def test_an_error_whose_text_cannot_be_encoded_is_entered_for_where_histories_are_kept(tmp_path: Path) -> None:
    watched = Watched(store=SQLiteStore(tmp_path / "states.db"))
    with watched.states:
        assert watched.watch.enter("m", OSError("file \udcff missing"))
        assert watched.states.state("m") == "broken"


def test_a_guards_no_to_a_timer_is_no_error() -> None:
    watched = Watched()
    watched.clock.advance(2)
    watched.states.run_due()
    assert (watched.world.arrived, watched.states.state("m")) == ([], "a")


def test_what_machines_are_left_with_that_are_not_declared_is_raised() -> None:
    def observer(transition: object) -> None:
        raise KeyError("observer")

    watched = Watched(observer)
    with pytest.raises(ObserverFailedError):
        watched.watch.fire("other", "work")
    assert watched.world.seen == 0
    watched.watch.fire("m", "work")
    assert [record.component for record in watched.world.arrived] == ["service"]


def test_a_rollback_out_of_an_error_state_that_fails_is_reported() -> None:
    watched = Watched(snapshot="never")
    watched.states.fire("m", "break")
    with pytest.raises(RollbackError):
        watched.watch.leave("m")
    assert [record.component for record in watched.world.arrived] == ["service"]


# -- circuits and retries --------------------------------------------------------------------------------------------


def unreachable() -> None:
    raise OSError("real")


def test_a_circuit_takes_a_time_that_was_read_late() -> None:
    clock = FakeClock(now=16.0)
    breaker = CircuitBreaker("x", failures=100, rate=0.5, window=16.0, clock=clock)
    breaker.call(str)
    clock.advance(0.1)
    assert isinstance(caught(breaker.call, unreachable), OSError)
    breaker.call(str)
    clock._now = 15.9  # another thread read its clock before, and got the lock after
    error = caught(breaker.call, unreachable)
    assert (type(error), str(error)) == (OSError, "real")


def test_a_circuit_that_was_forgotten_and_made_anew_still_opens() -> None:
    clock = FakeClock()
    circuits = CircuitBreakers(lambda key: CircuitBreaker(key, failures=2, clock=clock), most=1)
    world = World(clock=clock)
    for component in "ab":
        world.errors.policies(component, {OSError: [circuits]})
    asked = world.errors.recovering("a")(unreachable)
    caught(asked)
    world.errors.recovering("b")(str)()
    assert isinstance([caught(asked) for _ in range(10)][-1], CircuitOpenError)
    assert dict(circuits.states())["a"] == "open"


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda function: ErrorManager().recovering("c")(function), id="recovering"),
        pytest.param(lambda function: CircuitBreaker()(function), id="breaker"),
        pytest.param(lambda function: Retrying(wait=wait_none()).wrap(function), id="retry"),
    ],
)
def test_generators_are_refused_where_nothing_of_them_would_be_watched(wrap: Callable[[Any], Any]) -> None:
    def generator() -> Generator[int, None, None]:
        yield 1

    async def generates() -> Any:
        yield 1

    class Generates:
        def __call__(self) -> Generator[int, None, None]:
            yield 1

    for each in (generator, generates, functools.partial(generator), Generates()):
        with pytest.raises(TypeError, match="generator"):
            wrap(each)


@pytest.mark.parametrize(
    ("wrap", "asked_in_two_calls"),
    [
        pytest.param(lambda errors: errors.guard("c"), 2, id="guard"),
        pytest.param(lambda errors: errors.recovering("c"), 2, id="recovering"),
        pytest.param(lambda errors: CircuitBreaker(failures=1), 1, id="breaker"),
        pytest.param(lambda errors: Retrying(wait=wait_none(), stop=stop_after_attempt(2)).wrap, 4, id="retry"),
    ],
)
def test_an_object_whose_call_is_a_coroutine_function_is_one(
    wrap: Callable[[ErrorManager], Any], asked_in_two_calls: int
) -> None:
    """Taken for a plain function, it would have succeeded once it had made the coroutine."""
    asked: list[int] = []

    class Asks:
        async def __call__(self, value: int = 1) -> None:
            asked.append(value)
            raise OSError("gone")

    for each in (Asks(), functools.partial(Asks(), 1)):
        errors, asked[:] = ErrorManager(), []
        wrapped = wrap(errors)(each)
        with pytest.raises(OSError, match="gone"):
            asyncio.run(wrapped())
        with pytest.raises((OSError, CircuitOpenError)):
            asyncio.run(wrapped())
        assert len(asked) == asked_in_two_calls
        assert dict(errors.statistics().by_component).get("c", 0) in (0, 2)


def test_a_sum_of_waits_is_told_the_time_that_its_parts_ask_for() -> None:
    clock = FakeClock()
    told: list[float] = []

    def waits(state: RetryState) -> float:
        told.append(state.seconds_since_start)
        return 0.0

    def work() -> None:
        clock.advance(5)
        raise OSError

    caught(Retrying(wait=wait_fixed(0) + waits, clock=clock, stop=stop_after_attempt(3)).wrap(work))
    assert told[:2] == [5.0, 10.0]


# -- hooks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    called: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: called.append("main"))
    monkeypatch.setattr(threading, "excepthook", lambda args: called.append("thread"))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: called.append("unraisable"))
    return called


def test_a_tasks_name_is_kept_where_its_component_is_told_by_it(world: World, quiet: list[str]) -> None:
    hooks = ErrorHooks(world.errors, component_of=lambda name: "billing")

    async def failing() -> None:
        raise ValueError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        with hooks.loop(loop):
            task = asyncio.create_task(failing(), name="t-17")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            del task
            gc.collect()

    asyncio.run(main())
    assert [(record.component, record.task) for record in world.arrived] == [("billing", "t-17")]


def test_a_threads_name_is_no_tasks_where_both_have_one_component(world: World, quiet: list[str]) -> None:
    with ErrorHooks(world.errors, threads="app", tasks="app"):
        thread = threading.Thread(target=unreachable, name="T1")
        thread.start()
        thread.join()
    assert [(record.thread, record.task) for record in world.arrived] == [("T1", None)]


def test_an_error_is_reported_where_telling_its_component_raises(world: World, quiet: list[str]) -> None:
    def component_of(name: str) -> str:
        raise KeyError(name)

    with ErrorHooks(world.errors, component_of=component_of):
        thread = threading.Thread(target=unreachable, name="T1")
        thread.start()
        thread.join()
    assert sorted(record.kind for record in world.arrived) == ["KeyError", "OSError"]
    assert quiet == ["thread"]


def test_a_thousand_times_new_hooks_in_and_old_ones_out_leave_no_layers(world: World, quiet: list[str]) -> None:
    before = sys.excepthook
    present = ErrorHooks(world.errors)
    present.__enter__()
    for _ in range(1100):
        new = ErrorHooks(world.errors)
        new.__enter__()
        present.__exit__(None, None, None)
        present = new
    sys.excepthook(ValueError, ValueError("x"), None)
    assert (world.seen, quiet) == (1, ["main"])
    present.__exit__(None, None, None)
    assert sys.excepthook is before
