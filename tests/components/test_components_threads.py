"""Several threads, and changes from inside of changes: each interleaving as it is written down."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from components_helping import ORDER, PATIENCE, SHOP, Held, Runner, World, starts, stops, waits

from coresys.errors.hierarchy import ComponentBusyError, ComponentError, StartFailedError
from coresys.system_records import ComponentSpec


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


# -- two threads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "at", "second", "calls"),
    [
        pytest.param("start db", "start db", "start db", starts("db"), id="started once"),
        pytest.param("start db", "start db", "start orders", starts("db", "orders"), id="started by another before"),
        pytest.param("start db", "start db", "stop db", [*starts("db"), *stops("db")], id="stopped when it runs"),
        pytest.param(
            "start orders", "start orders", "stop db", [*starts("db", "orders"), *stops("orders", "db")], id="leant on"
        ),
        pytest.param("restart db", "start db", "restart db", [*starts("db"), *stops("db")], id="restarted too often"),
        pytest.param("stop", "stop shop", "start db", [*stops(*reversed(ORDER)), *starts("db")], id="of all that stop"),
        pytest.param("start", "start db", "stop", [*starts(*ORDER), *stops(*reversed(ORDER))], id="all"),
        pytest.param("start", "start mail", "stop shop", [*starts(*ORDER), *stops("shop")], id="of all"),
    ],
)
def test_what_cannot_be_done_at_once_is_done_after(first: str, at: str, second: str, calls: list[str]) -> None:
    world = World()
    if first == "stop":
        world.components.start()
        world.called()
    held = world.during[at] = Held()
    one = Runner(lambda: act(world, first))
    held.begun()
    other = Runner(lambda: act(world, second))
    waits(world, other)
    held.let_go.set()
    one.finish()
    other.finish()
    assert world.called() == calls
    assert world.is_whole()


def act(world: World, what: str) -> object:
    method, _, name = what.partition(" ")
    done: object = getattr(world.components, method)(*[name] if name else [])
    return done


def test_a_start_during_a_stop_comes_after_it(world: World) -> None:
    world.components.start("orders")
    held = world.during["stop orders"] = Held()
    one = Runner(lambda: world.components.stop("db"))
    held.begun()
    other = Runner(lambda: world.components.start("audit"))  # which needs db, still running
    waits(world, other)
    held.let_go.set()
    one.finish()
    other.finish()
    assert world.called() == [*starts("db", "orders"), *stops("orders", "db"), *starts("db", "audit")]


def test_components_that_have_nothing_to_do_with_one_another_are_started_at_once(world: World) -> None:
    world.components.start("db")
    held = [Held(), Held(), Held()]
    names = ["orders", "audit", "mail"]
    world.during.update({f"start {name}": each for name, each in zip(names, held, strict=True)})
    runners = [Runner(lambda name=name: world.components.start(name)) for name in names]  # type: ignore[misc]
    for each in held:
        each.begun()  # all three are inside, two of them lean on db
    assert [world.states()[name] for name in names] == ["starting"] * 3
    for each, runner in zip(held, runners, strict=True):
        each.let_go.set()
        runner.finish()
    assert world.is_whole()


def test_what_is_asked_for_and_is_so_already_waits_for_nobody(world: World) -> None:
    world.components.start("db")
    held = world.during["start orders"] = Held()
    one = Runner(lambda: world.components.start("orders"))
    held.begun()
    world.components.start("db")
    world.components.stop("shop")
    world.components.status("orders")
    assert world.components.check("db").healthy
    held.let_go.set()
    one.finish()


def test_whoever_waits_for_much_holds_up_nobody_meanwhile(world: World) -> None:
    """The start of orders waits for a thread that starts mail, while a third wants to stop everything."""
    inner: list[Runner] = []

    def start_another() -> None:
        begun.set()
        assert go.wait(PATIENCE)
        inner.append(Runner(lambda: world.components.start("mail")))
        inner[0].finish()

    begun, go = threading.Event(), threading.Event()
    world.during["start orders"] = start_another
    one = Runner(lambda: world.components.start("orders"))
    assert begun.wait(PATIENCE)
    world_runs = Runner(world.components.stop)
    waits(world, world_runs)
    go.set()
    one.finish()
    world_runs.finish()
    assert world.called() == [*starts("db", "orders", "mail"), *stops("orders", "db", "mail")]


def test_whoever_could_have_had_it_first_has_it_first() -> None:
    """One thread restarts again and again; what waits for it gets its turn after the restart that it came in."""
    world = World({})
    stopped_by: list[int] = []
    held = Held()
    world.components.register(
        ComponentSpec("a", restarts=1_000_000, within=1.0),
        start=lambda: held(),
        stop=lambda: stopped_by.append(threading.get_ident()),
    )
    done = threading.Event()

    def restart_on_and_on() -> None:
        while not done.is_set():
            world.components.restart("a")

    one = Runner(restart_on_and_on)
    held.begun()
    other = Runner(world.components.stop)
    waits(world, other)
    held.let_go.set()
    other.finish()
    done.set()
    one.finish()
    assert stopped_by[0] == other.ident
    assert world.is_whole()


def test_a_failed_start_is_tried_by_whoever_waited_for_it(world: World) -> None:
    held = Held()

    def fail_once() -> None:
        if not held.let_go.is_set():
            held()
            raise OSError("no port")

    world.during["start db"] = fail_once
    one = Runner(lambda: world.components.start("db"))
    held.begun()
    other = Runner(lambda: world.components.start("orders"))
    waits(world, other)
    held.let_go.set()
    with pytest.raises(StartFailedError, match="no port"):
        one.finish()
    other.finish()
    assert world.running() == ["db", "orders"]


def test_a_component_that_is_registered_while_one_waits_is_seen(world: World) -> None:
    world.components.start("db")
    held = world.during["start orders"] = Held()
    one = Runner(lambda: world.components.start("orders"))
    held.begun()
    other = Runner(lambda: world.components.stop("db"))
    waits(world, other)
    world.add(ComponentSpec("late", needs=("db",)))
    world.components.start("late")
    held.let_go.set()
    one.finish()
    other.finish()
    assert world.called()[-3:] == stops("late", "orders", "db")


def test_a_wait_ends_after_the_time_that_was_allowed() -> None:
    world = World(timeout=0.0)
    held = world.during["start db"] = Held()
    one = Runner(lambda: world.components.start("db"))
    held.begun()
    with pytest.raises(ComponentBusyError, match=r"stop of 'db' was not begun: start of 'db' was at work for 0.0 s"):
        world.components.stop("db")
    held.let_go.set()
    one.finish()
    assert world.running() == ["db"]
    assert world.is_whole()


# -- from inside of a change ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outer", "at", "inner", "calls"),
    [
        pytest.param("start db", "start db", "start mail", starts("db", "mail"), id="another"),
        pytest.param(
            "start orders",
            "start orders",
            "start audit",
            starts("db", "orders", "audit"),
            id="on what was just started",
        ),
        pytest.param(
            "start", "start mail", "start orders", starts("mail", "db", "orders", "shop", "audit"), id="its own"
        ),
        pytest.param("stop db", "stop db", "start mail", [*stops("db"), *starts("mail")], id="while it stops"),
    ],
)
def test_a_component_may_start_another(outer: str, at: str, inner: str, calls: list[str]) -> None:
    world = World()
    if outer.startswith("stop"):
        world.components.start("db")
        world.called()
    world.during[at] = lambda: act(world, inner)
    act(world, outer)
    assert world.called() == calls
    assert world.is_whole()


@pytest.mark.parametrize(
    ("outer", "at", "inner", "problem"),
    [
        pytest.param("start db", "start db", "start db", "from inside of the start of 'db'", id="itself"),
        pytest.param(
            "start db", "start db", "start orders", "from inside of the start of 'db'", id="one that needs it"
        ),
        pytest.param("start db", "start db", "stop db", "from inside of start of 'db'", id="stops itself"),
        pytest.param("start db", "start db", "restart db", "from inside of start of 'db'", id="restarts itself"),
        pytest.param(
            "start", "start orders", "stop mail", "from inside of start of 'everything'", id="stops the outer's"
        ),
        pytest.param("start orders", "start orders", "stop db", "from inside of start of 'orders'", id="what it needs"),
        pytest.param(
            "stop", "stop db", "start shop", "from inside of stop of 'everything'", id="starts while all stop"
        ),
        pytest.param("restart db", "start db", "start orders", "from inside of restart of 'db'", id="in a restart"),
    ],
)
def test_what_has_no_meaning_inside_is_refused_and_said_to_be(outer: str, at: str, inner: str, problem: str) -> None:
    world = World()
    world.components.start("audit" if outer.startswith("start o") else "mail")
    if not outer.startswith("start"):
        world.components.start()
    problems: list[str] = []

    def inside() -> None:
        del world.during[at]  # once: the outer one may call it again
        with pytest.raises(ComponentBusyError) as caught:
            act(world, inner)
        problems.append(caught.value.problem)

    world.during[at] = inside
    act(world, outer)
    (told,) = problems
    assert problem in told
    assert world.is_whole()
    act(world, outer)


def test_what_was_started_from_inside_is_stopped_with_the_rest_when_the_outer_start_fails(world: World) -> None:
    world.during["start orders"] = lambda: world.components.start("audit")
    world.fail["start orders"] = OSError("no port")
    with pytest.raises(StartFailedError):
        world.components.start("orders")
    assert world.called() == [*starts("db", "orders", "audit"), *stops("audit", "db")]
    assert world.is_whole()


def test_what_was_started_from_inside_stays_claimed_until_the_outer_start_is_over(world: World) -> None:
    held = Held()

    def inside() -> None:
        world.components.start("audit")
        held()

    world.during["start orders"] = inside
    world.fail["start orders"] = OSError("no port")
    one = Runner(lambda: world.components.start("orders"))
    held.begun()
    other = Runner(lambda: world.components.stop("audit"))
    waits(world, other)
    held.let_go.set()
    with pytest.raises(StartFailedError):
        one.finish()
    other.finish()
    assert world.called() == [*starts("db", "orders", "audit"), *stops("audit", "db")]


def test_what_an_inner_start_raised_may_be_swallowed(world: World) -> None:
    def inside() -> None:
        with pytest.raises(StartFailedError):
            world.components.start("mail")

    world.during["start db"] = inside
    world.fail["start mail"] = OSError("no port")
    world.components.start("db")
    assert (world.states()["db"], world.states()["mail"]) == ("running", "failed")


def test_two_starts_that_wait_for_one_another_from_inside_end_with_an_error_in_one(world: World) -> None:
    barrier, met = threading.Barrier(2), set[str]()

    def meet(other: str) -> Callable[[], None]:
        def inside() -> None:
            if other not in met:
                met.add(other)
                barrier.wait(PATIENCE)
            world.components.start(other)

        return inside

    world.during.update({"start db": meet("mail"), "start mail": meet("db")})
    runners = [Runner(lambda: world.components.start("db")), Runner(lambda: world.components.start("mail"))]
    errors = []
    for runner in runners:
        try:
            runner.finish()
        except StartFailedError as error:
            errors.append(error)
    # The first is refused for the circle. The other goes on, starts that one itself, and is refused there, for that
    # one asks for what is in the midst of its start: so both fail, and none hangs.
    assert 1 <= len(errors) <= 2
    assert any("waits for this thread" in str(error) for error in errors), errors
    assert world.is_whole()


# -- storms -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_changes_never_calls_start_and_stop_at_once_nor_out_of_order(seed: int) -> None:
    inside: dict[str, str] = {}
    up: set[str] = set()
    faults: list[str] = []
    dice = random.Random(seed)
    world = World({})

    def call(what: str, name: str, needs: tuple[str, ...]) -> None:
        if name in inside:
            faults.append(f"{what} {name} during its {inside[name]}")
        inside[name] = what
        if (what == "start") == (name in up):
            faults.append(f"{what} {name} twice")
        if not up.issuperset(needs):
            faults.append(f"{what} {name} without what it needs")
        if what == "stop":
            up.discard(name)
        for _ in range(dice.randrange(30)):
            pass
        fails = what == "start" and dice.random() < 0.1
        if what == "start" and not fails:
            up.add(name)
        if name == "audit" and what == "start" and dice.random() < 0.3:
            try:
                world.components.start("mail")
            except ComponentError:
                pass
        del inside[name]
        if fails:
            raise OSError("by chance")

    for name, needs in SHOP.items():
        world.components.register(
            ComponentSpec(
                name, needs=needs, restarts=50, within=1.0, strategy=dice.choice(["one-for-one", "rest-for-one"])
            ),
            start=lambda name=name, needs=needs: call("start", name, needs),  # type: ignore[misc]
            stop=lambda name=name, needs=needs: call("stop", name, needs),  # type: ignore[misc]
        )
    names = [*SHOP, None]

    def storm(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(500):
            name = mine.choice(names)
            try:
                kind = mine.randrange(4)
                if kind < 2:
                    world.components.start(name)
                elif kind == 2:
                    world.components.stop(name)
                else:
                    world.components.restart(name or "db")
            except ComponentError:
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        runners = [Runner(lambda at=at: storm(seed * 10 + at)) for at in range(4)]  # type: ignore[misc]
        for runner in runners:
            runner.finish()
    finally:
        sys.setswitchinterval(interval)
    assert faults == []
    assert set(world.running()) == up
    assert world.is_whole()
    world.components.stop()
    assert not up


# -- forks ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_in_a_forked_child_nothing_is_held_by_threads_that_it_has_not(world: World) -> None:
    world.components.start("mail")
    held = world.during["start db"] = Held()
    one = Runner(lambda: world.components.start("db"))
    held.begun()
    locked, leave = threading.Event(), threading.Event()

    def lock() -> None:
        with world.components._claims.lock:
            locked.set()
            leave.wait()

    other = Runner(lock)
    locked.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        good = False
        try:
            world.during.clear()
            problem = world.components.status("db").problem
            good = world.states()["db"] == "failed" and problem == "the process was forked while it was starting"
            world.components.start()
            world.components.stop()
            good = good and world.is_whole() and world.running() == []
        finally:
            os._exit(7 if good else 1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        leave.set()
        held.let_go.set()
        one.finish()
        other.finish()
    assert world.running() == ["mail", "db"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_component_that_forks_in_its_start_goes_on_in_both(world: World) -> None:
    children: list[int] = []
    world.during["start db"] = lambda: children.append(os.fork())
    world.components.start("orders")
    good = world.running() == ["db", "orders"] and world.is_whole()
    if children[0] == 0:
        os._exit(7 if good else 1)
    assert good
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7
