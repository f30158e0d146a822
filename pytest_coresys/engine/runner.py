"""Run one item: the only module that uses pytest's private API."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import inspect
import os
import shutil
import types
import warnings
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest.config.findpaths import determine_setup
from _pytest.faulthandler import fault_handler_stderr_fd_key
from _pytest.fixtures import FuncFixtureInfo
from _pytest.logging import caplog_handler_key, caplog_records_key
from _pytest.runner import _update_current_test_var, check_interactive_exception, show_test_item
from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

try:
    from _pytest.subtests import failed_subtests_key as _failed_subtests
except ImportError:  # before pytest 9
    _FAILED_SUBTESTS: Any = None
else:
    _FAILED_SUBTESTS = _failed_subtests


def run_phases(
    item: pytest.Item,
    nextitem: Any,
    *,
    log: bool,
    used: set[Any] | None = None,
    hear: Callable[[pytest.TestReport], None] | None = None,
) -> list[pytest.TestReport]:
    """Setup, call and teardown, as pytest's own ``runtestprotocol`` does them.

    The definitions of all fixtures that were used are added to ``used``, those among them that were asked for only
    while the test ran.

    With ``log`` each report is logged as soon as nothing can change it any more: only a passing call, which a
    budget may turn into a failure, is held back with the teardown after it. If the run is ended meanwhile (Ctrl-C,
    ``pytest.exit()``, a debugger that is quit), what was held back is logged as it is.

    With ``hear`` each report is told at once; what ends a run by a signal (Ctrl-C) is then a failure of the test's.
    """
    fresh = hasattr(item, "_request") and not item._request
    if fresh:
        item._initrequest()  # type: ignore[attr-defined]
    phases = _Phases(item, log=log, hear=hear)
    try:
        if phases.run("setup").passed:
            setup_only = item.config.getoption("setuponly", False)
            if item.config.getoption("setupshow", False):
                _show(item, add_space=not setup_only)
            if not setup_only:
                phases.run("call")
        if item.session.shouldfail or item.session.shouldstop:
            nextitem = None
        phases.run("teardown", nextitem=nextitem)
    except BaseException:
        phases.log_held()
        raise
    finally:
        if hasattr(item, "_request"):
            if used is not None:
                used.update(getattr(item._request, "_fixture_defs", {}).values())
            item._request = False
            item.funcargs = None  # type: ignore[attr-defined]
    return phases.reports


class _Phases:
    """Runs the phases of one test as pytest's ``call_and_report`` does, and keeps back what a budget may change."""

    def __init__(
        self, item: pytest.Item, *, log: bool, hear: Callable[[pytest.TestReport], None] | None = None
    ) -> None:
        self._item, self._log, self._hear = item, log, hear
        self._ihook = item.ihook  # found anew for each use: 3 us, seven times a test
        self.reports: list[pytest.TestReport] = []
        self._held: list[pytest.TestReport] = []
        # Written out: the interpreter's cache of attributes keeps each name that was made for a getattr(), which in
        # repetitions would be growth of ours.
        self._hooks: dict[str, Any] = {
            "setup": self._ihook.pytest_runtest_setup,
            "call": self._ihook.pytest_runtest_call,
            "teardown": self._ihook.pytest_runtest_teardown,
        }
        # A debugger is asked about Ctrl-C as about any failure.
        self._ends_run: tuple[type[BaseException], ...] = (pytest.exit.Exception,)
        if not item.config.getoption("usepdb", False) and hear is None:
            self._ends_run += (KeyboardInterrupt,)

    def run(self, when: Literal["setup", "call", "teardown"], **given: Any) -> pytest.TestReport:
        item, ihook = self._item, self._ihook
        hook = self._hooks[when]
        call = pytest.CallInfo.from_call(lambda: hook(item=item, **given), when=when, reraise=self._ends_run)
        report: pytest.TestReport = ihook.pytest_runtest_makereport(item=item, call=call)
        self.reports.append(report)
        if self._hear is not None:
            self._hear(report)
        if when == "setup" or (when == "call" and not report.passed):
            if self._log:  # before anybody is asked about it, who may end the run
                ihook.pytest_runtest_logreport(report=report)
        else:
            self._held.append(report)
        if check_interactive_exception(call, report):
            ihook.pytest_exception_interact(node=item, call=call, report=report)
        return report

    def log_held(self) -> None:
        for report in self._held if self._log else ():
            self._ihook.pytest_runtest_logreport(report=report)


