"""Known excesses: what is excused, what is worse, what can go; and whole runs with a baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coresys.budgets.model import Verdict
from coresys.records import Finding
from pytest_coresys import baseline
from pytest_coresys.baseline import Baseline, Entry
from pytest_coresys.config.errors import ConfigError
from pytest_coresys.session import BudgetSession, _baseline_of, _whole_folders

GROWTH = Entry("test", "t.py::a", "memory.growth", 1000.0, "B", "#412", "2026-01-02")
THREADS = Entry("test", "t.py::a", "threads.leaked", 2.0, "count", "#413", "2026-01-02")
CIRCLE = Entry("test", "t.py::a", "locks.potential_deadlocks", 1.0, "count", "#414", "2026-01-02", ("a.py:1", "b.py:2"))


def of(*entries: Entry, recording: str | None = None) -> Baseline:
    return Baseline("known.json", {entry.subject: entry for entry in entries}, recording)


@pytest.mark.parametrize(
    ("entry", "value", "locks", "excused"),
    [
        (GROWTH, 1000.0, (), True), (GROWTH, 1100.0, (), True), (GROWTH, 1101.0, (), False), (GROWTH, 1.0, (), True),
        (THREADS, 2.0, (), True), (THREADS, 3.0, (), False), (THREADS, 1.0, (), True),
        (CIRCLE, 1.0, ("b.py:2", "a.py:1"), True), (CIRCLE, 1.0, ("a.py:1", "c.py:3"), False),
        (CIRCLE, 2.0, ("a.py:1", "b.py:2"), False),
    ],
)  # fmt: skip
def test_what_is_no_worse_is_excused(entry: Entry, value: float, locks: tuple[str, ...], excused: bool) -> None:
    assert entry.excuses(value, locks) is excused


def over(key: str, value: float, unit: str = "B") -> tuple[Verdict, Finding]:
    verdict = Verdict(key, "over", value, 0.0, unit, "error", "default", "repeated", 16.0)
    return verdict, Finding(key, "error", f"{key}: too much", ("seen",))


def test_what_is_known_is_a_warning_and_what_is_worse_is_told_so() -> None:
    growth, grown = over("memory.growth", 1050.0)
    threads, thread = over("threads.leaked", 3.0, "count")
    new, found = over("descriptors.leaked", 1.0, "count")
    verdicts, findings = of(GROWTH, THREADS).of_test("t.py::a", [growth, threads, new], [grown, thread, found])
    assert [verdict.level for verdict in verdicts] == ["warn", "error", "error"]
    assert [finding.level for finding in findings] == ["warn", "error", "error"]
    assert findings[0].details == ("known: 1000 B, recorded 2026-01-02 in known.json: #412", "seen")
    assert findings[1].details[0] == "worse than what is known (2, recorded 2026-01-02 in known.json: #413)"
    assert findings[2].details == ("seen",)
    assert of(GROWTH).of_test("t.py::b", [growth], [grown])[0][0].level == "error", "it is of another test"


def test_a_new_circle_of_locks_in_the_same_test_is_not_excused() -> None:
    verdict, finding = over("locks.potential_deadlocks", 1.0, "count")
    same = Finding(finding.key, "error", "s", locks=("a.py:1", "b.py:2"))
    other = Finding(finding.key, "error", "s", locks=("a.py:1", "c.py:9"))
    assert of(CIRCLE).of_test("t.py::a", [verdict], [same])[0][0].level == "warn"
    assert of(CIRCLE).of_test("t.py::a", [verdict], [other])[0][0].level == "error"


def criterion(value: float | bool, verdict: str = "over", **more: Any) -> dict[str, Any]:
    unit = "bool" if isinstance(value, bool) else "s"
    return {"id": "shop.x", "value": value, "limit": 0.05, "comparison": "<", "unit": unit, "verdict": verdict,
            "level": "error", "statistic": "p99", "details": [], "recorded": {}, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (criterion(0.06), "warn"), (criterion(0.066), "warn"), (criterion(0.07), "error"),
        (criterion(0.01, "within"), "error"), (criterion(0.06, statistic="derived"), "error"),
    ],
)  # fmt: skip
def test_a_criterion_that_is_known_to_be_over_fails_nothing(found: dict[str, Any], level: str) -> None:
    entry = Entry("criterion", "shop.x", "shop.x", 0.06, "s", "#1", "2026-01-02")
    assert of(entry).of_criterion(found)["level"] == level


def test_what_rests_on_a_criterion_that_is_known_fails_nothing_either() -> None:
    known = of(Entry("criterion", "shop.x", "shop.x", 0.06, "s", "#1", "2026-01-02"))

    def levels(value: float, other: str = "within") -> list[str]:
        parts = {"shop.x": "over", "shop.y": other}
        ready = criterion(False, id="shop.ready", statistic="derived", parts=parts)
        found = known.of_criteria([ready, criterion(value), criterion(1.0, other, id="shop.y")])
        return [each["level"] for each in found]

    assert levels(0.06) == ["warn", "warn", "error"]
    assert levels(0.07) == ["error", "error", "error"], "its part is worse than what is known"
    assert levels(0.06, "over") == ["error", "warn", "error"], "another part is over, and not known"

    ready = criterion(False, id="shop.ready", statistic="derived", parts={"shop.x": "over", "shop.y": "over"})
    warned = criterion(1.0, id="shop.y", level="warn")
    whole, _, _ = known.of_criteria([ready, criterion(0.06), warned])
    assert whole["level"] == "warn", "one part is known, and the other only warns"
    assert whole["details"] == ["over by what is known in known.json: shop.x and by what only warns: shop.y"]
    whole, _, _ = known.of_criteria([ready, criterion(0.07), warned])
    assert whole["level"] == "error", "one part only warns, and the other is worse than what is known"


@pytest.mark.parametrize(("unit", "excused"), [("count", False), ("buffers", False), ("s", True), ("B/h", True)])
def test_one_more_of_what_is_counted_is_worse_whatever_it_is(unit: str, excused: bool) -> None:
    assert Entry("criterion", "shop.x", "shop.x", 20.0, unit, "#1", "2026-01-02").excuses(21.0) is excused


def test_a_finding_of_the_run_is_known_by_its_owner_or_its_locks() -> None:
    finding = {"key": "threads.leaked", "level": "error", "owner": "fixture pool (c.py:9)", "summary": "s",
               "details": [], "locks": []}  # fmt: skip
    entry = Entry("run", "fixture pool (c.py:9)", "threads.leaked", 1.0, "count", "#1", "2026-01-02")
    assert of(entry).of_run(finding)["level"] == "warn"
    assert of(entry).of_run({**finding, "owner": "fixture other (c.py:20)"})["level"] == "error"
    assert of(entry).of_run({**finding, "level": "suspicion"})["level"] == "suspicion"


def run_with(value: float, verdict: str = "over", reason: str | None = None, **more: Any) -> dict[str, Any]:
    measure = {"value": value, "verdict": verdict, "unit": "B", "reason": reason, "level": "warn",
               "evidence": "repeated", "resolution": 16, **more}  # fmt: skip
    finding = {"key": "memory.growth", "level": "warn", "details": []}
    test = {"nodeid": "t.py::a", "measures": {"memory.growth": measure}, "findings": [finding]}
    return {"tests": [test], "findings": [], "criteria": []}


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (run_with(0.0, "within"), ["t.py::a memory.growth: 1000 B is known, gone"]),
        (run_with(800.0), ["t.py::a memory.growth: 1000 B is known, 800 B now"]),
        (run_with(950.0), []),
        (run_with(0.0, "not_measured"), []),
        ({"tests": [], "findings": [], "criteria": []}, []),
    ],
)
def test_what_is_better_can_be_tightened(run: dict[str, Any], told: list[str]) -> None:
    assert of(GROWTH).tightenable(run) == told


def test_recording_keeps_reasons_and_lowers_figures_and_forgets_what_is_gone() -> None:
    recorded = "recorded in known.json: now"
    again = of(GROWTH, THREADS, recording="now").updated(run_with(900.0, reason=recorded), "2026-11-29")
    assert again.entries[GROWTH.subject] == Entry(*list(growth_at(900.0)))
    assert again.entries[THREADS.subject] == THREADS, "it was not measured in this run"
    worse = of(GROWTH, recording="now").updated(run_with(5000.0, reason=recorded), "2026-11-29")
    assert worse.entries[GROWTH.subject].reason == "now"
    assert worse.entries[GROWTH.subject].date == "2026-11-29"
    gone = of(GROWTH, recording="now").updated(run_with(0.0, "within"), "2026-11-29")
    assert gone.entries == {}


@pytest.mark.parametrize(
    ("known", "unit", "seen", "gone"),
    [
        (233.0, "B", {"evidence": "screened", "resolution": 16384}, False),
        (16384.0, "B", {"evidence": "screened", "resolution": 16384}, False),
        (16385.0, "B", {"evidence": "screened", "resolution": 16384}, True),
        (233.0, "B", {"evidence": "repeated", "resolution": 512}, False),
        (233.0, "B", {"evidence": "repeated", "resolution": 16}, True),
        (1.0, "count", {"evidence": "screened", "resolution": 0}, True),
        (0.5, "count", {"evidence": "screened", "resolution": 0}, False),
        (0.5, "count", {"evidence": "repeated", "resolution": 0}, True),
        (1.0, "count", {"evidence": "repeated", "resolution": 0, "level": "off"}, False),
    ],
)
def test_an_excess_is_gone_only_where_it_would_have_been_seen(
    known: float, unit: str, seen: dict[str, Any], gone: bool
) -> None:
    entry = replace(GROWTH, value=known, unit=unit)
    run = run_with(0.0, "within", unit=unit, **seen)
    assert bool(of(entry).tightenable(run)) is gone
    kept = of(entry, recording="now").updated(run, "2026-11-29").entries
    assert kept == ({} if gone else {entry.subject: entry})


def test_a_figure_that_is_only_suspected_is_no_less() -> None:
    run = run_with(100.0)
    run["tests"][0]["findings"][0]["level"] = "suspicion"
    assert of(GROWTH).tightenable(run) == []
    assert of(GROWTH, recording="now").updated(run, "2026-11-29").entries == {GROWTH.subject: GROWTH}


def test_what_is_excused_and_what_is_only_suspected_is_counted() -> None:
    known = of(GROWTH, Entry("criterion", "shop.x", "shop.x", 0.06, "s", "#1", "2026-01-02"))
    run = run_with(900.0, reason="known: 1000 B, recorded 2026-01-02 in known.json: #412")
    run["criteria"] = known.of_criteria([criterion(0.06)])
    assert known.excused(run) == 2
    assert known.excused(run_with(900.0, reason="known: by its marker")) == 0
    run = run_with(0.0, "not_measured", why="suspected: 20 KiB left after one run")
    run["tests"][0]["findings"][0]["level"] = "suspicion"
    run["run"] = {"effort": {"share": 0.2}}
    (told,) = of().not_recorded(run)
    assert told == "known.json: 1 suspected, and not recorded; --coresys-profile strict spends more"
    assert of(GROWTH).not_recorded(run) == [], "it is known, and stays"
    run["run"] = {"effort": {"share": None}}
    assert of().not_recorded(run) == ["known.json: 1 suspected, and not recorded"]


def test_what_only_warns_in_this_profile_is_there_all_the_same() -> None:
    """As globals.changed, which only strict makes an error: recording did not excuse it, and finds it."""
    known = of(GROWTH, recording="now")
    assert known.updated(run_with(1000.0), "2026-11-29").entries == {GROWTH.subject: GROWTH}
    assert known.updated(run_with(5000.0), "2026-11-29").entries == {GROWTH.subject: GROWTH}, "figures go down only"
    assert known.updated(run_with(900.0), "2026-11-29").entries == {GROWTH.subject: replace(GROWTH, value=900.0)}
    circle = Entry("run", "a.py:1 and b.py:2", CIRCLE.key, 1.0, "count", "#1", "2026-01-02", CIRCLE.locks)
    finding = {"key": CIRCLE.key, "level": "warn", "owner": None, "locks": ["a.py:1", "b.py:2"], "details": ["seen"]}
    run = {"tests": [], "findings": [finding], "criteria": [criterion(0.06, level="warn")]}
    time = Entry("criterion", "shop.x", "shop.x", 0.06, "s", "#1", "2026-01-02")
    kept = of(circle, time, recording="now").updated(run, "2026-11-29").entries
    assert kept == {circle.subject: circle, time.subject: time}


def growth_at(value: float) -> tuple[Any, ...]:
    return (GROWTH.about, GROWTH.name, GROWTH.key, value, GROWTH.unit, GROWTH.reason, GROWTH.date, GROWTH.locks)


def test_the_file_reads_as_it_was_written(tmp_path: Path) -> None:
    whole = of(GROWTH, THREADS, CIRCLE)
    path = tmp_path / "known.json"
    path.write_text(baseline.text_of(whole), encoding="utf-8")
    assert baseline.read(path, "known.json", None) == whole
    assert len(path.read_text("utf-8").splitlines()) == 5, "an entry a line"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\n# x"])
def test_names_may_have_what_ends_a_line_elsewhere(tmp_path: Path, mark: str) -> None:
    known = of(replace(GROWTH, name=f"t.py::a[{mark}]", reason=f"a{mark}b"))
    path = tmp_path / "known.json"
    path.write_bytes(baseline.text_of(known).encode())
    assert baseline.read(path, "known.json", None) == known
    path.write_bytes(baseline.text_of(known).replace("\n", "\r\n").encode())
    assert baseline.read(path, "known.json", None) == known, "as an editor of Windows has it"


EDITED = """\
# what is known, to be worked off by March
{"schema": 1, "entries": [

    {"about": "test", "name": "t.py::a", "key": "threads.leaked", "value": 2, "unit": "count", "reason": "#413",
// inside of it
     "date": "2026-01-02"}
  # the cache of sessions, see #412
{"about": "test", "name": "t.py::a", "key": "memory.growth", "value": 1000, "unit": "B", "reason": "#412",
     "date": "2026-01-02"},
# no more for now
]}
"""


def test_a_file_that_was_edited_by_hand_is_read_and_keeps_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(EDITED, encoding="utf-8-sig")
    known = baseline.read(path, "known.json", "now", {"memory.growth", "threads.leaked"})
    assert list(known.entries.values()) == [THREADS, GROWTH]
    again = known.updated(run_with(900.0, reason="recorded in known.json: now"), "2026-11-29")
    assert [line[:40] for line in baseline.text_of(again).splitlines()] == [
        "# what is known, to be worked off by Mar",
        '{"schema": 1, "entries": [',
        "  # the cache of sessions, see #412",
        '{"about": "test", "name": "t.py::a", "ke',
        "// inside of it",
        '{"about": "test", "name": "t.py::a", "ke',
        "# no more for now",
        "]}",
    ]
    path.write_text(baseline.text_of(again), encoding="utf-8")
    assert baseline.text_of(baseline.read(path, "known.json", None)) == baseline.text_of(again)
    gone = known.updated(run_with(0.0, "within"), "2026-11-29")
    assert "sessions" not in baseline.text_of(gone), "the comment goes with its entry"


ROW = json.dumps({"about": "test", "name": "t.py::a", "key": "memory.growth", "value": 1, "unit": "B", "reason": "r",
                  "date": "d"})  # fmt: skip


def file_of(*rows: str) -> str:
    return '{"schema": 1, "entries": [\n' + ",\n".join(rows) + "\n]}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "known.json: there is no such file; --coresys-update-baseline makes one"),
        ("", "known.json:1: it ends too early, as if it was cut off"),
        ("{", "known.json:1: it ends too early, as if it was cut off"),
        ('{"schema" 1}', "known.json:1: not JSON: "),
        ("[]", 'known.json:1: no baseline: it has no "schema": 1 and "entries"'),
        ('{"schema": 2, "entries": []}', 'known.json:1: no baseline: it has no "schema": 1'),
        ('{"schema": 1, "entries": [], "enties": 3}', 'known.json:1: unknown name "enties"; did you mean "entries"?'),
        (file_of("3"), "known.json:2: 3 is no entry"),
        (file_of(ROW, '{"about": "test"}'), "known.json:3: the entry has no name"),
        (file_of(ROW.replace('"test"', '"tset"')), 'known.json:2: unknown about "tset"; did you mean "test"?'),
        (file_of(ROW.replace("memory.growth", "memory.grwth")),
         'known.json:2: unknown key "memory.grwth"; did you mean "memory.growth"?'),
        (file_of(ROW.replace('"reason"', '"reson"')), 'known.json:2: unknown name "reson"; did you mean "reason"?'),
        (file_of(ROW.replace('"r"', "7")), "known.json:2: reason is 7, no text"),
        (file_of(ROW.replace("1,", "true,")), "known.json:2: true is no figure"),
        (file_of(ROW.replace("1,", "NaN,")), "known.json:2: NaN is no figure"),
        (file_of(ROW.replace("1,", "1e999,")), "known.json:2: Infinity is no figure"),
        (file_of("# why", ROW, "", ROW), "known.json:5: t.py::a memory.growth is there twice: in line 3 too"),
        (file_of(ROW, "<<<<<<< HEAD", ROW), "known.json:3: not JSON: "),
        (file_of(ROW)[:60], "known.json:2: it ends too early, as if it was cut off"),
        (file_of(ROW)[:-4], "known.json:2: it ends too early, as if it was cut off"),
        (file_of(ROW) + "}", "known.json:4: not JSON: "),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_told_with_its_line(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "known.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        baseline.read(path, "known.json", None, {"memory.growth"})
    assert str(refused.value).startswith(f"--coresys-baseline: {problem}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("collected", "whole", "gone"),
    [
        (["t.py::b"], True, True),
        (["t.py::b"], False, False),
        (["t.py::a"], True, False),
        (["t.py::a@database"], True, False),
        ([], True, True),
    ],
)
def test_an_entry_of_no_test_can_go_where_all_of_its_file_was_collected(
    collected: list[str], whole: bool, gone: bool
) -> None:
    criterion = Entry("criterion", "shop.x", "shop.x", 1.0, "s", "r", "2026-01-02")
    known, asked = of(GROWTH, criterion, recording="now"), []

    def is_whole(path: str) -> bool:
        asked.append(path)
        return whole

    found = known.of_no_test(collected, is_whole)
    assert found == [GROWTH] * gone
    assert set(asked) <= {"t.py"}
    empty: dict[str, Any] = {"tests": [], "findings": [], "criteria": []}
    told = ["t.py::a memory.growth: 1000 B is known, its test is gone"]
    assert known.tightenable(empty, found) == told * gone
    kept = [criterion] if gone else [criterion, GROWTH]
    assert list(known.updated(empty, "2026-11-29", found).entries.values()) == kept


SUITE = """
import threading
KEPT = []
def test_leaks():
    KEPT.append(bytearray(AMOUNT))
