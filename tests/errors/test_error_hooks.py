"""Errors that nobody caught, from wherever they come: reported once, and nothing that was there before misses them."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from coresys.errors.capture import Capture
from coresys.errors.executors import ReportingExecutor, carry, watch
from coresys.errors.hooks import ErrorHooks
from coresys.errors.manager import ErrorManager
from coresys.system_records import ErrorRecord

REQUEST: ContextVar[str] = ContextVar("request")


class World:
    def __init__(self) -> None:
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(capture=Capture(context=[REQUEST]), default="operator")
        self.errors.sink("operator", self.arrived.append)

    def seen(self) -> list[tuple[str, str]]:
        assert self.errors.statistics().seen == len(self.arrived)
        return [(record.component, record.message) for record in self.arrived]


@pytest.fixture
def world() -> World:
    return World()


class Before:
    """Hooks that were there before, and what they saw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: self.seen.append(f"main {error}"))
        monkeypatch.setattr(threading, "excepthook", lambda args: self.seen.append(f"thread {args.exc_value}"))
        monkeypatch.setattr(sys, "unraisablehook", lambda args: self.seen.append(f"unraisable {args.exc_value}"))
        self.hooks = self.present()

    def present(self) -> tuple[object, ...]:
        return sys.excepthook, threading.excepthook, sys.unraisablehook


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Iterator[Before]:
    yield Before(monkeypatch)
    gc.collect()


def fail(error: BaseException) -> None:
    raise error


def run_thread(work: Callable[[], object], name: str | None = None) -> None:
    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join(10)


# -- hooks of the interpreter -----------------------------------------------------------------------------------------


def test_errors_that_end_a_thread_are_reported(world: World, before: Before) -> None:
    with ErrorHooks(world.errors):
        run_thread(lambda: fail(ValueError("x")), "worker 7")
    assert world.seen() == [("threads", "x")]
    assert world.arrived[0].thread == "worker 7"
    assert before.seen == ["thread x"]


def test_errors_of_timers_are_reported(world: World, before: Before) -> None:
    with ErrorHooks(world.errors):
        timer = threading.Timer(0.0, fail, [ValueError("x")])
        timer.start()
        timer.join(10)
    assert world.seen() == [("threads", "x")]


def test_errors_that_end_the_program_are_reported(world: World, before: Before) -> None:
    with ErrorHooks(world.errors):
        try:
            fail(ValueError("x"))
        except ValueError as error:
            sys.excepthook(type(error), error, error.__traceback__)
    assert world.seen() == [("main", "x")]
    assert before.seen == ["main x"]


class Dying:
    def __del__(self) -> None:
        raise ValueError("x")


def test_errors_of_finalizers_are_reported(world: World, before: Before) -> None:
    with ErrorHooks(world.errors):
        dying = Dying()
        del dying
        gc.collect()
    assert world.seen() == [("unraisable", "x")]
    assert before.seen == ["unraisable x"]


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_requests_to_end_are_passed_on_unreported(world: World, before: Before, error: BaseException) -> None:
    with ErrorHooks(world.errors):
        sys.excepthook(type(error), error, None)
    assert world.seen() == []
    assert before.seen == [f"main {error}"]


def test_a_hook_without_an_exception_makes_one_of_its_class(world: World, before: Before) -> None:
    class NeedsMore(Exception):
        def __init__(self, more: str) -> None: ...

    with ErrorHooks(world.errors):
        for kind in (MemoryError, NeedsMore):
            threading.excepthook(threading.ExceptHookArgs((kind, None, None, None)))
    assert [record.kind for record in world.arrived] == ["MemoryError", "RuntimeError"]


def test_what_was_reported_on_its_way_is_not_counted_again(world: World, before: Before) -> None:
    def work() -> None:
        with world.errors.guard("orders"):
            fail(ValueError("x"))

    with ErrorHooks(world.errors):
        run_thread(work)
    assert world.seen() == [("orders", "x")]
    assert before.seen == ["thread x"]


def test_one_object_that_ends_several_threads_is_an_error_of_each(world: World, before: Before) -> None:
    same = ValueError("x")
    with ErrorHooks(world.errors):
        for place in (lambda: fail(same), lambda: raises(same), lambda: fail(same)):
            run_thread(place)
    assert world.seen() == [("threads", "x")] * 3


def raises(error: BaseException) -> None:
    raise error


def test_components_are_told_by_the_name_of_the_thread(world: World, before: Before) -> None:
    with ErrorHooks(world.errors, component_of=lambda name: "mail" if name.startswith("mail") else None):
        run_thread(lambda: fail(ValueError("a")), "mail 1")
        run_thread(lambda: fail(ValueError("b")), "other")
    assert world.seen() == [("mail", "a"), ("threads", "b")]