def _show(item: pytest.Item, *, add_space: bool) -> None:
    show: Any = show_test_item
    try:
        show(item, add_space=add_space)
    except TypeError:  # before pytest 9.1
        show(item)


# What the examples of a doctest see, while it may be repeated: doctest clears it after a run.
_globals: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
_globals_of_rounds: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


@contextmanager
def repeatable(item: pytest.Item) -> Iterator[None]:
    """Keep, from before the first run until the last repetition, what a repetition needs and a run destroys."""
    examples: Any = getattr(item, "dtest", None)
    if examples is None:
        yield
        return
    item.stash[_globals] = dict(examples.globs)
    try:
        yield
    finally:
        del item.stash[_globals]


class Sibling:
    """Stands for "one more test beside this one", so that wider fixtures stay up between repetitions."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def listchain(self) -> list[Any]:
        return self._item.listchain()[:-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item, name)


_STAY_UP: Any = object()


def repeat_once(item: pytest.Item, nextitem: Any = _STAY_UP) -> str | None:
    """Run the item once more, keeping nothing. None if it passed, else what went wrong.

    Wider fixtures stay up, unless a ``nextitem`` is given (None: there is none) that does not need them.
    """
    with _no_finalizers_added(item) as used:
        return _problem_of(_run_unseen(item, Sibling(item) if nextitem is _STAY_UP else nextitem, used))


def run_in_round(item: pytest.Item, nextitem: Any) -> str | None:
    """Run the item once more, for a soak, keeping nothing. None if it passed, else what went wrong.

    Wider fixtures rise and fall as in an ordinary run: ``nextitem`` says which of them stay.
    """
    used = set(_declared_fixtures(item))
    if _globals_of_rounds in item.stash:
        item.dtest.globs.update(item.stash[_globals_of_rounds])  # type: ignore[attr-defined]
    try:
        return _problem_of(_run_unseen(item, nextitem, used))
    finally:
        _finalizers_once(item, used)


def keep_for_rounds(item: pytest.Item) -> None:
    """Keep what rounds need and the first run destroys; to be called while the item is ``repeatable``."""
    if _globals in item.stash:
        examples = item.stash[_globals]
        item.stash[_globals_of_rounds] = examples.copy()


def end_of_rounds(item: pytest.Item) -> pytest.TestReport:
    """Tear down all that is still up, by an empty test after which none follows: the report of that teardown."""
    empty = empty_test(item)
    return _run_unseen(empty, None, set())[-1]


def _run_unseen(item: pytest.Item, nextitem: Any, used: set[Any]) -> list[pytest.TestReport]:
    """Run the item; what pytest keeps of it is taken away again."""
    properties = list(item.user_properties)
    item._report_sections.clear()
    if _globals in item.stash:
        item.dtest.globs.update(item.stash[_globals])  # type: ignore[attr-defined]
    with warnings.catch_warnings(record=True):
        # pytest records warnings in a list for as long as the test's protocol runs, which is now.
        reports = run_phases(item, nextitem, log=False, used=used)
    item.user_properties[:] = properties
    return reports


def _problem_of(reports: list[pytest.TestReport]) -> str | None:
    for report in reports:
        if not report.passed:
            return f"{report.when} {report.outcome}: {_first_words(report)}"
    return None


def _finalizers_once(item: pytest.Item, used: set[Any]) -> None:
    """Of the finalizers that take the same fixture down keep the last: the others would find nothing to do.

    Each setup of a fixture adds one to the wider fixtures that it uses, and in older versions of pytest each use adds
    one to its node. Over the rounds of a soak that is growth of pytest's own.
    """
    for definition in used:
        if definition.scope != "function":
            _keep_last(_finalizers_of(definition))
    for finalizers, _ in item.session._setupstate.stack.values():
        _keep_last(finalizers)


def _keep_last(finalizers: list[Any]) -> None:
    seen: set[int] = set()
    for at in range(len(finalizers) - 1, -1, -1):
        finish = getattr(finalizers[at], "func", None)  # of a functools.partial
        owner = getattr(finish, "__self__", None)
        if isinstance(owner, pytest.FixtureDef) and getattr(finish, "__name__", "") == "finish":
            if id(owner) in seen:
                del finalizers[at]
            seen.add(id(owner))


# By test: how many finalizers the fixtures that it uses had when they were seen first.
_finalizers: weakref.WeakKeyDictionary[pytest.Item, dict[Any, int]] = weakref.WeakKeyDictionary()


@contextmanager
def _no_finalizers_added(item: pytest.Item) -> Iterator[set[Any]]:
    """Take away the finalizers that every use of a wider fixture adds to it, and to its node.

    They would tear down what has been torn down: pytest's own growth, not the test's. What stood before stays.
    """
    known = _finalizers.setdefault(item, {})
    used = set(_declared_fixtures(item))
    for definition in used:
        if definition.cached_result is None:
            known.pop(definition, None)  # it will be set up, with finalizers that take it down
        else:
            known.setdefault(definition, len(_finalizers_of(definition)))
    stack = item.session._setupstate.stack
    nodes = {node: len(finalizers) for node, (finalizers, _) in stack.items()}
    yield used
    for definition in used:
        if definition.scope != "function":
            del _finalizers_of(definition)[known.setdefault(definition, len(_finalizers_of(definition))) :]
    for node, (finalizers, _) in stack.items():
        if node in nodes:
            del finalizers[nodes[node] :]


@contextmanager
def wider_fixtures_put_back(item: pytest.Item) -> Iterator[None]:
    """Tear down, at the end, what is set up for the test meanwhile and was not before.

    What a fixture of the module's makes outside of the process (a container, a segment of shared memory) would stay.
    What was up before stays up: it is somebody else's.
    """
    state = item.session._setupstate
    before = list(state.stack)
    try:
        yield
    finally:
        if list(state.stack) != before:
            try:
                state.teardown_exact(_Chain(before))  # type: ignore[arg-type]  # all that it is asked for
            except KeyboardInterrupt:
                raise
            except BaseException:  # of a repetition: an outcome of pytest's, too, is nobody's
                pass


class _Chain:
    """Stands for a next test that needs these nodes."""

    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = nodes

    def listchain(self) -> list[Any]:
        return self._nodes


@contextmanager
def captured(item: pytest.Item, when: Literal["setup", "teardown"]) -> Iterator[None]:
    """What is printed and logged meanwhile becomes sections of the item's reports, as in a phase of the test."""
    manager = item.config.pluginmanager
    capture: Any = manager.get_plugin("capturemanager")
    logs: Any = manager.get_plugin("logging-plugin")
    with ExitStack() as stack:
        if logs is not None:
            item.stash.setdefault(caplog_records_key, {})
            runs = logs._runtest_for(item, when)
            stack.enter_context(runs if hasattr(runs, "__enter__") else contextmanager(lambda: runs)())  # before 8.4
        if capture is not None:
            stack.enter_context(capture.item_capture(when, item))
        yield


