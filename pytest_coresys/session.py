"""The object that is registered when a flag is on: hooks that translate, and delegate."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from coresys.budgets.wording import finding_text
from coresys.clock import monotonic
from coresys.measure import meters
from coresys.measure.holders import Paths
from coresys.measure.settings import SettingsSnapshot
from coresys.measure.undisturbed import UndisturbedClock
from coresys.records import Finding, Reading
from coresys.threads.watching.install import unwatched
from pytest_coresys import again, baseline, wire
from pytest_coresys.baseline import Baseline
from pytest_coresys.config.documents import OWN_FILE
from pytest_coresys.config.errors import ConfigError
from pytest_coresys.config.sources import load_settings
from pytest_coresys.criteria.model import CriteriaFile, NamedFile
from pytest_coresys.criteria.quiet import Quiet
from pytest_coresys.criteria.recorder import Collector
from pytest_coresys.engine.accepted import with_agreed
from pytest_coresys.engine.evidence import (
    Seen,
    findings_of,
    unmeasured_verdicts,
    verdicts_of,
    verdicts_without_a_pass,
)
from pytest_coresys.engine.fixtures import FixtureJudge
from pytest_coresys.engine.plan import Planner
from pytest_coresys.engine.repeater import Repeater
from pytest_coresys.engine.runner import (
    fixture_owner,
    other_protocols,
    repeatable,
    requesting_item,
    run_phases,
    strangers_between_tests,
    taken_by_other,
    takes_levels_back,
)
from pytest_coresys.engine.screen import Counts, Resolution, Screen
from pytest_coresys.engine.soakfindings import FAILED
from pytest_coresys.explain import Explaining
from pytest_coresys.fixtures import COLLECTOR, ENVIRONMENTS, warm
from pytest_coresys.given import criteria_of, given_file
from pytest_coresys.history import opening
from pytest_coresys.history.model import HistoryError, HistoryStore, put_trends
from pytest_coresys.imports import unrewritten
from pytest_coresys.items import plan_around
from pytest_coresys.measures import MEASURES, Measure
from pytest_coresys.options import INI_BUDGETS
from pytest_coresys.probes.base import Probe, ProbeSet
from pytest_coresys.probes.builtin import GlobalsChanged
from pytest_coresys.probes.environments import Environments
from pytest_coresys.probes.locks import Deadlocks, LockContention, LockOrder, LockWait
from pytest_coresys.probes.registry import builtin_probes, plugin_probes
from pytest_coresys.pyargs import Asked, asked_for, names_in
from pytest_coresys.reports import runfile, terminal
from pytest_coresys.reports.again import options_of, words_of_test
from pytest_coresys.reports.captured import Captured
from pytest_coresys.reports.junit import properties
from pytest_coresys.reports.model import RunReport, criteria_over, has_run, required_unmeasured
from pytest_coresys.reports.outputs import Outputs, ci_outputs
from pytest_coresys.reports.reading import run_text
from pytest_coresys.strangers import StrangerError, ask
from pytest_coresys.subjects import check_subjects, try_subjects
from pytest_coresys.watches import FarWatch, Foreign, ForeignWatch, Watch

if TYPE_CHECKING:
    from pytest_coresys.engine.isolated import Outcome
    from pytest_coresys.soak import Soak

T = TypeVar("T")
Written = tuple[str | None, str | None]  # the path as it was given, if it was written; or why it could not be

_FAILED_BY_ITSELF = ("failed", "error")  # outcomes, before anything is amended


def _target(config: pytest.Config, name: str) -> Path | None:
    """Where an output of the run goes. Raises ConfigError or OutputError where none can."""
    path = config.getoption(f"coresys_{name}")
    if path == "":
        raise ConfigError(place=f"--coresys-{name}", problem="the path is empty")
    return None if path is None else runfile.check_place(Path(path))


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a finder may raise it
        return False


@dataclass(frozen=True, slots=True)
class _Writes:
    """What the run writes, and where: absolute, for a test may change the working directory.

    The controller alone does: a worker may be on a machine where no such place is.
    """

    target: Path | None = None
    page_target: Path | None = None
    history: str = opening.NONE
    outputs: Outputs = field(default_factory=Outputs)


def _what_is_written(config: pytest.Config) -> _Writes:
    history = config.getoption("coresys_history") or opening.DEFAULT
    outputs = ci_outputs(config.getoption("coresys_ci"), os.environ)
    if problem := opening.check_url(history):
        raise ConfigError(place="--coresys-history", problem=problem)
    target, page_target = _target(config, "json"), _target(config, "report")
    if page_target is not None and not _there("jinja2"):
        raise ConfigError(place="--coresys-report", problem="needs Jinja2, which is not installed")
    _check_apart(config, outputs)
    return _Writes(target, page_target, history, outputs)


def _check_apart(config: pytest.Config, outputs: Outputs) -> None:
    """Raise ConfigError where two options name the same file: the one would be written over the other."""
    here = config.invocation_params.dir
    places = {
        "--coresys-json": config.getoption("coresys_json"),
        "--coresys-report": config.getoption("coresys_report"),
        "--coresys-baseline": config.getoption("coresys_baseline"),
        "--coresys-criteria": config.getoption("coresys_criteria"),
        "--junitxml": config.getoption("xmlpath", None),
        "--html": config.getoption("htmlpath", None),
    }
    given = [(option, here / path) for option, path in places.items() if path]
    given += [(f"--coresys-ci {name}", here / path) for name, path in outputs.files]
    if clash := runfile.first_clash(given):
        first, second = clash
        raise ConfigError(place=second, problem=f"{first} names the same file")


def open_session(config: pytest.Config) -> None:
    """Read the configuration and register the session. Raises pytest.UsageError for what is wrong with it."""
    try:
        probes, measures = plugin_probes(config, MEASURES)
        criteria = CriteriaFile("")

        def choose(configured: NamedFile | None) -> Callable[[], Collection[str]]:
            nonlocal criteria
            criteria = criteria_of(config, configured, measures)
            return lambda: criteria.criteria

        settings = load_settings(
            config.rootpath,
            inipath=config.inipath,
            ini_lines=config.getini(INI_BUDGETS),
            cli_sets=config.getoption("coresys_set"),
            profile=config.getoption("coresys_profile"),
            repeat=config.getoption("coresys_repeat"),
            require_measured=config.getoption("coresys_require_measured"),
            measures=measures,
            choose=choose,
        )
        known = _baseline_of(config, measures)
        subjects = config.getoption("coresys_subject")
        (check_subjects if hasattr(config, "workerinput") else try_subjects)(subjects)
        writes = _Writes() if hasattr(config, "workerinput") else _what_is_written(config)
    except (ConfigError, runfile.OutputError) as error:
        raise pytest.UsageError(f"coresys: {error}") from None
    key = config.getoption("coresys_explain")
    if key is not None:
        config.pluginmanager.register(
            Explaining(config, key, settings, Planner(settings, measures, criteria), criteria), "coresys-explain"
        )
        return
    session = BudgetSession(config, settings, measures, criteria)
    session.baseline, session.writes = known, writes
    config.stash[ENVIRONMENTS] = session.environments
    config.stash[COLLECTOR] = session.collector
    own: list[Probe] = [
        session.settings_probe,
        session.orders,
        Deadlocks(),
        LockContention(),
        LockWait(),
        *builtin_probes(),
        *session.environments.probes(),
    ]
    session.probes = ProbeSet([*own, *probes], session.complain)
    seconds = config.getoption("coresys_soak")
    if seconds is not None:
        from pytest_coresys.soak import Soak, why_not  # with the library's monitoring: only wanted now

        if problem := why_not(config):
            raise pytest.UsageError(f"coresys: --coresys-soak: {problem}")
        session.soak = Soak(session, seconds)
        config.pluginmanager.register(session.soak, "coresys-soak")
    config.pluginmanager.register(session, "coresys-session")
    if session.worker is None and config.getoption("htmlpath", None):
        from pytest_coresys.htmlcolumn import HtmlColumn, html_path  # wanted where pytest-html is only

        column = HtmlColumn(
            lambda report: session.report.record_of(*_who(report)),
            lambda: run_text(session.run) if session.run else session.report.verdicts(),
            observe=session.observe,
            own=writes.page_target,
            theirs=html_path(config),
        )
        config.pluginmanager.register(column, "coresys-html-column")
    config.add_cleanup(session.close)
    here = config.invocation_params.dir
    if here != config.rootpath and session.worker is None and (here / OWN_FILE).is_file():
        root = os.path.relpath(config.rootpath, here)
        session.complain(f"{OWN_FILE} of this folder is not read, only one in the root of the run, which is {root}")


_LEAST_FOR_PROGRESS = 30  # columns


class BudgetSession:
    """One measuring run, in one process: the controller, a worker, or a run without xdist."""

    def __init__(
        self, config: pytest.Config, settings: Any, measures: dict[str, Measure], criteria: CriteriaFile
    ) -> None:
        self.config, self.settings, self.measures = config, settings, measures
        self.observe = bool(config.getoption("coresys_observe"))
        worker = getattr(config, "workerinput", None)
        self.worker: str | None = worker["workerid"] if worker else None
        self.planner = Planner(settings, measures, criteria)
        self.collector = Collector(criteria)
        self.unmeasured = meters.capabilities()
        # pytest's own warnings plugin puts the filters back, later than we look.
        self.settings_probe = GlobalsChanged(
            filters=not config.pluginmanager.has_plugin("warnings"), level=not takes_levels_back(config)
        )
        self.probes = ProbeSet([], self.complain)
        self.environments = Environments(observe=self.observe)
        self.orders = LockOrder(Paths(str(config.rootpath), lambda path: True).show)
        self.screen = Screen()
        self.resolution = Resolution()
        self.counts: Counts | None = None  # the last reading, as long as it is fresh
        self.repeater = Repeater(settings.effort, self.unmeasured, self._progress, self.time_goes_by)
        self.fixtures = FixtureJudge(
            self.repeater,
            self.screen.heap,
            plan_of=lambda item, scope: plan_around(item, scope, self.planner),
            accepts=settings.accepts,
        )
        self.setups = 0  # of wider fixtures, going on one within the other
        self.undisturbed = UndisturbedClock()
        self.wider_seconds = 0.0  # that they took in the test that runs: no repetition sets them up again
        self.settings_of_falling: dict[int, SettingsSnapshot | None] = {}  # by id, while wider fixtures are torn down
        self.report = RunReport(
            mode="observe" if self.observe else "budget",
            profile=settings.profile,
            rootpath=config.rootpath,
            require_measured=settings.require_measured,
            each=config.getoption("dist", None) == "each",
            criteria=criteria,
        )
        self.kept_apart = False  # whether some tests run alone
        self.quiet: Quiet | None = None  # and there are others that they might run beside
        # What a command needs, beside the flag, to see the same again where this one was typed.
        here = config.invocation_params.dir
        self.options = wire.plain(again.options(config.getoption, here, here))
        self.again = options_of({"run": {"profile": settings.profile, "options": self.options}}).strip()
        self.runner = _runner(config)
        self.names_asked = names_in(config.args) if config.getoption("pyargs", False) else []
        self.asked = Asked(self.names_asked, config.rootpath)
        self.nodeid_here = terminal.nodeids_from(here, config.rootpath)
        self.started = monotonic()
        self.shown = 0  # characters of progress that stand behind the cursor
        self.collected = False
        self.others: list[Any] = []
        self.others_ran: dict[str, str] = {}
        self.foreign: Foreign | None = None
        self.notes: list[str] = []
        self.failures: dict[
            tuple[str, str | None], list[Any]
        ] = {}  # reports of tests that failed by themselves, until they are over
        self.captured = Captured(config.getoption("showcapture", "all"))
        self.marked: Sequence[str] = ()  # the criteria that the test that runs is evidence for
        self.failed_inside: set[str] = set()  # tests of which some part was reported as failed: subtests
        self.budget_hooks: list[Any] = []
        self.soak: Soak | None = None
        self.run: dict[str, Any] = {}
        self.baseline: Baseline | None = None
        self.made: set[str] = set()  # ids of tests, until all are collected
        self.left_out: set[str] = set()  # files and folders that were not collected in full, "" for any
        self.writes = _Writes()
        self.written: Written = None, None
        self.page_written: Written = None, None

    def close(self) -> None:
        """Give up what is kept open."""
        self.settings_probe.close()
        self.screen.close()
        if self.quiet is not None and self.worker is None:  # a worker that has ended leaves others to their tests
            self.quiet.remove()

    def time_goes_by(self) -> None:
        """What stands now need not be what the next test finds: threads go on, and a test may be repeated here."""
        self.counts = None
        self.settings_probe.forget()

    def complain(self, note: str) -> None:
        """Keep a line for the end of the run; the same one once."""
        if note not in self.notes:
            self.notes.append(note)

    def _complain_of_us(self, error: Exception) -> None:
        self.complain(f"an error of coresys' own, please report it: {type(error).__name__}: {error}")

    # -- collection ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # A worker of xdist has all tests, and runs its part of them.
        self.repeater.book.open(len(session.items), getattr(self.config, "workerinput", {}).get("workercount", 1))
        self.report.collected(item.nodeid for item in session.items)
        for item in session.items if self.names_asked else ():
            self.asked.module_of(item.nodeid, item.path)  # looked for now: what is imported for it is no test's doing
        # pytest-xdist puts the group of a test behind its name.
        there = {part for item in session.items for part in (item.nodeid, item.nodeid.rpartition("@")[0])}
        if not self.made <= there:  # a plugin took some out, and told nobody, as those that make shards do
            self.left_out.add("")
        self.made.clear()
        if any("testing_coordinator" in getattr(item, "fixturenames", ()) for item in session.items):
            self.safely(warm)  # what is imported, and made once, is no test's doing, nor a fixture's
        self.kept_apart = any(item.get_closest_marker("coresys_alone") is not None for item in session.items)
        if self.kept_apart and self.worker is not None:
            self.quiet = Quiet(str(getattr(self.config, "workerinput", {}).get("testrunuid", os.getppid())))
        self.others = other_protocols(self.config)
        if self.others:
            self.config.pluginmanager.register(ForeignWatch(self), "coresys-foreign")
        self.budget_hooks = self.config.hook.pytest_coresys_budgets.get_hookimpls()
        self.collected = True
        self.pytest_plugin_registered()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.made.add(item.nodeid)

    def pytest_deselected(self) -> None:
        self.left_out.add("")

    def pytest_collectreport(self, report: Any) -> None:
        if not report.passed:  # skipped as a whole, or broken
            self.left_out.add(report.nodeid.partition("::")[0])

    def pytest_plugin_registered(self) -> None:
        if self.collected:
            self.settings_probe.undisturbed = not strangers_between_tests(self.config)

    # -- one test -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if self.soak is not None:
            if self.soak.running:
                self.soak.run_protocol(item, nextitem)
                return True
            nextitem = self.soak.next_of(item, nextitem)
        if self.others and self._given_away(item, nextitem):
            return True
        ihook = item.ihook
        ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        with self._apart(item) if self.kept_apart else nullcontext():
            self._run(item, nextitem)
        ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @contextmanager
    def _apart(self, item: pytest.Item) -> Generator[None, None, None]:
        """Run it alone if it is to, with the locks of the interpreter; else while none runs alone."""
        alone = item.get_closest_marker("coresys_alone") is not None
        with nullcontext() if self.quiet is None else self.quiet.alone() if alone else self.quiet.together():
            if not alone:
                yield
            else:
                with unwatched():
                    yield
        if self.quiet is not None and self.quiet.problem:
            self.complain(f"tests that are to run alone had others beside them: {self.quiet.problem}")

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        began, book = monotonic(), self.repeater.book
        by_the_wall = book.by_the_wall
        with repeatable(item):
            watch = Watch(self, item)
            started, undisturbed, self.wider_seconds = monotonic(), self.undisturbed.now(), 0.0
            reports = run_phases(item, nextitem, log=True)
            duration = monotonic() - started
            watch.stop()
            watch.each = max(self.undisturbed.now() - undisturbed - self.wider_seconds, 0.0)
            self._close(item, reports, watch, duration, began=began, by_the_wall=by_the_wall, last=nextitem is None)

    def run_isolated(self, item: pytest.Item, nextitem: pytest.Item | None, run: Callable[..., Outcome]) -> None:
        """Have a test run in a process of its own, by ``run``, and judge it by what was measured there."""
        began, by_the_wall = monotonic(), self.repeater.book.by_the_wall
        ihook = item.ihook

        held: list[Any] = []

        def log(report: Any) -> None:
            if _may_be_amended(report):
                held.append(report)
            else:
                ihook.pytest_runtest_logreport(report=report)

        with repeatable(item):
            far = FarWatch(self, item)
            started = monotonic()
            try:
                outcome = run(item, nextitem, log, far)
            except BaseException:  # the run is ended: what was held back is logged as it is
                for report in held:
                    ihook.pytest_runtest_logreport(report=report)
                raise
            duration = sum(report.duration for report in outcome.reports)
            began += monotonic() - started - duration  # the processes are the price of the isolation, not of a measure
            self.time_goes_by()
            far.take(outcome.measured)
            last = nextitem is None
            self._close(item, outcome.reports, far, duration, began=began, by_the_wall=by_the_wall, last=last)

    def _close(
        self,
        item: pytest.Item,
        reports: list[pytest.TestReport],
        watch: Watch | FarWatch,
        duration: float,
        *,
        began: float,
        by_the_wall: float,
        last: bool,
    ) -> None:
        """Judge a test that was run, and log what was held back of it."""
        book = self.repeater.book
        held = [report for report in reports if report.when == "call" and report.passed] + reports[-1:]
        try:
            record = self.judged(item, reports, watch, duration, may_repeat=True, last=last)
            if len(held) == 2 and self.amend(held[0], record):
                record["outcome"] = "failed"
            self.attach(reports[-1], record)
        finally:  # also when somebody ends the run while we judge
            book.watched += monotonic() - began - duration - (book.by_the_wall - by_the_wall)
            book.tests_left -= 1
            ihook = item.ihook
            for report in held:
                if self.soak is None or not self.soak.keeps(item, report):
                    ihook.pytest_runtest_logreport(report=report)

    def judged(
        self,
        item: pytest.Item,
        reports: list[pytest.TestReport],
        watch: Watch | FarWatch,
        duration: float,
        *,
        may_repeat: bool,
        last: bool,
    ) -> dict[str, Any]:
        """The record of a test that is over, for the run file: what it left, whether that repeats, and the verdict."""
        outcome = "failed" if item.nodeid in self.failed_inside else _outcome(reports)
        plan = watch.plan
        seen = Seen(
            left=watch.left,
            in_use=watch.in_use,
            stranded_before=watch.stranded_before,
            imported=watch.imported,
            readings={**watch.readings, **_times(reports, plan.wanted)} if plan.timed else watch.readings,
            settings_found=watch.settings_found,
            resolution=self.resolution.bytes,
        )
        if watch.left is not None and outcome == "passed":
            self.resolution.take(watch.left.memory)
        if self.soak is not None and may_repeat:
            self.soak.ran(item, plan, outcome)
        self.settings_probe.found = None
        if last:
            self.settings_probe.forget()
        findings: list[Finding] = []
        if plan.problem is not None:
            findings = [Finding("coresys", "error", plan.problem)]
            verdicts = unmeasured_verdicts(plan, self.measures, f"{wire.WRONG_BUDGETS}: {plan.problem}")
        elif outcome != "passed":
            why = f"the test {outcome}" if outcome != "error" else "the test had an error"
            failed = outcome in _FAILED_BY_ITSELF
            verdicts = verdicts_without_a_pass(plan, seen, self.measures, why, failed=failed)
            findings = findings_of(verdicts, seen, self.measures)
        else:
            if _deadlocked(seen):
                seen.why = "it had a deadlock, and each repetition would wait for it again"
            elif may_repeat:
                try:
                    self.repeater.repeat(item, plan, seen, duration, each=watch.each, last=last)
                except pytest.exit.Exception:
                    raise
                except Exception as error:  # of ours: no reason to take the results of the run from anybody
                    seen.why = f"could not be repeated: {type(error).__name__}: {error}"
                    self._complain_of_us(error)
                if self.shown:
                    self._show("")
            else:
                seen.why = "run by another plugin's protocol: not repeated"
            verdicts = verdicts_of(plan, seen, self.measures, self.unmeasured)
            findings = findings_of(verdicts, seen, self.measures)
        if findings and self.settings.accepts and plan.problem is None:
            verdicts, findings = with_agreed(verdicts, findings, self.settings.accepts)
        if findings and self.baseline is not None and plan.problem is None:
            verdicts, findings = self.baseline.of_test(wire.plain_text(item.nodeid), verdicts, findings)
        self.safely(self._judge_fixtures)
        record = wire.test_to_dict(
            nodeid=item.nodeid,
            outcome=outcome,
            verdicts=verdicts,
            findings=findings,
            repetitions=seen.repetitions,
            worker=self.worker,
            duration=sum(report.duration for report in reports),
            started=getattr(reports[0], "start", None),
            module=self.asked.module_of(item.nodeid, item.path),
            why=plan.problem or (f"not repeated: {seen.why}" if seen.why and not seen.repetitions else None),
        )
        self._tell_plugins(item, record)
        if watch.locks is not None:
            record["locks"] = watch.locks
        if watch.criteria is not None:
            record["criteria"] = watch.criteria
        return record

    def _judge_fixtures(self) -> None:
        self.fixtures.judge()
        for each in self.environments.of_wider():
            finding = each.finding
            plan = self.planner.plan(path=each.path, marks=each.marks, line=None, environment=True)
            limit = plan.limits[finding.key]
            if finding.key in plan.wanted and limit.maximum is not None and len(finding.details) > limit.maximum:
                self.fixtures.add(replace(finding, level=limit.level))

    def _tell_plugins(self, item: pytest.Item, record: dict[str, Any]) -> None:
        if not self.config.hook.pytest_coresys_verdict.get_hookimpls():
            return
        try:
            ask(item.ihook.pytest_coresys_verdict, item=item, verdict=copy.deepcopy(record))
        except StrangerError as error:
            self.complain(f"a plugin's pytest_coresys_verdict raised {error}")

    def amend(self, report: Any, record: dict[str, Any]) -> bool:
        """Make a passing report a failure, if a budget of level error was exceeded by a test that did not fail itself.

        One that did, by a subtest or in its teardown, is told of it there: see ``_tell_after_its_own``.
        """
        if record["outcome"] in _FAILED_BY_ITSELF:
            return False
        text = self._errors_of(record)
        if text:
            report.outcome, report.longrepr = "failed", text
            report.coresys_amended = True
        return bool(text)

    def _errors_of(self, record: dict[str, Any]) -> str:
        """What exceeds the budgets of a test that may fail for it, in full; empty if nothing does."""
        errors = [finding for finding in record["findings"] if finding["level"] == "error"]
        nodeid = record["nodeid"] if "module" in record else self.nodeid_here(record["nodeid"])
        words, blocks = words_of_test({**record, "nodeid": nodeid}), []
        for data in () if self.observe else errors:
            key = data["key"]
            verdict = wire.measure_from_dict(key, record["measures"][key]) if key in record["measures"] else None
            lines = finding_text(
                wire.finding_from_dict(data),
                verdict,
                nodeid=nodeid,
                words=words,
                options=self.again,
                runner=self.runner,
                repetitions=record["repetitions"],
            )
            blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    def _tell_after_its_own(self, failure: Any, record: dict[str, Any]) -> None:
        """Add to what is shown of a test that failed by itself, behind its traceback, what exceeds its budgets.

        Its report was logged long ago: nobody is to wait for the teardown to hear of a failure, and who stops the run
        at the first one does so before. What shows failures in the end has the very same object.
        """
        text = self._errors_of(record)
        if not text:
            return
        add_section = getattr(failure.longrepr, "addsection", None)
        if callable(add_section):
            add_section("coresys", text)
        else:
            failure.longrepr = f"{failure.longrepr}\n\n{text}"

    def _captured(self, teardown: Any, failures: list[Any], record: dict[str, Any]) -> list[dict[str, str]]:
        text = "\n\n".join(failure.longreprtext for failure in failures)
        return self.captured.of(record, text, teardown.sections)

    def attach(self, teardown: Any, record: dict[str, Any]) -> None:
        """Put the record, and findings of the run so far, on the report that xdist carries to the controller."""
        teardown.coresys = record
        teardown.coresys_run = self.fixtures.take()
        if self.worker is None:
            teardown.user_properties += properties(record)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, Any, Any]:
        data = yield
        if self.worker is not None and data is not None and "coresys" in data:
            data["coresys"] = wire.packed(data["coresys"])
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self, data: dict[str, Any]) -> Generator[None, Any, Any]:
        if isinstance(data.get("coresys"), list):
            data["coresys"] = wire.unpacked(data["coresys"])
        return (yield)

    def _progress(self, item: pytest.Item, count: int) -> None:
        """Show on a terminal that a test is being repeated, behind what stands on the line."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.worker is None and reporter is not None and reporter.isatty:
            writer = self.config.get_terminal_writer()
            room = writer.fullwidth - writer.width_of_current_line - 1
            if room >= _LEAST_FOR_PROGRESS:
                self._show(terminal.progress_text(item.name, count, width=room))

    def _show(self, text: str) -> None:
        """Put this in the place of what was shown last, and leave the cursor before it."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        padded = text.ljust(self.shown)
        self.shown = len(text)
        reporter._tw._file.write(padded + "\b" * len(padded))
        reporter._tw._file.flush()

    # -- what wider fixtures make ---------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        if self.soak is not None and self.soak.running:
            return (yield)  # a trend is judged, not each fixture again: to keep account of them would be growth of ours
        owner = fixture_owner(fixturedef, self.config.rootpath)
        if owner is None:
            return (yield)
        self.safely(self.fixtures.begin, id(fixturedef))
        # One may ask for another in its setup: what that changes is part of what this one does.
        outermost = self.setups == 0
        settings = self.safely(SettingsSnapshot.take) if outermost else None
        self.setups += 1
        began = self.undisturbed.now()
        try:
            return (yield)
        finally:
            self.setups -= 1
            if outermost:
                self.wider_seconds += self.undisturbed.now() - began
            if settings is not None:
                self.safely(self.settings_probe.leave_out, settings)
            self.safely(self.fixtures.made, id(fixturedef), owner, fixturedef.scope, requesting_item(request))
            fixturedef.addfinalizer(lambda: self._falling(id(fixturedef)))

    def _falling(self, key: int) -> None:
        self.safely(self.fixtures.falling, key)
        self.settings_of_falling[key] = self.safely(SettingsSnapshot.take)

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        settings = self.settings_of_falling.pop(id(fixturedef), None)
        if settings is not None:  # what it puts back in its teardown is no doing of the test that came last
            self.safely(self.settings_probe.leave_out, settings)
        self.safely(self.fixtures.gone, id(fixturedef))

    def safely(self, do: Callable[..., T], *given: Any) -> T | None:
        """What is ours, done in the middle of what is the user's: if it fails, that is no failure of theirs."""
        try:
            return do(*given)
        except pytest.exit.Exception:  # of a handler for signals
            raise
        except Exception as error:
            self._complain_of_us(error)
            return None

    # -- tests that another plugin runs ---------------------------------------------------------------------------

    def _given_away(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        self.foreign = Foreign(self, item)
        try:
            other = taken_by_other(self.others, item, nextitem)
        finally:
            self.foreign = None
        if other is None:
            return False
        self.others_ran[item.nodeid] = other
        if self.soak is not None:
            self.soak.given_away(other)
        self.repeater.book.tests_left -= 1
        return True

    # -- the end of the run ---------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and getattr(report, "context", None) is not None:
            self.failed_inside.add(report.nodeid)  # a subtest
        if self.foreign is not None:
            self.foreign.logged(report)
        if self.worker is not None:
            if report.when == "setup" and self.marked:
                report.coresys_marked = list(self.marked)
            return
        record, who = getattr(report, "coresys", None), _who(report)
        if report.failed and not getattr(report, "coresys_amended", False):
            self.failures.setdefault(who, []).append(report)
        if record is not None:
            failures = self.failures.pop(who, [])
            texts = self.safely(self._captured, report, failures, record)
            if texts:
                record = {**record, "captured": texts}
            if failures:
                self.safely(self._tell_after_its_own, failures[-1], record)
        _, worker = who
        if marked := getattr(report, "coresys_marked", None):
            self.report.begun(report.nodeid, marked, worker)
        if record is not None:
            self.report.add_test({**record, "worker": worker})
            if worker is not None:
                report.user_properties += properties(record)
        elif report.when == "call" or not report.passed:
            self.report.ran(report.nodeid, _outcome([report]), worker)
        for finding in getattr(report, "coresys_run", ()):
            self.report.add_run_finding(finding)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.report.collected(ids)
        if uid := getattr(node, "workerinput", {}).get("testrunuid"):  # in time for a run that is interrupted
            self.quiet = Quiet(str(uid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        node = getattr(report, "node", None)
        self.report.crashed(crashitem, getattr(getattr(node, "gateway", None), "id", None))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        book = self.repeater.book
        self.safely(self._judge_fixtures)
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["coresys"] = {
                "spent": book.spent,
                "explaining": book.explaining,
                "unrepeated": book.unrepeated,
                "too_long": book.too_long,
                "findings": self.fixtures.take(),
                "noise": self.repeater.noise,
                "notes": self.notes,
                "others": self.others_ran,
                "left_out": sorted(self.left_out),
                "soak": None if self.soak is None else self.soak.sent(),
            }
            return
        for finding in (*self.fixtures.take(), *self._between_tests()):
            self.report.add_run_finding(finding)
        soak = None if self.soak is None else self.soak.parts()
        for finding in () if soak is None else soak["findings"]:
            self.report.add_run_finding(finding)
        if self.baseline is not None:
            self.report.judge_anew(self.baseline.of_run, self.baseline.of_criteria)
        self.run = self.report.finish(
            monotonic() - self.started,
            workers=self.config.getoption("numprocesses", None) or 0,
            noise_floor={} if self.repeater.noise is None else {"memory.growth": self.repeater.noise},
            effort={
                "spent": book.spent,
                "explaining": book.explaining,
                "share": book.share,
                "floor": book.min_seconds,
                "unrepeated": len(book.unrepeated),
                "too_long": book.too_long,
            },
            soak=soak,
        )
        self.run["run"]["options"] = wire.plain(
            again.options(self.config.getoption, self.config.invocation_params.dir, self.config.rootpath)
        )
        if names := asked_for(self.names_asked, self.run["tests"]):
            self.run["run"]["pyargs"] = wire.plain(names)
        history = self._history_of_earlier_runs()
        self._finished(session)
        self._tell_notes()
        self.written = self._write("json", self.writes.target, lambda: runfile.encoded(self.run))
        self.page_written = self._write("report", self.writes.page_target, self._page)
        if history is not None:
            self._about_history("this run is not in the history", lambda: self._keep_in(history))
        for note in self.safely(self.writes.outputs.write, self.run, self.config.invocation_params.dir) or ():
            self.complain(note)
        if self.baseline is not None:
            self.safely(self._end_of_baseline, self.baseline)
        self._tell_notes()  # of what could not be written

    def _tell_notes(self) -> None:
        self.run["run"]["effort"]["notes"] = self._all_notes()

    def _history_of_earlier_runs(self) -> HistoryStore | None:
        """Where this one is to be kept, whose trends are in it now; None where it is not to be, or cannot."""
        if self.writes.history == opening.NONE or not has_run(self.run):
            return None

        def look() -> HistoryStore:
            store = opening.open_store(self.writes.history, self.config.rootpath)
            put_trends(self.run, store)
            return store

        return self._about_history("history is not kept", look)

    def _keep_in(self, history: HistoryStore) -> None:
        history.save(self.run, keep=opening.KEEP)
        history.close()

    def _about_history(self, what: str, do: Callable[[], T]) -> T | None:
        """Nothing of that fails a run: what goes wrong is a note, which says what that means."""

        def told() -> T | None:
            try:
                return do()
            except HistoryError as error:
                self.complain(f"{what}: {error}")
                return None

        return self.safely(told)

    def _end_of_baseline(self, known: Baseline) -> None:
        tests = self.report.known_tests()
        files = {nodeid.partition("::")[0] for nodeid in tests}
        gone = known.of_no_test(tests, lambda path: self._is_whole(path, files)) if has_run(self.run) else []
        if known.recording is None:
            self.report.hints, self.report.excused = known.tightenable(self.run, gone), known.excused(self.run)
            return
        path = self.config.invocation_params.dir / known.name
        new = known.updated(self.run, self.report.started.date().isoformat(), gone)
        try:
            runfile.write_text(runfile.check_place(path), baseline.text_of(new))
        except runfile.OutputError as error:
            self.report.hints = [f"{known.name} was NOT written: {error.cause}"]
        else:
            self.report.hints = [f"{known.name}: {len(new.entries)} known, {len(known.entries)} before"]
            self.report.hints += new.not_recorded(self.run)

    def _is_whole(self, path: str, files: Collection[str]) -> bool:
        """Whether all tests of a file were collected. ``files``: those of which any were; of a file that is there all
        the same none were asked for, by a conftest or an option (doctests, say)."""
        if path not in files and (self.config.rootpath / path).exists():
            return False
        asked = any(_is_in(path, folder) for folder in _whole_folders(self.config))
        return asked and not any(_is_in(path, left_out) for left_out in self.left_out)

    def _between_tests(self) -> list[dict[str, Any]]:
        """Findings about locks that different tests took in different orders."""
        found = self.report.orders_between_tests()
        if found and self.settings.accepts:
            _, found = with_agreed((), found, self.settings.accepts)
        return [wire.finding_to_dict(finding) for finding in found]

    def _all_notes(self) -> list[str]:
        notes = list(self.notes)
        if self.others_ran:
            names = ", ".join(sorted(set(self.others_ran.values())))
            count = len(self.others_ran)
            ran = "1 test was run" if count == 1 else f"{count} tests were run"
            notes.append(f"{ran} by {names}: measured around, not repeated")
        return notes

    def _finished(self, session: pytest.Session) -> None:
        hook = self.config.hook.pytest_coresys_run_finished
        try:
            # A copy: what a plugin takes out of it must not be missing in what is written.
            if hook.get_hookimpls():
                ask(hook, run=copy.deepcopy(self.run))
        except StrangerError as error:
            self.complain(f"a plugin's pytest_coresys_run_finished raised {error}")
        if self.observe or session.exitstatus != pytest.ExitCode.OK:
            return
        errors = any(finding["level"] == "error" for finding in self.run["findings"])
        if errors or criteria_over(self.run) or required_unmeasured(self.run, self.settings.require_measured):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", {}).get("coresys", {})  # a crashed worker has none
        if self.soak is not None:
            self.soak.take(getattr(getattr(node, "gateway", None), "id", None), output.get("soak"))
        self.left_out.update(output.get("left_out", [""]))
        book = self.repeater.book
        book.spent += output.get("spent", 0.0)
        book.explaining += output.get("explaining", 0.0)
        book.unrepeated += output.get("unrepeated", [])
        book.too_long += output.get("too_long", 0)
        self.others_ran.update(output.get("others", {}))
        for note in output.get("notes", []):
            self.complain(note)
        for finding in output.get("findings", []):
            self.report.add_run_finding(finding)
        if output.get("noise") is not None:
            self.repeater.noise = max(output["noise"], self.repeater.noise or 0)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.run:
            return
        path, problem = self.written
        page, page_problem = self.page_written
        lines = terminal.summary_lines(
            terminal.renamed(self.run, self.nodeid_here, self.options),
            width=_width_of(self.config.get_terminal_writer()),
            verbose=self.config.get_verbosity(),
            ascii_only=terminal.is_ascii_only(getattr(terminalreporter._tw._file, "encoding", None)),
            run_file=path,
            problem=problem,
            runner=self.runner,
            hints=self.report.hints,
            excused=self.report.excused,
            report_file=page,
            report_problem=page_problem,
        )
        if len(lines) > 1:
            terminalreporter.write_sep("=", "coresys")
        for text, markup in lines:
            terminalreporter.write_line(text, **markup)
        for text in self.writes.outputs.printed(self.run):
            terminalreporter.write_line(text)

    def _write(self, option: str, target: Path | None, made: Callable[[], bytes]) -> Written:
        if target is None:
            return None, None
        given = str(self.config.getoption(f"coresys_{option}"))
        try:
            runfile.write_data(target, made())
        except runfile.OutputError as error:
            return None, f"{given}: cannot be written: {error.cause}"
        except Exception as error:  # whatever a plugin has put into the run: an output never changes how tests end
            return None, f"{given}: cannot be made: {type(error).__name__}: {error}"
        return given, None

    def _page(self) -> bytes:
        with unrewritten():
            from pytest_coresys.reports import htmlpage  # with Jinja2: only wanted now

        return htmlpage.data(self.run)


def _width_of(writer: Any) -> int:
    """The cells of a line; of a log file as many as there are to be."""
    ask = getattr(writer._file, "isatty", None)
    return int(writer.fullwidth) if ask is not None and ask() else terminal.NO_TERMINAL


def _whole_folders(config: pytest.Config) -> list[str]:
    """The folders, from the root, all tests of which this run was asked for; none where an option leaves some out."""
    options = config.option
    names = ("keyword", "markexpr", "deselect", "lf", "ignore", "ignore_glob", "pyargs")
    if any(getattr(options, name, None) for name in names) or any("::" in arg for arg in config.args):
        return []
    given = [config.invocation_params.dir / arg for arg in config.args]
    return [Path(os.path.relpath(path, config.rootpath)).as_posix() for path in given if path.is_dir()]


def _is_in(path: str, folder: str) -> bool:
    return folder in (".", "", path) or path.startswith(f"{folder}/")


def _baseline_of(config: pytest.Config, measures: Collection[str]) -> Baseline | None:
    path, update, reason = (config.getoption(f"coresys_{name}") for name in ("baseline", "update_baseline", "reason"))
    if path is None:
        if update:
            raise ConfigError(place="--coresys-update-baseline", problem="add --coresys-baseline PATH")
        return None
    if update and not (reason or "").strip():
        problem = 'say why, with --coresys-reason "..."'
        raise ConfigError(place="--coresys-update-baseline", problem=problem)
    return baseline.read(given_file(config, path), str(path), reason.strip() if update else None, {*measures, FAILED})


def _deadlocked(seen: Seen) -> bool:
    happened = seen.readings.get(Deadlocks.key)
    return happened is not None and bool(happened.value)


def _may_be_amended(report: Any) -> bool:
    """Whether a report is held back until the test was judged: that of a passing call, and the teardown's."""
    return report.when == "teardown" or (report.when == "call" and report.passed and type(report) is pytest.TestReport)


def _who(report: Any) -> tuple[str, str | None]:
    """Of which test a report is, and from which worker of xdist."""
    return report.nodeid, getattr(getattr(getattr(report, "node", None), "gateway", None), "id", None)


def _times(reports: list[pytest.TestReport], wanted: Collection[str]) -> dict[str, Reading]:
    return {key: Reading(report.duration) for report in reports if (key := f"time.{report.when}") in wanted}


def _outcome(reports: list[pytest.TestReport]) -> str:
    """The word of the run file for what pytest reports of a test."""
    for report in reports:
        if hasattr(report, "wasxfail"):
            return "xfailed" if report.skipped else "xpassed"
        if report.failed:
            return "failed" if report.when == "call" else "error"
        if report.skipped:
            return "skipped"
    return "passed"


def _runner(config: pytest.Config) -> str:
    """The command by which this run was started, as far as it matters for running a test of it again."""
    argv = getattr(config, "workerinput", {}).get("mainargv") or sys.argv
    by_module = Path(argv[0]).parts[-2:] == ("pytest", "__main__.py")
    return "python -m pytest" if by_module else "pytest"
