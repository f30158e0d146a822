"""Recovery as declared: which procedures run for which error, in which order, and where it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from coresys.errors.backoff import RetryState, stop_after_attempt, wait_fixed, wait_none
from coresys.errors.breaker import CircuitBreaker, CircuitBreakers
from coresys.errors.budget import RetryBudget
from coresys.errors.hierarchy import CircuitOpenError, CoreSysError, TransitionFailedError
from coresys.errors.manager import ErrorManager
from coresys.errors.policies import Break, Escalate, Failure, Policies, RestartComponent, RestoreState, Retry
from coresys.errors.restart import RestartIntensity, affected
from coresys.errors.retry import Retrying
from coresys.system_records import ComponentSpec, ErrorRecord, StateDefinition
from coresys.testing.fakes import (
    FakeClock,
    RecordingComponentManager,
    RecordingMonitoringManager,
    RecordingStateManager,
)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.monitoring = RecordingMonitoringManager()
        self.components = RecordingComponentManager("db", "orders", "mail", clock=self.clock)
        self.states = RecordingStateManager()
        self.states.define("orders", StateDefinition("t", ("a", "b"), "a", (("go", "a", "b"), ("go", "b", "b"))))
        self.arrived: list[ErrorRecord] = []
        self.errors = ErrorManager(monitoring=self.monitoring, clock=self.clock)
        self.errors.sink("operator", self.arrived.append)
        self.errors.route("shop", "operator")
        self.errors.route("orders", "shop")

    def retrying(self, attempts: int = 3, **rule: Any) -> Retrying:
        rule.setdefault("wait", wait_fixed(1))
        return Retrying(stop=stop_after_attempt(attempts), clock=self.clock, **rule)

    def steps(self) -> list[str]:
        prefix = "recovery."
        return [f"{at}: {name[len(prefix) :]}" for name, at, _ in self.monitoring.values if name.startswith(prefix)]


@pytest.fixture
def world() -> World:
    return World()


class Work:
    """Raises what it is told to, one after the other, and then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


FORMS = ["call", "decorator", "loop", "async call", "async decorator", "async loop"]


def run(form: str, world: World, work: Callable[[], Any], component: str = "orders") -> Any:
    recovering = world.errors.recovering(component, async_sleep=world.clock.sleep_async)

    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return work()

    if form == "call":
        return recovering.call(work)
    if form == "decorator":
        return recovering(lambda: work())()
    if form == "loop":
        for attempt in recovering:
            with attempt:
                result = work()
        return result
    if form == "async call":
        return asyncio.run(recovering.call_async(coroutine))
    if form == "async decorator":
        return asyncio.run(recovering(coroutine)())

    async def loop() -> Any:
        async for attempt in recovering:
            async with attempt:
                result = await coroutine()
        return result

    return asyncio.run(loop())


# -- the table --------------------------------------------------------------------------------------------------------


class Base(Exception):
    pass


class Left(Base):
    pass


class Right(Base):
    pass


class Both(Left, Right):
    pass


class Named:
    """A procedure that only has a name."""

    acts = False

    def __init__(self, name: str) -> None:
        self.name = name

    def recover(self, failure: Failure) -> float | None:
        return None


@pytest.mark.parametrize(
    ("listed", "kind", "chosen"),
    [
        *(((Base,), Base, Base), ((Base,), Left, Base), ((Base, Left), Left, Left), ((Base, Left), Right, Base)),
        *(((Left, Right), Both, Left), ((Right, Base), Both, Right), ((Exception,), Both, Exception)),
        *(((Left,), Base, None), ((), Base, None), ((BaseException,), KeyboardInterrupt, BaseException)),
        *(
            ((OSError, TimeoutError), TimeoutError, TimeoutError),
            ((OSError, ConnectionError), BrokenPipeError, ConnectionError),
        ),
        *(((CoreSysError, Exception), TransitionFailedError, CoreSysError),),
        *(((CircuitOpenError, CoreSysError), CircuitOpenError, CircuitOpenError),),
    ],
)
def test_the_most_specific_class_decides(
    listed: tuple[type[BaseException], ...], kind: type[BaseException], chosen: type[BaseException] | None
) -> None:
    for order in (listed, listed[::-1]):  # not the order in which they are listed
        table = Policies({each: [Named(each.__name__)] for each in order})
        assert [each.name for each in table.of(kind)] == ([] if chosen is None else [chosen.__name__])