def test_clean():
    pass
def test_criterion(coresys_criteria):
    coresys_criteria.record("shop.time", 0.2)
"""
CRITERIA = '[[criterion]]\nid = "shop.time"\nstatistic = "value"\nlimit = "50 ms"\n'


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param((), marks=pytest.mark.long), ("-n", "2")], ids=["serial", "n2"])
def test_only_what_is_new_or_worse_fails(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    (pytester.path / "own.toml").write_text(CRITERIA, encoding="utf-8")
    options = ["--coresys-budget", "--coresys-criteria", "own.toml", "--coresys-baseline", "known.json",
               "--coresys-profile", "strict",  # how far ``default`` comes depends on the machine
               "-p", "no:cacheprovider", "-p", "no:randomly", *workers]  # fmt: skip

    def write(amount: int, more: str = "") -> None:
        pytester.makepyfile(test_shop=SUITE.replace("AMOUNT", str(amount)) + more)

    write(100_000)
    assert pytester.runpytest_subprocess(*options).ret == 4, "there is no baseline yet"
    first = pytester.runpytest_subprocess(*options, "--coresys-update-baseline", "--coresys-reason", "#412")
    assert first.ret == 0
    first.stdout.fnmatch_lines(["baseline known.json: 2 known, 0 before"])
    known = json.loads((pytester.path / "known.json").read_text("utf-8"))["entries"]
    assert {(entry["about"], entry["name"], entry["key"]) for entry in known} == {
        ("test", "test_shop.py::test_leaks", "memory.growth"),
        ("criterion", "shop.time", "shop.time"),
    }
    again = pytester.runpytest_subprocess(*options)
    assert again.ret == 0
    again.assert_outcomes(passed=3)
    write(200_000, "def test_new():\n    KEPT.append(bytearray(50_000))\n")
    worse = pytester.runpytest_subprocess(*options)
    worse.assert_outcomes(failed=2, passed=2)
    worse.stdout.fnmatch_lines(["*worse than what is known (97.* KiB, recorded * in known.json: #412)*"])
    write(1)
    Path(pytester.path, "test_shop.py").write_text("def test_leaks(): pass\n", encoding="utf-8")
    better = pytester.runpytest_subprocess(*options)
    assert better.ret == 0
    better.stdout.fnmatch_lines(["baseline: 1 known that can be tightened*", "*test_leaks memory.growth: *, gone"])


@pytest.mark.parametrize(
    ("args", "options", "folders"),
    [
        (["ROOT"], {}, ["."]),
        (["tests", "app"], {}, ["tests", "app"]),
        (["tests/test_a.py"], {}, []),
        (["tests", "tests/test_a.py::test_b"], {}, []),
        (["tests"], {"keyword": "test_a"}, []),
        (["tests"], {"markexpr": "not slow"}, []),
        (["tests"], {"ignore": ["tests/slow"]}, []),
        (["tests"], {"lf": True}, []),
        (["nowhere"], {}, []),
    ],
)
def test_which_folders_a_run_was_asked_for_as_a_whole(
    tmp_path: Path, args: list[str], options: dict[str, Any], folders: list[str]
) -> None:
    for name in ("tests", "app"):
        (tmp_path / name).mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")
    given = [str(tmp_path) if arg == "ROOT" else arg for arg in args]
    config: Any = SimpleNamespace(args=given, option=SimpleNamespace(**options), rootpath=tmp_path,
                                  invocation_params=SimpleNamespace(dir=tmp_path))  # fmt: skip
    assert _whole_folders(config) == folders


@pytest.mark.parametrize(
    ("path", "left_out", "whole"),
    [
        ("tests/test_a.py", [], True),
        ("tests/test_a.py", [""], False),
        ("tests/test_a.py", ["tests"], False),
        ("tests/test_a.py", ["tests/test_gone.py"], True),
        ("tests/test_gone.py", [], True),
        ("tests/test_quiet.py", [], False),  # it is there, and nothing of it was collected
        ("app/test_a.py", [], False),
    ],
)
def test_of_which_files_all_tests_were_collected(tmp_path: Path, path: str, left_out: list[str], whole: bool) -> None:
    (tmp_path / "tests").mkdir()
    for name in ("test_a", "test_quiet"):
        (tmp_path / "tests" / f"{name}.py").write_text("")
    config = SimpleNamespace(args=["tests"], option=SimpleNamespace(), rootpath=tmp_path,
                             invocation_params=SimpleNamespace(dir=tmp_path))  # fmt: skip
    session: Any = SimpleNamespace(config=config, left_out=set(left_out))
    assert BudgetSession._is_whole(session, path, {"tests/test_a.py"}) is whole


def test_a_worker_that_died_in_a_soak_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    """Its key is that of no measure."""
    entry = Entry("run", "worker gw0", "soak.failed", 1.0, "count", "#415", "2026-01-02")
    (tmp_path / "known.json").write_text(baseline.text_of(of(entry)), encoding="utf-8")
    options = {"coresys_baseline": "known.json"}
    config: Any = SimpleNamespace(getoption=options.get, invocation_params=SimpleNamespace(dir=tmp_path))
    assert _baseline_of(config, {"memory.growth"}) == of(entry)


SHARD = """
import os
def pytest_collection_modifyitems(items):
    if "SHARD" in os.environ:
        items[:] = items[:1]  # and tells nobody
