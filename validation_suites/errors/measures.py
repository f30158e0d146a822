"""What is measured of an error manager, known by its protocol. Each function returns what the criterion counts.

Procedures are no part of the protocol: a manager that has ``policies`` and ``recovering`` as ours does is asked for
them; what uses hooks of the interpreter needs a ``report`` that takes ``ended``.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from coresys.errors import ErrorHooks, ErrorState, ErrorStates, Escalate, RestartComponent, RetryBudget, Retrying, carry
from coresys.errors.backoff import stop_after_attempt, wait_none
from coresys.errors.breaker import CircuitBreaker
from coresys.errors.hierarchy import CircuitOpenError, TransitionFailedError, TransitionRefusedError
from coresys.state import State, TransitionTable, inside, on
from coresys.system_records import CleanupStep, ErrorRecord
from coresys.testing.fakes import RecordingComponentManager
from pytest_coresys.subjects import takes
from validation_suites.asking import attempt
from validation_suites.running import PATIENCE, at_once
from validation_suites.tally import Tally, missed_or_doubled

if TYPE_CHECKING:
    from coresys.clock import Clock
    from coresys.interfaces import ICleanupManager, IErrorManager, IThreadManager


class Planted(Exception):
    """What is raised on purpose."""


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The error as it is when somebody has raised it, from another one."""
    try:
        raise error from cause
    except BaseException as caught:
        return caught
    finally:
        del error, cause  # else this frame, which its traceback has, would have it, in a circle


@dataclass(slots=True)
class Arrived:
    """What came to a sink: by its message how often, and the causes that came with it."""

    records: list[ErrorRecord] = field(default_factory=list)

    def __call__(self, record: ErrorRecord) -> None:
        self.records.append(record)

    def leaves(self) -> Iterator[ErrorRecord]:
        """All errors that are no groups, those of groups too."""
        todo = list(self.records)
        while todo:
            record = todo.pop()
            todo += record.members
            if not record.members:
                yield record

    def messages(self) -> list[str]:
        """Of all leaves."""
        return [record.message for record in self.leaves()]


def _routed(manager: IErrorManager, *components: str) -> Arrived:
    arrived = Arrived()
    manager.sink("end", arrived)
    for component, to in zip(components, (*components[1:], "end"), strict=True):
        manager.route(component, to)
    return arrived


# -- paths -----------------------------------------------------------------------------------------------------------

LAYERS = ("driver", "storage", "service", "face")


def leaves_lost(manager: IErrorManager, cleanup: ICleanupManager | None = None) -> list[str]:
    """Errors of each layer, of threads and tasks, of a cleanup where several fail, in groups and with causes: what is
    missing at the sink, or came twice, or without its causes."""
    arrived = _routed(manager, *LAYERS)
    manager.route("cleanup", LAYERS[-1])
    expected: list[str] = []
    faults: list[str] = []
    for ways in (_by_layers, _by_threads, _by_tasks, _in_groups):
        made: list[str] = []
        attempt(faults, ways.__name__.strip("_"), partial(ways, manager, made))
        expected += made
    if cleanup is not None:
        made = []
        attempt(faults, "cleanup", partial(_by_cleanup, manager, cleanup, made))
        expected += made
    if takes(manager.report, "ended"):
        for what, way in (("hooks", _by_hooks), ("a sink", _by_a_sink)):
            made = []
            attempt(faults, what, partial(way, manager, made))
            expected += made
    faults += missed_or_doubled("error", arrived.messages(), expected)
    return faults + _causes_lost(manager, arrived)


def _by_layers(manager: IErrorManager, made: list[str]) -> None:
    for at, layer in enumerate(LAYERS):
        made.append(f"in {layer}")
        error = raised(Planted(f"in {layer}"))
        for outer in LAYERS[at:]:  # whoever it passes reports it
            manager.report(error, component=outer)


