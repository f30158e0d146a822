"""Known excesses: what is excused, what is worse, what can go; and whole runs with a baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coresys.budgets.model import Verdict
from coresys.records import Finding
from pytest_coresys import baseline
from pytest_coresys.baseline import Baseline, Entry
from pytest_coresys.config.errors import ConfigError

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


def run_with(value: float, verdict: str = "over", reason: str | None = None) -> dict[str, Any]:
    measure = {"value": value, "verdict": verdict, "unit": "B", "reason": reason}
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


def growth_at(value: float) -> tuple[Any, ...]:
    return (GROWTH.about, GROWTH.name, GROWTH.key, value, GROWTH.unit, GROWTH.reason, GROWTH.date, GROWTH.locks)


def test_the_file_reads_as_it_was_written(tmp_path: Path) -> None:
    whole = of(GROWTH, THREADS, CIRCLE)
    path = tmp_path / "known.json"
    path.write_text(baseline.text_of(whole), encoding="utf-8")
    assert baseline.read(path, "known.json", None) == whole
    assert len(path.read_text("utf-8").splitlines()) == 5, "an entry a line"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no such file; --coresys-update-baseline makes one"),
        ("{", "known.json is no baseline: "),
        ('{"schema": 2, "entries": []}', 'it has no "schema": 1'),
        ('{"schema": 1, "entries": [3]}', "3 is no entry"),
        ('{"schema": 1, "entries": [{"about": "test"}]}', "an entry has no date"),
    ],
)
def test_what_is_no_baseline_is_told(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "known.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        baseline.read(path, "known.json", None)
    assert problem in str(refused.value)


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
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "n2"])
def test_only_what_is_new_or_worse_fails(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    (pytester.path / "own.toml").write_text(CRITERIA, encoding="utf-8")
    options = ["--coresys-budget", "--coresys-criteria", "own.toml", "--coresys-baseline", "known.json",
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
