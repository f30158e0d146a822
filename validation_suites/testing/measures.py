"""What is measured of a test manager, known by its protocol alone."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from coresys.system_records import EnvironmentSpec
from validation_suites.memory import kept_by
from validation_suites.state.measures import DOOR

if TYPE_CHECKING:
    from coresys.interfaces import Environment, ITestManager

Now = Callable[[], float]
Part = Literal["setup", "verification", "cleanup"]
_WAIT = 60.0


def use(own: Environment) -> None:
    """What a small test does: a machine, a transition, a buffer, a task."""
    own.state.define("door", DOOR)
    own.state.fire("door", "push")
    with own.resources.lease(4096, owner="test") as view:
        view[0] = 1
    own.threads.submit(pow, 2, 5).result(_WAIT)


def environment_times(tests: ITestManager, part: Part, now: Now = perf_counter) -> Callable[[], float]:
    """Seconds of one part of an environment's life: it is opened, used, looked at and closed each time.

    Raises AssertionError where something is said to be left, for nothing is.
    """

    def life() -> float:
        began = now()
        tests.open_environment(EnvironmentSpec("timed", timeout=_WAIT))
        opened = now()
        use(tests.environment("timed"))
        used = now()
        looked = tests.verify_environment("timed")
        verified = now()
        closed = tests.close_environment("timed")
        ended = now()
        if looked.left or closed.left:
            raise AssertionError(f"nothing was left, and told is {looked.left or closed.left}")
        return {"setup": opened - began, "verification": verified - used, "cleanup": ended - verified}[part]

    return life


def environments_keep(tests: ITestManager, body: Callable[[Environment], object] = use) -> int:
    """Bytes that each environment that was opened, used and closed keeps, beyond what an empty one's control does."""

    def life() -> None:
        tests.open_environment(EnvironmentSpec("kept", timeout=_WAIT))
        body(tests.environment("kept"))
        tests.close_environment("kept")

    return max(kept_by(life) - kept_by(_nothing), 0)


def _nothing() -> None:
    """The body of the control."""