def test_hooks_are_taken_out_again(world: World, before: Before) -> None:
    hooks = ErrorHooks(world.errors)
    for _ in range(2):
        with hooks:
            assert all(now is not then for now, then in zip(before.present(), before.hooks, strict=True))
        assert before.present() == before.hooks
    run_thread(lambda: fail(ValueError("x")))
    assert world.seen() == []


def test_hooks_cannot_be_put_in_twice(world: World, before: Before) -> None:
    hooks = ErrorHooks(world.errors)
    with hooks, pytest.raises(RuntimeError, match="in place already"), hooks:
        pass
    assert before.present() == before.hooks


def test_parts_may_be_left_alone(world: World, before: Before) -> None:
    with ErrorHooks(world.errors, main=None, unraisable=None):
        assert (sys.excepthook, sys.unraisablehook) == (before.hooks[0], before.hooks[2])
        assert threading.excepthook is not before.hooks[1]


def test_a_hook_that_others_put_over_ours_stays_and_ours_passes_on(
    world: World, before: Before, monkeypatch: pytest.MonkeyPatch
) -> None:
    over: list[str] = []
    with ErrorHooks(world.errors):
        ours = threading.excepthook

        def theirs(args: Any) -> None:
            over.append(str(args.exc_value))
            ours(args)

        threading.excepthook = theirs
    assert threading.excepthook is theirs
    run_thread(lambda: fail(ValueError("x")))
    assert (over, before.seen, world.seen()) == (["x"], ["thread x"], [])


def test_two_managers_in_a_chain_both_see_it(world: World, before: Before) -> None:
    other = World()
    with ErrorHooks(world.errors), ErrorHooks(other.errors):
        run_thread(lambda: fail(ValueError("x")))
    assert world.seen() == other.seen() == [("threads", "x")]


def test_what_was_there_before_is_called_when_reporting_fails(before: Before) -> None:
    class Broken:
        def report(self, error: BaseException, **more: Any) -> None:
            raise ZeroDivisionError

    with ErrorHooks(Broken()), pytest.raises(ZeroDivisionError):
        sys.excepthook(ValueError, ValueError("x"), None)
    assert before.seen == ["main x"]


# -- event loops ------------------------------------------------------------------------------------------------------


def test_errors_of_tasks_that_nobody_awaited_are_reported(world: World) -> None:
    theirs: list[str] = []

    async def failing() -> None:
        REQUEST.set("r-1")
        fail(ValueError("x"))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: theirs.append(str(context["exception"])))
        with ErrorHooks(world.errors).loop(loop):
            task = asyncio.create_task(failing(), name="billing")
            await asyncio.sleep(0.001)
            del task
            gc.collect()
            loop.call_soon(fail, KeyError("callback"))
            await asyncio.sleep(0.001)
        assert loop.get_exception_handler() is not None
        loop.call_exception_handler({"message": "m", "exception": ValueError("after")})

    asyncio.run(main())
    assert world.seen() == [("tasks", "x"), ("tasks", "'callback'")]
    assert world.arrived[0].task == "billing"
    if sys.version_info >= (3, 12):  # before, a task does not tell its context
        assert world.arrived[0].context == (("request", "'r-1'"),)
    assert theirs == ["x", "'callback'", "after"]


def test_complaints_that_are_no_errors_go_to_whoever_was_there(world: World) -> None:
    theirs: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: theirs.append(context["message"]))
        with ErrorHooks(world.errors).loop(loop):
            loop.call_exception_handler({"message": "was destroyed but it is pending"})

    asyncio.run(main())
    assert (world.seen(), theirs) == ([], ["was destroyed but it is pending"])


def test_the_loops_own_handler_is_called_where_there_was_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ErrorHooks(world.errors).loop(loop):
            loop.call_exception_handler({"message": "oh", "exception": ValueError("x")})
        assert loop.get_exception_handler() is None

    asyncio.run(main())
    assert world.seen() == [("tasks", "x")]
    assert "oh" in caplog.text


def test_errors_of_several_tasks_at_once_are_all_counted(world: World) -> None:
    async def failing(number: int) -> None:
        with world.errors.guard("orders"):
            await asyncio.sleep(0)
            fail(ValueError(number))

    async def main() -> None:
        results = await asyncio.gather(*(failing(number) for number in range(50)), return_exceptions=True)
        for error in results:
            assert isinstance(error, ValueError)
            world.errors.report(error, component="shop")

    asyncio.run(main())
    assert sorted(int(message) for _, message in world.seen()) == list(range(50))


# -- executors and timers ---------------------------------------------------------------------------------------------


@pytest.fixture
def pool(world: World) -> Iterator[ReportingExecutor]:
    with ReportingExecutor(ThreadPoolExecutor(2), world.errors, component="pool") as executor:
        yield executor


def gone(future: Future[Any]) -> None:
    wait([future], 10)


def test_an_error_that_nobody_asked_for_is_reported_when_the_future_is_gone(
    world: World, pool: ReportingExecutor
) -> None:
    future = pool.submit(fail, ValueError("x"))
    gone(future)
    assert world.seen() == []
    del future
    pool.shutdown()
    gc.collect()
    assert world.seen() == [("pool", "x")]