def _by_threads(manager: IErrorManager, made: list[str]) -> None:
    messages = [f"thread {number} error {each}" for number in range(4) for each in range(25)]
    made += messages

    def report(mine: Sequence[str]) -> None:
        for message in mine:
            manager.report(raised(Planted(message)), component=LAYERS[0])

    wrong = at_once([partial(report, messages[number::4]) for number in range(4)])
    if wrong:
        raise Planted("; ".join(wrong))


def _by_tasks(manager: IErrorManager, made: list[str]) -> None:
    messages = [f"task {number}" for number in range(10)]
    made += messages

    async def fail(message: str) -> None:
        await asyncio.sleep(0)
        manager.report(raised(Planted(message)), component=LAYERS[1])

    async def all_of_them() -> None:
        await asyncio.gather(*map(fail, messages))

    asyncio.run(all_of_them())


def _in_groups(manager: IErrorManager, made: list[str], component: str = LAYERS[2]) -> None:
    group: Any = getattr(sys.modules["builtins"], "ExceptionGroup", None)
    if group is None:  # Python 3.10
        return
    made += ["first of a group", "second of a group", "of a group in it"]
    inner = group("inner", [Planted(made[2])])
    manager.report(raised(group("outer", [Planted(made[0]), Planted(made[1]), inner])), component=component)


def _by_cleanup(manager: IErrorManager, cleanup: ICleanupManager, made: list[str]) -> None:
    """Several steps of one cleanup fail; each is reported by the step itself, as it passes."""

    def fail(message: str) -> None:
        error = raised(Planted(message))
        manager.report(error, component="cleanup")
        raise error

    for number in range(5):
        made.append(f"step {number}")
        cleanup.add(CleanupStep(f"step {number}"), partial(fail, f"step {number}"))
    report = cleanup.run()
    if len(report.failed) != 5:
        raise Planted(f"of 5 steps that fail the report tells {len(report.failed)}")


def _by_hooks(manager: Any, made: list[str]) -> None:
    """What nobody catches: in a thread, a timer, a finalizer, a task that is forgotten."""

    def fail(message: str) -> None:
        made.append(message)
        raise Planted(message)

    class Failing:
        def __del__(self) -> None:
            fail("in a finalizer")

    async def forgotten() -> None:
        fail("in a forgotten task")

    async def forget(hooks: ErrorHooks) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        with hooks.loop(loop):
            task = loop.create_task(forgotten())
            await asyncio.wait([task])
            del task
            gc.collect()

    with (
        _nothing_printed(),
        ErrorHooks(manager, main=None, threads=LAYERS[0], unraisable=LAYERS[0], tasks=LAYERS[0]) as h,
    ):
        for thread in (
            threading.Thread(target=fail, args=("in a thread",)),
            threading.Timer(0, fail, args=("in a timer",)),
        ):
            thread.start()
            thread.join(PATIENCE)
        failing: Failing | None = Failing()
        failing = None
        assert failing is None
        asyncio.run(forget(h))


def _by_a_sink(manager: Any, made: list[str]) -> None:
    """A sink that fails itself: its error has a path too."""

    def fail(record: ErrorRecord) -> None:
        made.append("of a sink")
        raise Planted("of a sink")

    manager.sink("failing", fail)
    manager.route("to the failing one", "failing")
    manager.route("sink failing", LAYERS[-1])
    manager.report(raised(Planted("given to a sink")), component="to the failing one")


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """The hooks below ours, which come after them, are none: these errors are meant."""
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda args: None
    sys.unraisablehook = lambda args: None
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def _causes_lost(manager: IErrorManager, arrived: Arrived) -> list[str]:
    deepest = raised(Planted("the cause of the cause"))
    error = raised(Planted("with causes"), raised(Planted("the cause"), deepest))
    manager.report(error, component=LAYERS[0])
    found = [record for record in arrived.leaves() if record.message == "with causes"]
    causes = [each.message for record in found for each in record.causes]
    nested = [each.message for record in found for cause in record.causes for each in cause.causes]
    if {"the cause", "the cause of the cause"} <= {*causes, *nested}:
        return []
    return [f"of its causes came {causes + nested}"]


# -- procedures ------------------------------------------------------------------------------------------------------