def test_rules_and_circuits_stand_for_themselves() -> None:
    table = Policies({OSError: [CircuitBreaker("x"), Retrying(), CircuitBreakers(), Escalate()]})
    assert [type(each) for each in table.of(OSError)] == [Break, Retry, Break, Escalate]


@pytest.mark.parametrize(
    ("procedures", "error", "says"),
    [
        ([Escalate(), Retrying()], ValueError, "'retry' is never asked"),
        (["retry"], TypeError, "no procedure"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(procedures: list[Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Policies({OSError: procedures})


# -- procedures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_without_policies_an_error_is_reported_and_raised(world: World, form: str) -> None:
    with pytest.raises(OSError, match="x"):
        run(form, world, Work(OSError("x")))
    assert [(record.message, record.severity) for record in world.arrived] == [("x", "error")]
    assert (world.steps(), world.clock.slept) == ([], [])


@pytest.mark.parametrize("form", FORMS)
def test_what_succeeds_is_left_alone(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [world.retrying()]})
    assert run(form, world, Work()) == "done"
    assert world.errors.statistics().seen == 0


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_tried_again_and_recovered(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [world.retrying()]})
    work = Work(OSError("a"), OSError("b"))
    assert run(form, world, work) == "done"
    assert (work.calls, world.clock.slept) == (3, [1.0, 1.0])
    assert [(record.message, record.severity) for record in world.arrived] == [("a", "warning"), ("b", "warning")]
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.recovered, statistics.escalated) == (2, 2, 0)
    assert world.steps() == ["orders: retry.again"] * 2


@pytest.mark.parametrize("form", FORMS)
def test_when_tries_are_used_up_it_is_escalated_and_raised(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [world.retrying()]})
    with pytest.raises(OSError, match="c"):
        run(form, world, Work(OSError("a"), OSError("b"), OSError("c"), OSError("d")))
    assert [record.severity for record in world.arrived] == ["warning", "warning", "error"]
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.recovered, statistics.escalated) == (3, 0, 1)
    assert world.steps() == ["orders: retry.again"] * 2 + ["orders: retry.next", "orders: escalate.up"]


@pytest.mark.parametrize("form", FORMS)
def test_a_budget_that_is_spent_leads_to_the_next_procedure(world: World, form: str) -> None:
    budget = RetryBudget(per_second=0, burst=1, clock=world.clock)
    world.errors.policies("orders", {OSError: [world.retrying(9, budget=budget), RestartComponent(world.components)]})
    assert run(form, world, Work(OSError("a"), OSError("b"))) == "done"
    assert world.components.calls == [("restart", "orders")]
    assert world.steps() == ["orders: retry.again", "orders: retry.next", "orders: restart.again"]


@pytest.mark.parametrize("form", FORMS)
def test_procedures_are_asked_in_their_order_each_as_often_as_it_may(world: World, form: str) -> None:
    world.states.snapshot("orders", "good")
    world.states.fire("orders", "go")
    world.errors.policies(
        "orders",
        {
            OSError: [
                world.retrying(2),
                RestoreState(world.states, to_snapshot="good"),
                RestartComponent(world.components, times=3),
                Escalate(),
            ]
        },
    )
    world.components.register(ComponentSpec("orders", restarts=3), start=always, stop=always)
    world.components.refuse.add("db")
    world.errors.policies("shop", {Exception: [RestartComponent(world.components, "db")]})
    with pytest.raises(OSError, match=r"^5$"):
        run(form, world, RefusingLater(world, 5))
    assert world.steps() == [
        *("orders: retry.again",),
        *("orders: retry.next", "orders: restore.again"),
        *("orders: retry.next", "orders: restore.next", "orders: restart.again"),
        *("orders: retry.next", "orders: restore.next", "orders: restart.again"),
        *("orders: retry.next", "orders: restore.next", "orders: restart.next", "orders: escalate.up"),
        *("shop: restart.next", "shop: escalate.up"),
    ]
    assert world.states.state("orders") == "a"
    assert world.errors.statistics().escalated == 2


class RefusingLater:
    """Fails each time; before the last, the component manager has had enough of restarts."""

    def __init__(self, world: World, last: int) -> None:
        self.world, self.last, self.calls = world, last, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.last:
            self.world.components.refuse.add("orders")
        raise OSError(self.calls)


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_escalated_to_the_next_on_its_path(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [Escalate()]})
    world.errors.policies("shop", {OSError: [RestartComponent(world.components, "db")]})
    assert run(form, world, Work(OSError("a"))) == "done"
    assert world.components.calls == [("restart", "db")]
    assert world.steps() == ["orders: escalate.up", "shop: restart.again"]
    assert [record.component for record in world.arrived] == ["orders"]


