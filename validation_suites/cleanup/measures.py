"""What is measured of a cleanup manager, and of what is cleaned up, known by their protocols alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from coresys.system_records import CleanupStep
from validation_suites.resources.releasing import fails, something_that_hangs
from validation_suites.running import meanwhile

if TYPE_CHECKING:
    from pathlib import Path

    from coresys.interfaces import ICleanupManager, IResourceManager, IStateManager
    from coresys.system_records import CleanupReport

STEPS = 20
HUNG = 0.05  # seconds, the deadline of the step that hangs
_FAILS, _HANGS = 4, 9  # of the steps, by their numbers

Now = Callable[[], float]


def _declare(cleanup: ICleanupManager, hangs: Callable[[], None] | None, begun: list[str]) -> None:
    """Twenty steps, each after the one before it; one fails and one hangs, where something that hangs is given."""
    wrong: dict[int, Callable[[], None]] = {} if hangs is None else {_FAILS: fails, _HANGS: hangs}
    for number in range(STEPS):
        name = f"step {number}"
        run = partial(_begin, begun, name, wrong.get(number))
        after = (f"step {number - 1}",) if number else ()
        cleanup.add(CleanupStep(name, after=after, deadline=HUNG if number == _HANGS else None), run)


def _begin(begun: list[str], name: str, then: Callable[[], None] | None) -> None:
    begun.append(name)
    if then is not None:
        then()


def isolation_faults(cleanup: ICleanupManager) -> list[str]:
    """Of twenty steps, one of which fails and one hangs: those that were not run, or more than once, and what became of
    a step and is not reported."""
    begun: list[str] = []
    with something_that_hangs() as hangs:
        _declare(cleanup, hangs, begun)
        report = cleanup.run()
    faults = [
        f"step {number} was run {times} times"
        for number in range(STEPS)
        if (times := begun.count(f"step {number}")) != 1
    ]
    return faults + _unreported(report)


def _unreported(report: CleanupReport) -> list[str]:
    faults = []
    failed = dict(report.failed)
    if "planned" not in failed.get(f"step {_FAILS}", ""):
        faults.append(f"that step {_FAILS} failed, and of what, is not told: {report.failed}")
    if f"step {_HANGS}" not in report.hung:
        faults.append(f"that step {_HANGS} hangs is not told: {report.hung}")
    wanted = {f"step {number}" for number in range(STEPS)} - {f"step {_FAILS}", f"step {_HANGS}"}
    if set(report.done) != wanted:
        faults.append(f"done are {sorted(report.done)} by its report")
    if report.complete:
        faults.append("it is told to be complete")
    return faults


# -- how long it takes -------------------------------------------------------------------------------------------------


def execution(make: Callable[[], ICleanupManager], now: Now = perf_counter) -> Callable[[], float]:
    """Seconds of a whole cleanup: of all steps in order, and in turns of one with a step that fails and one that
    hangs."""
    turn = [0]

    def cleanup() -> float:
        turn[0] += 1
        steps = make()
        with something_that_hangs() as hangs:
            _declare(steps, hangs if turn[0] % 2 else None, [])
            began = now()
            steps.run()
            return now() - began

    return cleanup


def release(manager: IResourceManager, now: Now = perf_counter) -> dict[str, Callable[[], float]]:
    """Seconds of taking back one resource of an owner: a buffer, or something else that is closed."""
    closed = [0]

    def close() -> None:
        closed[0] += 1

    def buffer() -> float:
        lease = manager.lease(4096, owner="one")
        began = now()
        manager.release_owner("one")
        took = now() - began
        del lease
        return took

    def other() -> float:
        manager.register("thing", owner="one", close=close)
        began = now()
        manager.release_owner("one")
        return now() - began

    return {"buffer": buffer, "other": other}


def transition(state: IStateManager, now: Now = perf_counter) -> Callable[[], float]:
    """Seconds of one transition."""
    from validation_suites.state.measures import DOOR

    state.define("door of a cleanup", DOOR)
    events, turn = ("push", "pull"), [0]

    def one_transition() -> float:
        event = events[turn[0] % 2]
        turn[0] += 1
        began = now()
        state.fire("door of a cleanup", event)
        return now() - began

    return one_transition


def cleaning_up(
    make: Callable[[], ICleanupManager], state: IStateManager, threads: int = 2
) -> AbstractContextManager[None]:
    """Cleanups that go on all the time, each on a thread and with a machine of its own that follows its steps."""
    from validation_suites.state.measures import DOOR

    def work(name: str) -> None:
        cleanup = make()
        for number in range(STEPS):
            cleanup.add(CleanupStep(f"step {number}"), partial(state.fire, name, ("push", "pull")[number % 2]))
        cleanup.run()

    names = [f"system {number}" for number in range(threads)]
    for name in names:
        state.define(name, DOOR)
    return meanwhile(partial(work, name) for name in names)


# -- that it is gone ---------------------------------------------------------------------------------------------------


def life_of_a_system(folder: Path, keep: list[object] | None = None) -> Callable[[], None]:
    """A whole system, built, used and taken down. With ``keep`` it is kept, which is a leak."""
    from validation_suites import ours
    from validation_suites.state.measures import DOOR

    turn = [0]

    def life() -> None:
        turn[0] += 1
        store = folder / str(turn[0])
        store.mkdir(parents=True)
        with ours.system(store=store) as system:
            system.state.define("door", DOOR)
            for event in ("push", "pull"):
                system.state.fire("door", event)
            with system.resources.lease(1 << 20, owner="life") as view:
                view[::4096] = bytes(256)
            system.threads.submit(pow, 2, 5).result(60)
            system.monitoring.count("lives")
        if keep is not None:
            keep.append(system)
        shutil.rmtree(store)

    return life