@contextmanager
def wider_fixtures_up(item: pytest.Item, nextitem: Any, hear_teardown: Callable[[Any], None]) -> Iterator[None]:
    """Set up what the test needs that is wider than itself; in the end, take down what ``nextitem`` needs not.

    A setup that fails is nobody's here: pytest keeps it, and raises it again when the test is run. What a test that is
    to be skipped would need is not set up. The call of the teardown is told, for a report of it, before the block's
    name is taken from the environment.
    """
    if hasattr(item, "_request") and not item._request:
        item._initrequest()  # type: ignore[attr-defined]
    _update_current_test_var(item, "setup")
    try:
        with captured(item, "setup"):
            _set_up_wider(item)
        yield
        session = item.session
        following = None if session.shouldfail or session.shouldstop else nextitem
        _update_current_test_var(item, "teardown")

        def fall() -> None:
            with captured(item, "teardown"):
                session._setupstate.teardown_exact(following)

        ends_run = (pytest.exit.Exception, KeyboardInterrupt)
        hear_teardown(pytest.CallInfo.from_call(fall, when="teardown", reraise=ends_run))
    finally:
        _update_current_test_var(item, None)
        if caplog_records_key in item.stash:
            del item.stash[caplog_records_key]
        if caplog_handler_key in item.stash:
            del item.stash[caplog_handler_key]
        if hasattr(item, "_request"):
            item._request = False
            item.funcargs = None  # type: ignore[attr-defined]