@pytest.mark.parametrize("form", FORMS)
def test_each_class_has_its_own_procedures_within_one_call(world: World, form: str) -> None:
    world.errors.policies(
        "orders",
        {OSError: [world.retrying(2)], KeyError: [RestartComponent(world.components)], ValueError: [Escalate()]},
    )
    with pytest.raises(ValueError, match="end"):
        run(form, world, Work(OSError("a"), KeyError("b"), ValueError("end")))
    assert world.steps() == ["orders: retry.again", "orders: restart.again", "orders: escalate.up"]


@pytest.mark.parametrize("form", FORMS)
def test_a_procedure_that_fails_is_reported_and_the_next_is_asked(world: World, form: str) -> None:
    world.errors.policies(
        "orders", {OSError: [RestoreState(world.states, to_snapshot="never taken"), RestartComponent(world.components)]}
    )
    assert run(form, world, Work(OSError("a"))) == "done"
    assert [record.kind.rpartition(".")[2] for record in world.arrived] == ["OSError", "RollbackError"]
    assert world.steps() == [
        *("orders: restore.failed", "orders: restore.next", "orders: restart.again"),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_one_exception_object_that_is_raised_each_time_is_an_error_each_time(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [world.retrying(4)]})
    same = OSError("same")
    assert run(form, world, Work(same, same, same)) == "done"
    assert (world.errors.statistics().seen, world.errors.statistics().recovered) == (3, 3)


@pytest.mark.parametrize("form", FORMS)
def test_an_error_is_reported_before_anything_is_done_about_it(world: World, form: str) -> None:
    seen: list[int] = []

    class Looking:
        name, acts = "looking", True

        def recover(self, failure: Failure) -> float | None:
            seen.append(len(world.arrived))
            return 0.0

    world.errors.policies("orders", {OSError: [Looking()]})
    run(form, world, Work(OSError("a")))
    assert seen == [1]
    assert [record.severity for record in world.arrived] == ["error"]


@pytest.mark.parametrize("form", [form for form in FORMS if "async" not in form])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_requests_to_end_are_not_recovered_from(world: World, form: str, error: BaseException) -> None:
    world.errors.policies("orders", {BaseException: [world.retrying()]})
    with pytest.raises(type(error)):
        run(form, world, Work(error))
    assert world.errors.statistics().seen == 0


def test_procedures_that_act_leave_the_event_loop_alone(world: World) -> None:
    threads: list[int] = []

    class Acting:
        name, acts = "acting", True

        def recover(self, failure: Failure) -> float | None:
            threads.append(threading.get_ident())
            return 0.0

    world.errors.policies("orders", {OSError: [Acting()]})
    for form in ("call", "async call"):
        run(form, world, Work(OSError("a")))
    assert threads[0] == threading.get_ident() != threads[1]


def test_policies_that_are_declared_later_count_from_the_next_call_on(world: World) -> None:
    work = Work(OSError("a"), OSError("b"))
    decorated = world.errors.recovering("orders")(work.__call__)
    with pytest.raises(OSError, match="a"):
        decorated()
    world.errors.policies("orders", {OSError: [world.retrying()]})
    assert decorated() == "done"


@pytest.mark.parametrize("form", ["call", "decorator", "loop", "async call"])
def test_a_deadline_counts_from_the_beginning_of_the_call(world: World, form: str) -> None:
    def work() -> None:
        world.clock.advance(4.0)
        raise OSError("slow")

    world.errors.policies("orders", {OSError: [world.retrying(9, deadline=9.5)]})
    with pytest.raises(OSError, match="slow"):
        run(form, world, work)
    assert world.clock.slept == [1.0]


@pytest.mark.parametrize("form", FORMS)
def test_while_it_waits_nothing_holds_the_error(form: str) -> None:
    refs: list[weakref.ref[Any]] = []
    gone: list[bool] = []

    class Mine(Exception):
        pass

    class Watching(FakeClock):
        def sleep(self, seconds: float) -> None:
            gone.append(refs[-1]() is None)
            super().sleep(seconds)

    world = World()
    world.errors.clock = world.clock = Watching()
    world.components.register(ComponentSpec("orders", restarts=2), start=always, stop=always)
    world.errors.policies("orders", {Mine: [world.retrying(), RestartComponent(world.components, times=2)]})

    def work() -> str:
        if len(refs) > 3:
            return "done"
        error = Mine()
        refs.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        assert run(form, world, work) == "done"
    finally:
        gc.enable()
    assert gone == [True] * 4


