"""What the end of a run looks like: calm where all is well, the worst first where it is not."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coresys.budgets.model import Verdict
from coresys.records import Finding, Location
from pytest_coresys import wire
from pytest_coresys.criteria.model import CriteriaFile, Criterion
from pytest_coresys.criteria.run import told
from pytest_coresys.criteria.samples import Samples
from pytest_coresys.reports.again import names_for_commands
from pytest_coresys.reports.model import RunReport
from pytest_coresys.reports.terminal import (
    NO_TERMINAL,
    Line,
    fitted,
    fitted_id,
    is_ascii_only,
    progress_text,
    renamed,
    summary_lines,
)

MIB = 2**20
SPENT = "the effort for repeating was spent"
LIMITED = {"share": 0.2}


def verdict(key: str, status: Any, value: float | None, limit: float | None = 0.0, **changes: Any) -> Verdict:
    unit = {"memory": "B", "time": "s", "cpu": "ratio"}.get(key.partition(".")[0], "count")
    fields: dict[str, Any] = {"unit": unit, "level": "error", "origin": "default", "evidence": "repeated"}
    return Verdict(key=key, status=status, value=value, limit=limit, **{**fields, "resolution": 16.0, **changes})


def suspected(why: str, key: str = "memory.growth") -> dict[str, Any]:
    return {
        "verdicts": [verdict(key, "not_measured", None, why=f"suspected: {why}")],
        "findings": [Finding(key, "suspicion", f"{key}: suspected: {why}")],
    }


class Run:
    """A run in the making, test by test."""

    def __init__(self, mode: str = "budget", require: tuple[str, ...] = (), each: bool = False) -> None:
        self.report = RunReport(mode=mode, require_measured=require, each=each)

    def test(self, nodeid: str, *verdicts: Verdict, outcome: str = "passed", **fields: Any) -> Run:
        fields = {"verdicts": verdicts, "repetitions": 6, **fields}
        self.report.add_test(wire.test_to_dict(nodeid=nodeid, outcome=outcome, **fields))
        return self

    def well(self, number: int = 3) -> Run:
        for index in range(number):
            self.test(f"t.py::ok_{index}", verdict("memory.growth", "within", 0.0))
        return self

    def found(self, *findings: Finding) -> Run:
        for finding in findings:
            self.report.add_run_finding(wire.finding_to_dict(finding))
        return self

    def texts(self, *, effort: dict[str, Any] | None = None, **settings: Any) -> list[str]:
        return [line.text for line in self.lines(effort=effort, **settings)]

    def lines(self, *, effort: dict[str, Any] | None = None, **settings: Any) -> list[Line]:
        run = self.report.finish(1.0, effort=effort)
        lines = summary_lines(run, **settings)
        for line in lines[:-1]:
            whole = (
                "to settle: " in line.text
                or "  repro  " in line.text
                or (run["run"]["mode"] == "observe" and line.text.startswith("    "))
            )
            assert whole or len(line.text) <= settings.get("width", 80), line
        return lines


# -- all is well ----------------------------------------------------------------------------------------------------


def test_where_all_is_well_there_is_one_line() -> None:
    run = Run().well()
    assert run.lines() == [Line("coresys: 3 within, 0 near, 0 over, 0 not measured", {"green": True})]
    assert run.texts(run_file="run.json") == [
        "coresys: 3 within, 0 near, 0 over, 0 not measured - run file: run.json",
    ]


@pytest.mark.parametrize("outcome", ["skipped", "xfailed", "xpassed", "failed", "error"])
def test_what_pytest_tells_by_itself_is_not_told_again(outcome: str) -> None:
    unmeasured = verdict("memory.growth", "not_measured", None, why=f"the test {outcome}")
    run = Run().well().test("t.py::x", unmeasured, outcome=outcome)
    assert run.texts() == ["coresys: 3 within, 0 near, 0 over, 1 not measured"]
    assert f"  1 test  the test {outcome}" in run.texts(verbose=1)


def test_what_has_no_budget_is_no_news() -> None:
    assert Run().well().test("t.py::x").texts() == ["coresys: 3 within, 0 near, 0 over, 1 not measured"]


def test_where_no_test_was_run_nothing_is_said_but_of_the_file() -> None:
    run = Run()
    run.report.collected(["t.py::a"])
    assert run.texts() == []
    assert run.texts(run_file="r.json") == ["coresys: 0 within, 0 near, 0 over, 1 not measured - run file: r.json"]
    assert run.texts(problem="r.json: cannot be written: no") == [
        "coresys: 0 within, 0 near, 0 over, 1 not measured - run file NOT written: r.json: cannot be written: no"
    ]
    assert Run().texts() == ["coresys: 0 within, 0 near, 0 over, 0 not measured"]


# -- the table ------------------------------------------------------------------------------------------------------


def unhappy(mode: str = "budget") -> Run:
    run = Run(mode)
    run.test("t.py::near", verdict("memory.peak", "near", 250.0 * MIB, 256.0 * MIB))
    run.test("t.py::warned", verdict("globals.changed", "over", 2.0, level="warn"))
    run.test("t.py::share", verdict("memory.peak", "over", 300.0 * MIB, 256.0 * MIB), outcome="failed")
    run.test("t.py::far", verdict("time.call", "over", 60.0, 0.5), outcome="failed")
    run.test("t.py::small", verdict("memory.growth", "over", 56.0), outcome="failed")
    run.test("t.py::large", verdict("memory.growth", "over", 1048608.0), outcome="failed")
    run.test("t.py::thread", verdict("threads.leaked", "over", 1.0), outcome="failed")
    return run.test("t.py::just", verdict("cpu.share", "over", 0.5001, 0.5), outcome="failed").well(1)


def test_the_table_has_the_worst_first() -> None:
    assert unhappy().texts() == [
        "        measure           actual    limit     used  test",
        "  over  memory.growth    1.0 MiB      0 B        -  t.py::large",
        "  over  memory.growth       56 B      0 B        -  t.py::small",
        "  over  threads.leaked         1        0        -  t.py::thread",
        "  over  time.call          1 min   500 ms  12000 %  t.py::far",
        "  over  memory.peak      300 MiB  256 MiB    117 %  t.py::share",
        "  over  cpu.share         50.0 %     50 %   >100 %  t.py::just",
        "  warn  globals.changed        2        0        -  t.py::warned",
        "  near  memory.peak      250 MiB  256 MiB     98 %  t.py::near",
        "  warn: over a budget of level warn, which fails nothing",
        "repeated 9 of 9 tests in 0 s (no limit)",
        "coresys: 1 within, 1 near, 6 over, 0 not measured, 1 warns only",
    ]


LOCATED = Finding(
    "memory.growth",
    "error",
    "memory.growth: 56 B per run > 0 B",
    details=("Session: +1 object per run",),
    locations=(Location("app/a.py", 3, "put", "+56 B in 1 block per run"),),
    holders=(("app/a.py:1 global KEPT", "list[3]", "Session"),),
)


def test_what_fails_no_test_is_told_with_its_place() -> None:
    """Else nobody would: there is no failure that it could stand in."""
    growth = verdict("memory.growth", "over", 56.0)
    changed = Finding("globals.changed", "warn", "globals.changed: 1 > 0", details=("TZ is set",))

    def told(mode: str) -> list[str]:
        run = Run(mode).test("t.py::leak", growth, findings=[LOCATED])
        return run.test("t.py::tz", verdict("globals.changed", "over", 1.0, level="warn"), findings=[changed]).texts()

    observed, failed = told("observe"), told("budget")
    start = observed.index("  t.py::leak")
    assert observed[start + 1] == "    memory.growth: 56 B per run > 0 B"
    assert "      where  app/a.py:3 put +56 B in 1 block per run" in [
        text.replace("where      ", "where  ") for text in observed
    ]
    assert any("global KEPT -> list[3] -> Session" in text for text in observed)
    assert any("--coresys-budget" in text for text in observed)
    advice = "bound or clear what holds it at teardown (a cache, a registry, a list of listeners)"
    assert any(text.endswith(advice) for text in observed), "told in full, as a failure would"
    assert "  t.py::leak" not in failed, "its failure tells it"
    assert "    globals.changed: 1 > 0" in failed
    assert any("TZ is set" in text for text in failed)
    assert failed[-1] == "coresys: 0 within, 0 near, 1 over, 0 not measured, 1 warns only"


def test_the_colours_tell_failures_from_warnings() -> None:
    marks = {line.text.split()[0]: line.markup for line in unhappy().lines()[1:9]}
    assert marks == {"over": {"red": True, "bold": True}, "warn": {"yellow": True}, "near": {"yellow": True}}


@pytest.mark.parametrize(("verbose", "rows", "left"), [(0, 10, 50), (1, 50, 10), (2, 60, 0), (-1, 0, 0)])
def test_a_long_table_is_cut_and_says_so(verbose: int, rows: int, left: int) -> None:
    run = Run()
    for index in range(60):
        run.test(f"t.py::t{index}", verdict("memory.growth", "over", index + 1.0), outcome="failed")
    texts = run.texts(verbose=verbose, run_file="run.json")
    assert sum(text.startswith("  over") for text in texts) == rows
    assert [text for text in texts if "more" in text] == ([f"  ... and {left} more, see the run file"] if left else [])


def test_without_a_run_file_it_is_said_how_to_see_all() -> None:
    run = Run()
    for index in range(11):
        run.test(f"t.py::t{index}", verdict("memory.growth", "over", 1.0))
    assert "  ... and 1 more, --coresys-json PATH lists them all" in run.texts()


def test_a_measure_that_is_only_suspected_is_not_in_the_table() -> None:
    run = Run().test(
        "t.py::x",
        verdict("memory.growth", "over", 5.0, evidence="screened"),
        findings=[Finding("memory.growth", "suspicion", "memory.growth: 5 B, limit 0 B")],
    )
    texts = run.texts()
    assert not [text for text in texts if text.startswith("  over")]
    assert texts[:3] == ["suspected, fails nothing: 1 finding", "  memory.growth  t.py::x", "      5 B, limit 0 B"]


def test_a_reading_that_is_infinite_is_shown_as_such() -> None:
    texts = Run().test("t.py::x", verdict("memory.peak", "over", float("inf"), 5.0)).texts()
    assert texts[1].split() == ["over", "memory.peak", "infinite", "5", "B", "-", "t.py::x"]


def test_the_same_test_of_several_workers_is_told_apart() -> None:
    run = Run(each=True)
    for worker in ("gw0", "gw1"):
        run.report.add_test(
            wire.test_to_dict(
                nodeid="t.py::x", outcome="failed", verdicts=[verdict("memory.growth", "over", 5.0)], worker=worker
            )
        )
    texts = [text.rpartition("  ")[2] for text in run.texts() if text.startswith("  over")]
    assert texts == ["t.py::x [gw0]", "t.py::x [gw1]"]


# -- suspicions -----------------------------------------------------------------------------------------------------


def test_suspicions_stand_apart_with_the_command_that_settles_them() -> None:
    run = Run().well(1)
    for index in range(5):
        run.test(f"t.py::s{index}", **suspected(f"9 KiB left after one run; {SPENT}"))
    run.test('t.py::q["$x"]', **suspected("seen once"))
    run.test("t.py::no", **suspected("1 left after one run; coresys_no_repeat: talks to a server", "threads.leaked"))
    assert run.texts(effort=LIMITED)[:8] == [
        "suspected, fails nothing: 7 findings",
        "  memory.growth  t.py::s0 and 4 more",
        f"      9 KiB left after one run; {SPENT}",
        '  memory.growth  t.py::q["$x"]',
        "      seen once",
        "  threads.leaked  t.py::no",
        "      1 left after one run; coresys_no_repeat: talks to a server",
        '  to settle: pytest "t.py" --coresys-budget --coresys-profile strict',
    ]


HINTS = ["t.py::a memory.growth: 1000 B is known, gone", "t.py::b memory.growth: 1000 B is known, 800 B now"]


def test_what_a_baseline_knows_is_counted_with_q_and_listed_without() -> None:
    quiet = Run().well(1).texts(verbose=-1, hints=HINTS, excused=3)
    assert quiet[:-1] == [
        "3 known, excused by the baseline (without -q: more)",
        "baseline: 2 known that can be tightened (without -q: which)",
    ]
    told = Run().well(1).texts(hints=HINTS)
    assert told[:3] == ["baseline: 2 known that can be tightened (--coresys-update-baseline)",
                        *(f"  {hint}" for hint in HINTS)]  # fmt: skip
    written = ["k.json: 2 known, 0 before", "k.json: 3 suspected, and not recorded"]
    assert Run().well(1).texts(verbose=-1, hints=written)[:-1] == [f"baseline {each}" for each in written]


def test_the_command_that_settles_leaves_none_of_them_out() -> None:
    run = Run()
    for index in range(7):  # each for a reason of its own: more than are listed
        run.test(f"t.py::s[{index}]", **suspected(f"{index} KiB left after one run; {SPENT}"))
    assert '  to settle: pytest "t.py::s" --coresys-budget --coresys-profile strict' in run.texts(effort=LIMITED)
    three = Run()
    for index in range(3):
        three.test(f"t{index}.py::s", **suspected("seen once"))
    (command,) = [text for text in three.texts(effort=LIMITED) if "to settle" in text]
    assert shlex.split(command)[3:6] == ["t0.py::s", "t1.py::s", "t2.py::s"]


def test_each_command_judges_as_the_run_did() -> None:
    """Without the criteria that markers name a run does not even begin."""
    run = Run("observe").test("t.py::s", **suspected("seen once"))
    leak = Finding("threads.leaked", "error", "1 > 0", details=("a thread",))
    run.test("t.py::x", verdict("threads.leaked", "over", 1.0), findings=[leak]).found(POOL)
    finished = run.report.finish(1.0, effort=LIMITED)
    finished["run"]["options"] = ["--coresys-criteria", "own.toml", "--coresys-set", "memory.growth=2 KB"]
    texts = [line.text for line in summary_lines(finished)]
    commands = [text for text in texts if "repro  " in text or "to settle" in text]
    assert len(commands) == 3
    assert all(text.endswith(' --coresys-criteria own.toml --coresys-set "memory.growth=2 KB"') for text in commands)
    elsewhere = summary_lines(renamed(finished, str, ["--coresys-criteria", "../own.toml"]))
    assert sum(line.text.endswith(" --coresys-criteria ../own.toml") for line in elsewhere) == 3


def test_the_command_is_quoted_for_a_shell() -> None:
    run = Run().test('t.py::q["$x"]', **suspected("seen once"))
    assert (
        run.texts(effort=LIMITED)[3]
        == "  to settle: pytest 't.py::q[\"$x\"]' --coresys-budget --coresys-profile strict"
    )


def test_without_limit_there_is_nothing_left_to_settle_with() -> None:
    texts = Run().test("t.py::x", **suspected("seen once")).texts(effort={"share": None})
    assert not [text for text in texts if "to settle" in text]


@pytest.mark.parametrize(
    "why",
    [
        "1 left; coresys_no_repeat: slow",
        "12.2 KiB left after one run; it had a deadlock, and each repetition would wait for it again",
        "1 more with each repetition, but as many older ones ended meanwhile",
    ],
    ids=["its author forbade it", "it had a deadlock", "it was seen through"],
)
def test_what_repeating_cannot_settle_has_no_command(why: str) -> None:
    texts = Run().test("t.py::no", **suspected(why)).texts(effort=LIMITED)
    assert not [text for text in texts if "to settle" in text]


def test_a_long_reason_takes_two_lines_and_no_more() -> None:
    run = Run().test("t.py::x", **suspected("a reason of " + "very many words " * 20))
    texts = run.texts(effort=LIMITED)
    assert texts[2].startswith("      a reason of very many words")
    assert (texts[3][:6], texts[3][-3:]) == (" " * 6, "...")
    assert texts[4].startswith("  to settle: ")


# -- the run --------------------------------------------------------------------------------------------------------

POOL = Finding(
    "threads.leaked",
    "error",
    "threads.leaked: 2 > 0 (default)",
    locations=(Location("app/pool.py", 31, "start", "2 threads"), Location("app/pool.py", 40)),
    owner="fixture pool (tests/conftest.py:9)",
    tests=("t.py::a", "t.py::b", "t.py::c"),
)
BYTES = Finding("memory.growth", "suspicion", "memory.growth: 2.1 MiB seen once", owner="fixture big (conftest.py:19)")


def test_findings_of_the_run_have_owner_place_and_tests() -> None:
    assert Run().well().found(BYTES, POOL).texts()[:10] == [
        "2 findings of the run, not of one test; fails the run",
        "  threads.leaked: 2 > 0 (default)",
        "      owner  fixture pool (tests/conftest.py:9)",
        "      where  app/pool.py:31 start 2 threads",
        "      tests  t.py::a and 2 more",
        "      try    join() or close() its owner at teardown, or give the thread a stop",
        "             signal",
        '      repro  pytest "t.py::a" "t.py::b" "t.py::c" --coresys-budget',
        "  suspicion: memory.growth: 2.1 MiB seen once",
        "      owner  fixture big (conftest.py:19)",
    ]


@pytest.mark.parametrize(("locks", "number", "shown"), [(("a:1",), 3, 3), (("a:1",), 8, 6), ((), 3, 2)])
def test_a_circle_of_locks_has_all_of_its_edges(locks: tuple[str, ...], number: int, shown: int) -> None:
    edges = tuple(f"A{at} is held while A{at + 1} is taken" for at in range(number))
    texts = Run().found(replace(POOL, details=edges, locks=locks)).texts()
    assert [text.strip() for text in texts if " is held while " in text] == list(edges[:shown])
    assert (f"      ... and {number - shown} more" in texts) == (number > shown)


def test_where_there_is_no_terminal_nothing_is_cut() -> None:
    long = f"{'tests/' * 30}test_a.py::test_ledger"
    run = Run().test(long, verdict("memory.growth", "over", 5.0)).found(replace(POOL, tests=(long,)))
    texts = run.texts(width=NO_TERMINAL)
    assert sum(text.endswith(long) for text in texts) == 2
    assert not any("..." in text for text in texts)


def test_why_tests_were_left_is_wrapped_in_a_terminal() -> None:
    effort = {"spent": 0.1, "share": 0.2, "unrepeated": 6, "too_long": 1}
    texts = Run().well(1).texts(effort=effort, width=60)
    assert "or each takes longer than its part of the effort" in " ".join(texts)


@pytest.mark.parametrize("mode", ["budget", "observe"])
def test_a_finding_of_two_tests_names_both_and_so_does_its_command(mode: str) -> None:
    """An order of locks that two tests take in turn is not seen in one of them."""
    circle = Finding("locks.potential_deadlocks", "error", "1 > 0: a and b, in different tests", tests=("a::x", "b::y"))
    told = [text.split() for text in Run(mode).found(circle).texts()]
    at = told.index(["tests", "a::x"])
    assert told[at + 1] == ["b::y"]
    assert ["repro", "pytest", '"a::x"', '"b::y"', "--coresys-budget"] in told
    assert any(words[0] == "try" for words in told)


def test_with_v_a_finding_of_the_run_is_told_in_full() -> None:
    texts = Run().found(POOL).texts(verbose=1)
    assert "    where      app/pool.py:31 start 2 threads" in texts
    assert '    repro      pytest "t.py::a" "t.py::b" "t.py::c" --coresys-budget' in texts


def test_with_q_only_what_fails_the_run_is_told() -> None:
    run = unhappy().found(BYTES, POOL).test("t.py::s", **suspected("seen once"))
    assert run.texts(verbose=-1) == [
        "1 suspicion (without -q: more)",
        "1 finding of the run, not of one test; fails the run",
        "  threads.leaked: 2 > 0 (default)",
        "      owner  fixture pool (tests/conftest.py:9)",
        "      where  app/pool.py:31 start 2 threads",
        "      tests  t.py::a and 2 more",
        "      try    join() or close() its owner at teardown, or give the thread a stop",
        "             signal",
        '      repro  pytest "t.py::a" "t.py::b" "t.py::c" --coresys-budget',
        "coresys: 1 within, 1 near, 6 over, 0 not measured, 1 warns only, 1 suspected - failed by 1 finding of the run",
    ]


def test_what_is_required_and_missing_is_told_even_with_q() -> None:
    run = Run(require=("memory.*",)).test("t.py::x", verdict("memory.growth", "not_measured", None, why="no meter"))
    lines = run.lines(verbose=-1)
    assert [line.text for line in lines] == [
        "required, but not measured: 1",
        "  memory.growth in t.py::x: no meter",
        "coresys: 0 within, 0 near, 0 over, 1 not measured - failed by 1 figure required and not measured",
    ]
    assert all(line.markup.get("red") for line in lines)


# -- not measured, and the effort -----------------------------------------------------------------------------------


def test_what_was_not_measured_is_grouped_by_reason() -> None:
    run = Run()
    for index in range(12):
        meter = verdict("memory.growth", "not_measured", None, why="no malloc statistics here")
        run.test(f"t.py::m{index}", meter, verdict("threads.leaked", "within", 0.0))
    keys = [f"threads.{name}" for name in ("a", "b", "c")]
    skipped = [verdict(key, "not_measured", None, why="skipped by marker: #412") for key in keys]
    run.test("t.py::skip", *skipped, verdict("memory.growth", "within", 0.0))
    run.test("t.py::other", why="run by another plugin", verdict="not_measured")
    run.report.crashed("t.py::died")
    run.report.collected(["t.py::never"])
    assert run.texts(effort={"spent": 2.9, "share": 0.2}) == [
        "not measured",
        "  12 tests  memory.growth: no malloc statistics here",
        "    1 test  its worker died while it ran",
        "    1 test  not run: the session stopped before it",
        "    1 test  run by another plugin",
        "    1 test  3 measures: skipped by marker: #412",
        "repeated 14 of 16 tests in 2.9 s (20 % share)",
        "coresys: 0 within, 0 near, 0 over, 16 not measured",
    ]


def test_what_a_marker_left_out_of_a_skipped_test_is_told_once_it_is_asked_for() -> None:
    left_out = verdict("memory.growth", "not_measured", None, why="skipped by marker: #412")
    assert "  1 test  skipped by marker: #412" in Run().test("t.py::x", left_out).texts()


def test_why_something_was_not_measured_is_told_to_its_end() -> None:
    why = f"{'no such counter on this machine, ' * 4}and that is all"
    texts = Run().test("t.py::x", verdict("memory.growth", "not_measured", None, why=why)).texts()
    assert texts[1].startswith("  1 test  ")
    assert " ".join(" ".join(texts[1:4]).split()) == f"1 test {why}"


def test_wrong_budgets_are_told_once_by_the_failures_and_in_full_where_nothing_fails() -> None:
    def told(mode: str) -> str:
        run = Run(mode)
        for number in range(2):
            why = f"{wire.WRONG_BUDGETS}: @pytest.mark.coresys_budget (t.py:{number}): no such key"
            run.test(f"t.py::x{number}", verdict("memory.growth", "not_measured", None, why=why))
        return " ".join(" ".join(run.texts()).split())

    assert "2 tests its own budgets are wrong, as each says above repeated" in told("budget")
    assert "(t.py:0): no such key" in told("observe")
    assert "(t.py:1): no such key" in told("observe")


@pytest.mark.parametrize(
    ("effort", "texts"),
    [
        ({"spent": 2.9, "share": 0.2, "unrepeated": 0}, []),
        (
            {"spent": 2.9004, "share": 0.2, "unrepeated": 17},
            [
                "repeated 1 of 1 test in 2.9 s (20 % share); 17 left unrepeated: the effort was spent",
                "--coresys-profile strict spends more",
            ],
        ),
        (
            {"spent": 2.9, "explaining": 1.25, "share": 0.2, "unrepeated": 1},
            [
                "repeated 1 of 1 test in 2.9 s (20 % share), explained in 1.2 s",
                "1 left unrepeated: the effort was spent; --coresys-profile strict spends more",
            ],
        ),
        (
            {"spent": 0.0, "share": None, "unrepeated": 1, "notes": ["2 tests were run by acme"]},
            [
                "note: 2 tests were run by acme",
                "repeated 1 of 1 test in 0 s (no limit); 1 left unrepeated: the effort was spent",
            ],
        ),
        ({"notes": ["only this"]}, ["note: only this"]),
    ],
)
def test_the_effort_is_told_where_it_left_something(effort: dict[str, Any], texts: list[str]) -> None:
    assert Run().well(1).texts(effort=effort, width=100)[:-1] == texts


@pytest.mark.parametrize("verbose", [0, -1])
def test_what_takes_longer_than_its_part_is_not_told_as_effort_that_was_spent(verbose: int) -> None:
    run = Run().test("t.py::s", repetitions=0, **suspected("9 KiB left after one run; too long"))
    effort = {"spent": 0.1, "share": 0.2, "unrepeated": 1, "too_long": 1}
    told = " ".join(run.texts(effort=effort, width=200, verbose=verbose))
    assert "1 left unrepeated: each takes longer than its part" in told or "1 test left unrepeated: each takes" in told
    both = " ".join(run.texts(effort={**effort, "unrepeated": 2}, width=200, verbose=verbose))
    assert "the effort was spent, or each takes longer than its part of the effort" in both
    spent = " ".join(run.texts(effort={"spent": 0.1, "share": 0.2, "unrepeated": 1}, width=200, verbose=verbose))
    assert "left unrepeated: the effort was spent" in spent


def test_an_effort_too_long_for_its_line_takes_two() -> None:
    assert Run().well(1).texts(effort={"unrepeated": 17, "share": None}, width=50)[:-1] == [
        "repeated 1 of 1 test in 0 s (no limit)",
        "17 left unrepeated: the effort was spent",
    ]


# -- observing ------------------------------------------------------------------------------------------------------


def test_observing_says_that_nothing_was_failed_and_shows_the_same() -> None:
    told, observed = unhappy().texts(), unhappy("observe").lines()
    assert [line.text for line in observed[:-1]] == told[:-1]
    assert observed[-1].text == f"{told[-1]} - observed only, nothing was failed"
    assert not observed[-1].markup.get("red")
    assert Run("observe").found(POOL).texts()[0] == "1 finding of the run, not of one test"


def test_observing_tells_all_findings_and_each_in_full() -> None:
    run = Run("observe")
    for index in range(30):
        run.test(f"t.py::x{index}", verdict("memory.growth", "over", 56.0), findings=[LOCATED])
        run.found(replace(POOL, owner=f"fixture p{index} (t.py:1)", details=("one", "two", "three")))
    texts = run.texts()
    assert sum(text == "    memory.growth: 56 B per run > 0 B" for text in texts) == 30
    assert sum(text.strip() == "three" for text in texts) == 30
    assert sum(text.startswith("    owner      fixture p") for text in texts) == 30


# -- widths and hostile names ---------------------------------------------------------------------------------------

HOSTILE = "t\udcff.py::test\x1b[31m[\n\u202e<b>\"'日本語]"


@pytest.mark.parametrize("width", [1, 20, 40, 60, 79, 80, 120, 300])
@pytest.mark.parametrize("verbose", [-1, 0, 1, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_nothing_is_wider_than_the_terminal_nor_moves_it(width: int, verbose: int, ascii_only: bool) -> None:
    hostile = Finding(
        "threads.leaked",
        "error",
        HOSTILE * 3,
        locations=(Location(HOSTILE * 3, 1),),
        owner=HOSTILE * 3,
        tests=(HOSTILE, "b"),
    )
    run = unhappy().found(hostile).test(HOSTILE * 4, verdict("memory.growth", "over", 5.0))
    run.test(f"{HOSTILE}s", **suspected(HOSTILE)).test("o", why=HOSTILE, verdict="not_measured")
    report = run.report.finish(1.0, effort={"unrepeated": 3, "notes": [HOSTILE]})
    lines = summary_lines(report, width=width, verbose=verbose, ascii_only=ascii_only, run_file=HOSTILE)
    for line in lines:
        assert line.text.isprintable()
        assert line.text.isascii() or not ascii_only
        if "pytest " not in line.text and line is not lines[-1]:
            assert fitted(line.text, max(width, 20)) == line.text  # by cells, of which some characters take two


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghij", 9, "abc...hij"),
        ("abcdefghij", 4, "a..."),
        ("abcdefghij", 3, "..."),
        ("abcdefghij", 1, "."),
        ("abcdefghij", 0, ""),
        ("日本語日本語", 12, "日本語日本語"),
        ("日本語日本語", 11, "日本...本語"),
        ("日本語日本語", 6, "日..."),
        ("e\u0301" * 5, 5, "e\u0301" * 5),
    ],
)
def test_a_text_is_shortened_in_the_middle_by_cells(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown


@pytest.mark.parametrize(
    ("nodeid", "width", "shown"),
    [
        ("tests/test_pool.py::TestPool::test_leak", 39, "tests/test_pool.py::TestPool::test_leak"),
        ("tests/test_pool.py::TestPool::test_leak", 28, "tests/t...estPool::test_leak"),
        ("tests/test_pool.py::TestPool::test_leak", 14, "tes...st_leak"[:3] + "...est_leak"),
        ("t.py::test_x[a::b]", 18, "t.py::test_x[a::b]"),
        ("tests/unit/t.py::test_x[a::b]", 23, "test...t.py::test_x[a::b]"[-26:]),
    ],
)
def test_an_id_keeps_the_name_of_its_test(nodeid: str, width: int, shown: str) -> None:
    text = fitted_id(nodeid, width)
    assert len(text) <= width
    assert text == shown or text.endswith(shown[-8:])


@pytest.mark.parametrize(
    ("nodeid", "repetitions", "width", "shown"),
    [
        ("t/t.py::test_x", 120, 80, "coresys: repeating test_x (120 runs)"),
        ("t/t.py::A::test_x[a::b]", 1, 80, "coresys: repeating A.test_x[a::b] (1 run)"),
        ("test_x[a::b]", None, 80, "coresys: repeating test_x[a::b]"),
        ("t.py::test_x[\x1b[31m\n]", 2, 80, r"coresys: repeating test_x[\x1b[31m\n] (2 runs)"),
        ("t.py::test_with_a_long_name", 120, 40, "coresys: repeating test_w... (120 runs)"),
    ],
)
def test_the_progress_is_one_short_line(nodeid: str, repetitions: int | None, width: int, shown: str) -> None:
    text = progress_text(nodeid, repetitions, width=width)
    assert len(text) <= width
    assert text == shown or (width == 40 and text.startswith("coresys: repeating test") and text.endswith("(120 runs)"))


@pytest.mark.parametrize(
    ("encoding", "ascii_only"),
    [("utf-8", False), ("UTF8", False), ("utf_8", False), ("ascii", True), ("cp1252", True), (None, True), ("", True)],
)
def test_only_utf8_gets_more_than_ascii(encoding: str | None, ascii_only: bool) -> None:
    assert is_ascii_only(encoding) is ascii_only


# -- as a user meets it ---------------------------------------------------------------------------------------------

# Strict, so that a machine that is busy does not leave a test unrepeated.
ARGS = (
    *("-p", "no:randomly", "-W", "ignore", "--coresys-json", "run.json"),
    *("--coresys-profile", "strict", "--coresys-set", "globals.changed=off"),
)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "n2"])
def test_a_run_without_findings_ends_in_one_line(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass")
    result = pytester.runpytest_subprocess(*ARGS, "--coresys-budget", *workers)
    lines = [line for line in result.outlines if "coresys:" in line]
    assert lines == ["coresys: 2 within, 0 near, 0 over, 0 not measured - run file: run.json"]
    assert not [line for line in result.outlines if "= coresys =" in line]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "n2"])
def test_a_run_with_findings_ends_in_the_table(pytester: pytest.Pytester, workers: list[str]) -> None:
    pytester.makepyfile("KEPT = []\ndef test_a(): pass\ndef test_b(): KEPT.append(bytearray(100_000))")
    result = pytester.runpytest_subprocess(*ARGS, "--coresys-observe", *workers)
    result.stdout.fnmatch_lines(
        [
            "*= coresys =*",
            "*measure *actual *limit *used *test",
            "  over  memory.growth  9*.* KiB    0 B     -  *::test_b",
            "repeated 2 of 2 tests in * (no limit)*",
            "coresys: 1 within, * 1 over, * - observed only, nothing was failed - run file: run.json",
        ]
    )
    assert result.ret == 0
    assert json.loads(Path(pytester.path, "run.json").read_text())["summary"]["over"] == 1


# -- what rests on less, and where it is from -------------------------------------------------------------------------


def test_what_is_within_by_one_run_only_is_counted() -> None:
    once = verdict("memory.growth", "within", 0.0, evidence="screened")
    run = Run().well(2).test("t.py::once", once, repetitions=0).test("t.py::again", once, repetitions=0)
    assert run.texts() == [
        "coresys: 4 within, 0 near, 0 over, 0 not measured"
        " - 2 of those within were run once only: no small leak would show"
    ]
    unseen = verdict("memory.growth", "not_measured", None, why="no meter")
    run.test("t.py::unseen", unseen).test("t.py::near", once, verdict("memory.peak", "near", 9.5, 10.0))
    assert "4 within, 1 near, 0 over, 1 not measured - 2 of those within were run once only:" in run.texts()[-1]


def test_criteria_add_up_and_tell_what_only_warns_and_what_is_derived() -> None:
    criteria = {
        "a.warned": Criterion("a.warned", "value", "<", 5.0, "s", "5 s", level="warn"),
        "a.over": Criterion("a.over", "value", "<", 5.0, "s", "5 s"),
        "b.ready": Criterion("b.ready", "derived", parts=("a.warned", "a.over")),
        "b.soft": Criterion("b.soft", "derived", parts=("a.warned",)),
    }
    run = Run()
    run.report = RunReport(mode="budget", criteria=CriteriaFile("own.toml", lambda: criteria))
    samples = Samples()
    samples.add(9.0)
    recorded = told({"a.warned": samples, "a.over": samples}, [])
    run.report.add_test({**wire.test_to_dict(nodeid="t.py::x", outcome="passed"), "criteria": recorded})
    texts = run.texts(width=100)
    assert "success criteria: 0 within, 0 near, 4 over (2 of level warn), 0 not measured; fails the run" in texts
    assert [line for line in texts if line.startswith("  over    ")] == [
        "  over    a.over  9 s >= 5 s (1 sample)",
        "  over    b.ready  2 of 2 parts are over: a.warned, a.over",
        "  over    a.warned (warns only)  9 s >= 5 s (1 sample)",
        "  over    b.soft (warns only)  1 of 1 parts is over: a.warned; of level warn",
    ]


def test_the_last_line_says_what_else_fails_the_run() -> None:
    run = judged({"a.over": "over", "b.over": "over", "c.within": "within"}).found(POOL, BYTES)
    last = run.lines()[-1]
    assert last.text.endswith(" not measured - failed by 2 success criteria and 1 finding of the run")
    assert last.markup == {"red": True}
    run.report.mode = "observe"
    assert run.texts()[-1].endswith(" not measured - observed only, nothing was failed")


def judged(verdicts: dict[str, str], origin: str = "--coresys-criteria", evidence: int = 1) -> Run:
    """A run of one test for each criterion, over or within; of what is not measured there is none."""
    criteria = {name: Criterion(name, "value", "<", 5.0, "s", "5 s") for name in verdicts}
    run = Run()
    run.report = RunReport(mode="budget", criteria=CriteriaFile("my own.toml", lambda: criteria, origin=origin))
    for name, word in verdicts.items():
        for at in range(evidence if word != "not_measured" else 0):
            samples = Samples()
            samples.add({"over": 9.0, "near": 4.9}.get(word, 1.0))
            run.report.add_test({**wire.test_to_dict(nodeid=f"t.py::{name}[{at} $x]", outcome="passed"),
                                 "criteria": told({name: samples}, [])})  # fmt: skip
    return run


def test_a_criterion_that_is_over_has_a_command_to_be_copied() -> None:
    lines = judged({"shop.time": "over", "shop.near": "near"}).texts(runner="python -m pytest")
    (command,) = [line for line in lines if "repro" in line]
    assert shlex.split(command) == [
        *("repro", "python", "-m", "pytest", "t.py::shop.time[0 $x]"),
        *("--coresys-budget", "--coresys-criteria", "my own.toml"),
    ]
    configured = judged({"shop.time": "over"}, "pyproject.toml:3").texts()
    assert "      repro  pytest 't.py::shop.time[0 $x]' --coresys-budget" in configured
    moved = renamed(judged({"shop.time": "over"}).report.finish(1.0), lambda nodeid: f"../{nodeid}")
    assert any("'../t.py::shop.time[0 $x]'" in line.text for line in summary_lines(moved)), "as the tests are"


def test_with_q_what_is_open_is_one_line() -> None:
    run = judged({"a.over": "over", **{f"b.x{at}": "not_measured" for at in range(7)}, "c.near": "near"})
    quiet = run.texts(verbose=-1)
    assert "  open    7 not measured: b.x0, b.x1, b.x2, b.x3, b.x4 and 2 more" in quiet
    assert sum("b.x" in line for line in quiet) == 1
    assert "  open    7 not measured: b.x0, b.x1 and 5 more" in run.texts(verbose=-1, width=50)
    assert "  open    7 not measured" in run.texts(verbose=-1, width=30)
    assert not any("c.near" in line for line in quiet)
    usual = run.texts()
    assert "  open    b.x0  no test is evidence for it" in usual
    assert "success criteria: 0 within, 1 near, 1 over, 7 not measured; fails the run" in usual
    assert not any("not measured:" in line for line in judged({"a.over": "over"}).texts(verbose=-1))


@pytest.mark.parametrize(
    ("nodeids", "names"),
    [
        (["a.py::x"], ['"a.py::x"']),
        (["a.py::x", "a.py::x", "a.py::y"], ['"a.py::x"', '"a.py::y"']),
        ([f"a.py::x[{at}::[]" for at in range(9)], ['"a.py::x"']),
        ([f"a.py::T::x{at}" for at in range(9)], ['"a.py"']),
        ([f"a{at}.py::x" for at in range(9)], []),
        (["a b.py::x[it's `y` $z]"], ["'a b.py::x[it'\"'\"'s `y` $z]'"]),
        ([], []),
    ],
)
def test_a_command_names_all_of_the_tests_or_what_they_are_part_of(nodeids: list[str], names: list[str]) -> None:
    assert names_for_commands(nodeids) == names


def test_commands_are_those_by_which_the_run_was_started() -> None:
    """``python -m pytest`` finds modules in the working directory, where ``pytest`` does not."""
    run = Run().test("t.py::s", **suspected(f"9 KiB left after one run; {SPENT}"))
    (settling,) = [text for text in run.texts(effort=LIMITED, runner="python -m pytest") if "to settle" in text]
    assert settling.startswith('  to settle: python -m pytest "t.py::s"')


@pytest.mark.parametrize(
    "why",
    [
        "8 B more with each repetition, but kept by a deque with maxlen 9, whose bound was not reached",
        "8 B more with each repetition, but put() at app.py:9 lets go of entries (del) by time, which did not pass",
        "8 B more with each repetition, but kept by fixture store (conftest.py:3), which is still up",
        "8 B more with each repetition, but 95 repetitions, the most there may be, did not rule out a cache that fills",
    ],
)
def test_what_more_repetitions_would_not_settle_has_no_command_and_tells_its_place(why: str) -> None:
    place = Location("app/cache.py", 12, "put", "+8 B in 1 block per run")
    fields = suspected(why)
    fields["findings"] = [Finding("memory.growth", "suspicion", f"memory.growth: suspected: {why}", locations=(place,))]
    texts = Run().test("t.py::s", **fields).texts(effort=LIMITED)
    assert not [text for text in texts if "to settle" in text]
    assert "      where  app/cache.py:12 put +8 B in 1 block per run" in texts


def test_a_log_file_has_lines_of_any_length(pytester: pytest.Pytester) -> None:
    name = f"test_{'of_a_long_name_' * 8}"
    pytester.makepyfile(
        f"""
        import os
        import pytest
        @pytest.mark.coresys_budget("globals.changed", max=0, level="warn")
        def {name}(): os.environ["LEFT"] = "1"
        """
    )
    result = pytester.runpytest_subprocess("--coresys-budget", "-p", "no:randomly")
    result.stdout.fnmatch_lines([f"  warn  globals.changed *::{name}"])
