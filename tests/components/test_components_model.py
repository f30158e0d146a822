"""A manager against a model: random declarations, changes, failures and pauses, and what has to come of each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coresys.components import ComponentManager
from coresys.errors.hierarchy import (
    ComponentCycleError,
    DuplicateComponentError,
    StartFailedError,
    StopFailedError,
    UnknownComponentError,
)
from coresys.system_records import ComponentSpec
from coresys.testing.fakes import FakeClock

NAMES = ["a", "b", "c", "d", "e"]
NAME = st.sampled_from(NAMES)
SOME = st.one_of(st.none(), NAME)


class Services(RuleBasedStateMachine):
    """The model knows needs, states and who is wanted, by means of its own: it goes by recursion, over plain sets."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.components = ComponentManager(clock=self.clock)
        self.specs: dict[str, ComponentSpec] = {}
        self.state: dict[str, str] = {}
        self.wanted: set[str] = set()
        self.restarts: dict[str, list[float]] = {}
        self.bad: set[str] = set()  # calls that fail
        self.calls: list[str] = []

    # -- the model's own view of things ------------------------------------------------------------------------------

    def needs(self, name: str) -> set[str]:
        found = {name}
        for need in self.specs[name].needs:
            if need not in self.specs:
                raise KeyError(need)
            found |= self.needs(need)
        return found

    def users(self, name: str) -> set[str]:
        found = {name}
        for other, spec in self.specs.items():
            if name in spec.needs:
                found |= self.users(other)
        return found

    def order(self) -> list[str]:
        order: list[str] = []
        while len(order) < len(self.specs):
            order.append(
                next(
                    name
                    for name, spec in self.specs.items()
                    if name not in order and all(need in order or need not in self.specs for need in spec.needs)
                )
            )
        return order

    def call(self, what: str) -> None:
        self.calls.append(what)
        if what in self.bad:
            raise OSError(what)

    def expect(self, work: Callable[[], object], error: type[Exception] | None, calls: list[str]) -> object:
        self.calls = []
        result = None
        if error is None:
            result = work()
        else:
            with pytest.raises(error):
                work()
        assert self.calls == calls
        return result

    # -- what the model says comes of it, as calls -------------------------------------------------------------------

    def stops(self, names: set[str]) -> tuple[list[str], bool]:
        calls, failed = [], False
        for name in reversed(self.order()):
            if name in names and self.state[name] == "running":
                calls.append(f"stop {name}")
                bad = calls[-1] in self.bad
                failed |= bad
                self.state[name] = "failed" if bad else "stopped"
        return calls, failed

    # -- rules -------------------------------------------------------------------------------------------------------

    @rule(
        name=NAME,
        needs=st.lists(NAME, unique=True, max_size=2),
        restarts=st.integers(0, 2),
        strategy=st.sampled_from(["one-for-one", "rest-for-one"]),
    )
    def register(self, name: str, needs: list[str], restarts: int, strategy: str) -> None:
        spec = ComponentSpec(name, tuple(needs), restarts=restarts, within=10.0, strategy=strategy)
        error: type[Exception] | None = None
        if name in self.specs:
            error = DuplicateComponentError
        elif name in needs or any(need in self.users(name) for need in needs if need in self.specs):
            error = ComponentCycleError
        self.expect(
            lambda: self.components.register(
                spec, start=lambda: self.call(f"start {name}"), stop=lambda: self.call(f"stop {name}")
            ),
            error,
            [],
        )
        if error is None:
            self.specs[name], self.state[name], self.restarts[name] = spec, "stopped", []

    @rule(name=NAME, verb=st.sampled_from(["start", "stop"]))
    def break_or_mend(self, name: str, verb: str) -> None:
        self.bad ^= {f"{verb} {name}"}

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(name=SOME)
    def start(self, name: str | None) -> None:
        try:
            names = set().union(*(self.needs(each) for each in ([name] if name else self.specs)))
        except KeyError:
            self.expect(lambda: self.components.start(name), UnknownComponentError, [])
            return
        calls: list[str] = []
        started: list[str] = []
        failed = False
        for each in self.order():
            if each in names and self.state[each] != "running" and not failed:
                calls.append(f"start {each}")
                failed = calls[-1] in self.bad
                self.state[each] = "failed" if failed else "running"
                if not failed:
                    started.append(each)
        if failed:
            calls += self.stops(set(started))[0]
        else:
            self.wanted |= set(started)
        self.expect(lambda: self.components.start(name), StartFailedError if failed else None, calls)

    @rule(name=SOME)
    def stop(self, name: str | None) -> None:
        if name is not None and name not in self.specs:
            self.expect(lambda: self.components.stop(name), UnknownComponentError, [])
            return
        names = set(self.specs) if name is None else self.users(name)
        before = dict(self.state)
        calls, failed = self.stops(names)
        for each in names:
            if before[each] == "failed":
                self.state[each] = "stopped"
        self.wanted -= names
        self.expect(lambda: self.components.stop(name), StopFailedError if failed else None, calls)

    @rule(name=NAME)
    def restart(self, name: str) -> None:
        try:
            needs = self.needs(name)
        except KeyError:
            self.expect(lambda: self.components.restart(name), UnknownComponentError, [])
            return
        spec, now, order = self.specs[name], self.clock.now(), self.order()
        made = [at for at in self.restarts[name] if at > now - spec.within]
        if len(made) >= spec.restarts:
            calls, failed = self.stops(self.users(name))
            self.state[name] = "failed"
            self.wanted.discard(name)
            result = self.expect(lambda: self.components.restart(name), StopFailedError if failed else None, calls)
            assert result is (None if failed else False)
            return
        self.restarts[name] = [*made, now]
        rest = set(order[order.index(name) :]) if spec.strategy == "rest-for-one" else self.users(name)
        up = {each for each, state in self.state.items() if state == "running"}
        again = rest & (up | self.wanted)
        calls, _ = self.stops(rest & up)
        fresh: list[str] = []
        failed = False
        for each in order:
            if (
                each in again | needs
                and self.state[each] != "running"
                and all(self.state[need] == "running" for need in self.specs[each].needs)
            ):
                calls.append(f"start {each}")
                bad = calls[-1] in self.bad
                failed |= bad
                self.state[each] = "failed" if bad else "running"
                if not bad:
                    fresh.append(each)
        before = set(self.wanted)
        self.wanted |= set(fresh)
        if self.state[name] != "running":
            idle = {
                each
                for each in needs & set(fresh)
                if not any(self.state[user] == "running" for user in self.users(each) - needs.intersection(fresh))
            }
            calls += self.stops(idle)[0]
            self.wanted -= idle - before
        result = self.expect(lambda: self.components.restart(name), StartFailedError if failed else None, calls)
        assert result is (None if failed else True)

    @invariant()
    def everything_is_where_the_model_has_it(self) -> None:
        records = self.components.components()
        assert [record.name for record in records] == self.order()
        assert {record.name: record.state for record in records} == self.state
        assert all((record.problem is None) == (record.state != "failed") for record in records)
        for record in records:
            if record.state == "running":
                assert all(self.state[need] == "running" for need in record.needs)


Services.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestServices = pytest.mark.slow(Services.TestCase)