# -- circuits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_circuit_of_the_table_opens_for_its_classes_only(world: World, form: str) -> None:
    breaker = CircuitBreaker("db", failures=2, recovery=30, clock=world.clock)
    world.errors.policies("orders", {OSError: [breaker, Escalate()], KeyError: [Escalate()]})
    for _ in range(3):
        with pytest.raises(OSError, match="x"):
            run(form, world, Work(OSError("x")))
        with pytest.raises(KeyError):
            run(form, world, Work(KeyError("an answer")))
    assert breaker.state == "closed"
    for _ in range(2):
        with pytest.raises(OSError, match="x"):
            run(form, world, Work(OSError("x")))
    work = Work()
    with pytest.raises(CircuitOpenError):
        run(form, world, work)
    assert work.calls == 0
    assert world.arrived[-1].kind.endswith("CircuitOpenError")
    world.clock.advance(30)
    assert run(form, world, work) == "done"
    assert breaker.state == "closed"


def test_trying_again_goes_through_the_circuit_each_time(world: World) -> None:
    breaker = CircuitBreaker("db", failures=3, recovery=30, clock=world.clock)
    world.errors.policies("orders", {OSError: [breaker, world.retrying(9)], CircuitOpenError: [Escalate()]})
    work = Work(*(OSError(number) for number in range(9)))
    with pytest.raises(CircuitOpenError):
        world.errors.recovering("orders").call(work)
    assert (work.calls, breaker.state) == (3, "open")


def test_circuits_by_component_are_apart(world: World) -> None:
    breakers = CircuitBreakers(lambda key: CircuitBreaker(key, failures=1, clock=world.clock))
    table = Policies({OSError: [breakers]})
    world.errors.policies("orders", table)
    world.errors.policies("mail", table)
    with pytest.raises(OSError, match="x"):
        world.errors.recovering("orders").call(Work(OSError("x")))
    assert world.errors.recovering("mail").call(Work()) == "done"
    with pytest.raises(CircuitOpenError, match="'orders'"):
        world.errors.recovering("orders").call(Work())


def test_when_the_second_circuit_refuses_the_first_has_no_probe_out(world: World) -> None:
    first = CircuitBreaker("first", failures=1, recovery=1, clock=world.clock)
    second = CircuitBreaker("second", failures=1, recovery=100, clock=world.clock)
    world.errors.policies("orders", {OSError: [first, second]})
    with pytest.raises(OSError, match="x"):
        world.errors.recovering("orders").call(Work(OSError("x")))
    world.clock.advance(1)
    for _ in range(3):
        with pytest.raises(CircuitOpenError, match="second"):
            world.errors.recovering("orders").call(Work())
    world.clock.advance(100)
    assert world.errors.recovering("orders").call(Work()) == "done"
    assert (first.state, second.state) == ("closed", "closed")


# -- restarting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failed", "strategy", "restarted"),
    [
        *(("db", "one-for-one", ("db",)), ("mail", "one-for-one", ("mail",))),
        *(("db", "rest-for-one", ("db", "orders", "mail")), ("orders", "rest-for-one", ("orders", "mail"))),
        *(("mail", "rest-for-one", ("mail",)),),
    ],
)
def test_which_components_are_restarted(failed: str, strategy: str, restarted: tuple[str, ...]) -> None:
    assert affected(("db", "orders", "mail"), failed, strategy) == restarted


def test_strategies_and_components_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="one-for-all"):
        affected(("a",), "a", "one-for-all")
    with pytest.raises(LookupError, match="'b' is not among"):
        affected(("a",), "b", "one-for-one")
    with pytest.raises(ValueError, match="one-for-all"):
        RestartComponent(RecordingComponentManager(), strategy="one-for-all")


@pytest.mark.parametrize("form", FORMS)
def test_the_rest_is_stopped_from_the_last_and_started_from_the_first(world: World, form: str) -> None:
    world.errors.policies("orders", {OSError: [RestartComponent(world.components, strategy="rest-for-one")]})
    assert run(form, world, Work(OSError("a"))) == "done"
    assert world.components.calls == [("stop", "mail"), ("stop", "orders"), ("start", "orders"), ("start", "mail")]


