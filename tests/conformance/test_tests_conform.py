"""What ITestManager promises, and Environment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial

import pytest
from conforming import DOOR, WAIT, at_once

from coresys.errors.hierarchy import (
    CoreSysError,
    DuplicateEnvironmentError,
    LeaseLimitError,
    UnknownEnvironmentError,
)
from coresys.interfaces import Environment, ITestManager
from coresys.system_records import CleanupStep, ComponentSpec, EnvironmentSpec

ROLE = "tests"


def spec(name: str, **limits: int) -> EnvironmentSpec:
    return EnvironmentSpec(name, timeout=WAIT, lease=limits.get("lease"), threads=limits.get("threads"))


def use(own: Environment) -> None:
    """Something of each manager, all of which is given back."""
    own.state.define("a", DOOR)
    own.state.fire("a", "push")
    with own.resources.lease(10, owner="a"):
        assert own.threads.submit(pow, 2, 5).result(WAIT) == 32
    own.errors.report(OSError("gone"), component="a")
    own.monitoring.count("served", component="a")
    own.components.register(ComponentSpec("a"), start=list, stop=list)
    own.components.start("a")
    own.cleanup.add(CleanupStep("a", channel="a"), list)


def seen(own: Environment) -> tuple[object, ...]:
    """What has been done there, as far as it shows."""
    return (
        own.state.names(),
        own.resources.usage("a").leased,
        own.threads.statistics().submitted,
        own.errors.statistics().seen,
        [value for name, _, value in own.monitoring.snapshot().counters if name == "served"],
        [component.state for component in own.components.components()],
    )


def test_an_environment_is_opened_with_all_managers(one: ITestManager) -> None:
    record = one.open_environment(spec("a"))
    assert (record.name, record.open, record.left, record.cleanup_seconds) == ("a", True, (), None)
    assert record.setup_seconds >= 0
    assert [(each.name, each.open) for each in one.environments()] == [("a", True)]
    own = one.environment("a")
    assert own.name.endswith("a")
    use(own)
    assert seen(own) == (("a",), 0, 1, 1, [1.0], ["running"])
    assert one.verify_environment("a").left == ()
    closed = one.close_environment("a")
    assert (closed.name, closed.open, closed.left) == ("a", False, ())
    assert closed.cleanup_seconds is not None
    assert closed.cleanup_seconds >= 0
    assert one.environments() == ()


def test_a_name_that_is_open_is_refused(one: ITestManager) -> None:
    one.open_environment(spec("a"))
    own = one.environment("a")
    with pytest.raises(DuplicateEnvironmentError):
        one.open_environment(spec("a"))
    assert one.environment("a") is own
    use(own)
    one.close_environment("a")
    one.open_environment(spec("a"))
    assert seen(one.environment("a"))[0] == ()
    one.close_environment("a")


def test_of_what_is_not_open_nothing_is_told(one: ITestManager) -> None:
    one.open_environment(spec("a"))
    one.close_environment("a")
    asked: tuple[Callable[[str], object], ...] = (one.environment, one.verify_environment, one.close_environment)
    for question in asked:
        for name in ("a", "unheard of"):
            with pytest.raises(UnknownEnvironmentError) as caught:
                question(name)
            assert caught.value.environment.endswith(name)
    assert one.environments() == ()


def test_what_is_left_is_told_and_not_taken_away(one: ITestManager) -> None:
    one.open_environment(spec("a"))
    lease = one.environment("a").resources.lease(10, owner="upload")
    lease.view[:2] = b"ok"
    record = one.verify_environment("a")
    assert (record.name, record.open, len(record.left)) == ("a", True, 1)
    assert "upload" in record.left[0]
    assert one.environment("a").left() == record.left
    assert bytes(lease.view[:2]) == b"ok"
    lease.release()
    assert one.verify_environment("a").left == ()
    assert one.close_environment("a").left == ()


def test_what_is_left_behind_is_named_and_taken_away(one: ITestManager) -> None:
    one.open_environment(spec("a"))
    own = one.environment("a")
    lease = own.resources.lease(10, owner="upload")
    closed: list[str] = []
    own.resources.register("file", owner="upload", close=partial(closed.append, "file"))
    own.components.register(ComponentSpec("web"), start=list, stop=partial(closed.append, "web"))
    own.components.start()
    record = one.close_environment("a")
    assert (record.open, len(record.left)) == (False, 1)
    assert "upload" in record.left[0]
    assert sorted(closed) == ["file", "web"]
    with pytest.raises(CoreSysError):
        lease.release()
    with pytest.raises(RuntimeError):
        own.threads.submit(str)
    assert own.close() == record.left, "a second time tells the same"


def test_an_environment_has_the_limits_that_were_asked_for(one: ITestManager) -> None:
    one.open_environment(spec("a", lease=4096, threads=3))
    resources = one.environment("a").resources
    with resources.lease(4096, owner="a"), pytest.raises(LeaseLimitError):
        resources.lease(1, owner="b")
    assert one.close_environment("a").left == ()


def test_two_environments_share_nothing(one: ITestManager) -> None:
    for name in ("a", "b"):
        one.open_environment(spec(name))
    first, second = one.environment("a"), one.environment("b")
    before = seen(second)
    use(first)
    lease = first.resources.lease(10, owner="a")
    assert seen(second) == before
    assert second.resources.leases() == ()
    assert one.verify_environment("b").left == ()
    use(second)
    assert len(one.close_environment("a").left) == 1
    assert second.state.state("a") == "open"
    assert second.components.status("a").state == "running"
    assert second.threads.submit(pow, 2, 5).result(WAIT) == 32
    assert one.close_environment("b").left == ()
    with pytest.raises(CoreSysError):
        lease.release()


def test_many_threads_may_open_and_close_at_once(one: ITestManager) -> None:
    opened, refused, closed = list[str](), list[str](), list[str]()
    all_have_opened = threading.Barrier(4)

    def work(name: str) -> None:
        try:
            one.open_environment(spec("a"))
            opened.append(name)
        except DuplicateEnvironmentError:
            refused.append(name)
        all_have_opened.wait(WAIT)
        one.open_environment(spec(name))
        use(one.environment(name))
        assert one.close_environment(name).left == ()
        with contextlib.suppress(UnknownEnvironmentError):
            one.close_environment("a")
            closed.append(name)

    at_once(*(partial(work, f"t{number}") for number in range(4)))
    assert (len(opened), len(refused), len(closed)) == (1, 3, 1)
    assert one.environments() == ()


def test_two_never_meet(one: ITestManager, other: ITestManager) -> None:
    for tests in (one, other):
        tests.open_environment(spec("a"))
    use(one.environment("a"))
    assert seen(other.environment("a"))[0] == ()
    one.open_environment(spec("b"))
    assert [each.name for each in other.environments()] == ["a"]
    for name in ("a", "b"):
        one.close_environment(name)
    assert [each.name for each in other.environments()] == ["a"]
    with pytest.raises(UnknownEnvironmentError):
        one.environment("a")
    use(other.environment("a"))
    assert other.close_environment("a").left == ()