def _set_up_wider(item: pytest.Item) -> None:
    try:
        xfailed = evaluate_xfail_marks(item)
        if evaluate_skip_marks(item) or (xfailed and not xfailed.run and not item.config.getoption("runxfail", False)):
            return
        state = item.session._setupstate
        state.setup(item.parent)  # type: ignore[arg-type]  # a node with those above it
        state.stack[item] = ([], None)  # else pytest takes the fixtures for asked for in a teardown
        known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        if "tmp_path_factory" in known:
            # Else each process would make a folder for the whole run, and three runs' are kept.
            item._request.getfixturevalue("tmp_path_factory").getbasetemp()  # type: ignore[attr-defined]
        for name in getattr(item, "fixturenames", ()):
            definitions = known.get(name)
            if definitions and definitions[-1].scope != "function":
                item._request.getfixturevalue(name)  # type: ignore[attr-defined]
    except (pytest.exit.Exception, KeyboardInterrupt):
        raise
    except BaseException:
        pass
    finally:
        item.session._setupstate.stack.pop(item, None)


def report_of(item: pytest.Item, call: pytest.CallInfo[Any], seconds: float | None = None) -> pytest.TestReport:
    """The report of a phase that was none of pytest's hooks; an expected failure is one, whatever it failed by.

    The hook that makes reports is not called: plugins rely on having seen each phase of the test before.
    """
    if seconds is not None:
        call.duration = seconds
    report = pytest.TestReport.from_item_and_call(item, call)
    if report.failed and call.when != "teardown" and not item.config.getoption("runxfail", False):
        try:
            expected = evaluate_xfail_marks(item)
        except pytest.fail.Exception:  # a condition that is wrong: the test would have failed by it
            return report
        if expected and expected.raises is None:
            report.outcome, report.wasxfail = "skipped", expected.reason
    return report


def failed_subtests(item: pytest.Item) -> int:
    """How many subtests of a test failed so far: pytest keeps it apart from the reports, and fails the test by it."""
    if _FAILED_SUBTESTS is None:
        return 0
    counts: Any = item.config.stash.get(_FAILED_SUBTESTS, {})
    return int(counts.get(_subtests_id(item), 0))


def set_failed_subtests(item: pytest.Item, count: int) -> None:
    """Have pytest know of subtests that failed elsewhere."""
    if _FAILED_SUBTESTS is not None and count:
        counts: Any = item.config.stash.setdefault(_FAILED_SUBTESTS, defaultdict(int))
        counts[_subtests_id(item)] = count


def _subtests_id(item: pytest.Item) -> Any:
    return getattr(item, "id", item.nodeid)  # since pytest 9.2