@pytest.mark.parametrize(
    ("restarts", "within", "at", "allowed"),
    [
        (1, 5.0, [0, 4.9, 5.0], [True, False, True]),
        (3, 10.0, [0, 1, 2, 3, 9.9, 10.0, 10.5], [True, True, True, False, False, True, False]),
        (0, 5.0, [0, 100], [False, False]),
    ],
)
def test_restart_intensity(restarts: int, within: float, at: list[float], allowed: list[bool]) -> None:
    clock = FakeClock(now=0.0)
    intensity = RestartIntensity(restarts, within, clock=clock)
    seen = []
    for moment in at:
        clock.advance(moment - clock.now())
        seen.append(intensity.allow("x"))
    assert seen == allowed


def test_what_restarts_too_often_is_escalated(world: World) -> None:
    intensity = RestartIntensity(2, 5.0, clock=world.clock)
    restart = RestartComponent(world.components, strategy="one-for-one", intensity=intensity)
    world.errors.policies("orders", {OSError: [restart]})
    world.errors.policies("shop", {OSError: [RestartComponent(world.components, "db")]})
    assert world.errors.recovering("orders").call(Work(OSError("a"), OSError("b"), OSError("c"))) == "done"
    assert world.components.calls == [("stop", "orders"), ("start", "orders")] * 2 + [("restart", "db")]
    assert world.errors.statistics().escalated == 1


def always() -> None:
    raise OSError("always")


class AlwaysRestarts(RecordingComponentManager):
    """As one that knows no bound, or whose time is over by the next failure of a slow call."""

    def restart(self, name: str, *, cause: str | None = None) -> bool:
        self.calls.append(("restart", name))
        assert len(self.calls) < 100, "restarted without end"
        return True


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("options", "restarts"),
    [({}, 1), ({"times": 3}, 3), ({"times": 0}, 0), ({"intensity": RestartIntensity(2, 1e-9)}, 2)],
)
def test_a_call_that_always_fails_ends_whatever_the_manager_allows(
    world: World, form: str, options: dict[str, Any], restarts: int
) -> None:
    components = AlwaysRestarts("orders")
    world.errors.policies("orders", {OSError: [RestartComponent(components, **options)]})
    for calls in (1, 2):  # of each call the same, for how often in all is for the manager to say
        with pytest.raises(OSError, match="always"):
            run(form, world, always)
        assert components.calls == [("restart", "orders")] * restarts * calls


def test_a_slow_call_that_always_fails_ends_although_its_restarts_are_far_apart(world: World) -> None:
    def slow() -> None:
        world.clock.advance(6.0)  # more than the time in which there may be one restart
        assert world.clock.now() < 2000.0, "restarted without end"
        raise OSError("timed out")

    for strategy in (None, "one-for-one", "rest-for-one"):
        restart = RestartComponent(
            world.components, strategy=strategy, intensity=RestartIntensity(1, 5.0, clock=world.clock)
        )
        world.errors.policies("orders", {OSError: [restart]})
        with pytest.raises(OSError, match="timed out"):
            world.errors.recovering("orders").call(slow)
    assert world.components.calls == [
        *(("restart", "orders"), ("stop", "orders"), ("start", "orders")),
        *(("stop", "mail"), ("stop", "orders"), ("start", "orders"), ("start", "mail")),
    ]


def test_the_recording_manager_refuses_what_was_restarted_too_often_within_its_time() -> None:
    clock = FakeClock()
    components = RecordingComponentManager("a", clock=clock)  # once within 5 seconds, as a component by default
    components.register(ComponentSpec("b", restarts=2, within=10.0), start=always, stop=always)
    assert [components.restart("a"), components.restart("a")] == [True, False]
    assert (components.status("a").state, components.status("a").restarted) == ("failed", 1)
    assert [components.restart("b"), components.restart("b"), components.restart("b")] == [True, True, False]
    clock.advance(5.0)
    assert [components.restart("a"), components.restart("b")] == [True, False]
    assert (components.status("a").state, components.status("b").state) == ("running", "failed")
    clock.advance(5.0)
    components.refuse.add("b")
    assert not components.restart("b")
    components.refuse.clear()
    assert components.restart("b")


