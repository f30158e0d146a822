"""The run's dict: what is listed, what merges, what is required, and what is compliant."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.run import told
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports import model
from pytest_coresys.reports.model import DIED, NOT_RUN, RunReport, breaches, required_unmeasured, unmatched
from pytest_coresys.wire import NO_BUDGET


def measure(verdict: str = "within", level: str = "error", why: str | None = None) -> dict[str, Any]:
    why = why or ("the probe broke" if verdict == "not_measured" else None)
    return {"value": None if verdict == "not_measured" else 0, "verdict": verdict, "level": level, "why": why}


def record(nodeid: str = "t.py::test_x", outcome: str = "passed", **changes: Any) -> dict[str, Any]:
    measures = changes.get("measures", {"memory.growth": measure()})
    base = {"nodeid": nodeid, "outcome": outcome, "verdict": "within", "repetitions": 0, "worker": None, "why": None}
    return {**base, "findings": [], **changes, "measures": measures}


def finding(level: str = "error", key: str = "memory.growth", **changes: Any) -> dict[str, Any]:
    return {"key": key, "level": level, "summary": f"{key}: too much", **changes}


def run_of(*records: dict[str, Any], require: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    report = RunReport(mode="budget", require_measured=require)
    for each in records:
        report.add_test(each)
    return {**report.finish(1.0), **changes}


# -- which tests are listed -----------------------------------------------------------------------------------------


def listed(run: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(test["nodeid"], test["outcome"], test["worker"], test["why"]) for test in run["tests"]]


def test_every_collected_test_is_listed_in_the_order_of_collection() -> None:
    report = RunReport(mode="budget", workers=2)
    for _ in ("gw0", "gw1"):
        report.collected(["a", "b\udcff", "c"])
    report.add_test(record("c", worker="gw1"))
    report.add_test(record("late", worker="gw1"))
    assert listed(report.finish(1.0)) == [
        ("a", "skipped", None, NOT_RUN),
        ("b\\udcff", "skipped", None, NOT_RUN),
        ("c", "passed", "gw1", None),
        ("late", "passed", "gw1", None),
    ]


def test_a_crashed_test_is_failed_and_not_measured() -> None:
    report = RunReport(mode="budget", workers=2)
    report.collected(["a", "b"])
    report.crashed("a", "gw0")
    report.add_test(record("b", worker="gw1"))
    run = report.finish(1.0)
    assert listed(run) == [("a", "failed", "gw0", DIED), ("b", "passed", "gw1", None)]
    assert run["tests"][0]["verdict"] == "not_measured"
    assert (run["summary"]["tests"], run["summary"]["not_measured"]) == (2, 1)


def of_criterion(*happened: Callable[[RunReport], object]) -> tuple[str, list[str]]:
    """The verdict on the only criterion, and its evidence."""
    report = RunReport(mode="budget", criteria=CriteriaFile("own.toml", lambda: {"x": Criterion("x", "check")}))
    for each in happened:
        each(report)
    (found,) = report.finish(1.0)["criteria"]
    return found["verdict"], found["evidence"]


def checked(nodeid: str, outcome: str) -> Callable[[RunReport], object]:
    samples = Samples(right=1)
    return lambda report: report.add_test(record(nodeid, outcome, worker="gw1", criteria=told({"x": samples}, ["x"])))


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [("passed", "within"), ("xpassed", "within"), ("failed", "not_measured"), ("error", "not_measured"),
     ("xfailed", "not_measured")],
)  # fmt: skip
def test_what_a_test_recorded_before_it_failed_proves_nothing_good(outcome: str, verdict: str) -> None:
    assert of_criterion(checked("a", outcome)) == (verdict, ["a"])


def test_a_test_that_a_worker_died_of_is_evidence_that_failed() -> None:
    def dies(report: RunReport) -> None:
        report.begun("b", ["x"], "gw0")
        report.crashed("b", "gw0")

    assert of_criterion(checked("a", "passed"), dies) == ("not_measured", ["a", "b"])
    assert of_criterion(checked("a", "passed"), lambda report: report.crashed("b", "gw0")) == ("within", ["a"])
    assert of_criterion(lambda report: report.begun("a", ["x"], "gw1"), checked("a", "passed")) == ("within", ["a"])


# ("ok", worker) is a record of the test, ("died", worker) the death of a worker under it.
EVENTS = [
    ([("ok", "gw0"), ("ok", "gw0")], [("passed", "gw0")], [("passed", "gw0")]),
    ([("died", None), ("ok", "gw1")], [("passed", "gw1")], [("failed", None), ("passed", "gw1")]),
    ([("ok", "gw0"), ("died", None)], [("failed", None)], [("failed", None), ("passed", "gw0")]),
    ([("ok", "gw0"), ("died", "gw0")], [("failed", "gw0")], [("failed", "gw0")]),
    ([("died", "gw0"), ("ok", "gw0")], [("passed", "gw0")], [("passed", "gw0")]),
    (
        [("died", "gw0"), ("died", "gw1")],
        [("failed", "gw0"), ("failed", "gw1")],
        [("failed", "gw0"), ("failed", "gw1")],
    ),
    (
        [("ok", "gw10"), ("ok", "gw2"), ("died", "gw1")],
        [("failed", "gw1")],
        [("failed", "gw1"), ("passed", "gw2"), ("passed", "gw10")],
    ),
]


@pytest.mark.parametrize(("events", "once", "each"), EVENTS)
@pytest.mark.parametrize("dist_each", [False, True])
def test_reruns_and_crashes_leave_the_last_word_of_each_worker(
    events: list[tuple[str, str | None]],
    once: list[tuple[str, str | None]],
    each: list[tuple[str, str | None]],
    dist_each: bool,
) -> None:
    report = RunReport(mode="budget", workers=2, each=dist_each)
    for event, worker in events:
        if event == "ok":
            report.add_test(record("a", worker=worker))
        else:
            report.crashed("a", worker)
    found = [(outcome, worker) for _, outcome, worker, _ in listed(report.finish(1.0))]
    assert found == (each if dist_each else once)


# -- findings of the run --------------------------------------------------------------------------------------------


def merged(*findings: dict[str, Any]) -> list[dict[str, Any]]:
    report = RunReport(mode="budget", workers=len(findings))
    for each in findings:
        report.add_run_finding(each)
    found: list[dict[str, Any]] = report.finish(1.0)["findings"]
    return found


def test_the_same_finding_of_several_workers_is_one_with_all_their_tests() -> None:
    place = {"path": "app/pool.py", "line": 3, "function": "f", "note": ""}
    one = finding(owner="fixture pool", tests=["a"], locations=[place], details=["poller"])
    other = finding(owner="fixture pool", tests=["b", "a"], locations=[place], details=["poller", "waiter"])
    [found] = merged(one, other)
    assert found["tests"] == ["a", "b"]
    assert (found["locations"], found["details"], found["holders"]) == ([place], ["poller", "waiter"], [])


def test_merging_does_not_depend_on_who_came_first_and_keeps_every_figure() -> None:
    findings = [
        finding("warn", owner="fixture pool", summary="1 per run", tests=["a"]),
        finding("error", owner="fixture pool", summary="3 per run", tests=["b"]),
        finding("error", owner="fixture pool", summary="2 per run", tests=["c"]),
        finding("suspicion", owner="fixture pool", summary="2 per run", tests=["d"]),
    ]
    for order in itertools.permutations(findings):
        [found] = merged(*order)
        assert (found["level"], found["summary"]) == ("error", "2 per run")
        assert (sorted(found["tests"]), sorted(found["details"])) == (["a", "b", "c", "d"], ["1 per run", "3 per run"])


def test_merging_leaves_what_was_given_as_it_was() -> None:
    one, other = (finding(owner="o", summary=str(number), tests=[], details=[]) for number in (1, 2))
    merged(one, other, other)
    assert (one["details"], other["details"]) == ([], [])


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        (finding(owner="a"), finding(owner="b"), 2),
        (finding(owner="a"), finding(owner="a", key="threads.leaked"), 2),
        (finding(owner="a", summary="1"), finding(owner="a", summary="2"), 1),
        (finding(summary="cycle 1"), finding(summary="cycle 2"), 2),
        (finding(summary="cycle 1"), finding(summary="cycle 1"), 1),
        (finding(summary="same"), finding(owner="same", summary="same"), 2),
    ],
)
def test_key_and_owner_tell_findings_apart(one: dict[str, Any], other: dict[str, Any], number: int) -> None:
    assert len(merged(one, other)) == number


def test_findings_of_the_run_are_in_an_order_of_their_own() -> None:
    findings = [
        finding(level, owner=owner, key=key)
        for level in ("warn", "error", "odd", "suspicion")
        for owner, key in (("b", "k.a"), ("a", "k.b"))
    ]
    assert merged(*findings[:6]) == merged(*reversed(findings[:6]))
    assert [each["level"] for each in merged(*(finding(level, owner=level) for level in ("odd", "warn", "error")))] == [
        "error",
        "warn",
        "odd",
    ]


# -- what is required -----------------------------------------------------------------------------------------------

UNSEEN = {"memory.growth": measure("not_measured")}
SKIPPED = {"memory.growth": measure("not_measured", why="skipped by marker: #412")}


@pytest.mark.parametrize(
    ("test", "missing"),
    [
        (record(measures=UNSEEN), True),
        (record(measures={"memory.growth": measure("within")}), False),
        (record(measures={"memory.growth": measure("near")}), False),
        (record(measures={"memory.growth": measure("over")}), False),
        (record(measures={"memory.growth": measure("not_measured", level="warn")}), True),
        (record(measures={"memory.growth": measure("not_measured", level="off")}), False),
        (record(measures={"threads.leaked": measure("not_measured")}), False),
        (record(measures={"memory.growth": measure("not_measured", why="suspected: seen once")}), True),
        (record(outcome="skipped", measures=UNSEEN), False),
        (record(outcome="xfailed", measures=UNSEEN), False),
        (record(outcome="xpassed", measures=UNSEEN), True),
        (record(outcome="error", measures=UNSEEN), False),
        (record(outcome="failed", measures=UNSEEN), False),
        (record(outcome="failed", measures=UNSEEN, findings=[finding("suspicion")]), False),
        (record(outcome="failed", measures=UNSEEN, findings=[finding("error", key="threads.leaked")]), True),
        (record(outcome="passed", measures=UNSEEN, findings=[finding("error", key="threads.leaked")]), True),
        (record(measures=SKIPPED), False),
        (record(measures={**SKIPPED, "memory.peak": measure("not_measured")}), True),
        (record(measures={}, verdict="not_measured", why="run by another plugin"), True),
        (record(measures={}, verdict="not_measured", why="skipped by marker: all of it"), False),
        (record(measures={}, verdict="not_measured", why=NO_BUDGET), False),
        (record(outcome="skipped", measures={}, verdict="not_measured", why="the test was skipped"), False),
    ],
)
def test_what_is_required_and_not_measured_is_told_unless_the_test_is_exempt(
    test: dict[str, Any], missing: bool
) -> None:
    run = run_of(test, require=("memory.*",))
    assert bool(required_unmeasured(run, ["memory.*"])) is missing
    assert bool(run["summary"]["required_unmeasured"]) is missing
    assert required_unmeasured(run, []) == []


def test_what_is_required_is_told_with_key_test_and_reason() -> None:
    run = run_of(record("t.py::a", measures=UNSEEN), record("t.py::b", measures={}, verdict="not_measured", why="gone"))
    assert required_unmeasured(run, ["memory.*", "threads.leaked"]) == [
        "memory.growth in t.py::a: the probe broke",
        "memory.*, threads.leaked in t.py::b: gone",
    ]


@pytest.mark.parametrize(
    ("patterns", "missing"),
    [(["memory.growth"], 1), (["*"], 1), (["MEMORY.*"], 0), (["memory"], 0), (["threads.*", "m*"], 1)],
)
def test_globs_match_whole_keys_and_case(patterns: list[str], missing: int) -> None:
    assert len(required_unmeasured(run_of(record(measures=UNSEEN)), patterns)) == missing


def test_a_test_that_the_session_did_not_come_to_is_missing_unless_none_was_run() -> None:
    report = RunReport(mode="budget", require_measured=["memory.*"])
    report.collected(["a", "b"])
    assert report.finish(1.0)["summary"]["required_unmeasured"] == []  # --collect-only
    report.add_test(record("a"))
    assert report.finish(1.0)["summary"]["required_unmeasured"] == [f"memory.* in b: {NOT_RUN}"]


def test_a_criterion_that_was_not_measured_is_missing_if_required() -> None:
    criterion = {"id": "state.transition_time", "verdict": "not_measured", "why": "no samples"}
    run = run_of(record(), criteria=[criterion])
    assert required_unmeasured(run, ["state.*"]) == ["state.transition_time: no samples"]
    assert required_unmeasured(run, ["memory.*"]) == []


@pytest.mark.parametrize(
    ("pattern", "told", "missing"),
    [
        ("locks.*", False, False),  # measures, of which that is a glob
        ("*", False, False),
        ("locks.hierarchy_enforced", False, True),
        ("locks.hier*", False, True),  # no measure has such a name
        ("locks.*", True, True),
        ("locks.*", None, True),  # a run file of before
    ],
)
def test_criteria_that_are_built_in_are_not_meant_by_a_pattern_of_measures_where_no_test_is_about_them(
    pattern: str, told: bool | None, missing: bool
) -> None:
    why = "no test is evidence for it"
    run = run_of(record(), criteria=[{"id": "locks.hierarchy_enforced", "verdict": "not_measured", "why": why}])
    assert run["run"]["criteria"]["told"] is False
    run["run"]["criteria"] = {} if told is None else {**run["run"]["criteria"], "told": told}
    expected = [f"locks.hierarchy_enforced: {why}"] if missing else []
    assert required_unmeasured(run, [pattern]) == expected
    assert breaches(run, [pattern]) == [f"required, but not measured: {each}" for each in expected]


def test_a_criterion_that_somebody_chose_is_meant_by_a_pattern_of_measures_too() -> None:
    chosen = CriteriaFile("own.toml", lambda: {"locks.ours": Criterion("locks.ours", "check")}, origin="coresys.toml:1")
    report = RunReport(mode="budget", criteria=chosen)
    report.add_test(record())
    assert required_unmeasured(report.finish(1.0), ["locks.*"]) == ["locks.ours: no test is evidence for it"]


@pytest.mark.parametrize(
    ("glob", "told"),
    [
        ("memroy.*", '"memroy.*" matches no measure and no criterion; did you mean "memory.*"?'),
        ("shop.oder_time", '"shop.oder_time" matches no measure and no criterion; did you mean "shop.order_time"?'),
        ("nothing", '"nothing" matches no measure and no criterion'),
        ("shop.*", None),
        ("acme.*", None),
        ("memory.peak", None),  # it exists, and no budget of it is in force
        ("memory.growth_rate", None),  # of a soak
        ("rounds.*", None),
    ],
)
def test_what_is_required_and_is_not_known_at_all_is_told_with_the_nearest(glob: str, told: str | None) -> None:
    criteria = [{"id": "shop.order_time", "verdict": "within", "level": "error", "why": None}]
    soak = {"rounds.lost": {"verdict": "within", "level": "error", "why": None}}
    run = run_of(record(measures={"acme.depth": measure()}), criteria=criteria, soak=soak)
    assert unmatched(run, [glob]) == ([] if told is None else [f"required: {told}"])


def test_of_a_run_without_tests_nothing_that_is_required_was_measured() -> None:
    run = RunReport(mode="budget").finish(1.0)
    assert unmatched(run, ["memory.*"]) == ["required, but not measured: memory.*: no test was run"]
    assert unmatched(run, []) == []


# -- what is compliant ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "compliant"),
    [
        (record(), True),
        (record(outcome="failed"), True),  # by itself: no matter of budgets
        (record(verdict="not_measured", measures=UNSEEN), True),
        (record(verdict="over", findings=[finding("warn")]), True),
        (record(verdict="not_measured", findings=[finding("suspicion")]), True),
        (record(outcome="failed", verdict="over", findings=[finding("warn"), finding("error")]), False),
        (record(verdict="over", findings=[finding("error")]), False),  # observed: passed, and not compliant
    ],
)
def test_a_run_is_compliant_unless_a_finding_has_level_error(test: dict[str, Any], compliant: bool) -> None:
    assert run_of(test)["summary"]["compliant"] is compliant


@pytest.mark.parametrize(("level", "compliant"), [("error", False), ("warn", True), ("suspicion", True)])
def test_findings_of_the_run_count_too(level: str, compliant: bool) -> None:
    report = RunReport(mode="budget")
    report.add_run_finding(finding(level, owner="fixture pool (conftest.py:3)"))
    run = report.finish(1.0)
    assert run["summary"]["compliant"] is compliant
    assert breaches(run) == ([] if compliant else ["fixture pool (conftest.py:3): memory.growth: too much"])


@pytest.mark.parametrize(
    ("verdict", "level", "breach"),
    [("over", "error", True), ("over", None, True), ("over", "warn", False), ("near", "error", False)],
)
def test_a_criterion_that_is_over_breaks_it_unless_its_level_is_warn(
    verdict: str, level: str | None, breach: bool
) -> None:
    criterion = {"id": "state.transition_time", "verdict": verdict, **({} if level is None else {"level": level})}
    lines = breaches(run_of(criteria=[criterion]))
    assert lines == (["criterion state.transition_time: over"] if breach else [])


def test_what_is_required_and_missing_breaks_it() -> None:
    run = run_of(record(measures=UNSEEN), require=("memory.*",))
    assert run["summary"]["compliant"] is False
    assert breaches(run, ["memory.*"]) == [
        "required, but not measured: memory.growth in t.py::test_x: the probe broke",
    ]


def test_the_summary_counts_each_test_once_by_its_verdict() -> None:
    verdicts = ["within", "near", "near", "over", "over", "over", "not_measured"]
    run = run_of(*(record(f"t{number}", verdict=verdict) for number, verdict in enumerate(verdicts)))
    summary = run["summary"]
    assert {key: summary[key] for key in ("tests", "within", "near", "over", "not_measured")} == {
        "tests": 7,
        "within": 1,
        "near": 2,
        "over": 3,
        "not_measured": 1,
    }


# -- the commit -----------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef" * 2 + "01234567"


def git(folder: Path, head: str, **files: str) -> Path:
    (folder / ".git" / "refs" / "heads").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(head)
    for name, text in files.items():
        (folder / ".git" / name.replace("__", "/").replace("_", "-")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("head", "files", "commit"),
    [
        ("ref: refs/heads/main\n", {"refs__heads__main": COMMIT + "\n"}, COMMIT),
        (COMMIT + "\n", {}, COMMIT),
        ("ref: refs/heads/main\n", {"packed_refs": f"# pack\n{COMMIT} refs/heads/main\n^{COMMIT}\n"}, COMMIT),
        ("ref: refs/heads/main\n", {}, None),
        ("nonsense", {}, None),
        ("", {}, None),
    ],
)
def test_the_commit_is_read_from_the_files_of_git(
    tmp_path: Path, head: str, files: dict[str, str], commit: str | None
) -> None:
    (git(tmp_path, head, **files) / "deep").mkdir()
    assert model.commit_of(tmp_path / "deep") == commit


def test_a_worktree_has_the_branches_of_its_main_checkout(tmp_path: Path) -> None:
    main = git(tmp_path / "main", "ref: refs/heads/main\n", refs__heads__topic=COMMIT)
    store = main / ".git" / "worktrees" / "tree"
    store.mkdir(parents=True)
    (store / "HEAD").write_text("ref: refs/heads/topic\n")
    (store / "commondir").write_text("../..\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {store}\n")
    assert model.commit_of(tmp_path / "tree") == COMMIT


def test_a_folder_outside_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_git_folder", lambda _: None)
    assert model.commit_of(tmp_path) is None


def test_the_files_of_git_may_be_anything(tmp_path: Path) -> None:
    (git(tmp_path, "") / ".git" / "HEAD").write_bytes(b"ref: \xff\xfe\n")
    assert model.commit_of(tmp_path) is None


# -- as a user meets it ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_worker_costs_only_the_test_that_it_ran(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_x="""
        import os, pytest
        @pytest.mark.parametrize("number", range(4))
        def test_fine(number): pass
        def test_dies(): os._exit(1)
        """
    )
    args = (
        "-p",
        "no:randomly",
        "-W",
        "ignore",
        "--coresys-budget",
        "--coresys-repeat",
        "0",
        "--coresys-json",
        "r.json",
    )
    result = pytester.runpytest_subprocess(*args, "-n", "2")
    result.assert_outcomes(passed=4, failed=1)
    run = json.loads(Path(pytester.path, "r.json").read_text())
    outcomes = {test["nodeid"].partition("::")[2]: test["outcome"] for test in run["tests"]}
    assert outcomes == {**{f"test_fine[{number}]": "passed" for number in range(4)}, "test_dies": "failed"}
    assert [test["why"] for test in run["tests"] if test["outcome"] == "failed"] == [DIED]
    result.stdout.fnmatch_lines([f"*1 test  {DIED}"])


@pytest.mark.slow
@pytest.mark.parametrize(("extra", "status"), [(["-x"], 1), (["--collect-only"], 0), (["-k", "nothing"], 5)])
def test_tests_that_were_not_run_are_listed_and_cost_no_status(
    pytester: pytest.Pytester, extra: list[str], status: int
) -> None:
    pytester.makepyfile(test_x="def test_a(): assert 0\ndef test_b(): pass")
    args = (
        "-p",
        "no:randomly",
        "-W",
        "ignore",
        "--coresys-budget",
        "--coresys-repeat",
        "0",
        "--coresys-json",
        "r.json",
    )
    result = pytester.runpytest_subprocess(*args, "--coresys-require-measured", "memory.growth", *extra)
    assert result.ret == status
    run = json.loads(Path(pytester.path, "r.json").read_text())
    whys = {test["nodeid"].partition("::")[2]: test["why"] for test in run["tests"]}
    assert whys.get("test_b") == (None if status == 5 else NOT_RUN)