def _declared_fixtures(item: pytest.Item) -> Iterator[Any]:
    """Definitions of the fixtures that a test is known to use before it runs, and those that they override."""
    info = getattr(item, "_fixtureinfo", None)
    for definitions in info.name2fixturedefs.values() if info else ():
        yield from definitions


def _finalizers_of(definition: Any) -> list[Any]:
    finalizers: list[Any] = getattr(definition, "_finalizers", [])
    return finalizers


def _first_words(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = getattr(crash, "message", None) or str(report.longrepr)
    return text.strip().splitlines()[0][:200] if text.strip() else "no message"


@contextmanager
def unreported(config: pytest.Config) -> Iterator[None]:
    """Let nobody hear of reports that a test logs itself, as those of subtests: nor show them, nor keep them."""
    heard_by: list[Any] = config.hook.pytest_runtest_logreport._hookimpls
    before = heard_by[:]
    _report_nothing(config)
    try:
        yield
    finally:
        heard_by[:] = before


def _report_nothing(config: pytest.Config) -> None:
    config.hook.pytest_runtest_logreport._hookimpls.clear()


def prepare_child(item: pytest.Item, folder: Path) -> None:
    """Point pytest's temporary folder elsewhere and take away what would ask a person, or keep reports."""
    manager = item.config.pluginmanager
    _report_nothing(item.config)
    for name in ("pdbinvoke", "pdbtrace", "faulthandler"):
        if manager.has_plugin(name):
            manager.unregister(name=name)
    factory = getattr(item.config, "_tmp_path_factory", None)
    if factory is not None:
        base = folder / "pytest"
        base.mkdir()
        factory._basetemp = base
    os.environ.pop("PYTEST_CURRENT_TEST", None)


class NumberedFolders:
    """The folders that ``tmp_path`` and its like number through: each repetition finds the numbers of the first.

    Left as they are, every repetition would see paths that were never seen before, and all that remembers paths
    (``sys.path_importer_cache``) would grow, as it does not in a suite. What the first repetition made stays: wider
    fixtures may have made it, and they stay up.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._factory: Any = getattr(config, "_tmp_path_factory", None)
        self._first: tuple[set[Path], dict[str, int]] | None = None

    def clear(self) -> None:
        """To be called after each repetition."""
        base: Path | None = getattr(self._factory, "_basetemp", None)
        if base is None:
            return
        # Counted in memory since pytest 9.2, read off the folders before.
        numbers: dict[str, int] = getattr(self._factory, "_next_number", {})
        made = set(base.glob("*"))
        if self._first is None:
            self._first = made, dict(numbers)
            return
        kept, first_numbers = self._first
        for path in made - kept:
            shutil.rmtree(path, ignore_errors=True)
        numbers.clear()
        numbers.update(first_numbers)


class _Unmarked(pytest.Function):
    """A test to which no marks apply: those of its module may ask for what only the user's tests have."""

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Any, Any]]:
        return iter(())


def empty_test(item: pytest.Item) -> pytest.Item:
    """A test without a body or fixtures, run as others are: what it keeps, pytest keeps."""
    return _Unmarked.from_parent(
        item.parent,  # not another: what stands on the stack for the test, and its fixtures, would be torn down
        name="coresys_control",
        callobj=_nothing,
        fixtureinfo=FuncFixtureInfo((), (), [], {}),
    )


def _nothing() -> None:
    """The body of the empty test."""


