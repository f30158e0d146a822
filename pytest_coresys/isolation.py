"""``coresys_isolated``: hooks that run marked tests in processes of their own. Registered if a test is so marked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest

from coresys.budgets.units import format_quantity
from coresys.measure.system import System
from pytest_coresys.config.errors import MarkerError
from pytest_coresys.config.markers import parse_isolated_marker
from pytest_coresys.engine.forked import Send
from pytest_coresys.engine.isolated import (
    MARKER,
    Around,
    Outcome,
    Terms,
    not_run,
    rejoin_group,
    run_isolated,
    why_not_isolated,
)
from pytest_coresys.engine.runner import other_protocols
from pytest_coresys.items import path_of

DEFAULT_LIMIT = 600.0  # seconds: far more than tests take, and less than a machine's time for a run
_FOR_ITS_OWN_WORDS = 5.0  # seconds over pytest-timeout's, which tells more when it is heard in the test's process


def open_isolation(config: pytest.Config) -> None:
    """Register what runs isolated tests."""
    config.pluginmanager.register(Isolation(config), "coresys-isolation")


class Isolation:
    """Takes the tests that are marked, before other plugins' protocols do, which could not isolate them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._pid = System.getpid()
        self._others = sorted({str(impl.plugin_name) for impl in other_protocols(config)})
        self._taken = 0  # tests, that another plugin could have run
        self._send: Send | None = None  # in the process of a test
        self._timeouts: dict[pytest.Item, Any] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if item.get_closest_marker(MARKER) is None:
            return None
        self._taken += self._may_be_taken(item)
        ihook = item.ihook
        ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        session: Any = self._config.pluginmanager.get_plugin("coresys-session")
        try:
            if session is None:
                self.run(item, nextitem, lambda report: ihook.pytest_runtest_logreport(report=report))
            else:
                session.run_isolated(item, nextitem, self.run)
        finally:
            self._timeouts.pop(item, None)
        ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def run(
        self, item: pytest.Item, nextitem: Any, log: Callable[[Any], None], around: Around | None = None
    ) -> Outcome:
        """Run a marked test; ``log`` hears its reports."""
        cannot = why_not_isolated()
        if cannot is not None:
            why, by_nature = cannot
            return not_run(item, f"{MARKER}: can't be isolated: {why}", log, skip=by_nature, nextitem=nextitem)
        problem = None
        try:
            limit, text = self._limit(item)
        except MarkerError as error:
            problem = f"coresys: {error}"
        if problem is not None:
            return not_run(item, problem, log, nextitem=nextitem)
        return run_isolated(item, nextitem, Terms(limit, text, partial(self._arrive, item), around), log)

    def _limit(self, item: pytest.Item) -> tuple[float | None, str]:
        """Seconds, and in words, with who said so. Raises MarkerError."""
        line = item.location[1]
        location = path_of(item) if line is None else f"{path_of(item)}:{line + 1}"
        marker = next(iter(item.iter_markers(MARKER)))
        said = parse_isolated_marker(marker.args, marker.kwargs, location)
        if said.given:
            return said.limit, "" if said.limit is None else f"{format_quantity(said.limit, 's')} (its marker)"
        theirs = getattr(self._timeouts.get(item), "timeout", None)
        if theirs:
            text = f"{format_quantity(theirs, 's')} (pytest-timeout, and {_FOR_ITS_OWN_WORDS:.0f} s more)"
            return theirs + _FOR_ITS_OWN_WORDS, text
        hint = f'the default; write @pytest.mark.{MARKER}(timeout="1 h") if it needs more'
        return DEFAULT_LIMIT, f"{format_quantity(DEFAULT_LIMIT, 's')} ({hint})"

    def _may_be_taken(self, item: pytest.Item) -> bool:
        """Whether another plugin's protocol might have run it. The best known one is installed in many a place."""
        if self._others == ["rerunfailures"]:
            return item.get_closest_marker("flaky") is not None or bool(self._config.getoption("reruns", None))
        return bool(self._others)

    # -- in the process of a test -----------------------------------------------------------------------------------

    def _arrive(self, item: pytest.Item, send: Send) -> None:
        self._send = send
        settings = self._timeouts.get(item)
        if settings is not None:  # the clock of the tests' process was stopped, and does not run here
            self._config.hook.pytest_timeout_set_timer(item=item, settings=settings)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        if self._send is not None and fixturedef.scope != "function":
            # It is up in no other process, and falls with the test.
            item = request._pyfuncitem
            item.session._setupstate.addfinalizer(partial(fixturedef.finish, request), item)
        return (yield)

    def pytest_enter_pdb(self) -> None:
        if self._send is not None:
            self._send({"limit": None})  # who looks for an error takes as long as that takes
            rejoin_group()

    # -- others -------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:
        if self._send is None:
            self._timeouts[item] = settings

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Whoever else runs a marked test here, by a protocol of its own: better not at all."""
        if System.getpid() == self._pid and item.get_closest_marker(MARKER) is not None:
            names = " or ".join(self._others) or "another plugin"
            pytest.fail(
                f"{MARKER}: {names} runs this test by a protocol of its own, in which it can't be isolated;"
                " take that plugin's marker or this one off",
                pytrace=False,
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if not self._taken:
            return
        output = getattr(self._config, "workeroutput", None)
        if output is None:
            tell_in_the_end(self._config, self._taken, self._others)
        else:
            output["coresys_isolated"] = [self._taken, self._others]


def tell_in_the_end(config: pytest.Config, taken: int, others: list[str]) -> None:
    """Say, in the end, how many tests other plugins did not get; called by the run, or once for each worker."""
    told: Any = config.pluginmanager.get_plugin("coresys-isolation-told")
    if told is None:
        told = _Told(others)
        config.pluginmanager.register(told, "coresys-isolation-told")
    told.taken += taken


class _Told:
    def __init__(self, others: list[str]) -> None:
        self._names, self.taken = ", ".join(others), 0

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        tests = "1 isolated test was" if self.taken == 1 else f"{self.taken} isolated tests were"
        terminalreporter.write_line(f"coresys: {tests} run once, in a process of its own, and not by {self._names}")
