"""The error manager against a model: whatever is reported, in whatever order, each error counts and arrives once."""

from __future__ import annotations

import builtins
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from coresys.errors.backoff import stop_after_attempt, wait_fixed
from coresys.errors.capture import leaves
from coresys.errors.hierarchy import RouteError
from coresys.errors.journal import Journal
from coresys.errors.manager import ErrorManager
from coresys.errors.retry import Retrying
from coresys.system_records import ErrorRecord
from coresys.testing.fakes import FakeClock, RecordingMonitoringManager

COMPONENTS = ["a", "b", "c"]
SINKS = ["operator", "broken"]  # the second raises whatever it is given
KINDS = [ValueError, KeyError, OSError]
ATTEMPTS = 3  # of calls, where "a" is on the path
KEPT = 4  # kinds of errors in the journal

component = st.sampled_from(COMPONENTS)
Group: Any = getattr(builtins, "ExceptionGroup", None)


def fail(error: BaseException) -> None:
    raise error


class Reports(RuleBasedStateMachine):
    """The model: routes, what is known of each exception object, and figures."""

    errors = Bundle("errors")

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.monitoring = FakeClock(), RecordingMonitoringManager()
        self.journal = Journal(count=KEPT)
        self.arrived: list[ErrorRecord] = []
        self.manager = ErrorManager(monitoring=self.monitoring, clock=self.clock, journal=self.journal)
        self.manager.sink("operator", self.arrived.append)
        self.manager.sink("broken", lambda record: 1 / 0)
        rule = Retrying(stop=stop_after_attempt(ATTEMPTS), wait=wait_fixed(1), clock=self.clock)
        self.manager.policies("a", {OSError: [rule]})
        self.routes: dict[str, str] = {}
        self.known: dict[int, str] = {}  # by id: reported, and then ended, or raised since it was reported
        self.kinds: Counter[str] = Counter()
        self.components: Counter[str] = Counter()
        self.delivered = self.undelivered = self.recovered = self.escalated = 0
        self.records = 0  # that went into the journal
        self.last = float("-inf")  # when anything was reported

    # -- the model -----------------------------------------------------------------------------------------------------

    def path(self, name: str) -> tuple[str, ...]:
        path = [name]
        while path[-1] in self.routes:
            path.append(self.routes[path[-1]])
        return tuple(path)

    def count(self, name: str, *errors: BaseException) -> None:
        """So many errors are new, and go along the path in one record."""
        if not errors:
            return
        self.kinds.update(type(error).__name__ for error in errors)
        self.components[name] += len(errors)
        self.records += 1
        self.last = self.clock.now()
        end = self.path(name)[-1]
        self.delivered += len(errors) * (end == "operator")
        self.undelivered += len(errors) * (end != "operator")
        if end == "broken":  # and what it raised is an error, which has no path
            self.count("sink broken", ZeroDivisionError())

    # -- what happens --------------------------------------------------------------------------------------------------

    @rule(name=component, to=st.sampled_from([*COMPONENTS, *SINKS]))
    def route(self, name: str, to: str) -> None:
        if name in self.path(to):
            with pytest.raises(RouteError, match="circle"):
                self.manager.route(name, to)
        else:
            self.manager.route(name, to)
            self.routes[name] = to

    @rule(sink=st.sampled_from(SINKS), to=component)
    def no_route_begins_at_a_sink(self, sink: str, to: str) -> None:
        with pytest.raises(RouteError, match="sink"):
            self.manager.route(sink, to)

    @rule(target=errors, kind=st.sampled_from(KINDS))
    def make(self, kind: type[Exception]) -> Exception:
        return kind("made")

    @rule(error=errors, name=component, ended=st.booleans())
    def report(self, error: Exception, name: str, ended: bool) -> None:
        new = id(error) not in self.known
        record = self.manager.report(error, component=name, ended=ended)
        assert self.manager.is_reported(error)
        if new:
            assert (record.component, record.route) == (name, self.path(name))
            self.count(name, error)
            self.known[id(error)] = "raised" if error.__traceback__ else "reported"
        if ended and self.known[id(error)] == "reported":
            self.known[id(error)] = "ended"

    @rule(error=errors, guards=st.lists(component, min_size=1, max_size=3))
    def pass_guards(self, error: Exception, guards: list[str]) -> None:
        """Raised once, by the same instruction always; the innermost guard reports it, if it is another error."""

        def within(names: list[str]) -> None:
            if not names:
                fail(error)
            with self.manager.guard(names[0]):
                within(names[1:])

        with pytest.raises(type(error)):
            within(guards)
        if self.known.get(id(error)) != "reported":  # else this is the error that was reported before it was raised
            self.count(guards[-1], error)
        self.known[id(error)] = "raised"

    @rule(members=st.lists(errors, min_size=1, max_size=4, unique_by=id), name=component, nested=st.booleans())
    def report_group(self, members: list[Exception], name: str, nested: bool) -> None:
        if Group is None:
            return
        group = Group("several", [Group("inner", members[:1]), *members[1:]] if nested else members)
        fresh = [each for each in members if id(each) not in self.known]
        record = self.manager.report(group, component=name)
        assert [leaf.kind for leaf in leaves(record)] == [type(each).__name__ for each in members]
        self.count(name, *fresh)
        for each in fresh:
            self.known[id(each)] = "raised" if each.__traceback__ else "reported"

    @rule(error=consumes(errors))
    def forget(self, error: Exception) -> None:
        self.known.pop(id(error), None)  # its address may be another's next

    @rule(name=component, failures=st.integers(0, 4), kind=st.sampled_from(KINDS))
    def call(self, name: str, failures: int, kind: type[Exception]) -> None:
        raised: list[Exception] = []

        def work() -> str:
            if len(raised) < failures:
                raised.append(kind("call"))
                raise raised[-1]
            return "done"

        has_rule = "a" in self.path(name) and kind is OSError
        attempts = ATTEMPTS if has_rule else 1
        if failures >= attempts:
            with pytest.raises(kind, match="call"):
                self.manager.recovering(name).call(work)
            self.escalated += has_rule
        else:
            assert self.manager.recovering(name).call(work) == "done"
            self.recovered += failures
        for error in raised:
            self.count(name, error)

    @rule(seconds=st.sampled_from([1.0, 20.0, 54.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def each_error_is_counted_once(self) -> None:
        seen = sum(self.kinds.values())
        figures = self.manager.statistics()
        assert figures.seen == seen == figures.delivered + figures.undelivered
        assert (figures.delivered, figures.undelivered) == (self.delivered, self.undelivered)
        assert (figures.recovered, figures.escalated) == (self.recovered, self.escalated)
        assert dict(figures.by_kind) == dict(self.kinds)
        assert dict(figures.by_component) == {name: count for name, count in self.components.items() if count}
        assert sorted(record.number for record in self.monitoring.errors) == list(range(1, seen + 1))

    @invariant()
    def each_error_that_was_delivered_arrived_once(self) -> None:
        fresh: set[int] = set()
        for record in self.arrived:
            numbers = {leaf.number for leaf in leaves(record)}
            assert numbers - fresh  # a record without anything new is not delivered
            fresh |= numbers
        assert all(record.route[-1] == "operator" for record in self.arrived)
        assert len(fresh) >= self.delivered  # of a group, members that went elsewhere before are in the record as well

    @invariant()
    def the_journal_is_bounded_and_knows_how_many_it_forgot(self) -> None:
        entries = self.manager.entries()
        assert len(entries) == len({(entry.component, entry.fingerprint) for entry in entries}) <= KEPT
        assert sum(entry.count for entry in entries) + self.journal.forgotten == self.records

    @invariant()
    def rates_forget_what_is_a_minute_old(self) -> None:
        figures = self.manager.statistics()
        assert figures.rate * 60 <= figures.seen + 1e-6
        age = self.clock.now() - self.last  # of the last error, or a second less: a call waits after it
        assert figures.rate > 0 or age >= 54
        assert figures.rate == 0 or age <= 60


TestReports = pytest.mark.slow(Reports.TestCase)
TestReports.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