def fixture_owner(fixturedef: Any, rootpath: Path) -> str | None:
    """``fixture NAME (file:line)`` for a fixture of a wider scope; None for narrow ones and for pytest's own."""
    if fixturedef.scope == "function":
        return None
    function = inspect.unwrap(fixturedef.func)
    code = getattr(function, "__code__", None)
    module = getattr(fixturedef.func, "__module__", None) or ""
    if module.startswith("_pytest."):
        # setup_module() and its like are fixtures of pytest's, around functions of the user's.
        return f"setup and teardown of {fixturedef.baseid}" if fixturedef.argname.startswith("_") else None
    if code is None:
        return f"fixture {fixturedef.argname}"
    # Of one that ``coresys_environment`` made, where that was asked for.
    file, line = getattr(function, "coresys_site", (code.co_filename, code.co_firstlineno))
    path = Path(file)
    shown = path.relative_to(rootpath).as_posix() if path.is_relative_to(rootpath) else str(path)
    return f"fixture {fixturedef.argname} ({shown}:{line})"


def requesting_item(request: Any) -> pytest.Item:
    """The test for which a fixture is being set up."""
    item: pytest.Item = request._pyfuncitem
    return item


class Beyond:
    """Stands for "one more test, outside of this scope": what has that scope falls, what is wider stays up."""

    def __init__(self, item: pytest.Item, scope: str) -> None:
        kinds: dict[str, Any] = {"class": pytest.Class, "module": pytest.Module, "package": pytest.Package}
        chain = item.listchain()
        at = [number for number, node in enumerate(chain) if isinstance(node, kinds.get(scope, pytest.Session))]
        self._chain = chain[: at[-1]] if at else chain[:1]

    def listchain(self) -> list[Any]:
        return self._chain


class NextRound(Sibling):
    """Stands for the first test of the next round: all but what has the scope of the session falls."""

    def listchain(self) -> list[Any]:
        return self._item.listchain()[:1]


def quiet_timers(item: pytest.Item) -> None:
    """Stop the clocks that run for the time of the test's protocol: the test is over, its repetitions are not it."""
    cancel = getattr(item.config.hook, "pytest_timeout_cancel_timer", None)
    if cancel is not None:
        cancel(item=item)
    # Only pytest's own: there is one such timer, and without the option it is somebody else's.
    if item.config.pluginmanager.has_plugin("faulthandler") and float(item.config.getini("faulthandler_timeout") or 0):
        faulthandler.cancel_dump_traceback_later()


def resume_watchdog(config: pytest.Config) -> None:
    """Start anew, in a child, pytest's own watchdog over the time of a test: no thread came along."""
    seconds = (
        float(config.getini("faulthandler_timeout") or 0) if config.pluginmanager.has_plugin("faulthandler") else 0
    )
    if seconds > 0:
        faulthandler.dump_traceback_later(seconds, file=config.stash[fault_handler_stderr_fd_key])


def other_protocols(config: pytest.Config) -> list[Any]:
    """Implementations of the run protocol by other plugins, in calling order; pytest's own not among them."""
    return [
        impl
        for impl in reversed(config.hook.pytest_runtest_protocol.get_hookimpls())
        if not (impl.hookwrapper or getattr(impl, "wrapper", False))
        and impl.plugin_name not in ("runner", "coresys-session", "coresys-isolation")
    ]


# Whose hooks between tests leave the settings of the process alone.
_WELL_KNOWN = ("_pytest.", "pytest_coresys.", "xdist.")


def strangers_between_tests(config: pytest.Config) -> bool:
    """Whether code of other plugins than pytest's own runs between the end of a test and the start of the next."""
    hooks = (
        "pytest_runtest_protocol",
        "pytest_runtest_logstart",
        "pytest_runtest_logreport",
        "pytest_runtest_logfinish",
        "pytest_report_teststatus",
        "pytest_report_to_serializable",
        "pytest_warning_recorded",
        "pytest_coresys_probes",
        "pytest_coresys_budgets",
        "pytest_coresys_verdict",
    )
    return any(
        not (getattr(impl.function, "__module__", None) or "").startswith(_WELL_KNOWN)
        for hook in hooks
        for impl in getattr(config.hook, hook).get_hookimpls()
    )