class Noted:
    """A procedure that notes that it was asked, and says to call again so many times."""

    acts = False

    def __init__(self, name: str, times: int, log: list[str]) -> None:
        self.name, self._times, self._log = name, times, log

    def recover(self, failure: Any) -> float | None:
        """Noted, with the component whose procedures are asked."""
        self._log.append(f"{self.name} of {failure.at}")
        return 0.0 if failure.used < self._times else None


class Reconnects(ConnectionError):
    """Recovered from by a procedure of its component."""


class Retried(TimeoutError):
    """Tried three times."""


class Escalated(KeyError):
    """A matter of the next component."""


class InTurn(EOFError):
    """A matter of two procedures, of which the first does not help."""


class Restarted(ValueError):
    """Recovered from by a restart."""


class Budgeted(LookupError):
    """Tried again while there is a budget."""


class Broken(ArithmeticError):
    """Opens a circuit."""


@dataclass(frozen=True, slots=True)
class Case:
    """An error class, how often a call fails of it, and what is to come of that, in this order of cases."""

    error: type[Exception]
    fails: int
    attempts: int
    done: tuple[str, ...] = ()
    succeeds: bool = True


FOR_EVER = 1_000
CASES = (
    Case(Reconnects, 0, 1),
    Case(Reconnects, 1, 2, ("reconnect of orders",)),
    Case(Reconnects, FOR_EVER, 2, ("reconnect of orders", "reconnect of orders", "tell of shop"), succeeds=False),
    Case(Retried, 2, 3),
    Case(Retried, FOR_EVER, 3, ("tell of shop",), succeeds=False),
    Case(Escalated, 1, 2, ("page of shop",)),
    Case(Escalated, FOR_EVER, 2, ("page of shop", "page of shop"), succeeds=False),
    Case(InTurn, 1, 2, ("first of orders", "second of orders")),
    Case(Restarted, 1, 2, ("restart db",)),
    Case(Restarted, FOR_EVER, 1, ("tell of shop",), succeeds=False),  # restarted too often by now
    Case(ZeroDivisionError, FOR_EVER, 1, ("tell of shop",), succeeds=False),  # which nothing is declared for
    Case(Budgeted, FOR_EVER, 3, ("tell of shop",), succeeds=False),  # a budget of two
    Case(Budgeted, FOR_EVER, 1, ("tell of shop",), succeeds=False),  # which is empty now
    Case(Broken, FOR_EVER, 1, ("tell of shop",), succeeds=False),
    Case(Broken, FOR_EVER, 1, ("tell of shop",), succeeds=False),
    Case(Broken, FOR_EVER, 0, ("tell of shop",), succeeds=False),  # the circuit is open: it is not called
)


def wrong_recoveries(manager: Any, clock: Clock) -> list[str]:
    """Calls that fail with each class of a table; where what was done differs from what it says."""
    log: list[str] = []
    components = RecordingComponentManager("db", clock=clock)
    arrived = _routed(manager, "orders", "shop")
    declare_procedures(manager, log, components, clock)
    faults = []
    for number, case in enumerate(CASES):
        log.clear()
        components.calls.clear()
        before = len(list(arrived.leaves()))
        attempts, error = _call(manager, case)
        done = (*log, *(f"{what} {name}" for what, name in components.calls))
        if case.error is Restarted and not case.succeeds:
            done = tuple(each for each in done if not each.startswith("restart"))  # asked for, and refused
        what = f"case {number}, {case.error.__name__} {case.fails} times"
        if attempts != case.attempts:
            faults.append(f"{what}: called {attempts} times, not {case.attempts}")
        if done != case.done:
            faults.append(f"{what}: {list(done)} was done, not {list(case.done)}")
        if (error is None) != case.succeeds:
            faults.append(f"{what}: {'it succeeded' if error is None else f'it raised {error!r}'}")
        elif error is not None and not isinstance(error, (case.error, CircuitOpenError)):
            faults.append(f"{what}: it raised {error!r}")
        told = len(list(arrived.leaves())) - before
        failures = case.attempts - case.succeeds if case.attempts else 1
        if told != failures:
            faults.append(f"{what}: {failures} errors, and {told} came to the sink")
    return faults