def ask_for_the_result(future: Future[Any]) -> None:
    with pytest.raises(ValueError, match="x"):
        future.result()


def ask_for_the_exception(future: Future[Any]) -> None:
    assert isinstance(future.exception(), ValueError)


@pytest.mark.parametrize("ask", [ask_for_the_exception, ask_for_the_result])
def test_an_error_that_somebody_asked_for_is_theirs(
    world: World, pool: ReportingExecutor, ask: Callable[[Future[Any]], object]
) -> None:
    future = pool.submit(fail, ValueError("x"))
    gone(future)
    ask(future)
    del future
    pool.shutdown()
    gc.collect()
    assert world.seen() == []


def test_an_error_that_whoever_asked_reports_is_that_of_the_worker(world: World, pool: ReportingExecutor) -> None:
    reset = REQUEST.set("r-2")
    try:
        future = pool.submit(fail, ValueError("x"))
    finally:
        REQUEST.reset(reset)
    with pytest.raises(ValueError, match="x"), world.errors.guard("shop"):
        future.result(10)
    assert world.seen() == [("pool", "x")]
    assert world.arrived[0].thread.startswith("ThreadPoolExecutor")
    assert world.arrived[0].context == (("request", "'r-2'"),)
    del future
    gc.collect()
    assert world.errors.statistics().seen == 1


def test_asking_too_early_is_not_asking(world: World, pool: ReportingExecutor) -> None:
    release = threading.Event()

    def work() -> None:
        release.wait(10)
        fail(ValueError("x"))

    future = pool.submit(work)
    with pytest.raises(TimeoutError if sys.version_info >= (3, 11) else Exception):
        future.result(0)
    release.set()
    gone(future)
    del future
    pool.shutdown()
    gc.collect()
    assert world.seen() == [("pool", "x")]


def test_what_map_gives_is_asked_for(world: World, pool: ReportingExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        list(pool.map(lambda number: 1 / number, [1, 0]))
    pool.shutdown()
    gc.collect()
    assert world.seen() == []


def test_awaiting_a_future_is_asking(world: World, pool: ReportingExecutor) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="x"):
            await asyncio.get_running_loop().run_in_executor(pool, fail, ValueError("x"))

    asyncio.run(main())
    pool.shutdown()
    gc.collect()
    assert world.seen() == []


def test_a_cancelled_future_has_no_error(world: World) -> None:
    future: Future[int] = watch(Future(), world.errors, component="pool")
    future.cancel()
    del future
    gc.collect()
    assert world.seen() == []


def test_results_are_unharmed_and_watching_twice_is_once(world: World, pool: ReportingExecutor) -> None:
    future = pool.submit(lambda: 5)
    assert watch(future, world.errors, component="again") is future
    assert (future.result(10), future.exception(), future.done()) == (5, None, True)
    assert isinstance(future, Future)


def test_errors_of_a_hundred_futures_are_counted_exactly(world: World, pool: ReportingExecutor) -> None:
    futures = [pool.submit(fail, ValueError(number)) for number in range(100)]
    wait(futures, 10)
    for future in futures[:40]:
        with pytest.raises(ValueError, match=r"\d"), world.errors.guard("shop"):
            future.result()
    del futures, future
    pool.shutdown()
    gc.collect()
    assert sorted(int(message) for _, message in world.seen()) == list(range(100))


def test_work_for_timers_carries_its_context_and_is_counted_once(world: World, before: Before) -> None:
    reset = REQUEST.set("r-3")
    work = carry(fail, world.errors, component="nightly")
    REQUEST.reset(reset)
    with ErrorHooks(world.errors):
        for _ in range(2):
            timer = threading.Timer(0.0, work, [ValueError("x")])
            timer.start()
            timer.join(10)
    assert world.seen() == [("nightly", "x")] * 2
    assert world.arrived[0].context == (("request", "'r-3'"),)
    assert before.seen == ["thread x"] * 2
    assert work.__name__ == "fail"


def test_what_runs_after_the_call_is_not_carried_and_says_so(world: World) -> None:
    async def coroutine() -> None:
        raise ValueError("x")

    def generator() -> Iterator[None]:
        yield

    async def numbers() -> AsyncIterator[int]:
        yield 1

    class Job:
        async def __call__(self) -> None:
            raise ValueError("x")

    for function in (coroutine, partial(coroutine), Job(), Job().__call__):
        with pytest.raises(TypeError, match=r"makes a coroutine.*guard"):
            carry(function, world.errors, component="nightly")
    for iterated in (generator, numbers):
        with pytest.raises(TypeError, match="is a generator, which runs after the call"):
            carry(iterated, world.errors, component="nightly")
    with pytest.raises(ValueError, match="x"):  # what the refusal tells to do
        asyncio.run(world.errors.guard("nightly")(coroutine)())
    assert world.seen() == [("nightly", "x")]