@pytest.mark.parametrize(
    ("stops", "starts", "calls", "down"),
    [
        ({"mail"}, set(), ["stop mail"], []),
        ({"orders"}, set(), ["stop mail", "stop orders", "start mail"], []),
        ({"db"}, set(), ["stop mail", "stop orders", "stop db", "start orders", "start mail"], []),
        (set(), {"db"}, ["stop mail", "stop orders", "stop db", "start db", "start orders", "start mail"], ["db"]),
        ({"db"}, {"orders"}, ["stop mail", "stop orders", "stop db", "start orders", "start mail"], ["orders"]),
    ],
)
def test_what_was_stopped_for_a_restart_is_started_again_whatever_fails(
    world: World, stops: set[str], starts: set[str], calls: list[str], down: list[str]
) -> None:
    class Failing(RecordingComponentManager):
        def stop(self, name: str | None = None) -> None:
            if name in stops:
                self.calls.append(("stop", name))
                raise ConnectionError(f"{name} does not stop")
            super().stop(name)

    components = Failing("db", "orders", "mail")
    components.fail = {name: ConnectionError(f"{name} does not start") for name in starts}
    world.errors.policies("db", {OSError: [RestartComponent(components, strategy="rest-for-one")]})
    world.errors.route("db", "operator")
    with pytest.raises(OSError, match="always"):
        run("call", world, always, "db")
    assert [f"{what} {name}" for what, name in components.calls] == calls
    assert [record.name for record in components.components() if record.state != "running"] == down
    problem = world.arrived[-1]  # the one that was raised last, and what had been before as that from which it came
    said = {problem.message, *(cause.message for cause in problem.causes)}
    assert said >= {f"{name} does not stop" for name in stops} | {f"{name} does not start" for name in starts}


def test_a_restart_that_fails_is_reported_and_escalated(world: World) -> None:
    world.components.fail["orders"] = ConnectionError("no port")
    world.errors.policies("orders", {OSError: [RestartComponent(world.components, strategy="one-for-one")]})
    with pytest.raises(OSError, match="a"):
        world.errors.recovering("orders").call(Work(OSError("a")))
    assert [record.message for record in world.arrived] == ["a", "no port"]
    assert world.components.status("orders").state == "failed"


# -- without a call ---------------------------------------------------------------------------------------------------


def test_an_error_from_elsewhere_is_handled_without_trying_again(world: World) -> None:
    world.errors.policies("orders", {OSError: [world.retrying(), RestartComponent(world.components)]})
    assert world.errors.handle(OSError("a"), component="orders")
    assert not world.errors.handle(KeyError("b"), component="orders")
    world.components.refuse.add("orders")
    assert not world.errors.handle(OSError("c"), component="orders")
    assert world.components.calls == [("restart", "orders")] * 2
    statistics = world.errors.statistics()
    assert (statistics.seen, statistics.recovered, world.clock.slept) == (3, 1, [])


def test_restoring_goes_back_by_steps_too(world: World) -> None:
    for _ in range(3):
        world.states.fire("orders", "go")
    restore = RestoreState(world.states, "orders", steps=3)
    failure = Failure(error=OSError(), component="x", at="x", used=0, called=True, retries=RetryState())
    assert restore.recover(failure) == 0.0
    assert world.states.history("orders")[-1].cause == "OSError in x"
    assert world.states.state("orders") == "a"
    with pytest.raises(ValueError, match="or by steps"):
        RestoreState(world.states, to_snapshot="x", steps=1)


@pytest.mark.slow
def test_recovery_begins_at_once(world: World) -> None:
    """From raise to the first instruction of a procedure: the goal is one millisecond, here for the median, for others
    may keep the processor from a test."""
    began = [0.0]
    taken: list[float] = []

    class Timing:
        name, acts = "timing", True

        def recover(self, failure: Failure) -> float | None:
            taken.append(time.perf_counter() - began[0])
            return 0.0

    def work() -> None:
        if len(taken) % 2 == 0:
            began[0] = time.perf_counter()
            raise OSError
        taken.append(0.0)

    world.errors.policies("orders", {OSError: [Timing()]})
    guarded = world.errors.recovering("orders")
    for _ in range(300):
        guarded.call(work)
        if len(taken) % 2:
            taken.append(0.0)
    real = sorted(each for each in taken if each)
    assert real[len(real) // 2] < 0.001
    assert wait_none()(RetryState()) == 0.0