def declare_procedures(manager: Any, log: list[str], components: Any, clock: Clock) -> None:
    """The table that the cases are of."""
    again = partial(Retrying, wait=wait_none(), clock=clock)
    budget = RetryBudget(per_second=0, burst=2, clock=clock)
    manager.policies(
        "orders",
        {
            Reconnects: [Noted("reconnect", 1, log)],
            InTurn: [Noted("first", 0, log), Noted("second", 1, log)],
            Retried: [again(stop=stop_after_attempt(3))],
            KeyError: [Escalate()],
            Restarted: [RestartComponent(components, "db")],
            Budgeted: [again(stop=stop_after_attempt(10), budget=budget)],
            Broken: [CircuitBreaker("orders", failures=2, clock=clock)],
        },
    )
    manager.policies("shop", {Escalated: [Noted("page", 1, log)], Exception: [Noted("tell", 0, log)]})


def _call(manager: Any, case: Case) -> tuple[int, Exception | None]:
    attempts = 0

    def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= case.fails:
            raise case.error(f"attempt {attempts}")

    try:
        manager.recovering("orders").call(work)
    except Exception as error:
        return attempts, error.with_traceback(None)
    return attempts, None


# -- error states ----------------------------------------------------------------------------------------------------

_WAYS = {("work", "idle"): "busy", ("finish", "busy"): "idle", ("rest", "busy"): "asleep", ("finish", "asleep"): "idle"}


def _job_table() -> TransitionTable:
    def maybe(trigger: Any) -> None:
        if trigger.payload == "fail":
            raise Planted("on its way")

    return TransitionTable(
        "job",
        states=[State("idle", initial=True), State("busy"), State("asleep"), State("trouble", error=True)],
        transitions=[
            *(on(event, source, target, observers=[inside(maybe)]) for (event, source), target in _WAYS.items()),
            on("retry", "trouble", "idle"),
        ],
    )


def wrong_error_states(errors: IErrorManager, states: Any, steps: int = 400, seed: int = 3) -> list[str]:
    """Machines with an error state, driven at random: one is left by an event, one by going back. Compared with a
    model: the state after each step, and that each failure was reported once."""
    dice = random.Random(seed)
    arrived = _routed(errors, "worker")
    watch = ErrorStates(errors=errors, states=states)
    model: dict[str, str] = {}
    before: dict[str, str] = {}
    for name, leave in (("by event", "retry"), ("by rollback", None)):
        states.add(name, _job_table())
        watch.declare(ErrorState(name, component="worker", state="trouble", leave=leave))
        model[name] = "idle"
    faults: list[str] = []
    failures = 0
    for step in range(steps):
        name = dice.choice(list(model))
        if model[name] == "trouble" and dice.random() < 0.5:
            left = attempt(faults, f"step {step}: leaving", partial(watch.leave, name))
            model[name] = "idle" if name == "by event" else before[name]
            if left is not True:
                faults.append(f"step {step}: {name} was not left")
        else:
            event, fails = dice.choice(("work", "finish", "rest")), dice.random() < 0.3
            target = _WAYS.get((event, model[name]))
            wanted: type[Exception] | None = None if target else TransitionRefusedError
            if target and fails:
                before[name], wanted, failures = model[name], TransitionFailedError, failures + 1
                model[name] = "trouble"
            elif target:
                model[name] = target
            came = _fire(watch, name, event, "fail" if fails else None)
            if came is not wanted:
                faults.append(f"step {step}: {event!r} of {name} came to {came}, not {wanted}")
        state = states.state(name)
        if state != model[name] or watch.is_in_error(name) != (model[name] == "trouble"):
            faults.append(f"step {step}: {name} is in {state!r}, not in {model[name]!r}")
            return faults
    if len(arrived.records) != failures:
        faults.append(f"{failures} transitions failed, and {len(arrived.records)} errors came to the sink")
    return faults