"""


@pytest.mark.slow
def test_an_entry_of_a_test_that_is_gone_is_told_by_a_run_of_the_whole_suite_and_dropped_by_recording(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(**{"tests/test_a": "def test_a(): pass\ndef test_b(): pass\n", "conftest": SHARD})
    gone = Entry("test", "tests/test_a.py::test_gone", "memory.growth", 1000.0, "B", "#412", "2026-01-02")
    path = pytester.path / "known.json"
    path.write_text(baseline.text_of(of(gone)), encoding="utf-8")
    options = ["--coresys-budget", "--coresys-repeat=0", "--coresys-history=none", "--coresys-baseline=known.json",
               "-p", "no:cacheprovider"]  # fmt: skip
    recording = ["--coresys-update-baseline", "--coresys-reason", "less"]
    told = ["baseline: 1 known that can be tightened*", "*test_gone memory.growth: 1000 B is known, its test is gone"]
    pytester.runpytest_subprocess(*options, "-n", "2").stdout.fnmatch_lines(told)
    pytester.runpytest_subprocess(*options, *recording, "--deselect", "tests/test_a.py::test_b")
    assert "test_gone" in path.read_text("utf-8")
    monkeypatch.setenv("SHARD", "1")
    pytester.runpytest_subprocess(*options, *recording)
    assert "test_gone" in path.read_text("utf-8"), "another shard may have it"
    monkeypatch.delenv("SHARD")
    pytester.runpytest_subprocess(*options, *recording)
    assert "test_gone" not in path.read_text("utf-8")


def test_recording_wants_a_place_and_a_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    for options, told in (
        (["--coresys-update-baseline"], "*--coresys-update-baseline: add --coresys-baseline PATH*"),
        (["--coresys-update-baseline", "--coresys-baseline", "k.json"], '*say why, with --coresys-reason "..."*'),
    ):
        result = pytester.runpytest_inprocess("--coresys-budget", *options)
        assert result.ret == 4
        result.stderr.fnmatch_lines([told])
    bare = pytester.runpytest_inprocess("--coresys-update-baseline", "--coresys-baseline", "k.json")
    assert bare.ret == 4