def root_for(config: pytest.Config) -> tuple[Path, Path | None] | None:
    """Root and configuration file that belong to the paths that pytest was given, now that all options are known."""
    options = config.known_args_namespace
    given = {
        "inifile": getattr(options, "inifilename", None),
        "override_ini": getattr(options, "override_ini", None),
        "args": options.file_or_dir,
        "rootdir_cmd_arg": options.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    wanted = inspect.signature(determine_setup).parameters  # not the same in all versions
    if not wanted.keys() <= given.keys():
        return None
    root, inifile, *_ = determine_setup(**{name: given[name] for name in wanted})
    return root, inifile


def takes_levels_back(config: pytest.Config) -> bool:
    """Whether pytest sets the level of the root logger in each phase, and after it back to what was there before."""
    if not config.pluginmanager.has_plugin("logging"):
        return False
    return config.getoption("log_level") is not None or bool(config.getini("log_level"))


def taken_by_other(protocols: list[Any], item: pytest.Item, nextitem: pytest.Item | None) -> str | None:
    """Offer the item to the other plugins, as pluggy would; the name of the one that ran it, or None.

    An installed pytest-rerunfailures implements the protocol always, and takes a test only if it is to be rerun.
    """
    for impl in protocols:
        given = {"item": item, "nextitem": nextitem}
        if impl.function(*(given[name] for name in impl.argnames)) is not None:
            return str(impl.plugin_name)
    return None


def wider_fixtures(item: pytest.Item) -> bool:
    """Whether a fixture of a wider scope, other than pytest's own, is in use."""
    return any(
        definition.scope != "function" and (definition.baseid or not _is_installed(definition.func))
        for definition in _declared_fixtures(item)
    )


# What cannot gather anything in memory of its own, or is there whether a fixture returns it or not.
_PLAIN = (type(None), bool, int, float, str, bytes, Path, type, types.ModuleType, types.FunctionType, ctypes.CDLL)


def wider_values(item: pytest.Item) -> list[str]:
    """Fixtures of a wider scope, the user's own, that are up for a test and returned something that may gather more."""
    return [
        f"fixture {definition.argname}"
        for definition in _declared_fixtures(item)
        if definition.scope != "function"
        and not _is_installed(definition.func)
        and definition.cached_result is not None
        and _may_gather_unseen(definition.cached_result[0])
    ]


# Of whose types objects are everywhere, and keep what they hold where it is seen, or keep little.
_SEEN = frozenset(
    ("builtins", "collections", "contextvars", "_contextvars", "datetime", "decimal", "functools", "itertools")
    + ("operator", "pathlib", "random", "_random", "re", "_thread", "types", "typing", "weakref", "_weakref", "enum")
    + ("ast", "_ast", "_abc", "string", "_string", "uuid", "logging")
)
_SEEN_CLASSES = frozenset({"TextIOWrapper", "BufferedReader", "BufferedWriter", "BufferedRandom", "FileIO"})
_MOST_LOOKED_AT = 300


def _may_gather_unseen(value: object) -> bool:
    """Whether a value, or what it refers to within three steps, is of a class in C, as a database connection is.

    Such keep memory that no reference leads to. Code, modules and classes are not looked into.
    """
    if isinstance(value, _PLAIN):
        return False
    level, seen = [value], {id(value)}
    for _ in range(3):
        for each in level:
            cls = type(each)
            in_c = any(isinstance(attribute, types.MethodDescriptorType) for attribute in vars(cls).values())
            if in_c and cls.__module__ not in _SEEN and cls.__name__ not in _SEEN_CLASSES:
                return True
        below = [each for thing in level for each in gc.get_referents(thing) if not isinstance(each, _PLAIN)]
        level = [each for each in below if id(each) not in seen][:_MOST_LOOKED_AT]
        seen.update(map(id, level))
    return False


def _is_installed(function: Any) -> bool:
    """Whether a fixture comes from an installed plugin and not from the user's conftest."""
    code = getattr(function, "__code__", None)
    return code is None or "-packages" in code.co_filename
