"""What IComponentManager promises, asked of whatever says that it is one: the manager, and views of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coresys.components import ComponentManager
from coresys.errors.hierarchy import ComponentCycleError, CoreSysError, DuplicateComponentError
from coresys.interfaces import IComponentManager
from coresys.system_records import ComponentSpec
from coresys.testing.fakes import FakeClock


class Subject:
    def __init__(self, components: IComponentManager, clock: FakeClock, rest: ComponentManager | None) -> None:
        self.components, self.clock, self.rest = components, clock, rest
        self.calls: list[str] = []
        self.fail: set[str] = set()

    def add(self, name: str, *needs: str, strategy: str = "one-for-one", restarts: int = 1) -> None:
        spec = ComponentSpec(name, needs=needs, strategy=strategy, restarts=restarts)
        self.components.register(
            spec, start=lambda: self.call(f"start {name}"), stop=lambda: self.call(f"stop {name}"), healthy=bool
        )

    def call(self, what: str) -> None:
        self.calls.append(what)
        if what in self.fail:
            raise OSError(what)

    def called(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls

    def states(self) -> dict[str, str]:
        return {record.name: record.state for record in self.components.components()}


def whole() -> Subject:
    clock = FakeClock()
    return Subject(ComponentManager(clock=clock), clock, None)


def prefixed() -> Subject:
    """A view of all names that begin with ``t.``, beside others that run."""
    return beside("t.")


def listed() -> Subject:
    return beside(["t.a", "t.b", "t.c", "t.d"])


def beside(part: str | list[str]) -> Subject:
    clock = FakeClock()
    rest = ComponentManager(clock=clock)
    rest.register(ComponentSpec("other"), start=list, stop=list)
    rest.register(ComponentSpec("further", needs=("other",)), start=list, stop=list)
    rest.start()
    return Subject(rest.view(part), clock, rest)


@pytest.fixture(params=[whole, prefixed, listed], ids=lambda make: make.__name__)
def subject(request: pytest.FixtureRequest) -> Subject:
    make: Callable[[], Subject] = request.param
    made = make()
    made.add("t.c", "t.b")
    made.add("t.a")
    made.add("t.b", "t.a")
    made.add("t.d")
    return made


@pytest.fixture(autouse=True)
def _others_are_left_alone(subject: Subject) -> object:
    yield
    if subject.rest is not None:
        assert [subject.rest.status(name).state for name in ("other", "further")] == ["running"] * 2


def test_all_are_told_in_the_order_they_start_in(subject: Subject) -> None:
    assert [record.name for record in subject.components.components()] == ["t.a", "t.b", "t.c", "t.d"]
    assert [record.needs for record in subject.components.components()] == [(), ("t.a",), ("t.b",), ()]
    assert subject.states() == dict.fromkeys(["t.a", "t.b", "t.c", "t.d"], "stopped")
    assert subject.components.status("t.b") == subject.components.components()[1]


def test_what_is_needed_runs_before_and_until(subject: Subject) -> None:
    subject.components.start("t.b")
    assert subject.called() == ["start t.a", "start t.b"]
    subject.components.start()
    assert subject.called() == ["start t.c", "start t.d"]
    subject.components.stop("t.b")
    assert subject.called() == ["stop t.c", "stop t.b"]
    subject.components.stop()
    assert subject.called() == ["stop t.d", "stop t.a"]
    assert set(subject.states().values()) == {"stopped"}


def test_to_start_what_runs_and_to_stop_what_does_not_is_nothing(subject: Subject) -> None:
    subject.components.stop()
    assert subject.called() == []
    subject.components.start()
    subject.called()
    subject.components.start()
    subject.components.start("t.c")
    assert subject.called() == []


def test_one_that_would_need_itself_is_refused(subject: Subject) -> None:
    subject.components.stop()
    with pytest.raises(DuplicateComponentError):
        subject.add("t.a")
    made = len(subject.components.components())
    with pytest.raises((ComponentCycleError, CoreSysError)):
        subject.add("t.e", "t.e")
    assert len(subject.components.components()) == made


def test_a_restart_is_counted_and_too_many_of_them_are_refused(subject: Subject) -> None:
    subject.components.start()
    subject.called()
    assert subject.components.restart("t.b", cause="a test") is True
    assert subject.called() == ["stop t.c", "stop t.b", "start t.b", "start t.c"]
    assert subject.components.restart("t.b") is False
    assert subject.called() == ["stop t.c", "stop t.b"]
    assert subject.states() == {"t.a": "running", "t.b": "failed", "t.c": "stopped", "t.d": "running"}
    record = subject.components.status("t.b")
    assert (record.restarted, record.problem is not None) == (1, True)
    subject.clock.advance(5.0)
    assert subject.components.restart("t.b") is True
    assert subject.components.status("t.b").restarted == 2


def test_a_failed_start_leaves_nothing_behind(subject: Subject) -> None:
    subject.fail.add("start t.b")
    with pytest.raises(CoreSysError, match=r"OSError: start t\.b"):
        subject.components.start("t.c")
    assert subject.called() == ["start t.a", "start t.b", "stop t.a"]
    assert subject.states() == {"t.a": "stopped", "t.b": "failed", "t.c": "stopped", "t.d": "stopped"}
    subject.fail.clear()
    subject.components.start("t.c")
    assert subject.states()["t.c"] == "running"


def test_a_failed_stop_keeps_nothing_from_stopping(subject: Subject) -> None:
    subject.components.start()
    subject.called()
    subject.fail.update({"stop t.b", "stop t.d"})
    with pytest.raises(CoreSysError, match=r"stop t\.d; t\.b: OSError"):
        subject.components.stop()
    assert subject.called() == ["stop t.d", "stop t.c", "stop t.b", "stop t.a"]
    assert subject.states() == {"t.a": "stopped", "t.b": "failed", "t.c": "stopped", "t.d": "failed"}


@pytest.mark.parametrize("ask", ["start", "stop", "restart", "status"])
def test_an_unknown_name_is_an_error_that_has_it(subject: Subject, ask: str) -> None:
    with pytest.raises(CoreSysError, match="unheard of") as caught:
        getattr(subject.components, ask)("unheard of")
    assert vars(caught.value)["component"] == "unheard of"
    assert subject.called() == []


def test_one_is_shown_in_the_midst_of_its_change(subject: Subject) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(subject.components.status("t.d").state)

    subject.call = lambda what: look()  # type: ignore[method-assign]
    subject.components.start("t.d")
    look()
    subject.components.stop("t.d")
    look()
    assert seen == ["starting", "running", "stopping", "stopped"]