def _fire(watch: ErrorStates, name: str, event: str, payload: str | None) -> type[Exception] | None:
    try:
        watch.fire(name, event, payload)
    except Exception as error:
        return type(error)
    return None


# -- context ---------------------------------------------------------------------------------------------------------

REQUEST: ContextVar[str] = ContextVar("coresys_request", default="none")


class _Heavy:
    """Something that only a frame holds."""


def context_lost(manager: IErrorManager, threads: IThreadManager, times: int = 50) -> list[str]:
    """Set a context variable, fail in a worker and in a timer: records without it, or of another's. The manager keeps
    ``coresys_request`` of what it captures."""
    arrived = _routed(manager, "worker")
    errors: Any = manager  # which reports: more is not asked of it here
    expected = {}
    futures, timers = [], []
    for number in range(times):
        token = REQUEST.set(f"request {number}")
        fail = partial(_fail_and_report, manager, f"worker {number}")
        futures.append(threads.submit_with(fail) if number % 2 else threads.submit(fail))
        expected[f"worker {number}"] = f"request {number}"
        if number % 10 == 0:
            carried = carry(partial(_fail, f"timer {number}"), errors, component="worker")
            timers.append(threading.Timer(0, carried))
            expected[f"timer {number}"] = f"request {number}"
        REQUEST.reset(token)
    with _nothing_printed():
        for timer in timers:
            timer.start()
        for timer in timers:
            timer.join(PATIENCE)
    faults: list[str] = []
    for future in futures:
        attempt(faults, "a task", partial(future.result, PATIENCE))
    faults += missed_or_doubled("error", arrived.messages(), list(expected))
    for record in arrived.leaves():
        kept = dict(record.context).get(REQUEST.name, "")
        if expected.get(record.message, "") not in kept or not kept:
            faults.append(f"{record.message} has the context {kept or 'of nobody'}")
        if [cause.message for cause in record.causes] != ["why"]:
            faults.append(f"{record.message} has lost its cause")
    return faults


def _fail(message: str) -> None:
    raise Planted(message) from raised(Planted("why"))


def _fail_and_report(manager: IErrorManager, message: str) -> None:
    try:
        _fail(message)
    except Planted as error:
        manager.report(error, component="worker")


def pinned(manager: IErrorManager, times: int = 20) -> list[str]:
    """Errors that are kept, whose frames had something: what of that is alive when they are gone."""
    _routed(manager, "pinning")
    kept: list[weakref.ref[Any]] = []
    records = []

    def fail(number: int) -> None:
        heavy = _Heavy()
        kept.append(weakref.ref(heavy))
        raise Planted(f"holding {number}")

    for number in range(times):
        try:
            fail(number)
        except Planted as error:
            kept.append(weakref.ref(error))
            records.append(manager.report(error, component="pinning"))
    gc.collect()
    alive = sum(each() is not None for each in kept)
    return [f"{alive} of {len(kept)} objects are alive that only errors had"] * (alive > 0)


# -- monitoring ------------------------------------------------------------------------------------------------------


def untold_errors(manager: IErrorManager, tally: Tally, threads: int = 8, each: int = 250) -> list[str]:
    """Report from several threads, each error twice, and a group with a group in it; those that monitoring was not told
    of once."""
    _routed(manager, "inner", "outer")
    already = len(tally.errors)
    before = manager.statistics().seen

    def report(number: int) -> None:
        for at in range(each):
            error = raised(Planted(f"thread {number} error {at}"))
            manager.report(error, component="inner")
            manager.report(error, component="outer")

    faults = at_once([partial(report, number) for number in range(threads)])
    expected = [f"thread {number} error {at}" for number in range(threads) for at in range(each)]
    grouped: list[str] = []
    _in_groups(manager, grouped, component="inner")
    expected += grouped
    faults += missed_or_doubled("error", [record.message for record in tally.errors[already:]], expected)
    seen = manager.statistics().seen - before
    return faults + [f"it says that it saw {seen} errors of {len(expected)}"] * (seen != len(expected))
