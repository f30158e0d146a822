"""What is read around one test: by us, in a process of its own, or by another plugin that runs it."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from coresys.measure.holders import Paths
from coresys.measure.settings import SettingsSnapshot
from coresys.measure.system import System
from coresys.records import Location, Part, Reading
from coresys.threads.watching import chains
from pytest_coresys import wire
from pytest_coresys.criteria import run as run_criteria
from pytest_coresys.engine.plan import Plan
from pytest_coresys.engine.screen import Counts
from pytest_coresys.items import plan_of
from pytest_coresys.probes.environments import Left

if TYPE_CHECKING:
    from pytest_coresys.session import BudgetSession


class Watch:
    """What is read before and after one test, whoever runs it."""

    def __init__(self, session: BudgetSession, item: pytest.Item, plan: Plan | None = None) -> None:
        self.plan = plan or plan_of(item, session.planner, session.budget_hooks)
        self._session = session
        session.environments.begin(item.nodeid, takes=Left.key in self.plan.limits)
        session.collector.begin()
        session.marked = self.plan.criteria
        session.fixtures.made_now = [0, 0, 0, 0, 0]
        # What stood after the last test stands now, unless something was done in between.
        self.modules = len(sys.modules)
        session.settings_probe.open()
        self.before = session.counts or session.screen.read()
        if session.settings_probe.key not in self.plan.wanted:
            session.settings_probe.forget()
        if session.orders.key not in self.plan.wanted:
            chains.renew()  # what nobody reads must not grow
        session.probes.start(self.plan.wanted)
        self.left: Counts | None = None
        self.each: float | None = None  # seconds that a repetition takes, where that may be told
        self.after: Counts | None = None
        self.readings: dict[str, Reading] = {}
        self.locks: dict[str, Any] | None = None  # the order in which they were taken, for the run
        self.criteria: dict[str, Any] | None = None  # what was recorded for them

    def stop(self) -> None:
        """The test is over."""
        self._session.environments.end()
        self.criteria = run_criteria.told(self._session.collector.end(), self.plan.criteria)
        self.readings = {key: self._shown(reading) for key, reading in self._session.probes.stop().items()}
        order = self._session.orders.take()
        self.locks = None if order is None else wire.order_to_dict(order, System.getpid())
        self.after = self._session.counts = self._session.screen.read_after(self.before)
        if self.before is not None and self.after is not None:
            self.left, theirs = self.after.since(self.before), self._session.fixtures.made_now
            if any(theirs):  # what wider fixtures made meanwhile
                self.left = Counts(*(max(n - made, 0) for n, made in zip(self.left, (*theirs, 0), strict=True)))

    @property
    def in_use(self) -> int:
        """Bytes, after the test."""
        return self.after.memory if self.after is not None else 0

    @property
    def stranded_before(self) -> int:
        """Free bytes, before it."""
        return self.before.stranded if self.before is not None else 0

    @property
    def imported(self) -> bool:
        """Whether modules were imported meanwhile."""
        return len(sys.modules) > self.modules

    @property
    def settings_found(self) -> SettingsSnapshot | None:
        """The settings before it, if it left others."""
        return self._session.settings_probe.found

    def _shown(self, reading: Reading) -> Reading:
        """The reading, with its places named as everywhere: relative to the root."""
        if not reading.where and not reading.each:
            return reading
        paths = Paths(str(self._session.config.rootpath), lambda path: True)

        def shown(places: tuple[Location, ...]) -> tuple[Location, ...]:
            return tuple(replace(place, path=paths.show(place.path)) for place in places)

        parts = tuple(replace(part, where=shown(part.where)) for part in reading.each)
        return replace(reading, where=shown(reading.where), each=parts)


class FarWatch:
    """What is read before and after a test in the process that it has to itself, and comes from there as plain values.

    Nothing need be left out there: whatever is set up, the test's process sets up for the test, and takes it down.
    """

    def __init__(self, session: BudgetSession, item: pytest.Item) -> None:
        self.plan = plan_of(item, session.planner, session.budget_hooks)
        self._session, self._item = session, item
        self._watch: Watch | None = None
        session.fixtures.made_now = [0, 0, 0, 0, 0]
        self.each: float | None = None
        self.left: Counts | None = None
        self.readings: dict[str, Reading] = {}
        self.in_use = self.stranded_before = 0
        self.imported = False
        self.settings_found: SettingsSnapshot | None = None
        self.locks: dict[str, Any] | None = None
        self.criteria = run_criteria.told({}, self.plan.criteria)

    def begin(self) -> None:
        """There, before the setup."""
        self._session.time_goes_by()
        self._watch = Watch(self._session, self._item, self.plan)

    def end(self) -> dict[str, Any]:
        """There, after the teardown."""
        watch = self._watch
        assert watch is not None
        self._session.fixtures.made_now = [0, 0, 0, 0, 0]
        watch.stop()
        return {
            "left": None if watch.left is None else list(watch.left),
            "in_use": watch.in_use,
            "stranded_before": watch.stranded_before,
            "imported": watch.imported,
            "readings": {key: asdict(reading) for key, reading in watch.readings.items()},
            "locks": watch.locks,
            "criteria": watch.criteria,
            "notes": self._session.notes,
        }

    def take(self, measured: Mapping[str, Any] | None) -> None:
        """Here: what came from there, if the test came to its end."""
        if measured is None:
            return
        self.left = None if measured["left"] is None else Counts(*measured["left"])
        self.in_use, self.stranded_before = measured["in_use"], measured["stranded_before"]
        self.imported = measured["imported"]
        self.readings = {key: _reading(given) for key, given in measured["readings"].items()}
        self.locks = measured["locks"]
        self.criteria = measured["criteria"]
        for note in measured["notes"]:
            self._session.complain(note)
        if (changed := self.readings.get("globals.changed")) is not None and changed.value:
            self.settings_found = self._session.safely(SettingsSnapshot.take)  # nothing was changed here


def _reading(given: Mapping[str, Any]) -> Reading:
    each = tuple(Part(tuple(part["details"]), _places(part["where"]), tuple(part["locks"])) for part in given["each"])
    return Reading(given["value"], given["why"], tuple(given["details"]), _places(given["where"]), each)


def _places(given: Iterable[Mapping[str, Any]]) -> tuple[Location, ...]:
    return tuple(Location(**place) for place in given)


class ForeignWatch:
    """Sees the phases of tests that another plugin runs. Registered only where there is such a plugin."""

    def __init__(self, session: BudgetSession) -> None:
        self._session = session

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        if self._session.foreign is not None:
            self._session.foreign.begin(item)
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self._session.foreign is not None:
            self._session.foreign.reported(item, report)
        return report


class Foreign:
    """A test that another plugin runs by its own protocol: we measure around it, and amend what it reports.

    That plugin may run it several times: each setup begins anew. A call that was not logged yet when the teardown
    is over becomes the failure, as ours would; else the teardown does.
    """

    def __init__(self, session: BudgetSession, item: pytest.Item) -> None:
        self._session, self._item = session, item
        self._watch: Watch | None = None
        self._reports: list[pytest.TestReport] = []
        self._logged: list[Any] = []

    def begin(self, item: pytest.Item) -> None:
        """A setup begins."""
        if item is self._item:
            self._reports, self._logged = [], []
            self._watch = Watch(self._session, item)

    def reported(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """A phase is over; after the teardown comes the judgement."""
        if item is not self._item or self._watch is None:
            return
        self._reports.append(report)
        if report.when != "teardown":
            return
        self._watch.stop()
        record = self._session.judged(item, self._reports, self._watch, 0.0, may_repeat=False, last=False)
        calls = [each for each in self._reports if each.when == "call" and each.passed]
        passed = [each for each in (*calls, report) if not any(each is logged for logged in self._logged)]
        if passed and self._session.amend(passed[0], record):
            record["outcome"] = "failed" if passed[0].when == "call" else "error"
        self._session.attach(report, record)
        self._watch = None

    def logged(self, report: Any) -> None:
        """A report was logged, and can't be changed any more."""
        self._logged.append(report)
