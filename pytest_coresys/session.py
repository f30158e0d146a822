"""The object that is registered when a flag is on: hooks that translate, and delegate."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coresys.budgets.judge import judge
from coresys.budgets.model import Evidence, Limit, Verdict
from coresys.budgets.wording import finding_text, summary_of
from coresys.measure import meters
from coresys.records import Finding, Location
from pytest_coresys import wire
from pytest_coresys.config.errors import ConfigError, MarkerError
from pytest_coresys.config.markers import parse_budget_marker, parse_no_repeat_marker, parse_skip_marker
from pytest_coresys.config.resolve import Settings
from pytest_coresys.config.sources import load_settings
from pytest_coresys.engine.child import repeat_in_child
from pytest_coresys.engine.confirm import KEYS
from pytest_coresys.engine.effort import EffortBook
from pytest_coresys.engine.forked import why_no_fork
from pytest_coresys.engine.runner import other_protocols, run_phases, taken_by_other
from pytest_coresys.measures import MEASURES
from pytest_coresys.options import INI_BUDGETS
from pytest_coresys.reports import runfile
from pytest_coresys.reports.model import RunReport, required_unmeasured

# Measures that this version takes. The table of measures has more, which are still to come.
TAKEN = {key: MEASURES[key] for key in KEYS}
_SCREEN_RESOLUTION = 16 * 1024  # a first run keeps 2.5 to 5 KB by itself: pytest's records, bytecode caches


def open_session(config: pytest.Config) -> None:
    """Read the configuration and register the session. Raises pytest.UsageError for what is wrong with it."""
    try:
        settings = load_settings(
            config.rootpath,
            inipath=config.inipath,
            ini_lines=config.getini(INI_BUDGETS),
            cli_sets=config.getoption("coresys_set"),
            profile=config.getoption("coresys_profile"),
            repeat=config.getoption("coresys_repeat"),
            require_measured=config.getoption("coresys_require_measured"),
            measures=TAKEN,
        )
        path = config.getoption("coresys_json")
        if path is not None:
            runfile.check_place(Path(path))
    except (ConfigError, runfile.OutputError) as error:
        raise pytest.UsageError(f"coresys: {error}") from None
    config.pluginmanager.register(BudgetSession(config, settings), "coresys-session")


class BudgetSession:
    """One measuring run, in one process: the controller, a worker, or a run without xdist."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.observe = bool(config.getoption("coresys_observe"))
        worker = getattr(config, "workerinput", None)
        self.worker: str | None = worker["workerid"] if worker else None
        self.unmeasured = meters.capabilities()
        effort = settings.effort
        self.book = EffortBook(share=effort.share, min_seconds=effort.min_seconds, tests_left=0)
        self.report = RunReport(
            mode="observe" if self.observe else "budget",
            profile=settings.profile,
            rootpath=config.rootpath,
            require_measured=settings.require_measured,
        )
        self.started = time.monotonic()
        self.others: list[Any] = []
        self.others_ran: dict[str, str] = {}
        self.run: dict[str, Any] = {}

    # -- collection ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.book.tests_left = len(session.items)
        self.report.collected(item.nodeid for item in session.items)
        self.others = other_protocols(self.config)
        key = self.config.getoption("coresys_explain")
        if key is not None:
            self._explain(session, key)

    def _explain(self, session: pytest.Session, key: str) -> None:
        if key not in TAKEN:
            raise pytest.UsageError(f"--coresys-explain: unknown key {key!r}; keys: {', '.join(TAKEN)}")
        lines = []
        for item in session.items:
            names = {mark.name for mark in item.iter_markers()}
            lines += [item.nodeid, *(f"  {line}" for line in self.settings.explain(key, _path(item), names))]
        pytest.exit("\n".join(lines) or "no test was collected", returncode=0)

    # -- one test -----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        other = taken_by_other(self.others, item, nextitem) if self.others else None
        if other is not None:
            self.others_ran[item.nodeid] = other
            return True
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._run(item, nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _run(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        started = time.monotonic()
        before = _Counts()
        reports = run_phases(item, nextitem, log=True)
        left = before.since()
        duration = time.monotonic() - started
        self.book.ran += duration
        record = self._record(item, reports, left, duration)
        self.book.tests_left -= 1
        call = next((report for report in reports if report.when == "call" and report.passed), None)
        if call is not None:
            self._amend(item, call, record)
        teardown = reports[-1]
        teardown.coresys = wire.plain(record)  # type: ignore[attr-defined]  # xdist carries plain attributes
        teardown.user_properties += _properties(record)
        for report in (call, teardown):
            if report is not None:
                item.ihook.pytest_runtest_logreport(report=report)

    def _record(
        self, item: pytest.Item, reports: list[pytest.TestReport], left: dict[str, int], duration: float
    ) -> dict[str, Any]:
        outcome = _outcome(reports)
        try:
            limits, skipped, no_repeat = self._budgets(item)
        except MarkerError as error:
            broken = Finding("coresys", "error", str(error))
            return wire.test_to_dict(
                nodeid=item.nodeid, outcome=outcome, findings=[broken], worker=self.worker, why=str(error)
            )
        if outcome != "passed":
            why = f"the test {outcome}" if outcome != "error" else "the test had an error"
            verdicts = [_unmeasured(limits[key], why) for key in TAKEN]
            return wire.test_to_dict(nodeid=item.nodeid, outcome=outcome, verdicts=verdicts, worker=self.worker)
        self.places: list[Location] = []
        evidence, repetitions = self._evidence(item, left, duration, no_repeat)
        verdicts = [
            _unmeasured(limits[key], skipped[key])
            if key in skipped
            else judge(evidence[key], limits[key], TAKEN[key].unit)
            for key in TAKEN
            if limits[key].level != "off"
        ]
        findings = [finding for verdict in verdicts if (finding := _finding(verdict, self.places)) is not None]
        return wire.test_to_dict(
            nodeid=item.nodeid,
            outcome=outcome,
            verdicts=verdicts,
            findings=findings,
            repetitions=repetitions,
            worker=self.worker,
        )

    def _budgets(self, item: pytest.Item) -> tuple[dict[str, Limit], dict[str, str], str | None]:
        """Limits, skipped keys with their reason, and why the test may not be repeated. Raises MarkerError."""
        budgets, skipped, no_repeat = [], {}, None
        for mark in reversed(list(item.iter_markers())):  # the closest mark is the last word
            if mark.name == "coresys_budget":
                budgets += parse_budget_marker(mark.args, mark.kwargs, TAKEN)
            elif mark.name == "coresys_skip":
                keys, reason = parse_skip_marker(mark.args, mark.kwargs, TAKEN)
                skipped.update(dict.fromkeys(keys, f"skipped by marker: {reason or 'no reason given'}"))
            elif mark.name == "coresys_no_repeat":
                no_repeat = parse_no_repeat_marker(mark.args, mark.kwargs) or "no reason given"
        names = {mark.name for mark in item.iter_markers()}
        return self.settings.limits(_path(item), names, budgets), skipped, no_repeat

    def _evidence(
        self, item: pytest.Item, left: dict[str, int], duration: float, no_repeat: str | None
    ) -> tuple[dict[str, Evidence], int]:
        screened = {key: _screened(key, left[key]) for key in TAKEN}
        likely = any(evidence.value is None for evidence in screened.values())
        why = f"coresys_no_repeat: {no_repeat}" if no_repeat else why_no_fork()
        most = self.settings.effort.max_repetitions
        if most == 0:
            why = why or "--coresys-repeat 0"
        seconds = None if why else self.book.allowance(duration, likely=likely)
        repeated: dict[str, Evidence] = {}
        repetitions = 0
        if why is None and seconds is None:
            self.book.unrepeated.append(item.nodeid)
            why = "the effort for repeating was spent"
        elif seconds is not None:
            repeated, repetitions, why = self._repeat(item, most, seconds)
        evidence = {key: repeated.get(key) or _with_reason(screened[key], why) for key in TAKEN}
        for key, problem in self.unmeasured.items():
            if problem and key in evidence:
                evidence[key] = Evidence(key, None, why=problem)
        return evidence, repetitions

    def _repeat(self, item: pytest.Item, most: int, seconds: float) -> tuple[dict[str, Evidence], int, str | None]:
        try:
            result = repeat_in_child(item, most=most, seconds=seconds)
        except OSError as error:
            return {}, 0, f"no process could be made: {error}"
        self.book.spent += result.seconds
        sent = result.merged()
        problem = sent.get("problem") or sent.get("crash") or result.problem
        if problem and not sent.get("keys"):  # what was settled stays so, whatever happened while looking for lines
            return {}, 0, f"could not be repeated: {problem}"
        self.places = [Location(**place) for place in sent.get("locations", [])]
        judged = {key: _repeated(key, facts) for key, facts in sent["keys"].items() if facts["conclusion"] != "too few"}
        return judged, sent["repetitions"], None if judged else "the effort for repeating was spent"

    def _amend(self, item: pytest.Item, call: pytest.TestReport, record: dict[str, Any]) -> None:
        """Make a passing call a failure, if a budget of level error was exceeded on repeated evidence."""
        errors = [finding for finding in record["findings"] if finding["level"] == "error"]
        if not errors or self.observe:
            return
        blocks = []
        for data in errors:
            key = data["key"]
            verdict = wire.measure_from_dict(key, record["measures"][key]) if key in record["measures"] else None
            blocks.append("\n".join(finding_text(wire.finding_from_dict(data), verdict, nodeid=item.nodeid)))
        call.outcome = "failed"
        call.longrepr = "\n\n".join(blocks)
        record["outcome"] = "failed"

    # -- the end of the run ---------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = getattr(report, "coresys", None)
        if record is None and report.when == "teardown":
            record = _of_another(report)
        if record is not None and self.worker is None:
            node = getattr(report, "node", None)
            self.report.add_test({**record, "worker": getattr(getattr(node, "gateway", None), "id", None)})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.report.collected(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        self.report.crashed(crashitem)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["coresys"] = {"spent": self.book.spent, "unrepeated": self.book.unrepeated}
            return
        self.run = self.report.finish(
            time.monotonic() - self.started,
            workers=self.config.getoption("numprocesses", None) or 0,
            effort={"spent": self.book.spent, "share": self.book.share, "unrepeated": len(self.book.unrepeated)},
        )
        missing = required_unmeasured(self.run, self.settings.require_measured)
        if missing and not self.observe and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", {}).get("coresys", {})  # a crashed worker has none
        self.book.spent += output.get("spent", 0.0)
        self.book.unrepeated += output.get("unrepeated", [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.run:
            return
        tr, summary = terminalreporter, self.run["summary"]
        if self.others_ran:
            names = ", ".join(sorted(set(self.others_ran.values())))
            tr.write_line(f"coresys: {len(self.others_ran)} tests were run by {names}: not measured, not repeated")
        suspicions = sorted(
            (finding["summary"], test["nodeid"])
            for test in self.run["tests"]
            for finding in test["findings"]
            if finding["level"] != "error"
        )
        for text, nodeid in suspicions[:20]:
            tr.write_line(f"{text}  [{nodeid}]".encode("unicode_escape").decode("ascii"))
        if len(suspicions) > 20:
            tr.write_line(f"... and {len(suspicions) - 20} more, see the run file")
        if self.book.unrepeated:
            tr.write_line(f"coresys: {len(self.book.unrepeated)} tests left unrepeated: the effort was spent")
        tail = self._write_file()
        tr.write_line(
            f"coresys: {summary['within']} within, {summary['near']} near, {summary['over']} over, "
            f"{summary['not_measured']} not measured{tail}"
        )

    def _write_file(self) -> str:
        path = self.config.getoption("coresys_json")
        if path is None:
            return ""
        try:
            runfile.write(Path(path), self.run)
        except runfile.OutputError as error:
            return f" - run file NOT written: {error}"
        return f" - run file: {path}"


class _Counts:
    """What a first run leaves, cheaply: a hint of whom to repeat, never a verdict."""

    _meter: meters.MemoryMeter | None = None

    def __init__(self) -> None:
        self._start = self._read()

    @classmethod
    def _read(cls) -> tuple[int, ...]:
        try:
            if cls._meter is None:
                cls._meter = meters.MemoryMeter()
            memory = cls._meter.read().in_use
            return (
                memory,
                len(meters.native_threads()),
                meters.descriptor_count(),
                len(meters.children()),
                len(meters.pending_tasks()),
            )
        except (NotImplementedError, OSError):
            return (0, 0, 0, 0, 0)

    def since(self) -> dict[str, int]:
        return {key: now - then for key, then, now in zip(KEYS, self._start, self._read(), strict=True)}


def _screened(key: str, left: int) -> Evidence:
    """Evidence of the first run alone: nothing above the resolution, or something that only repeating can judge."""
    resolution = _SCREEN_RESOLUTION if key == "memory.growth" else 0
    if left <= resolution:
        return Evidence(key, 0.0, "screened", resolution)
    return Evidence(key, None, "screened", resolution, why=f"suspected: {left} left after one run")


def _with_reason(evidence: Evidence, why: str | None) -> Evidence:
    return replace(evidence, why=f"{evidence.why}; {why}") if evidence.value is None and why else evidence


def _repeated(key: str, facts: dict[str, Any]) -> Evidence:
    value: float | None = float(facts["rate"])
    why = None
    if facts["conclusion"] == "unclear":
        value, why = None, "suspected: grew while repeated, but the effort was spent before it was certain"
    return Evidence(key, value, "repeated", float(facts["resolution"]), tuple(facts["series"]), why)


def _unmeasured(limit: Limit, why: str) -> Verdict:
    return judge(Evidence(limit.key, None, why=why), limit, TAKEN[limit.key].unit)


def _finding(verdict: Verdict, places: list[Location]) -> Finding | None:
    suspected = verdict.status == "not_measured" and (verdict.why or "").startswith("suspected:")
    if verdict.status != "over" and not suspected:
        return None
    level = "suspicion" if suspected or verdict.evidence != "repeated" else verdict.level
    known = tuple(places) if verdict.key == "memory.growth" else ()
    return Finding(verdict.key, level, summary_of(verdict), locations=known)


def _of_another(report: pytest.TestReport) -> dict[str, Any]:
    why = "another plugin runs this test by its own protocol"
    outcome = "error" if report.failed else "passed"
    return wire.test_to_dict(nodeid=report.nodeid, outcome=outcome, why=why, verdict="not_measured")


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


def _properties(record: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        (f"coresys.{key}", f"not measured: {data['why']}" if data["value"] is None else str(data["value"]))
        for key, data in record["measures"].items()
    ]


def _path(item: pytest.Item) -> str:
    return item.nodeid.split("::", 1)[0]
